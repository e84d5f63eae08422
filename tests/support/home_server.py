"""A home server in this process, behind real HTTP on loopback, and a client that speaks its protocol byte by byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.member import MemberKeys
from kith_protocol.wire import Failure, Frame, Head, SessionGrant, decode_frame
from kith_server.app import create_app
from kith_server.config import Config, Registration
from kith_server.server_keys import create_server_key
from kith_server.serving import create_runner
from tests.support.vaults import VaultBuilder

ORIGIN = "anna.example"
URL = f"https://{ORIGIN}"


class Refusal(Exception):
    """The server answered with a `Failure`."""

    def __init__(self, status: int, failure: Failure, headers: dict[str, str]) -> None:
        super().__init__(f"{status} {failure.code}: {failure.message}")
        self.status = status
        self.code = failure.code
        self.headers = headers


@dataclass
class Clock:
    """Milliseconds; tests move it."""

    now: int = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


@dataclass
class HomeServer:
    """A running server."""

    app: web.Application
    base: str
    clock: Clock
    http: aiohttp.ClientSession
    tokens: dict[tuple[bytes, bytes], str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Statement | bytes | None = None, **options: Any) -> bytes:
        """Sends a request; the body of the answer. Raises `Refusal`."""
        raw = encode(body) if isinstance(body, Statement) else body
        data = None if raw is None else BytesIO(raw)
        async with self.http.request(method, self.base + path, data=data, **options) as response:
            answer = await response.read()
            if response.status >= 400:
                raise Refusal(response.status, decode(answer, Failure), dict(response.headers))
            return answer

    async def register(self, vault: VaultBuilder) -> Head:
        return decode(await self.call("POST", "/v1/vaults", vault.register), Head)

    async def open_session(self, vault: VaultBuilder, member: MemberKeys | None = None) -> str:
        """Opens a session for `member` (the first device) and remembers its token."""
        member = member or vault.device
        asked = vault.session(ORIGIN, self.clock(), member)
        grant = decode(await self.call("POST", "/v1/sessions", asked), SessionGrant)
        self.tokens[vault.vault, member.id] = grant.token.hex()
        return grant.token.hex()

    async def as_member(
        self,
        vault: VaultBuilder,
        method: str,
        path: str,
        body: Statement | bytes | None = None,
        member: MemberKeys | None = None,
    ) -> bytes:
        """`call` below the vault's path with a session of `member` (the first device)."""
        member = member or vault.device
        token = self.tokens.get((vault.vault, member.id)) or await self.open_session(vault, member)
        headers = {"Authorization": f"Bearer {token}"}
        return await self.call(method, f"/v1/vaults/{vault.vault.hex()}{path}", body, headers=headers)

    async def push(self, vault: VaultBuilder, push: Statement, member: MemberKeys | None = None) -> Head:
        return decode(await self.as_member(vault, "POST", "/commits", push, member), Head)

    async def feed(self, vault: VaultBuilder, after: int = -1) -> list[Frame]:
        return split_frames(await self.as_member(vault, "GET", f"/changes?after={after}"))

    async def begin(self, vault: VaultBuilder | None = None) -> VaultBuilder:
        """A registered vault with an open session."""
        vault = vault or VaultBuilder.new()
        await self.register(vault)
        await self.open_session(vault)
        return vault


def split_frames(raw: bytes) -> list[Frame]:
    """The frames of a feed's body."""
    frames = []
    while raw:
        size = int.from_bytes(raw[:4], "big")
        frames.append(decode_frame(raw[4 : 4 + size]))
        raw = raw[4 + size :]
    return frames


@asynccontextmanager
async def home_server(
    data: Path, *, clock: Clock | None = None, config: Config | None = None
) -> AsyncIterator[HomeServer]:
    """Runs a server over `data` (created if missing) until the block ends."""
    clock = clock or Clock()
    data.mkdir(parents=True, exist_ok=True)
    if not any(data.iterdir()):
        create_server_key(data)
    app = create_app(config or Config(URL, registration=Registration.OPEN), data, clock)
    runner = create_runner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession() as http:
            yield HomeServer(app, f"http://{host}:{port}", clock, http)
    finally:
        await runner.cleanup()
