"""Two threads that read, each with a read-only connection; every request sees one consistent state."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from kith_server.errors import Busy
from kith_server.storage.sqlite import connect

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

THREADS: Final = 2
WAITING: Final = 1024
"""Requests that may wait."""
QUEUE_SECONDS: Final = 30.0


class Readers:
    """A bounded pool over one database file, which must exist."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._here = threading.local()
        self._opened: list[Connection] = []
        self._waiting = 0
        self._pool = ThreadPoolExecutor(THREADS, "reader", initializer=self._open)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a read transaction on a reader's thread. Raises what `work` raises, or `Busy`."""
        if self._waiting >= WAITING:
            raise Busy
        self._waiting += 1
        try:
            job = self._pool.submit(self._run, work)
            waiter = asyncio.wrap_future(job)
            done, _ = await asyncio.wait({waiter}, timeout=QUEUE_SECONDS)
            if not done and job.cancel():
                raise Busy
            return await waiter
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Finishes what runs and closes the connections. Blocks."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for connection in self._opened:
            connection.close()

    def _open(self) -> None:
        connection = connect(self._path, read_only=True)
        self._here.connection = connection
        self._opened.append(connection)

    def _run(self, work: Callable[[Connection], T]) -> T:
        connection: Connection = self._here.connection
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            connection.execute("ROLLBACK")
