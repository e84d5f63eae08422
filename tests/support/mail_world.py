"""Real servers on loopback with people on them, for tests of mailboxes, gateway and relay: all goes over HTTP."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

import aiohttp
from aiohttp import web

from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.gateway import (
    Arguments,
    Put,
    PutStatus,
    make_request,
    open_put_answer,
    request_hash,
    seal_request,
)
from kith_protocol.handle import handle_id
from kith_protocol.mailbox import MailboxKind, OwnMailbox, new_mailbox, sign_put
from kith_protocol.padding import INNER_CLASSES
from kith_protocol.server_statement import verify_server_statement
from kith_protocol.wire import (
    Failure,
    OpenMailbox,
    ParcelPage,
    PutHandle,
    RelayAnswer,
    RelayRequest,
    SessionGrant,
)
from kith_server.app import create_app, create_runner
from kith_server.config import Config, Federation, Quotas
from kith_server.mail_keys import SERVER_KEYS
from kith_server.server_keys import create_server_key
from tests.support.vaults import VaultBuilder

LOOPBACK = Federation((ip_network("127.0.0.0/8"),), ("127.0.0.1",))
START = 1_800_000_100_000
T = TypeVar("T", bound=Statement)


@dataclass
class Clock:
    """Goes like the real one, and ahead when told to."""

    ahead: int = 0
    began: float = field(default_factory=time.monotonic)

    def __call__(self) -> int:
        return START + self.ahead + int((time.monotonic() - self.began) * 1000)


@dataclass
class Answer:
    """A whole HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str]
    seconds: float

    def as_(self, kind: type[T]) -> T:
        assert self.status == 200, decode(self.body, Failure)
        return decode(self.body, kind)

    @property
    def code(self) -> str:
        return decode(self.body, Failure).code


@dataclass
class Site:
    """One server; it may be stopped and started again on the same port with the same data."""

    data: Path
    http: aiohttp.ClientSession
    clock: Clock = field(default_factory=Clock)
    quotas: Quotas = field(default_factory=Quotas)
    handles: bool = True
    federation: Federation = LOOPBACK
    port: int = 0
    runner: web.AppRunner | None = None

    async def start(self) -> Site:
        if not self.port:
            self.port = free_port()
            self.data.mkdir()
            create_server_key(self.data)
        config = Config(self.url, federation=self.federation, quotas=self.quotas, handles=self.handles)
        self.runner = create_runner(create_app(config, self.data, self.clock))
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()
        return self

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    @property
    def app(self) -> web.Application:
        assert self.runner is not None
        return self.runner.app

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def fingerprint(self) -> bytes:
        return self.app[SERVER_KEYS].fingerprint

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        began = time.monotonic()
        async with self.http.request(method, self.url + path, data=body, headers=headers) as response:
            raw = await response.read()
            return Answer(response.status, raw, dict(response.headers), time.monotonic() - began)

    async def join(self) -> Person:
        """A new vault on this server, with a session."""
        builder = VaultBuilder.new()
        registered = await self.ask("POST", "/v1/vaults", encode(builder.register))
        assert registered.status == 200, registered.body
        person = Person(self, builder.vault, "", builder)
        await person.sign_in()
        return person


@dataclass
class Person:
    """Somebody with a vault, as the home server's API sees them."""

    site: Site
    vault: bytes
    authorization: str
    builder: VaultBuilder | None = None

    async def sign_in(self) -> None:
        """Opens a session, as a member of the vault."""
        assert self.builder is not None
        asked = self.builder.session(self.site.host, self.site.clock())
        grant = (await self.site.ask("POST", "/v1/sessions", encode(asked))).as_(SessionGrant)
        self.authorization = f"Bearer {grant.token.hex()}"

    async def ask(self, method: str, path: str, statement: Statement | None = None, **headers: str) -> Answer:
        """`path` is below the vault."""
        body = None if statement is None else encode(statement)
        whole = f"/v1/vaults/{self.vault.hex()}{path}"
        return await self.site.ask(method, whole, body, Authorization=self.authorization, **headers)

    async def open_mailbox(self, kind: MailboxKind = MailboxKind.PARCELS) -> OwnMailbox:
        mailbox = new_mailbox(self.site.host, self.site.fingerprint, secrets.token_bytes(64))
        done = await self.ask("PUT", f"/mailboxes/{mailbox.read_id.hex()}", opening(mailbox, kind))
        assert done.status == 204, done.body
        return mailbox

    async def take_handle(self, name: str, secret: bytes = b"", network: str = "127.0.0.1") -> Answer:
        """Asks for a handle; without a secret it is private."""
        put, path = PutHandle(secret), f"/handles/{handle_id(name).hex()}"
        return await self.ask("PUT", path, put, **{"X-Forwarded-For": network})

    async def parcels(self, after: int = 0) -> ParcelPage:
        return (await self.ask("GET", f"/parcels?after={after}")).as_(ParcelPage)

    async def relay(self, request: Sealed, host: str) -> RelayAnswer:
        return (await self.ask("POST", "/relay", RelayRequest(host, request.raw))).as_(RelayAnswer)

    async def relayed(self, request: Sealed) -> RelayAnswer:
        return (await self.ask("GET", f"/relay/{request.hash.hex()}")).as_(RelayAnswer)


@dataclass(frozen=True)
class Sealed:
    """A sealed request with what opens its answer."""

    raw: bytes
    response_key: bytes

    @property
    def hash(self) -> bytes:
        return request_hash(self.raw)

    def receipt(self, answer: bytes) -> PutStatus:
        """What the destination says about a put."""
        return open_put_answer(self.response_key, self.hash, answer).status


def opening(mailbox: OwnMailbox, kind: MailboxKind = MailboxKind.PARCELS) -> OpenMailbox:
    return OpenMailbox(mailbox.address.mailbox, mailbox.address.deposit.public, kind)


def parcel_of(text: str, size: int = INNER_CLASSES[0]) -> bytes:
    """Something that looks like a parcel to a server."""
    return text.encode().ljust(size, b"\x00")


def put_of(mailbox: OwnMailbox, slot: int, sequence: int, parcel: bytes) -> Put:
    """A signed put."""
    address, name = mailbox.address, slot.to_bytes(16, "big")
    signature = sign_put(address.deposit, address.mailbox, name, sequence, parcel)
    return Put(address.mailbox, name, sequence, parcel, signature)


def spoilt(put: Put) -> Put:
    """The same put with a signature by nobody."""
    return Put(put.mailbox, put.slot, put.sequence, put.parcel, bytes(64))


async def sealed(site: Site, arguments: Arguments, lifetime: int = 14 * 24 * 3600 * 1000) -> Sealed:
    """A sealed request to `site`, whose statement is fetched and verified."""
    raw = (await site.ask("GET", "/.well-known/kith")).body
    now = site.clock()
    statement = verify_server_statement(raw, site.fingerprint, site.host, now)
    key = secrets.token_bytes(32)
    return Sealed(seal_request(statement, make_request(arguments, key, now + lifetime)), key)


async def knock(site: Site, arguments: Arguments) -> PutStatus:
    """Puts by knocking at the gateway directly; what it says."""
    request = await sealed(site, arguments)
    answer = await site.ask("POST", "/v1/gateway", request.raw)
    assert answer.status == 200
    return request.receipt(answer.body)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@asynccontextmanager
async def sites(folder: Path, *names: str, quotas: Quotas | None = None) -> AsyncIterator[list[Site]]:
    """Running servers with these names."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        running = [Site(folder / name, http, quotas=quotas or Quotas()) for name in names]
        try:
            for site in running:
                await site.start()
            yield running
        finally:
            for site in running:
                await site.stop()
