"""`GET /v1/vaults/{vault}/changes?after=N`: the feed, streamed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from kith_protocol.wire import CONTENT_TYPE, FeedEnd, FeedHead, encode_frame
from kith_server.errors import HttpRefusal
from kith_server.feed import Feeds, end, frames, past_horizon
from kith_server.keys import FEEDS, VAULTS
from kith_server.requests import query_number, require_member, vault_of
from kith_server.storage.interface import BEGINNING, Cursor
from kith_server.vault_rules import VaultState

SEND_SECONDS: Final = 60.0
"""Time in which a client has to take one batch."""


def add_feed_routes(app: web.Application) -> None:
    """Adds the route."""
    app.router.add_get("/v1/vaults/{vault}/changes", _changes, allow_head=False)


async def _changes(request: web.Request) -> web.StreamResponse:
    vault = vault_of(request)
    await require_member(request, vault)
    after = query_number(request, "after")
    if after < BEGINNING:
        raise HttpRefusal(400, "bad-request", "The parameter after is a commit number, or -1 for the whole vault.")
    state = await request.app[VAULTS].state(vault)
    if after >= state.chain.number:
        return _nothing_new(state)
    async with request.app[FEEDS].place(vault):
        return await _stream(request, request.app[FEEDS], state, after)


def _nothing_new(state: VaultState) -> web.Response:
    """From memory. Where `after` is higher than the head, the client sees the head and raises its alarm."""
    head = FeedHead(state.chain.number, state.chain.head, 0)
    body = encode_frame(head) + encode_frame(FeedEnd(head.number))
    return web.Response(body=body, content_type=CONTENT_TYPE)


async def _stream(request: web.Request, feeds: Feeds, state: VaultState, after: int) -> web.StreamResponse:
    vault = state.chain.vault
    head = await feeds.head(state, after)
    response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
    async with feeds.turn():
        batch = await feeds.batch(vault, Cursor(after))
        if BEGINNING < after < batch.horizon:
            raise past_horizon()
        await response.prepare(request)
        with _breaking_off(request):
            await _send(response, encode_frame(head), *frames(batch))
    with _breaking_off(request):
        while not batch.complete:
            async with feeds.turn():
                batch = await feeds.batch(vault, batch.cursor)
                await _send(response, *frames(batch))
        await _send(response, end(batch))
        await response.write_eof()
    return response


async def _send(response: web.StreamResponse, *parts: bytes) -> None:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            for part in parts:
                await response.write(part)
    except TimeoutError:
        raise ConnectionAbortedError from None


@contextmanager
def _breaking_off(request: web.Request) -> Iterator[None]:
    """Once the answer has begun, breaking the connection is the only way left to say that it is not whole."""
    try:
        yield
    except BaseException:
        if request.transport is not None:
            request.transport.abort()
        raise
