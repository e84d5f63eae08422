"""Comparing the heads of two devices of one vault on the local network, without any server (spec: nearby.md, Heads)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from typing import Any, Final

from kith_client.nearby.discovery import EVERYWHERE, Network, announced, browsing, multicast
from kith_client.nearby.sockets import Connection, connect, listening
from kith_client.vault import Vault
from kith_protocol.commit import parse_commit
from kith_protocol.errors import BadSignature, KithError, Refused
from kith_protocol.nearby import (
    NEARBY_NONCE_BYTES,
    HeadNote,
    Knows,
    Talk,
    Verdict,
    nearby_key,
    tag_at,
    tags_around,
    verdict,
)
from kith_protocol.suite import NONCE_BYTES

HEADS: Final = "_kith-heads._tcp.local."
WAIT_SECONDS: Final = 60.0
"""In which another device has to be found."""
EXCHANGE_SECONDS: Final = 10.0
AT_ONCE: Final = 16
"""Exchanges in either direction that run at one time: whoever only lets us wait holds one of them."""
EPOCHS: Final = 8
"""Epochs, newest first, in which another device may still be."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Another device of the vault, and how its head stands to this one's."""

    member: bytes
    number: int
    head: bytes
    verdict: Verdict


async def compare_heads(vault: Vault, network: Network = EVERYWHERE, seconds: float = WAIT_SECONDS) -> Compared:
    """Waits for another device of the vault that does the same, and compares.

    Raises `Refused` (`no-device-near`), `NearbyUnavailable`.
    """
    async with AsyncExitStack() as stack:
        comparison = await _Comparison.begin(vault)
        listener = await stack.enter_async_context(listening(network))
        shared = await stack.enter_async_context(multicast(network))
        name = comparison.own_name(vault.clock())
        own = await stack.enter_async_context(announced(HEADS, name, listener.port, network, shared))
        tags = comparison.tags(vault.clock())
        found = await stack.enter_async_context(browsing(HEADS, tags.__contains__, network, own, shared))
        results: asyncio.Queue[Compared] = asyncio.Queue()

        async def asked() -> None:
            while True:
                connection = await listener.arrived.get()
                await _noted(comparison.answer(connection), results)
                listener.release(connection)

        async def asking() -> None:
            while True:
                service = await found.get()
                connection = await connect(service)
                if connection is not None:
                    with closing(connection):
                        done = await _noted(comparison.ask(connection, tags[service.name]), results)
                    comparison.pretenders |= not done

        async with _running(*(work() for work in (asked, asking) for _ in range(AT_ONCE))):
            try:
                async with asyncio.timeout(seconds):
                    return await results.get()
            except TimeoutError:
                raise Refused("no-device-near", _unmet(comparison)) from None


def _unmet(comparison: _Comparison) -> str:
    if comparison.strangers:
        return (
            "A device was found that this one does not know: sync both first. If it was removed, it is none of yours "
            "any more."
        )
    if comparison.pretenders:
        return (
            "No other device of this address book was found here, but somebody else announces its name and could not "
            "show that they belong to it. Try again on a network that is yours."
        )
    return "No other device of this address book was found here. Run the same command there, on the same network."


class _Comparison:
    """This device's side."""

    def __init__(self, vault: Vault, abandoned: frozenset[bytes]) -> None:
        self._vault = vault
        self._abandoned = abandoned
        self._members = {id_: standing.member.sign_key for id_, standing in vault.chain.members.items()}
        keys = vault.record_keys
        self._keys = [nearby_key(keys.epoch_key(epoch), vault.id) for epoch in keys.epochs[:EPOCHS]]
        self._mine = (vault.chain.number, vault.chain.head)
        self.strangers = False
        """Whether somebody with a key of the vault, who is no member for this device, was found."""
        self.pretenders = False
        """Whether somebody announces a name of the vault and does not know its key."""

    @classmethod
    async def begin(cls, vault: Vault) -> _Comparison:
        # A commit that gives others up begins an epoch, so it brings keys.
        commits = await vault.mirror.commits_with_keys()
        given_up = [hash_ for raw, _ in commits for hash_ in parse_commit(raw).body.abandoned]
        return cls(vault, frozenset(given_up))

    def own_name(self, now: int) -> str:
        return tag_at(self._keys[0], now)

    def tags(self, now: int) -> dict[str, bytes]:
        """What others of this vault may announce, with the key of its epoch: this device may be ahead of them."""
        return {tag: key for key in reversed(self._keys) for tag in tags_around(key, now)}

    async def ask(self, connection: Connection, key: bytes) -> Compared | None:
        """The side that connected: it says nothing of itself before the other proved to be a member."""
        asks = os.urandom(NEARBY_NONCE_BYTES)
        await connection.send(asks)
        first = await connection.receive()
        talk = Talk(self._vault.id, key, asks, first[:NEARBY_NONCE_BYTES])
        theirs = self._opened(talk, 1, first[NEARBY_NONCE_BYTES:])
        if theirs.member == self._vault.member.id:
            return None
        knows = await self._knows(theirs)
        await connection.send(self._note(talk, 2, knows=knows))
        last = self._opened(talk, 3, await connection.receive())
        if (last.member, last.number, last.head) != (theirs.member, theirs.number, theirs.head):
            return None
        return Compared(last.member, last.number, last.head, verdict(self._mine, knows, last))

    async def answer(self, connection: Connection) -> Compared | None:
        """The side that was found, by somebody who knows a name of this epoch."""
        asks = await connection.fetch(0)
        if asks is None or len(asks) != NEARBY_NONCE_BYTES:
            return None
        talk = Talk(self._vault.id, self._keys[0], asks, os.urandom(NEARBY_NONCE_BYTES))
        await connection.send(talk.answers + self._note(talk, 1, knows=Knows.NOT))
        theirs = self._opened(talk, 2, await connection.receive())
        if theirs.member == self._vault.member.id:
            return None
        knows = await self._knows(theirs)
        with suppress(Refused):  # whoever has read it may be gone at once
            await connection.send(self._note(talk, 3, knows=knows))
        return Compared(theirs.member, theirs.number, theirs.head, verdict(self._mine, knows, theirs))

    def _opened(self, talk: Talk, place: int, raw: bytes) -> HeadNote:
        try:
            return talk.open(place, raw, self._members)
        except BadSignature:
            self.strangers = True
            raise

    def _note(self, talk: Talk, place: int, *, knows: Knows) -> bytes:
        member = self._vault.member
        note = talk.sign(place, member.id, member.sign, *self._mine, knows=knows)
        return talk.seal(place, note, nonce=os.urandom(NONCE_BYTES))

    async def _knows(self, theirs: HeadNote) -> Knows:
        """Where that head is in this device's history."""
        raw = (await self._vault.mirror.commits_at({theirs.number})).get(theirs.number)
        if raw is not None and parse_commit(raw).hash == theirs.head:
            return Knows.STANDS
        return Knows.GIVEN_UP if theirs.head in self._abandoned else Knows.NOT


async def _noted(exchange: Coroutine[Any, Any, Compared | None], results: asyncio.Queue[Compared]) -> bool:
    """Keeps what came of an exchange; whatever a stranger sends comes to nothing. Whether it came to its end."""
    try:
        async with asyncio.timeout(EXCHANGE_SECONDS):
            found = await exchange
    except (KithError, TimeoutError):
        return False
    if found is not None:
        results.put_nowait(found)
    return True


@asynccontextmanager
async def _running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `work` beside the block, and ends it with the block."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
