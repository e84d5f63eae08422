"""Sealed requests to other servers by way of the home server's relay: seal, hand over, wait for the sealed answer."""

from __future__ import annotations

import asyncio
import os
from typing import Final

from kith_client.errors import ServerRefused, ServerUnreachable
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol import wire
from kith_protocol.errors import KithError, Undecryptable
from kith_protocol.gateway import (
    REQUEST_LIFETIME,
    Arguments,
    FetchGreeting,
    GreetingResult,
    Request,
    make_request,
    open_greeting_answer,
    request_hash,
    seal_request,
)
from kith_protocol.server_statement import ServerStatement, verify_server_statement
from kith_protocol.suite import KEY_BYTES

GREETING_DEADLINE: Final = 15.0
"""Seconds to wait for a greeting, with a person looking on."""
POLL_PAUSE: Final = 0.25


class Statements:
    """Other servers' statements, verified against what is pinned, each asked for once a sync, also where that fails."""

    def __init__(self, vault: Vault, server: HomeServer) -> None:
        self._vault = vault
        self._server = server
        self._known: dict[tuple[str, bytes], ServerStatement | KithError] = {}

    async def get(self, host: str, fingerprint: bytes) -> ServerStatement:
        """The statement of `host`. Raises the alarm `server-key-changed` and whatever else `verify_server_statement`
        does, or `ServerUnreachable`."""
        known = self._known.get((host, fingerprint))
        if known is None:
            try:
                known = await self._fetch(host, fingerprint)
            except KithError as error:
                known = error
            self._known[host, fingerprint] = known
        if isinstance(known, KithError):
            raise known
        return known

    async def _fetch(self, host: str, fingerprint: bytes) -> ServerStatement:
        try:
            raw = await self._server.server_statement(self._vault.id, host)
        except ServerRefused as error:
            if error.code == "destination-unreachable":
                raise ServerUnreachable(f"The server {host} cannot be reached now.") from None
            raise
        return verify_server_statement(raw, fingerprint, host, self._vault.clock())


async def sealed(statement: ServerStatement, arguments: Arguments, now: int) -> tuple[Request, bytes]:
    """A request for `arguments`, and its sealed bytes."""
    request = make_request(arguments, os.urandom(KEY_BYTES), now + REQUEST_LIFETIME)
    return request, await asyncio.to_thread(seal_request, statement, request)


async def fetch_greeting(
    vault: Vault, server: HomeServer, host: str, fingerprint: bytes, link_id: bytes
) -> GreetingResult:
    """Asks `host` for the greeting behind an invite. Raises `ServerUnreachable` where it does not answer now."""
    statement = await Statements(vault, server).get(host, fingerprint)
    request, raw = await sealed(statement, FetchGreeting(link_id), vault.clock())
    hash_ = request_hash(raw)
    answer = await hand_over(vault, server, host, raw, GREETING_DEADLINE)
    await server.forget_relayed(vault.id, hash_)
    if answer is None:
        raise ServerUnreachable(f"The server {host} does not answer now. Try the invite again later.")
    try:
        return await asyncio.to_thread(open_greeting_answer, request.response_key, hash_, answer)
    except Undecryptable:
        raise ServerUnreachable(f"The server {host} could not read the request. Try again.") from None


async def hand_over(vault: Vault, server: HomeServer, host: str, raw: bytes, deadline: float) -> bytes | None:
    """Gives a sealed request to the relay and waits up to `deadline` seconds for the answer; None while it is queued.

    Raises `ServerRefused` where the relay gave up or must not reach out to `host`.
    """
    give_up = asyncio.get_running_loop().time() + deadline
    answer = await server.relay(vault.id, wire.RelayRequest(host, raw))
    while answer.state is wire.RelayState.QUEUED and asyncio.get_running_loop().time() < give_up:
        await asyncio.sleep(POLL_PAUSE)
        answer = await server.relayed(vault.id, request_hash(raw))
    if answer.state is wire.RelayState.GIVEN_UP:
        raise ServerRefused("given-up", f"Nothing could be delivered to {host}: {answer.reason[:200]}")
    return answer.answer if answer.state is wire.RelayState.ANSWERED else None
