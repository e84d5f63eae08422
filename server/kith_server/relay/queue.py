"""When the relay tries which request: events in, actions out. Pure; time and chance are arguments.

Sending, storing and waiting are left to `worker`. Each destination has a fair queue over vaults and a circuit breaker
(`destination`); here destinations take turns for the places that there are altogether (spec: mail.md, Relay).
"""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from typing import Final

from kith_server.relay.destination import Destination, Entry, retry_delay

MAX_IN_FLIGHT: Final = 64
"""Requests on their way at a time, to all destinations."""
MAX_PER_VAULT: Final = 16
"""Requests of one vault on their way at a time, so that slow servers of one person do not take all places."""
GIVE_UP_AFTER: Final = 14 * 24 * 3600 * 1000
"""Milliseconds after which a request is given up."""
SWEEP_INTERVAL: Final = 3600 * 1000
"""Milliseconds between two searches for what is to be given up."""


class Outcome(Enum):
    """How a try ended."""

    ANSWERED = auto()
    FAILED = auto()
    """The destination was not reached, or did not answer as a gateway does."""
    REFUSED = auto()
    """This server must not reach out to it: tells nothing about the destination."""


@dataclass(frozen=True, slots=True)
class Try:
    """Send this request now, and report the outcome with `finished`."""

    vault: bytes
    request: bytes
    host: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """This request has waited too long; it is no longer in the queue."""

    vault: bytes
    request: bytes


@dataclass(frozen=True, slots=True)
class Retry:
    """What to remember of a failed request across a restart."""

    attempts: int
    due: int


Action = Try | GiveUp


class RelayQueue:
    """All requests that wait or are on their way. Times are in milliseconds; `jitter` is from [0, 1)."""

    def __init__(self) -> None:
        self._entries: dict[tuple[bytes, bytes], Entry] = {}
        self._destinations: dict[str, Destination] = {}
        self._turns: OrderedDict[str, None] = OrderedDict()
        """Destinations that may have something to send, in the order of their turns."""
        self._timers: list[tuple[int, int, str, Entry | None]] = []
        self._ticket = count()
        self._in_flight = 0
        self._of_vault: Counter[bytes] = Counter()
        self._full: set[bytes] = set()
        self._held: dict[bytes, set[str]] = {}
        """Destinations passed over because a vault had all its places taken."""
        self._next_sweep = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, vault: bytes, request: bytes, host: str, created: int, *, due: int, attempts: int = 0) -> None:
        """Takes in a request, a new one (`due` now) or one that was stored. Known ones stay as they are."""
        entry = self._entries.get((vault, request))
        if entry is not None:
            # Removed while on its way and handed over again: what comes back counts for the new one.
            entry.removed = False
            return
        entry = Entry(vault, request, host, created, due, attempts)
        self._entries[entry.key] = entry
        self._destinations.setdefault(host, Destination(host)).entries[entry] = None
        self._set_timer(due, host, entry)

    def hand_over(self, vault: bytes, request: bytes, now: int) -> bool:
        """A client asks for a request that is in the queue: it is tried at once where that is allowed again.

        Returns whether an outcome is to be expected soon.
        """
        entry = self._entries.get((vault, request))
        if entry is None:
            return False
        destination = self._destinations[entry.host]
        if entry.started is not None or (entry.attempts == 0 and not destination.is_down):
            return True
        if not destination.force(entry, now):
            return False
        entry.due = now
        self._turns[entry.host] = None
        return True

    def remove(self, vault: bytes, request: bytes) -> None:
        """Forgets a request; one that is on its way still has to be reported."""
        entry = self._entries.get((vault, request))
        if entry is not None:
            entry.removed = True
            if entry.started is None:
                self._drop(entry)

    def finished(self, vault: bytes, request: bytes, outcome: Outcome, now: int, jitter: float) -> Retry | None:
        """Reports a try. Returns when it is tried again, or `None` where the request left the queue."""
        entry = self._entries.get((vault, request))
        if entry is None or entry.started is None:
            return None
        started, entry.started = entry.started, None
        self._free_place(entry)
        destination = self._destinations[entry.host]
        self._learn(destination, outcome, started, now, jitter)
        if outcome is not Outcome.FAILED or entry.removed:
            self._drop(entry)
            return None
        entry.attempts += 1
        entry.due = now + retry_delay(entry.attempts, jitter)
        self._set_timer(entry.due, entry.host, entry)
        return Retry(entry.attempts, entry.due)

    def actions(self, now: int) -> list[Action]:
        """What is to be done now; each action is returned once."""
        found: list[Action] = list(self._sweep(now))
        self._ring(now)
        while self._turns and self._in_flight < MAX_IN_FLIGHT:
            host, _ = self._turns.popitem(last=False)
            entry = self._take(self._destinations.get(host), now)
            if entry is not None:
                self._turns[host] = None
                found.append(Try(entry.vault, entry.request, host))
        return found

    def wake_at(self) -> int | None:
        """When `actions` has to be asked again at the latest, if nothing is reported before; `None`: nothing waits."""
        if not self._entries:
            return None
        return min(self._next_sweep, self._timers[0][0]) if self._timers else self._next_sweep

    def _set_timer(self, at: int, host: str, entry: Entry | None) -> None:
        heapq.heappush(self._timers, (at, next(self._ticket), host, entry))

    def _ring(self, now: int) -> None:
        while self._timers and self._timers[0][0] <= now:
            _, _, host, entry = heapq.heappop(self._timers)
            destination = self._destinations.get(host)
            if destination is None:
                continue
            if entry is not None:
                # Timers are not taken back; one that was overtaken by events finds nothing to do.
                if self._entries.get(entry.key) is not entry or entry.started is not None or entry.due > now:
                    continue
                destination.put(entry)
            self._turns[host] = None

    def _take(self, destination: Destination | None, now: int) -> Entry | None:
        if destination is None:
            return None
        entry = destination.pick(now, self._full)
        if entry is None:
            for vault in self._full.intersection(destination.vaults):
                self._held.setdefault(vault, set()).add(destination.host)
            return None
        entry.started = now
        destination.in_flight += 1
        self._in_flight += 1
        self._of_vault[entry.vault] += 1
        if self._of_vault[entry.vault] >= MAX_PER_VAULT:
            self._full.add(entry.vault)
        return entry

    def _free_place(self, entry: Entry) -> None:
        self._destinations[entry.host].in_flight -= 1
        self._in_flight -= 1
        self._of_vault[entry.vault] -= 1
        if not self._of_vault[entry.vault]:
            del self._of_vault[entry.vault]
        self._full.discard(entry.vault)
        for host in self._held.pop(entry.vault, ()):
            self._turns[host] = None
        self._turns[entry.host] = None

    def _learn(self, destination: Destination, outcome: Outcome, started: int, now: int, jitter: float) -> None:
        if outcome is Outcome.ANSWERED:
            if destination.succeeded():
                self._all_due(destination, now)
        elif outcome is Outcome.FAILED:
            destination.failed(started, now, jitter)
            if destination.is_down:
                self._set_timer(destination.retry_at, destination.host, None)

    def _all_due(self, destination: Destination, now: int) -> None:
        """The destination is back: what waits for it goes now, and not when its own time has come."""
        for entry in destination.entries:
            if entry.started is None:
                entry.due = min(entry.due, now)
                destination.put(entry)
        self._turns[destination.host] = None

    def _drop(self, entry: Entry) -> None:
        del self._entries[entry.key]
        destination = self._destinations[entry.host]
        destination.discard(entry)
        del destination.entries[entry]
        # A destination that failed is remembered for a while, so that new requests do not hammer it.
        if not destination.entries and not destination.failures:
            del self._destinations[entry.host]

    def _sweep(self, now: int) -> list[GiveUp]:
        if now < self._next_sweep:
            return []
        self._next_sweep = now + SWEEP_INTERVAL
        late = [e for e in self._entries.values() if e.started is None and e.created + GIVE_UP_AFTER <= now]
        for entry in late:
            self._drop(entry)
        for host in [h for h, d in self._destinations.items() if not d.entries and d.retry_at <= now]:
            del self._destinations[host]
        return [GiveUp(entry.vault, entry.request) for entry in late]
