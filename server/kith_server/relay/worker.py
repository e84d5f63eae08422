"""Carries out what `queue` decides: sends sealed requests, keeps what comes back, and lets clients wait a moment.

The database holds every request before it is sent; this object holds only when each is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import SystemRandom
from typing import Any, Final

import structlog

from kith_protocol.errors import KithError
from kith_protocol.gateway import request_hash
from kith_protocol.padding import CLASSES
from kith_protocol.wire import RelayAnswer
from kith_server.errors import Busy
from kith_server.logs import describe
from kith_server.outbound import Outbound, OutboundRefused, OutboundUnreachable, Reason
from kith_server.relay.queue import GiveUp, Outcome, RelayQueue, Try
from kith_server.storage.mail_interface import RelayStore

PATIENCE_SECONDS: Final = 3.0
"""How long a client that hands a request over waits for its answer."""
MAX_QUEUED: Final = 100_000
"""Requests of all vaults that wait; about half a kilobyte of memory each."""
GAVE_UP: Final = "The other server could not be reached for 14 days."
MAX_PAUSE_SECONDS: Final = 1.0
"""Between two looks at the queue while something waits: the clock of the system may be set meanwhile."""
STOP_SECONDS: Final = 2.0
"""How long requests on their way may take when the server stops; they are sent again after the next start."""

_CHANCE: Final = SystemRandom()
_log: Final = structlog.get_logger()
Key = tuple[bytes, bytes]


class Relay:
    """Forwards for all vaults. Use inside a running event loop: `start`, and in the end `close`."""

    def __init__(
        self,
        store: RelayStore,
        outbound: Outbound,
        clock: Callable[[], int],
        *,
        own_host: str,
        jitter: Callable[[], float] = _CHANCE.random,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._store = store
        self._outbound = outbound
        self._clock = clock
        self._own_host = own_host
        self._jitter = jitter
        self._patience = patience
        self._queue = RelayQueue()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiters: dict[Key, asyncio.Event] = {}
        self._to_ourselves: set[bytes] = set()

    async def start(self) -> None:
        """Takes in what was queued when the server stopped, and begins to send."""
        for waiting in await self._store.waiting():
            self._queue.add(
                waiting.vault,
                waiting.request,
                waiting.host,
                waiting.created,
                due=waiting.due,
                attempts=waiting.attempts,
            )
        self._spawn(self._run())

    def end_waiting(self) -> None:
        """Lets go of all clients that wait for an answer: the server is about to stop."""
        self._patience = 0
        for key in list(self._waiters):
            self._tell(key)

    async def close(self) -> None:
        """Stops sending. What has no answer yet stays queued in the database."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)

    async def hand_over(self, vault: bytes, host: str, body: bytes) -> RelayAnswer:
        """Queues a sealed request, has it tried at once where that is allowed, and waits a moment for the answer.

        `host` is in its normal form. Raises `Busy`, and what `RelayStore.put` raises.
        """
        if len(self._queue) >= MAX_QUEUED:
            raise Busy("Too many requests to other servers wait here; try again later.", retry_after=600)
        key = (vault, request_hash(body))
        waiting = await self._store.put(*key, host, body, self._clock())
        if waiting is not None:
            self._queue.add(*key, host, waiting.created, due=waiting.due, attempts=waiting.attempts)
            soon = self._queue.hand_over(*key, self._clock())
            self._pump()
            self._changed.set()
            if soon:
                await self._wait(key)
        return await self._store.look_up(*key)

    async def forget(self, vault: bytes, request: bytes) -> None:
        """Deletes a request and its answer."""
        self._queue.remove(vault, request)
        self._tell((vault, request))
        await self._store.forget(vault, request)

    @property
    def sends_to_ourselves(self) -> bool:
        """Whether anything is on its way from this relay to this very server."""
        return bool(self._to_ourselves)

    def is_ours(self, request: bytes) -> bool:
        """Whether the sealed request with this hash is one of these."""
        return request in self._to_ourselves

    async def _wait(self, key: Key) -> None:
        event = self._waiters.setdefault(key, asyncio.Event())
        try:
            async with asyncio.timeout(self._patience):
                await event.wait()
        except TimeoutError:
            return

    def _tell(self, key: Key) -> None:
        event = self._waiters.pop(key, None)
        if event is not None:
            event.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            self._pump()
            wake = self._queue.wake_at()
            pause = None if wake is None else min(MAX_PAUSE_SECONDS, max(0.01, (wake - self._clock()) / 1000))
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _pump(self) -> None:
        for action in self._queue.actions(self._clock()):
            self._spawn(self._give_up(action) if isinstance(action, GiveUp) else self._attempt(action))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("relay", **describe(error))

    async def _give_up(self, action: GiveUp) -> None:
        await self._store.given_up(action.vault, action.request, GAVE_UP, self._clock())
        self._tell((action.vault, action.request))

    async def _attempt(self, attempt: Try) -> None:
        key = (attempt.vault, attempt.request)
        outcome, reason = Outcome.FAILED, "This server is busy; it tries again."
        try:
            outcome, reason = await self._send(attempt)
        except KithError as error:
            _log.warning("relay", code=error.code)
        finally:
            retry = self._queue.finished(*key, outcome, self._clock(), self._jitter())
            self._changed.set()
        if retry is not None:
            await self._store.failed(*key, retry.attempts, retry.due, reason)
        self._tell(key)

    async def _send(self, attempt: Try) -> tuple[Outcome, str]:
        key = (attempt.vault, attempt.request)
        body = await self._store.body(*key)
        if body is None:
            return Outcome.REFUSED, ""
        try:
            answer = await self._post(attempt, body)
        except OutboundUnreachable as error:
            return Outcome.FAILED, str(error)
        except OutboundRefused as error:
            return await self._refused(attempt, error)
        if len(answer) not in CLASSES:
            return Outcome.FAILED, "The other server did not answer as a gateway does."
        await self._store.answered(*key, answer, self._clock())
        return Outcome.ANSWERED, ""

    async def _post(self, attempt: Try, body: bytes) -> bytes:
        ours = attempt.host == self._own_host
        if ours:
            self._to_ourselves.add(attempt.request)
        try:
            return await self._outbound.post_gateway(attempt.host, body)
        finally:
            if ours:
                self._to_ourselves.discard(attempt.request)

    async def _refused(self, attempt: Try, error: OutboundRefused) -> tuple[Outcome, str]:
        """A host that settings forbid ends the request; anything else may be a passing fault, of its DNS even."""
        if error.reason is not Reason.HOST:
            return Outcome.FAILED, str(error)
        await self._store.given_up(attempt.vault, attempt.request, str(error), self._clock())
        return Outcome.REFUSED, ""
