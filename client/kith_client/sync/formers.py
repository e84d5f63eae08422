"""The servers that the vault left and that are still read, until every peer writes to the new one (spec: move.md).

What cannot be done there now is left for another sync: such a server may be gone, and nothing else waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kith_client.access import At
from kith_client.errors import ServerUnreachable
from kith_client.online import signed_in
from kith_client.relations.homes import Former, former_places
from kith_client.relations.server_side import addresses
from kith_client.stamp import Edit
from kith_client.store.mirror import CURSOR
from kith_client.sync.inboxes import Fetched, fetch_parcels
from kith_client.sync.places import keep_places
from kith_client.sync.telling import tell_members
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.errors import KithError

T = TypeVar("T")

REST: Final = 3600 * 1000
"""Milliseconds for which a server that was left is not asked again once it failed."""
RESTS: Final = "rests/"
"""State of the mirror, with the host: until when."""
RELAYS: Final = "relays/"
"""State of the mirror, with the host: there may be requests of this device in its relay."""


@dataclass(frozen=True, slots=True)
class _Open:
    former: Former
    server: HomeServer

    @property
    def host(self) -> str:
        return self.server.host


class Formers:
    """Those of one sync. Use `open`."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.alarms: list[str] = []
        self._open: list[_Open] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, vault: Vault) -> AsyncIterator[Formers]:
        """Connections to all that are still needed; nothing is sent yet."""
        formers = cls(vault)
        async with AsyncExitStack() as stack:
            for former in await asyncio.to_thread(needed, vault):
                place = former.place
                if vault.clock() < _number(await vault.mirror.state(RESTS + place.host)):
                    continue
                server = await stack.enter_async_context(HomeServer.connect(place.url))
                access = At(place.url, place.fingerprint, vault.id, vault.member)
                formers._open.append(_Open(former, signed_in(server, access, vault.clock)))
            yield formers

    async def fetch(self) -> Fetched:
        """What waits in the mailboxes there."""
        found = Fetched()
        for fetched in await self._each(self._fetch):
            found = found.joined(fetched)
        return found

    async def delete(self, hashes: tuple[bytes, ...]) -> None:
        """Deletes parcels whose content is in the vault."""
        await self._each(lambda each: each.server.delete_parcels(self.vault.id, hashes))

    async def keep(self) -> Edit:
        """Opens and closes mailboxes there; what is to be committed."""
        edit: Edit = {}
        for closed in await self._each(lambda each: keep_places(self.vault, each.server, each.former.place)):
            edit |= closed
        return edit

    async def _fetch(self, each: _Open) -> Fetched:
        try:
            await tell_members(self.vault, each.server)
        except ServerUnreachable:
            raise
        except KithError as error:
            self._note(each, error)  # what waits there is fetched all the same
        await self._take_back(each)
        return await fetch_parcels(self.vault, each.server, f"{CURSOR}/{each.host}")

    async def _take_back(self, each: _Open) -> None:
        """What waits in its relay goes by way of the new server from now on."""
        state = RELAYS + each.host
        if await self.vault.mirror.state(state) is None:
            return
        for request in await self.vault.mirror.requests():
            await each.server.forget_relayed(self.vault.id, request.hash)
        await self.vault.mirror.set_state({state: None})

    async def _each(self, work: Callable[[_Open], Coroutine[Any, Any, T]]) -> list[T]:
        """The results of those with which it went well; the others rest for a while."""
        results: list[T] = []
        for each in list(self._open):
            try:
                results.append(await work(each))
            except KithError as error:
                self._open.remove(each)
                until = self.vault.clock() + REST
                await self.vault.mirror.set_state({RESTS + each.host: until.to_bytes(8, "big")})
                self._note(each, error)
        return results

    def _note(self, each: _Open, error: KithError) -> None:
        # A device that was added since is a member there once another one told the server.
        if not isinstance(error, ServerUnreachable) and error.code != "not-a-member":
            self.alarms.append(f"{each.host}, where the address book lived before: {error}")


def needed(vault: Vault) -> list[Former]:
    """The servers that were left and where something may still come."""
    now = vault.clock()
    inboxes = addresses(vault.contents, now)
    return [each for each in former_places(vault.contents, now) if any(each.place.has(inbox) for inbox in inboxes)]


def _number(raw: bytes | None) -> int:
    return int.from_bytes(raw or b"", "big")
