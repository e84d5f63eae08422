"""One side of a linking or a meeting: the machine of `kith_protocol.linking` and something that carries its messages.

A carrier keeps the messages of both sides by number: the rendezvous of a home server, directly or by way of one's own,
or a connection on the local network.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, Protocol

from kith_client.errors import ServerRefused, ServerUnreachable
from kith_client.transport import HomeServer
from kith_protocol.errors import KithError, Refused
from kith_protocol.linking import LINK_LIFETIME, LinkEnd, LinkMachine, LinkRole, LinkState, LinkStatement
from kith_protocol.suite import NONCE_BYTES
from kith_protocol.wire import Purpose

ENTROPY_BYTES: Final = 32
_POLL: Final = 20
"""Seconds of one wait at the rendezvous."""
_PAUSE: Final = 0.5
"""Seconds between two waits, should the server not make us wait."""
_LEAVE_TRIES: Final = 5
"""To leave one message; the same again changes nothing."""
PROGRAM_SECONDS: Final = 30.0
"""In which a message has to come behind which no person is."""
READ_SECONDS: Final = 20.0
"""In which the other side has to say that it read the last message."""
ARRIVAL_SECONDS: Final = 30.0
"""How long the other side has to say that the last message has come."""
_ARRIVED: Final = b"\x00"
SIDES: Final = {LinkRole.SHOWS: "a", LinkRole.TYPES: "b"}


class Carrier(Protocol):
    """Passes messages on, unread."""

    async def leave(self, index: int, message: bytes) -> None:
        """Leaves this side's message with that number; the same again changes nothing."""

    async def fetch(self, index: int) -> bytes | None:
        """The other side's message, waited for a while; None where it is not there yet.

        Raises `Refused` (`link-burned`) where there is nothing to wait for any more.
        """

    def close(self) -> None:
        """Lets go of what it holds, without waiting."""


def gone() -> Refused:
    """The code is no longer good, or never was."""
    return Refused("link-burned", "The code is used up or was never right; begin again.")


async def unused() -> None:
    """Nothing is to be remembered of a code that is about to be used up."""


@contextmanager
def _gone_where_not_found() -> Iterator[None]:
    try:
        yield
    except ServerRefused as error:
        if error.code != "not-found":
            raise
        raise gone() from None


def _passes(error: ServerUnreachable | ServerRefused) -> bool:
    """Whether the server may answer otherwise in a moment."""
    return isinstance(error, ServerUnreachable) or error.status in (429, 503)


class AtRendezvous:
    """A carrier: the rendezvous of one's own home server."""

    def __init__(self, server: HomeServer, purpose: Purpose, nameplate: str, role: LinkRole) -> None:
        self._server = server
        self._purpose = purpose
        self._nameplate = nameplate
        self._mine = SIDES[role]
        self._theirs = next(side for side in SIDES.values() if side != self._mine)

    async def leave(self, index: int, message: bytes) -> None:
        for tries_left in reversed(range(_LEAVE_TRIES)):
            try:
                with _gone_where_not_found():
                    await self._server.leave_message(self._purpose, self._nameplate, self._mine, index, message)
                return
            except (ServerUnreachable, ServerRefused) as error:
                if not tries_left or not _passes(error):
                    raise
            await asyncio.sleep(_PAUSE)

    async def fetch(self, index: int) -> bytes | None:
        try:
            message = await self._look(index, _POLL)
        except (ServerUnreachable, ServerRefused) as error:
            if not _passes(error):
                raise
            message = None  # a moment without network must not end what two people began
        if message is None:
            await asyncio.sleep(_PAUSE)
        return message

    async def look(self, index: int) -> bytes | None:
        """As `fetch`, without waiting."""
        return await self._look(index, 0)

    async def _look(self, index: int, wait: int) -> bytes | None:
        with _gone_where_not_found():
            return await self._server.await_message(self._purpose, self._nameplate, self._theirs, index, wait)

    def close(self) -> None:
        """Nothing is held."""


class Line:
    """The messages of one side, in order."""

    def __init__(self, carrier: Carrier, machine: LinkMachine) -> None:
        self.machine = machine
        self.carrier = carrier
        self._written = 0
        self._read = 0
        self.is_used = False
        """Whether the confirmation is on its way: whoever gets it has had a guess, so the code is used up."""

    async def begin(self) -> None:
        """Leaves the first message, which says nothing."""
        await self.write(await asyncio.to_thread(self.machine.start, os.urandom(ENTROPY_BYTES)))

    async def agree(self, before_use: Callable[[], Awaitable[None]] = unused) -> None:
        """SPAKE2 and the confirmation both ways; afterwards messages may go.

        `before_use` is awaited before the confirmation leaves. Whatever fails from there on is `Refused`
        (`link-burned`).
        """
        if self.machine.state is LinkState.IDLE:
            await self.begin()
        try:
            answer = await asyncio.to_thread(self.machine.receive, await self.read(self._patience))
            if answer is not None:
                await before_use()
                self.is_used = True
                await self.write(answer)
            await asyncio.to_thread(self.machine.receive, await self.read(PROGRAM_SECONDS))
        except KithError:
            if self.is_used:
                raise gone() from None
            raise

    @property
    def _patience(self) -> float | None:
        """Who types the code finds the other's first message there; who shows it waits for a person."""
        return PROGRAM_SECONDS if self.machine.role is LinkRole.TYPES else None

    async def write(self, message: bytes) -> None:
        await self.carrier.leave(self._written, message)
        self._written += 1

    async def read(self, seconds: float | None = None) -> bytes:
        """The next message, waited for so long. Raises `Refused` (`link-burned`)."""
        message = None
        try:
            async with asyncio.timeout(seconds):
                while message is None:
                    message = await self.carrier.fetch(self._read)
        except TimeoutError:
            raise Refused("link-burned", "The other side does not answer any more; begin again.") from None
        self._read += 1
        return message

    async def acknowledge(self) -> None:
        """Says that the last message has come, so that the other side may clear the place."""
        await self.write(_ARRIVED)

    async def has_arrived(self) -> bool:
        """Whether the other side said `acknowledge`; it has half a minute for it."""
        try:
            async with asyncio.timeout(ARRIVAL_SECONDS):
                return await self.read() == _ARRIVED
        except (KithError, TimeoutError):
            return False

    async def wait_until_read(self) -> None:
        """Waits for the other side's `acknowledge`; goes on without it after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_SECONDS):
                await self.carrier.fetch(self._read)

    @asynccontextmanager
    async def telling_of_failure(self) -> AsyncIterator[None]:
        """Whatever goes wrong on this side, the other need not wait in vain: it reads something that is no message."""
        try:
            yield
        except BaseException:
            with suppress(KithError, TimeoutError):
                async with asyncio.timeout(PROGRAM_SECONDS):
                    await self.write(b"\x00")
            raise

    async def say(self, message: LinkStatement) -> None:
        """Sends a statement, where the line is open."""
        if self.machine.state is LinkState.OPEN:
            await self.write(self.machine.seal(message, nonce=os.urandom(NONCE_BYTES)))

    async def end(self, *, patient: bool = True) -> None:
        """Says that this side goes no further, and lets the other read it before the code is burned."""
        if self.machine.state is not LinkState.OPEN:
            return
        message = self.machine.seal(LinkEnd(), nonce=os.urandom(NONCE_BYTES))
        with suppress(KithError):
            try:
                await self.write(message)
            except ServerRefused:  # stopped while its last message was on the way, which did arrive
                self._written += 1
                await self.write(message)
            if patient:
                await self.wait_until_read()

    @asynccontextmanager
    async def ending(self) -> AsyncIterator[None]:
        """Whatever goes wrong on this side, the other one hears that it is over, and need not wait in vain."""
        try:
            yield
        except BaseException as error:
            await self.end(patient=isinstance(error, KithError))
            raise


@asynccontextmanager
async def ten_minutes() -> AsyncIterator[None]:
    """How long a code lives. Raises `Refused` (`link-expired`)."""
    try:
        async with asyncio.timeout(LINK_LIFETIME / 1000):
            yield
    except TimeoutError:
        raise Refused("link-expired", "Ten minutes are over; begin again with a new code.") from None
