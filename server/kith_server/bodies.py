"""Reads request bodies within bounds: of each one's size and time, and of all that are in memory together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from kith_server.errors import Busy, HttpRefusal

SMALL: Final = 64 * 1024
"""Bytes that a body has at most where its route allows no more."""
SMALL_BUDGET: Final = 8 * 1024 * 1024
LARGE_BUDGET: Final = 40 * 1024 * 1024
"""Bytes of larger bodies in memory together, so that many pushing clients cannot fill it."""
WAITING: Final = 256
"""Requests that may wait for room."""
ROOM_SECONDS: Final = 60.0
BODY_SECONDS: Final = 20.0
"""Time for a body, and one second more for every `SLOWEST` bytes."""
SLOWEST: Final = 64 * 1024


class Budget:
    """A number of bytes that requests share; first come, first served."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def reserve(self, size: int) -> AsyncIterator[None]:
        """Holds `size` bytes. Raises `Busy` where there is no room for `ROOM_SECONDS`."""
        await self._acquire(size)
        try:
            yield
        finally:
            self._free += size
            self._grant()

    async def _acquire(self, size: int) -> None:
        if not self._queue and self._free >= size:
            self._free -= size
            return
        if len(self._queue) >= WAITING:
            raise Busy
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, turn)
        self._queue.append(entry)
        try:
            async with asyncio.timeout(ROOM_SECONDS):
                await turn
        except BaseException as error:
            self._abandon(entry)
            if isinstance(error, TimeoutError):
                raise Busy from None
            raise

    def _abandon(self, entry: tuple[int, asyncio.Future[None]]) -> None:
        """Gives back what was granted in the moment in which the waiting ended."""
        if entry in self._queue:
            self._queue.remove(entry)
        elif entry[1].done() and not entry[1].cancelled():
            self._free += entry[0]
        self._grant()

    def _grant(self) -> None:
        while self._queue and (self._queue[0][1].done() or self._queue[0][0] <= self._free):
            size, turn = self._queue.popleft()
            if not turn.done():
                self._free -= size
                turn.set_result(None)


class Bodies:
    """The budgets of one server."""

    def __init__(self) -> None:
        self._small = Budget(SMALL_BUDGET)
        self._large = Budget(LARGE_BUDGET)

    @asynccontextmanager
    async def read(self, request: web.Request, limit: int = SMALL) -> AsyncIterator[bytearray]:
        """The body, of at most `limit` bytes; its room is given back when the block ends.

        Raises `HttpRefusal`: 408 too slow, 411 no length, 413 too long, 415 compressed; `Busy`.
        """
        size = _announced(request, limit)
        budget = self._small if size <= SMALL else self._large
        async with budget.reserve(size):
            try:
                async with asyncio.timeout(BODY_SECONDS + size / SLOWEST):
                    body = await _gather(request, size)
            except TimeoutError:
                raise HttpRefusal(408, "too-slow", "The request did not arrive in time.") from None
            yield body


def _announced(request: web.Request, limit: int) -> int:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise HttpRefusal(415, "compressed", "This server takes no compressed requests.")
    size = request.content_length
    if size is None:
        if request.body_exists:
            raise HttpRefusal(411, "length-required", "The request has to say its length.")
        return 0
    if size > limit:
        raise HttpRefusal(413, "limit-exceeded", f"The request has {size} bytes; {limit} are allowed here.")
    return size


async def _gather(request: web.Request, size: int) -> bytearray:
    body = bytearray(size)
    filled = 0
    async for chunk in request.content.iter_any():
        if filled + len(chunk) > size:
            raise HttpRefusal(413, "limit-exceeded", "The request is longer than it said.")
        body[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    if filled != size:
        raise HttpRefusal(400, "broken-off", "The request broke off.")
    return body
