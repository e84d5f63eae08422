"""Runs one server until it is told to stop: one process for a data folder, a clean end within ten seconds."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvloop
from aiohttp import web

from kith_protocol.errors import KithError
from kith_server.config import Listen

LOCK_NAME: Final = "run.lock"
BACKLOG: Final = 512
SHUTDOWN_SECONDS: Final = 5.0
"""How long requests may go on when the server stops."""
KEEPALIVE_SECONDS: Final = 75.0
ARENAS: Final = 2
MMAP_BYTES: Final = 256 * 1024
"""Larger pieces of memory are given back at once; glibc would keep them, and twice as much in all (measured)."""

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8


class ServeError(KithError):
    """The server cannot run here; the message says why."""

    code = "serve"


def serve(app: web.Application, data_dir: Path, listen: Listen, ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT; `ready` is called once with the URL. Raises `ServeError`, `StorageError`."""
    _give_memory_back()
    with _alone(data_dir), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(app, listen, ready))


def create_runner(app: web.Application) -> web.AppRunner:
    """Serves `app` the way it is meant to be: bodies are not decompressed, and stopping has an end."""
    return web.AppRunner(
        app,
        handle_signals=False,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=KEEPALIVE_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )


async def _serve(app: web.Application, listen: Listen, ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = create_runner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.host, listen.port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "the address is not known"
            raise ServeError(f"Cannot listen on {listen.host} port {listen.port}: {reason}.") from None
        # A full collection walks every object of every module (0.1 s and more, measured); what is loaded now stays.
        gc.collect()
        gc.freeze()
        ready(_url(runner))
        await stop.wait()
    finally:
        await runner.cleanup()


def _url(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Two processes over one folder would each answer polls from a memory that the other does not know of."""
    with (data_dir / LOCK_NAME).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServeError(f"A server runs already with the data in {data_dir}.") from None
        yield


def _give_memory_back() -> None:
    """Sets glibc's allocator so that the memory of large pushes does not stay with the process; others do it anyway."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
        mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES)
