"""Where two who meet find each other on the local network: the nameplate of the code is all that is announced."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Final

from kith_client.line import Line, gone
from kith_client.nearby.discovery import EVERYWHERE, Found, Network, announced, browsing
from kith_client.nearby.sockets import Connection, Listener, connect, listening
from kith_protocol.errors import Refused
from kith_protocol.link_code import NEARBY_HOST, LinkCode
from kith_protocol.linking import LinkMachine, LinkRole, LinkState
from kith_protocol.wire import Purpose

MEETINGS: Final = "_kith-meet._tcp.local."
EXCHANGE_SECONDS: Final = 10.0
"""In which whoever answers has to show that they know the code."""
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


async def reach(found: asyncio.Queue[Found], code: LinkCode) -> Line:
    """The line to the first who knows the code; waits until there is one.

    Who only lets us wait is passed over, a few of them at most. Raises `Refused` (`link-burned`) where somebody
    answered and did not know the code.
    """
    while True:
        connection = await connect(await found.get())
        if connection is None:
            continue
        with ExitStack() as unless_agreed:
            unless_agreed.callback(connection.close)
            line = line_to(connection, code, LinkRole.TYPES)
            if await _agreed(line):
                unless_agreed.pop_all()
                return line


async def _agreed(line: Line) -> bool:
    try:
        async with asyncio.timeout(EXCHANGE_SECONDS):
            await line.agree()
        return True
    except (TimeoutError, Refused):
        # Once our confirmation is out, whoever has it has had a guess.
        if line.machine.state not in (LinkState.IDLE, LinkState.EXCHANGING):
            raise gone() from None
    return False
