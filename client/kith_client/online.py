"""A vault's connection to its home server, signed in as this device."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kith_client.errors import ServerRefused
from kith_client.transport import HomeServer
from kith_client.vault import Clock, Vault
from kith_protocol import wire
from kith_protocol.member import MemberKeys
from kith_protocol.session import SESSION_NONCE_BYTES, sign_session


@asynccontextmanager
async def home_server(vault: Vault) -> AsyncIterator[HomeServer]:
    """The home server of `vault`; signs in when it is first needed."""
    async with HomeServer.connect(vault.device.server) as server:
        yield signed_in(server, vault.id, vault.member, vault.clock)


def signed_in(server: HomeServer, vault: bytes, member: MemberKeys, clock: Clock) -> HomeServer:
    """Lets `server` open sessions for `member` whenever it needs one."""

    async def request() -> wire.SessionGrant:
        nonce = os.urandom(SESSION_NONCE_BYTES)
        statement, signature = sign_session(vault, member.id, server.host, clock(), nonce, member.sign)
        return await server.open_session(wire.SessionRequest(statement, signature))

    async def sign_in() -> str:
        try:
            grant = await request()
        except ServerRefused as refusal:
            if refusal.code != "session":
                raise
            grant = await request()  # the network repeated the first one, and the server took it for a replay
        return grant.token.hex()

    server.sign_in = sign_in
    return server
