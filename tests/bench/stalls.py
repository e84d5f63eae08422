"""How long do the event loops stand still? `python -m tests.bench.stalls [CONTACTS]` prints it for client and server.

Import, first sync, a second device and an idle sync of a large address book; the bound is 50 ms. On a machine that
does other things as well, the figures say as much about those.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from kith_client.book.importing import Importer
from kith_client.contacts.vcard_read import read_cards
from kith_client.lifecycle.linking import add_device, join_vault
from kith_client.lifecycle.setup import create_vault
from kith_client.online import home_server
from kith_client.store.home import Home
from kith_client.sync.run import sync
from kith_client.vault import Vault
from kith_server.app import create_app
from kith_server.config import load_config, parse_listen
from kith_server.serving import serve
from tests.support.address_book import vcards
from tests.support.running import Server

BOUND = 0.05
"""Seconds."""
_PAUSE = 0.002


class Watch:
    """Measures how much later than asked for the loop comes back to a task."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        while True:
            begin = time.perf_counter()
            await asyncio.sleep(_PAUSE)
            self.longest = max(self.longest, time.perf_counter() - begin - _PAUSE)

    def take(self) -> float:
        """The longest stall since the last call."""
        longest, self.longest = self.longest, 0.0
        return longest


async def measure(folder: Path, server: Server, contacts: int) -> dict[str, float]:
    """The client's longest stall in each step, in seconds."""
    watch = Watch()
    found: dict[str, float] = {}
    task = asyncio.create_task(watch.run())
    await create_vault(Home(folder / "laptop"), server.url, "Anna Beck", "laptop")
    async with await Vault.open(Home(folder / "laptop")) as vault, home_server(vault) as home:
        watch.take()
        await import_book(vault, contacts)
        found["import"] = watch.take()
        await sync(vault, home)
        found["first sync"] = watch.take()
        codes: asyncio.Queue[str] = asyncio.Queue()

        async def join() -> None:
            joined = await join_vault(Home(folder / "phone"), await codes.get(), server.url, "phone")
            await joined.close()

        async def agree(_: str) -> bool:
            return True

        await asyncio.gather(add_device(vault, home, codes.put, agree), join())
        found["second device"] = watch.take()
        await sync(vault, home)
        found["idle sync"] = watch.take()
    async with await Vault.open(Home(folder / "laptop")):
        found["open"] = watch.take()
    task.cancel()
    return found


async def import_book(vault: Vault, contacts: int) -> None:
    importer = Importer(vault.contents, vault.stamp())
    batches = importer.batches("book.vcf", read_cards(vcards(contacts)))
    while (edit := await asyncio.to_thread(next, batches, None)) is not None:
        await vault.apply(edit)
    await vault.apply(importer.circles())


@asynccontextmanager
async def watched_server(folder: Path) -> AsyncIterator[tuple[Server, Callable[[], float]]]:
    """A server in a process of its own that says at its end how long its loop stood still at most."""
    server = Server(folder / "server").init()
    report = folder / "server-stall.json"
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.stalls", "serve", str(server.data), str(report)])
    server.process = process
    try:
        while not server.answers():
            await asyncio.sleep(0.05)

        def stall() -> float:
            server.stop(signal.SIGTERM)
            return float(json.loads(report.read_text()))

        yield server, stall
    finally:
        if process.poll() is None:
            process.kill()


def serve_watched(data: Path, report: Path) -> None:
    """Serves until told to stop, and then writes the longest stall since it was ready."""
    config, watch, tasks = load_config(data), Watch(), []

    def ready(_: str) -> None:
        tasks.append(asyncio.get_running_loop().create_task(watch.run()))

    serve(create_app(config, data), data, parse_listen(config.host), ready)
    report.write_text(json.dumps(watch.longest))


async def main(contacts: int) -> None:
    with tempfile.TemporaryDirectory(prefix="kithbook-stalls-") as folder:
        async with watched_server(Path(folder)) as (server, stall):
            for step, seconds in (await measure(Path(folder), server, contacts)).items():
                print(f"client, {step:15} {seconds * 1000:5.0f} ms   {seconds / BOUND:4.1f} of the bound")
            seconds = stall()
    print(f"server                  {seconds * 1000:5.0f} ms   {seconds / BOUND:4.1f} of the bound")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve_watched(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
