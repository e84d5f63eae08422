"""A connection to a home server that loses, repeats and breaks off, as told; and a crash that nothing catches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto

import aiohttp

from kith_client.errors import ServerUnreachable
from kith_client.transport import HomeServer


class Fault(Enum):
    """What happens to one request."""

    NONE = auto()
    LOST_REQUEST = auto()
    LOST_ANSWER = auto()
    """The server acted; the client never hears of it."""
    REPEATED = auto()
    """The request arrives twice, and the second answer counts."""
    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()


class Crash(BaseException):
    """The power went. Not an `Exception`, so that no code of the client handles it."""


@dataclass
class Plan:
    """`fault` happens to the request with number `at`, counted from 0."""

    fault: Fault = Fault.NONE
    at: int = 0
    count: int = 0

    def next(self) -> Fault:
        self.count += 1
        return self.fault if self.count - 1 == self.at else Fault.NONE


class FaultyHomeServer(HomeServer):
    """A `HomeServer` whose requests meet what `plan` says."""

    plan = Plan()

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        fault = self.plan.next()
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if fault is Fault.LOST_REQUEST:
            raise ServerUnreachable("The request was lost.")
        if fault is Fault.REPEATED:
            async with super()._request(method, path, body, headers) as first:
                await first.read()
        async with super()._request(method, path, body, headers) as response:
            if fault in (Fault.CRASH_AFTER, Fault.LOST_ANSWER):
                await response.read()
                if fault is Fault.CRASH_AFTER:
                    raise Crash
                raise ServerUnreachable("The answer was lost.")
            yield response
