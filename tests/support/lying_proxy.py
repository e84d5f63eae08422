"""A proxy between a client and its real home server that can alter, withhold, replay and record what passes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO

import aiohttp
from aiohttp import web

from kith_protocol import wire

Frames = list[wire.Frame]
TamperFeed = Callable[[Frames], Frames]
TamperAnswer = Callable[[str, str, int, bytes], tuple[int, bytes]]
"""(method, path, status, body) → (status, body)."""
TamperRequest = Callable[[str, str, bytes], bytes]
"""(method, path, body) → body."""
Instead = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""Answers itself, or None to let the server do it."""


def honest_feed(frames: Frames) -> Frames:
    return frames


def honest_request(_method: str, _path: str, body: bytes) -> bytes:
    return body


async def not_instead(_request: web.Request) -> web.StreamResponse | None:
    return None


def honest_answer(_method: str, _path: str, status: int, body: bytes) -> tuple[int, bytes]:
    return status, body


@dataclass(frozen=True)
class Exchange:
    """A request as it arrived, and the server's answer."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    status: int
    answer: bytes


@dataclass
class LyingProxy:
    """What the proxy does to what passes; change the fields at any time."""

    upstream: str
    url: str = ""
    feed: TamperFeed = honest_feed
    answer: TamperAnswer = honest_answer
    request: TamperRequest = honest_request
    instead: Instead = not_instead
    drop_requests: Callable[[str, str], bool] = lambda _method, _path: False
    """Whether a request is swallowed before the server sees it."""
    drop_answers: Callable[[str, str], bool] = lambda _method, _path: False
    """Whether the server acts, and the client never hears of it."""
    seen: list[bytes] = field(default_factory=list)
    """Every body and path that passed, both ways."""
    exchanges: list[Exchange] = field(default_factory=list)
    """The same, in pairs and with the headers; only what the server answered."""
    feeds: list[Frames] = field(default_factory=list)
    """Every feed as the server sent it."""

    def be_honest(self) -> None:
        """From now on everything passes as it is."""
        fresh = LyingProxy(self.upstream)
        self.feed, self.answer, self.request, self.instead = fresh.feed, fresh.answer, fresh.request, fresh.instead
        self.drop_requests, self.drop_answers = fresh.drop_requests, fresh.drop_answers


@asynccontextmanager
async def lying_proxy(upstream: str, port: int = 0) -> AsyncIterator[LyingProxy]:
    """Runs a proxy in front of the server at `upstream`."""
    proxy = LyingProxy(upstream)
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        app = web.Application(client_max_size=32 * 1024 * 1024)

        async def forward(request: web.Request) -> web.StreamResponse:
            return await _forward(proxy, http, request)

        app.router.add_route("*", "/{path:.*}", forward)
        # A lie may never end by itself; it does when the test does.
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield proxy
        finally:
            await runner.cleanup()


async def _forward(proxy: LyingProxy, http: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
    body = await request.read()
    proxy.seen += [request.path_qs.encode(), body]
    if proxy.drop_requests(request.method, request.path):
        return _hang_up(request)
    instead = await proxy.instead(request)
    if instead is not None:
        return instead
    body = proxy.request(request.method, request.path, body)
    kept = {k: v for k, v in request.headers.items() if k.lower() in ("authorization", "content-type")}
    async with http.request(
        request.method,
        proxy.upstream + request.path_qs,
        data=BytesIO(body) if body else None,
        headers=kept,
        allow_redirects=False,
    ) as response:
        answer, status = await response.read(), response.status
    proxy.seen.append(answer)
    headers = tuple(request.headers.items())
    proxy.exchanges.append(Exchange(request.method, request.path_qs, headers, body, status, answer))
    if proxy.drop_answers(request.method, request.path):
        return _hang_up(request)
    if status == 200 and request.path.endswith("/changes"):
        frames = split_frames(answer)
        proxy.feeds.append(frames)
        answer = b"".join(wire.encode_frame(frame) for frame in proxy.feed(list(frames)))
    else:
        status, answer = proxy.answer(request.method, request.path, status, answer)
    return web.Response(status=status, body=answer, content_type=wire.CONTENT_TYPE)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


def split_frames(body: bytes) -> Frames:
    """The frames of a feed."""
    frames, position = [], 0
    while position < len(body):
        length = int.from_bytes(body[position : position + 4], "big")
        frames.append(wire.decode_frame(body[position + 4 : position + 4 + length]))
        position += 4 + length
    return frames
