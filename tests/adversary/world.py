"""Home servers behind lying proxies, and real devices of real people on them, all in one process.

A server is told the proxy's address as its own, because sessions and mailboxes name it. Devices are `kith_client`
itself: what a test asks of them is what the commands ask.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pysqlite3
from aiohttp import web

from kith_client.book import contacts as book
from kith_client.book.layers import Layers
from kith_client.lifecycle.linking import add_device, join_vault
from kith_client.lifecycle.setup import create_vault
from kith_client.online import home_server
from kith_client.relations import records
from kith_client.stamp import Edit, of_kind
from kith_client.store.home import Home
from kith_client.sync.run import Report, sync
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.chain import freeze_chain
from kith_server.app import create_app, create_runner
from kith_server.config import Config, Federation
from kith_server.mail_keys import SERVER_KEYS
from kith_server.server_keys import create_server_key
from kith_server.storage.database import DATABASE_NAME
from tests.support.lying_proxy import LyingProxy, lying_proxy
from tests.support.running import free_port

FEDERATION = Federation((ip_network("127.0.0.0/8"),), ("127.0.0.1",))
VISIBLE_TABLES = ("commits", "records", "drafts", "requests")
STAGE_TABLES = ("staged_commits", "staged_records")


@dataclass
class Site:
    """A home server that its people reach through a lying proxy only."""

    data: Path
    proxy: LyingProxy
    port: int
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return self.proxy.url

    @property
    def database(self) -> Path:
        return self.data / DATABASE_NAME

    @property
    def statement(self) -> bytes:
        """What the server says of itself now."""
        if self._runner is None:
            raise AssertionError("the server does not run")
        return self._runner.app[SERVER_KEYS].statement

    async def start(self) -> None:
        if not self.data.exists():
            self.data.mkdir()
            create_server_key(self.data)
        self._runner = create_runner(create_app(Config(self.url, federation=FEDERATION), self.data))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def back_up(self, to: Path) -> None:
        """A copy of the whole data folder, as an operator makes it."""
        await self.stop()
        shutil.copytree(self.data, to)
        await self.start()

    async def restore(self, backup: Path) -> None:
        """Puts the data back to what it was then."""
        await self.stop()
        shutil.rmtree(self.data)
        shutil.copytree(backup, self.data)
        await self.start()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Reads in the server's database while it runs."""
        return query_file(self.database, query, *values)


@asynccontextmanager
async def lying_site(data: Path, proxy_port: int = 0) -> AsyncIterator[Site]:
    """A running server behind a proxy that is honest until a test says otherwise."""
    port = free_port()
    async with lying_proxy(f"http://127.0.0.1:{port}", proxy_port) as proxy:
        site = Site(data, proxy, port)
        await site.start()
        try:
            yield site
        finally:
            await site.stop()


@dataclass
class Device:
    """One device with its vault open."""

    home: Home
    vault: Vault
    server: HomeServer
    _stack: AsyncExitStack = field(repr=False)

    @classmethod
    async def open(cls, home: Home) -> Device:
        async with AsyncExitStack() as stack:
            vault = await stack.enter_async_context(await Vault.open(home))
            server = await stack.enter_async_context(home_server(vault))
            return cls(home, vault, server, stack.pop_all())

    async def close(self) -> None:
        """Lets other programs at the vault."""
        await self._stack.aclose()

    async def __aenter__(self) -> Device:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def sync(self, patience: float = 5.0) -> Report:
        return await sync(self.vault, self.server, patience=patience)

    async def apply(self, edit: Edit) -> None:
        await self.vault.apply(edit)

    async def add(self, name: str) -> bytes:
        """A new contact, not sent yet."""
        edit, contact = book.add_contact(self.vault.stamp(), name)
        await self.apply(edit)
        return contact

    async def set(self, contact: bytes, prop: str, text: str) -> None:
        """Sets a property of a contact."""
        edit, _ = book.set_property(self.vault.contents, self.vault.stamp(), contact, prop, text)
        await self.apply(edit)

    @property
    def names(self) -> list[str]:
        """The names of all contacts."""
        layers = Layers(self.vault.contents)
        return sorted(layers.name(contact) for contact in of_kind(self.vault.contents, "contact"))

    @property
    def channel(self) -> records.Channel:
        """The only channel of this vault that has not ended."""
        (channel,) = (each for each in records.channels(self.vault.contents) if not each.ended)
        return channel

    def state(self) -> dict[str, object]:
        """All that must stay as it is when something received is refused."""
        chain = self.vault.chain
        seen: dict[str, object] = {
            "contents": dict(self.vault.contents),
            "chain": freeze_chain(chain),
            "tree": self.vault.index.root,
        }
        return {**seen, **mirror_rows(self.home)}


def mirror_rows(home: Home) -> dict[str, object]:
    """What the mirror's file holds that counts, and how much it holds that was not verified."""
    rows: dict[str, object] = {
        table: sorted(query_file(home.mirror, f"SELECT * FROM {table}")) for table in VISIBLE_TABLES
    }
    rows["high-water mark"] = query_file(home.mirror, "SELECT value FROM state WHERE key = 'chain'")
    for table in STAGE_TABLES:
        rows[table] = query_file(home.mirror, f"SELECT count(*) FROM {table}")
    return rows


def query_file(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of an SQLite file that another program may have open."""
    connection = pysqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [tuple(row) for row in connection.execute(query, values)]
    finally:
        connection.close()


async def begin(site: Site, folder: Path, name: str, device: str = "laptop") -> Device:
    """Somebody's first device."""
    home = Home(folder)
    await create_vault(home, site.url, name, device)
    return await Device.open(home)


async def link(site: Site, old: Device, folder: Path, name: str = "phone") -> Device:
    """Another device of the same person, added as a person does it."""
    shown: asyncio.Queue[str] = asyncio.Queue()

    async def yes(_name: str) -> bool:
        return True

    async def join() -> None:
        vault = await join_vault(Home(folder), await shown.get(), site.url, name)
        await vault.close()

    await asyncio.gather(add_device(old.vault, old.server, shown.put, yes), join())
    return await Device.open(Home(folder))
