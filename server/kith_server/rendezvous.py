"""Where two devices meet to be linked: a few short public messages under a nameplate, for ten minutes.

In memory only: after a restart the person asks for a new code. The messages are public (SPAKE2 and what it seals), so
whoever guesses a nameplate can spoil a meeting, and learns nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from kith_protocol.wire import MAX_RENDEZVOUS_BYTES, Nameplate, Purpose
from kith_server.errors import Busy, HttpRefusal, TooManyRequests, not_found

LIFETIME: Final = 10 * 60 * 1000
"""Milliseconds."""
OPEN_PER_VAULT: Final = 3
OPEN: Final = 5000
MEMORY: Final = 64 * 1024 * 1024
"""Bytes of all messages together: much more than people who meet leave, much less than all nameplates could hold."""
WAITERS_PER_NAMEPLATE: Final = 8
WAITERS: Final = 500
SIDES: Final = ("a", "b")
WRONG_GUESS: Final = 9
"""What an unknown nameplate costs its network beyond the request itself, so that guessing is slow."""
OTHER_PURPOSE: Final = "other-purpose"
_OTHER: Final = {
    Purpose.DEVICE: "This code adds a device: 'kith device join' takes it.",
    Purpose.MEET: "This code is for meeting somebody: 'kith meet' takes it.",
}
LOWEST: Final = 100_000
"""Nameplates have six digits, the first of them not zero."""


@dataclass(slots=True)
class _Meeting:
    vault: bytes
    purpose: Purpose
    expires: int
    messages: dict[tuple[str, int], bytes] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    waiters: int = 0
    burnt: bool = False

    @property
    def size(self) -> int:
        """Bytes of its messages."""
        return sum(map(len, self.messages.values()))


def knows_not(error: HttpRefusal) -> bool:
    """Whether a nameplate was refused because there is no meeting of that purpose under it."""
    return error.status == 404 or error.code == OTHER_PURPOSE


class Rendezvous:
    """The nameplates of one server."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._meetings: dict[str, _Meeting] = {}
        self._waiters = 0
        self._held = 0
        """Bytes of all messages together."""
        self._closed = False

    def open(self, vault: bytes, purpose: Purpose) -> Nameplate:
        """A new nameplate. Raises `TooManyRequests` where the vault has `OPEN_PER_VAULT`, or `Busy`."""
        self._forget_expired()
        mine = [m for m in self._meetings.values() if m.vault == vault and not m.burnt]
        if len(mine) >= OPEN_PER_VAULT:
            wait = min(m.expires for m in mine) - self._clock()
            raise TooManyRequests(wait // 1000 + 1)
        if len(self._meetings) >= OPEN or self._closed:
            raise Busy
        name = self._fresh_name()
        expires = self._clock() + LIFETIME
        self._meetings[name] = _Meeting(vault, purpose, expires)
        return Nameplate(name, expires)

    def put(self, purpose: Purpose, nameplate: str, side: str, index: int, message: bytes) -> None:
        """Leaves a message, once; the same again changes nothing. Raises `HttpRefusal` 404, 409 or 413, `Busy`."""
        meeting = self._find(purpose, nameplate)
        if len(message) > MAX_RENDEZVOUS_BYTES:
            raise HttpRefusal(413, "limit-exceeded", f"A message has at most {MAX_RENDEZVOUS_BYTES} bytes.")
        if (side, index) not in meeting.messages:
            self._hold(len(message))
        if meeting.messages.setdefault((side, index), message) != message:
            raise HttpRefusal(409, "taken", "There is another message in this place.")
        self._wake(meeting)

    def look(self, purpose: Purpose, nameplate: str, side: str, index: int) -> bytes | None:
        """The message, if it is there. Raises `HttpRefusal` 404 or 409."""
        return self._find(purpose, nameplate).messages.get((side, index))

    async def get(self, purpose: Purpose, nameplate: str, side: str, index: int, seconds: float) -> bytes | None:
        """The message, waited for up to `seconds`; None where there is none yet.

        Raises `HttpRefusal` 404 or 409, `Busy`.
        """
        meeting = self._find(purpose, nameplate)
        if (side, index) not in meeting.messages and seconds > 0:
            await self._wait(meeting, (side, index), seconds)
            self._find(purpose, nameplate)
        return meeting.messages.get((side, index))

    def burn(self, purpose: Purpose, nameplate: str) -> None:
        """Ends a meeting; its nameplate is not given away again before it would have expired."""
        meeting = self._find(purpose, nameplate)
        meeting.burnt = True
        self._held -= meeting.size
        meeting.messages.clear()
        self._wake(meeting)

    def close(self) -> None:
        """Sends everybody home who waits, because the server stops."""
        self._closed = True
        for meeting in self._meetings.values():
            self._wake(meeting)

    async def _wait(self, meeting: _Meeting, place: tuple[str, int], seconds: float) -> None:
        if meeting.waiters >= WAITERS_PER_NAMEPLATE or self._waiters >= WAITERS:
            raise Busy
        meeting.waiters += 1
        self._waiters += 1
        try:
            async with asyncio.timeout(min(seconds, max(0, meeting.expires - self._clock()) / 1000)):
                while place not in meeting.messages and not meeting.burnt and not self._closed:
                    await meeting.changed.wait()
        except TimeoutError:
            return
        finally:
            meeting.waiters -= 1
            self._waiters -= 1

    def _find(self, purpose: Purpose, nameplate: str) -> _Meeting:
        meeting = self._meetings.get(nameplate)
        if meeting is None or meeting.burnt or meeting.expires <= self._clock():
            raise not_found("nameplate")
        if meeting.purpose is not purpose:
            # Said here, before anything is left: an exchange for the wrong purpose would burn a code that is good.
            raise HttpRefusal(409, OTHER_PURPOSE, _OTHER[meeting.purpose])
        return meeting

    def _wake(self, meeting: _Meeting) -> None:
        meeting.changed.set()
        meeting.changed = asyncio.Event()

    def _forget_expired(self) -> None:
        now = self._clock()
        self._meetings = {name: meeting for name, meeting in self._meetings.items() if meeting.expires > now}
        self._held = sum(meeting.size for meeting in self._meetings.values())

    def _hold(self, size: int) -> None:
        """Raises `Busy` where all messages together would have more than `MEMORY`."""
        if self._held + size > MEMORY:
            self._forget_expired()
        if self._held + size > MEMORY:
            raise Busy
        self._held += size

    def _fresh_name(self) -> str:
        while True:
            name = str(LOWEST + secrets.randbelow(9 * LOWEST))
            if name not in self._meetings:
                return name
