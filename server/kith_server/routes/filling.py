"""Filling the server with a vault that was made elsewhere (spec: move.md)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from kith_protocol.commit import MAX_COMMIT_BYTES
from kith_protocol.wire import MAX_PART_BYTES, BeginFill, Head
from kith_server.bodies import SMALL
from kith_server.errors import HttpRefusal
from kith_server.keys import BODIES, FILLS, LIMITS
from kith_server.limits import admit
from kith_server.middleware import answer
from kith_server.requests import bearer_token, read_statement, vault_of

BEGIN_BYTES: Final = SMALL + MAX_COMMIT_BYTES


def add_filling_routes(app: web.Application) -> None:
    """Adds the routes."""
    app.router.add_post("/v1/fills", _begin)
    app.router.add_post("/v1/fills/{vault}/parts", _add)
    app.router.add_post("/v1/fills/{vault}/end", _finish)


async def _begin(request: web.Request) -> web.Response:
    admit(request, request.app[LIMITS].registration)
    begin = await read_statement(request, BeginFill, BEGIN_BYTES)
    return answer(await request.app[FILLS].begin(begin))


async def _add(request: web.Request) -> web.Response:
    vault, token = await _require_filler(request)
    async with request.app[BODIES].read(request, MAX_PART_BYTES) as body:
        return answer(await request.app[FILLS].add(vault, token, body))


async def _finish(request: web.Request) -> web.Response:
    vault, token = await _require_filler(request)
    head = await read_statement(request, Head)
    return answer(await request.app[FILLS].finish(vault, token, head))


async def _require_filler(request: web.Request) -> tuple[bytes, bytes]:
    """The vault and the token of its fill: nobody else's body is read. Raises `HttpRefusal` 401, `TooManyRequests`."""
    vault = vault_of(request)
    try:
        token = bearer_token(request)
        await request.app[FILLS].check(vault, token)
    except HttpRefusal as error:
        if error.status == 401:
            admit(request, request.app[LIMITS].refused)
        raise
    return vault, token
