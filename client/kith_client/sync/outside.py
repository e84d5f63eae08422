"""The rendezvous of another server, asked by way of one's own: a carrier for the one who types a code for meeting.

The other server's statement is not pinned yet. A home server that shows another one reads what any rendezvous can read.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

from kith_client.errors import ServerRefused, ServerUnreachable
from kith_client.line import gone
from kith_client.sync.knock import Errand
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.errors import Refused, Undecryptable
from kith_protocol.gateway import (
    LeaveMessage,
    LookForMessage,
    RendezvousResult,
    RendezvousStatus,
    make_request,
    open_rendezvous_answer,
    request_hash,
    seal_request,
)
from kith_protocol.linking import LINK_LIFETIME
from kith_protocol.server_statement import ServerStatement
from kith_protocol.suite import KEY_BYTES

PATIENCE: Final = 15.0
"""Seconds for one message to the other server and back."""
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 2.0
"""Seconds between two looks for a message: short at first, because the other side is a program, then longer, because it
is a person."""


class AtOtherServer:
    """Use `open`."""

    def __init__(self, vault: Vault, server: HomeServer, host: str, statement: ServerStatement, nameplate: str) -> None:
        self._vault = vault
        self._server = server
        self._host = host
        self._statement = statement
        self._nameplate = nameplate
        self._pause = FIRST_PAUSE

    @classmethod
    async def open(cls, vault: Vault, server: HomeServer, host: str, nameplate: str) -> AtOtherServer:
        """Fetches the statement of `host`. Raises `ServerUnreachable`, `Refused` and what the statement raises."""
        try:
            statement = await Errand(vault, server, PATIENCE).statement_of(host, [])
        except ServerRefused as error:
            raise Refused(error.code, f"The server {host} cannot be asked: {error}") from None
        return cls(vault, server, host, statement, nameplate)

    async def leave(self, index: int, message: bytes) -> None:
        result = await self._ask(LeaveMessage(self._nameplate, index, message))
        if result.status is not RendezvousStatus.DONE:
            raise gone()
        self._pause = FIRST_PAUSE

    async def fetch(self, index: int) -> bytes | None:
        found = await self.look(index)
        if found is None:
            await asyncio.sleep(self._pause)
            self._pause = min(LONGEST_PAUSE, self._pause * 1.5)
        return found

    def close(self) -> None:
        """Nothing is held."""

    async def look(self, index: int) -> bytes | None:
        """The message, if it is there. Raises `Refused` (`link-burned`, `too-many-requests`)."""
        result = await self._ask(LookForMessage(self._nameplate, index))
        match result.status:
            case RendezvousStatus.DONE:
                return result.message
            case RendezvousStatus.NOT_YET:
                return None
        raise gone()

    async def _ask(self, wanted: LeaveMessage | LookForMessage) -> RendezvousResult:
        errand = Errand(self._vault, self._server, PATIENCE)
        request = make_request(wanted, os.urandom(KEY_BYTES), self._vault.clock() + LINK_LIFETIME)
        raw = await asyncio.to_thread(seal_request, self._statement, request)
        hash_ = request_hash(raw)
        try:
            answer = await errand.carry(self._host, raw)
        except ServerRefused as error:
            raise Refused(error.code, f"The server {self._host} cannot be asked: {error}") from None
        finally:
            await errand.clear(hash_)
        if answer is None:
            raise ServerUnreachable(f"The server {self._host} does not answer now.")
        try:
            result = await asyncio.to_thread(open_rendezvous_answer, request.response_key, hash_, answer)
        except Undecryptable:
            raise ServerUnreachable(f"The server {self._host} could not read the request. Try again.") from None
        if result.status is RendezvousStatus.LATER:
            raise Refused("too-many-requests", f"The server {self._host} takes no codes from here now; try later.")
        return result
