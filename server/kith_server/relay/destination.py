"""One destination of the relay: a fair queue over vaults, and a circuit breaker. Pure; time and chance are arguments.

How many requests are on their way altogether, and what becomes of an outcome, is decided in `queue`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

MAX_PER_DESTINATION: Final = 4
"""Requests on their way to one destination at a time."""
BREAKER_FAILURES: Final = 3
"""Failures in a row after which a destination counts as down and only single requests probe it."""
FORCE_INTERVAL: Final = 5_000
"""Milliseconds between two tries of one destination that are made because a client asks."""
FIRST_DELAY: Final = 30_000
"""Milliseconds before each of the first retries."""
FIRST_RETRIES: Final = 3
MAX_DELAY: Final = 6 * 3600 * 1000
"""Milliseconds that a retry waits at most."""


def retry_delay(attempts: int, jitter: float) -> int:
    """Milliseconds to wait after `attempts` failed ones; `jitter` is drawn evenly from [0, 1).

    30 s three times, then a ceiling that doubles up to 6 h, of which `jitter` takes its part ("full jitter").
    """
    if attempts <= FIRST_RETRIES:
        return FIRST_DELAY
    ceiling = min(MAX_DELAY, FIRST_DELAY << min(attempts - FIRST_RETRIES, 20))
    return max(FORCE_INTERVAL, int(ceiling * jitter))


@dataclass(slots=True, eq=False)
class Entry:
    """One request that the relay keeps; its bytes are elsewhere."""

    vault: bytes
    request: bytes
    """SHA-256 of the sealed request."""
    host: str
    created: int
    due: int
    attempts: int = 0
    started: int | None = None
    """When it went out; `None` unless it is on its way."""
    removed: bool = False

    @property
    def key(self) -> tuple[bytes, bytes]:
        return self.vault, self.request


class Destination:
    """What is due for one host, and how its last tries went."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.entries: dict[Entry, None] = {}
        """Requests kept for it, due or not; a set that keeps its order."""
        self.in_flight = 0
        self.failures = 0
        """Tries that failed since the last one that did not; several at the same time count once."""
        self.retry_at = 0
        self._last_failure = -1
        self._may_force_at = 0
        self._forced: Entry | None = None
        self._due: OrderedDict[bytes, dict[bytes, Entry]] = OrderedDict()

    @property
    def is_down(self) -> bool:
        """Whether the circuit breaker is open."""
        return self.failures >= BREAKER_FAILURES

    @property
    def vaults(self) -> Iterator[bytes]:
        """Vaults that have something due."""
        return iter(self._due)

    def has(self, entry: Entry) -> bool:
        """Whether `entry` is due."""
        return entry.request in self._due.get(entry.vault, ())

    def put(self, entry: Entry) -> None:
        """`entry` is due now."""
        self._due.setdefault(entry.vault, {})[entry.request] = entry

    def discard(self, entry: Entry) -> None:
        """`entry` is no longer due."""
        queue = self._due.get(entry.vault)
        if queue is not None:
            queue.pop(entry.request, None)
            if not queue:
                del self._due[entry.vault]
        if self._forced is entry:
            self._forced = None

    def force(self, entry: Entry, now: int) -> bool:
        """A client asks for `entry` to be tried at once; refused within `FORCE_INTERVAL` of the last time."""
        if now < self._may_force_at:
            return False
        self._may_force_at = now + FORCE_INTERVAL
        self._forced = entry
        self.put(entry)
        return True

    def pick(self, now: int, full: Container[bytes]) -> Entry | None:
        """Takes out what goes next, one vault after the other; nothing of a vault that is in `full`."""
        if self.in_flight >= (1 if self.is_down else MAX_PER_DESTINATION):
            return None
        # The probe that is due for everybody comes before what a client asks for again and again.
        entry = self._asked_for(full) if self.is_down and now < self.retry_at else self._next(full)
        if entry is not None:
            self.discard(entry)
            if entry.vault in self._due:
                self._due.move_to_end(entry.vault)
        return entry

    def succeeded(self) -> bool:
        """A try was answered; returns whether the destination was down before."""
        was_down = self.is_down
        self.failures = self.retry_at = 0
        return was_down

    def failed(self, started: int, now: int, jitter: float) -> None:
        """A try that began at `started` failed."""
        asked_for = self.is_down and now < self.retry_at
        if asked_for or started < self._last_failure:
            return
        self.failures += 1
        self._last_failure = now
        if self.is_down:
            self.retry_at = now + retry_delay(self.failures, jitter)

    def _asked_for(self, full: Container[bytes]) -> Entry | None:
        return self._forced if self._forced is not None and self._forced.vault not in full else None

    def _next(self, full: Container[bytes]) -> Entry | None:
        for vault, queue in self._due.items():
            if vault not in full:
                return next(iter(queue.values()))
        return None
