"""Other servers' signed statements, fetched for our clients, so that these need not show themselves.

Nothing in a statement is trusted here: each client compares it with the fingerprint that it has pinned.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from kith_server.errors import HttpRefusal
from kith_server.outbound import Outbound, OutboundRefused, OutboundUnreachable

FRESH: Final = 5 * 60 * 1000
"""Milliseconds that a statement is handed out without asking again."""
FRESH_FAILURE: Final = 5_000
"""Milliseconds that a failure is: a client that asks all the time does not make us knock all the time."""
MAX_BYTES: Final = 8 * 1024 * 1024
"""Memory for statements."""
MAX_FAILURES: Final = 1000
MAX_FETCHING: Final = 32
"""Statements that are being fetched at a time; more wait for their turn."""


class Statements:
    """A cache in front of `Outbound.get_statement`; each host is asked once at a time."""

    def __init__(self, outbound: Outbound, clock: Callable[[], int]) -> None:
        self._outbound = outbound
        self._clock = clock
        self._known: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
        self._bytes = 0
        self._failed: OrderedDict[str, tuple[int, HttpRefusal]] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[bytes]] = {}
        self._turn = asyncio.Semaphore(MAX_FETCHING)

    async def get(self, host: str) -> bytes:
        """The statement of `host` (normal form) as it travelled.

        Raises `HttpRefusal`: 403 `destination-refused`, 502 `destination-unreachable`.
        """
        now = self._clock()
        fetched, raw = self._known.get(host, (0, b""))
        if raw and fetched <= now < fetched + FRESH:
            return raw
        failed, error = self._failed.get(host, (0, None))
        if error is not None and failed <= now < failed + FRESH_FAILURE:
            raise HttpRefusal(error.status, error.code, str(error), retry_after=error.retry_after)
        task = self._fetching.get(host)
        if task is None:
            task = self._fetching[host] = asyncio.create_task(self._fetch(host))
            task.add_done_callback(lambda done: self._fetched(host, done))
        # One client that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends what is being fetched."""
        for task in self._fetching.values():
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    async def _fetch(self, host: str) -> bytes:
        try:
            async with self._turn:
                return await self._outbound.get_statement(host)
        except OutboundUnreachable as error:
            raise HttpRefusal(502, "destination-unreachable", str(error), retry_after=30) from None
        except OutboundRefused as error:
            raise HttpRefusal(403, "destination-refused", str(error)) from None

    def _fetched(self, host: str, task: asyncio.Task[bytes]) -> None:
        self._fetching.pop(host, None)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, HttpRefusal):
            self._failed[host] = (self._clock(), error)
            self._failed.move_to_end(host)
            if len(self._failed) > MAX_FAILURES:
                self._failed.popitem(last=False)
        elif error is None:
            self._keep(host, task.result())

    def _keep(self, host: str, raw: bytes) -> None:
        self._failed.pop(host, None)
        _, old = self._known.pop(host, (0, b""))
        self._known[host] = (self._clock(), raw)
        self._bytes += len(raw) - len(old)
        while self._bytes > MAX_BYTES:
            _, (_, dropped) = self._known.popitem(last=False)
            self._bytes -= len(dropped)
