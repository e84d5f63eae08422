"""A vault's connection to its home server, signed in as this device."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kith_client.access import Access
from kith_client.errors import ServerRefused
from kith_client.transport import HomeServer
from kith_client.vault import Clock, Vault
from kith_protocol import wire
from kith_protocol.server_statement import verify_server_statement
from kith_protocol.session import SESSION_NONCE_BYTES, sign_session


@asynccontextmanager
async def home_server(vault: Vault) -> AsyncIterator[HomeServer]:
    """The home server of `vault`; signs in when it is first needed."""
    async with HomeServer.connect(vault.device.server) as server:
        yield signed_in(server, vault.device, vault.clock)


def signed_in(server: HomeServer, keys: Access, clock: Clock) -> HomeServer:
    """Lets `server` open sessions for the member with `keys` whenever it needs one, once it showed the pinned key.

    Raises the alarm `server-key-changed` then.
    """
    vault, member = keys.vault, keys.member

    async def request() -> wire.SessionGrant:
        nonce = os.urandom(SESSION_NONCE_BYTES)
        statement, signature = sign_session(vault, member.id, server.host, clock(), nonce, member.sign)
        return await server.open_session(wire.SessionRequest(statement, signature))

    async def again(first: ServerRefused) -> wire.SessionGrant:
        try:
            return await request()  # the network may have repeated the first, and the server took it for a replay
        except ServerRefused as refusal:
            if refusal.code != "session":
                raise
        raise ServerRefused(
            "not-a-member",
            f"{first} If this device was removed, what is here stays readable, but nothing goes out any more; 'kith "
            "device join' in another folder (--home) makes it a device again. If it was added after the day to which "
            "the server was put back, 'kith repair' on another device adds it again.",
        )

    async def sign_in() -> str:
        verify_server_statement(await server.statement(), keys.fingerprint, server.host, clock())
        try:
            grant = await request()
        except ServerRefused as refusal:
            if refusal.code != "session":
                raise
            grant = await again(refusal)
        return grant.token.hex()

    server.sign_in = sign_in
    return server
