"""A server that answers byte by byte makes nobody wait for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from kith_client import transport
from kith_client.errors import ServerUnreachable
from kith_client.transport import HomeServer
from kith_protocol.wire import FeedEnd, encode_frame

DEADLINE = 0.5
PAUSE = 0.05
LONGEST = 10.0


def headers_without_end() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(1000):
        yield b"X-%d: a\r\n" % number


def refusal_without_end() -> Iterator[bytes]:
    yield b"HTTP/1.1 500 no\r\nContent-Length: 100000\r\n\r\n"
    for _ in range(1000):
        yield b"x"


@asynccontextmanager
async def trickling(parts: Iterable[bytes]) -> AsyncIterator[str]:
    """The URL of a server that sends `parts` with pauses between them."""
    enough = asyncio.Event()
    served: list[asyncio.Task[None]] = []

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while (await reader.readline()).strip():
                pass
            for part in parts:
                if enough.is_set():
                    break
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(PAUSE)
            writer.close()
            await writer.wait_closed()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(trickle(reader, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        enough.set()
        server.close()
        await asyncio.gather(*served)


@pytest.mark.parametrize("parts", [headers_without_end, refusal_without_end], ids=lambda parts: parts.__name__)
async def test_a_feed_whose_beginning_trickles_is_given_up(
    monkeypatch: pytest.MonkeyPatch, parts: Callable[[], Iterator[bytes]]
) -> None:
    monkeypatch.setattr(transport, "REQUEST_DEADLINE", DEADLINE)
    begin = time.monotonic()
    async with trickling(parts()) as url, HomeServer.connect(url) as server, asyncio.timeout(LONGEST):
        with pytest.raises(ServerUnreachable, match="in time"):
            async for _ in server.feed(bytes(32), -1):
                pass
    assert time.monotonic() - begin < DEADLINE * 4


async def test_a_slow_feed_that_goes_on_outlives_the_deadline_of_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    body = encode_frame(FeedEnd(7))
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) * 5)
    parts = [head, *(body[at : at + 1] for _ in range(5) for at in range(len(body)))]
    monkeypatch.setattr(transport, "REQUEST_DEADLINE", DEADLINE)
    begin = time.monotonic()
    async with trickling(parts) as url, HomeServer.connect(url) as server, asyncio.timeout(LONGEST):
        assert [frame async for frame in server.feed(bytes(32), -1)] == [FeedEnd(7)] * 5
    assert time.monotonic() - begin > DEADLINE
