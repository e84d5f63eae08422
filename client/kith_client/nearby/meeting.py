"""Where two who meet find each other on the local network: the nameplate of the code is all that is announced."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from time import monotonic
from typing import Final

from kith_client.line import Line, gone, unused
from kith_client.nearby.discovery import EVERYWHERE, Found, Network, announced, browsing
from kith_client.nearby.sockets import Connection, Listener, connect, listening
from kith_protocol.errors import Refused
from kith_protocol.link_code import NEARBY_HOST, LinkCode
from kith_protocol.linking import LinkMachine, LinkRole
from kith_protocol.wire import Purpose

MEETINGS: Final = "_kith-meet._tcp.local."
EXCHANGE_SECONDS: Final = 10.0
"""In which whoever answers has to show that they know the code."""
MAX_EXCHANGES: Final = 12
"""Exchanges that are begun for one code: so many may only let us wait, and the next is not looked for."""
CONNECT_TRIES: Final = 3
CONNECT_PAUSE: Final = 0.5
"""Seconds between two tries to connect to one service."""
_LOWEST: Final = 100_000


def random_nameplate() -> str:
    """A nameplate where no server gives one out; two of the same on one network are not likely, and only a nuisance."""
    return str(_LOWEST + secrets.randbelow(9 * _LOWEST))


@asynccontextmanager
async def waiting(nameplate: str, network: Network = EVERYWHERE) -> AsyncIterator[Listener]:
    """Announces the nameplate and listens. Raises `NearbyUnavailable`."""
    async with listening(network) as listener, announced(MEETINGS, nameplate, listener.port, network):
        yield listener


def line_to(connection: Connection, code: LinkCode, role: LinkRole) -> Line:
    """A line over a connection on the local network."""
    return Line(connection, LinkMachine(role, code, NEARBY_HOST, Purpose.MEET))


@asynccontextmanager
async def looking(code: LinkCode, network: Network = EVERYWHERE) -> AsyncIterator[asyncio.Queue[Found]]:
    """While the block runs, those who announce the nameplate of `code` come into the queue. Nobody is spoken to.

    Raises `NearbyUnavailable`.
    """
    async with browsing(MEETINGS, lambda name: name == code.nameplate, network) as found:
        yield found


async def reach(
    found: asyncio.Queue[Found], code: LinkCode, seconds: float, before_use: Callable[[], Awaitable[None]] = unused
) -> Line | None:
    """The line to the first who knows the code; None where nobody was found in `seconds`, exchanges not counted.

    Who only lets us wait is passed over, a few of them at most; `before_use` as in `Line.agree`. Raises `Refused`
    (`link-burned`) where somebody who got our confirmation did not show that they know the code.
    """
    left = seconds
    for _ in range(MAX_EXCHANGES):
        begun = monotonic()
        try:
            async with asyncio.timeout(left):
                connection = await _connected(await found.get())
        except TimeoutError:
            return None
        left -= monotonic() - begun
        if connection is None:
            continue
        with ExitStack() as unless_agreed:
            unless_agreed.callback(connection.close)
            line = line_to(connection, code, LinkRole.TYPES)
            if await _agreed(line, before_use):
                unless_agreed.pop_all()
                return line
    return None


async def _connected(service: Found) -> Connection | None:
    """A busy machine, or one that just came into the network, may miss the first connection."""
    for _ in range(CONNECT_TRIES):
        connection = await connect(service)
        if connection is not None:
            return connection
        await asyncio.sleep(CONNECT_PAUSE)
    return None


async def _agreed(line: Line, before_use: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(EXCHANGE_SECONDS):
            await line.agree(before_use)
        return True
    except (TimeoutError, Refused):
        if line.is_used:
            raise gone() from None
    return False
