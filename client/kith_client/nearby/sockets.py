"""Frames over a connection on the local network: each has its length in front (2 bytes) and a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from kith_client.errors import NearbyUnavailable
from kith_client.line import gone
from kith_client.nearby.discovery import EVERYWHERE, Found, Network, is_local
from kith_protocol.errors import Refused
from kith_protocol.linking import LINK_LIFETIME
from kith_protocol.wire import MAX_RENDEZVOUS_BYTES

CONNECT_SECONDS: Final = 3.0
FIRST_SECONDS: Final = 10.0
"""In which the first message of somebody who connected has to come."""
MAX_CONNECTIONS: Final = 8
"""That have not said anything yet; for another one, the oldest has to go."""
MAX_PER_ADDRESS: Final = 6
"""The same of one address."""
_LENGTH_BYTES: Final = 2
_EVERY_ADDRESS: Final = "0.0.0.0"  # noqa: S104  # of this machine; who is not on a local network is turned away


class Connection:
    """Frames both ways; a carrier for one side of a meeting."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._received: list[bytes] = []

    async def leave(self, index: int, message: bytes) -> None:
        """Sends a message; they go in order, so its number is not sent."""
        await self.send(message)

    async def fetch(self, index: int) -> bytes | None:
        """The other's message with that number. Raises `Refused` (`link-burned`) where the connection ended."""
        while len(self._received) <= index:
            self._received.append(await self.receive())
        return self._received[index]

    async def send(self, message: bytes) -> None:
        """Raises `Refused` (`link-burned`) where the connection ended."""
        try:
            self._writer.write(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
            async with asyncio.timeout(FIRST_SECONDS):
                await self._writer.drain()
        except (OSError, TimeoutError):
            raise gone() from None

    async def receive(self) -> bytes:
        """The next frame, waited for as long as a code lives. Raises `Refused` (`link-burned`)."""
        try:
            async with asyncio.timeout(LINK_LIFETIME / 1000):
                length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES), "big")
                if length > MAX_RENDEZVOUS_BYTES:
                    raise gone()
                return await self._reader.readexactly(length)
        except (OSError, EOFError, TimeoutError):
            raise gone() from None

    def close(self) -> None:
        """Ends it without waiting."""
        self._writer.close()


async def connect(found: Found) -> Connection | None:
    """A connection to the first address of a service that answers; None where none does."""
    for address in found.addresses:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                return Connection(*await asyncio.open_connection(address, found.port, limit=MAX_RENDEZVOUS_BYTES))
    return None


class Listener:
    """Waits for connections from the local network; those that say something in time come into the queue."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[Connection] = asyncio.Queue(MAX_CONNECTIONS)
        self.port = 0
        self._silent: dict[Connection, str] = {}
        """By age: those that said nothing yet, and where they come from."""
        self._connections: set[Connection] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until its first message is there."""
        peer = writer.get_extra_info("peername")
        if not peer or not is_local(peer[0]):
            writer.close()
            return
        self._make_room(peer[0])
        connection = Connection(reader, writer)
        self._connections.add(connection)
        self._silent[connection] = peer[0]
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                await connection.fetch(0)
            self.arrived.put_nowait(connection)
        except (Refused, TimeoutError, asyncio.QueueFull):
            self.release(connection)
        finally:
            self._silent.pop(connection, None)

    def release(self, connection: Connection) -> None:
        """Ends one connection and forgets it."""
        connection.close()
        self._connections.discard(connection)

    def _make_room(self, address: str) -> None:
        same = [connection for connection, other in self._silent.items() if other == address]
        oldest = same if len(same) >= MAX_PER_ADDRESS else list(self._silent)
        if len(same) >= MAX_PER_ADDRESS or len(self._silent) >= MAX_CONNECTIONS:
            del self._silent[oldest[0]]
            self.release(oldest[0])

    def close(self) -> None:
        """Ends every connection."""
        for connection in self._connections:
            connection.close()


@asynccontextmanager
async def listening(network: Network = EVERYWHERE) -> AsyncIterator[Listener]:
    """A listener at a port of its own while the block runs; what comes from elsewhere than a local network is cut.

    Raises `NearbyUnavailable`.
    """
    listener = Listener()
    # One socket: each of several would get a port of its own, and only one port is announced.
    host = network.addresses[0] if len(network.addresses) == 1 else _EVERY_ADDRESS
    try:
        server = await asyncio.start_server(listener.take, host, 0, limit=MAX_RENDEZVOUS_BYTES)
    except OSError as error:
        raise NearbyUnavailable(f"Nobody can be waited for on the local network: {error.strerror}.") from None
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        listener.close()
