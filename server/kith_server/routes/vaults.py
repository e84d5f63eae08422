"""Beginning a vault, its head, and pushing commits (forms: `kith_protocol.wire`)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from kith_protocol.wire import Register
from kith_server.keys import BODIES, LIMITS, VAULTS
from kith_server.limits import admit
from kith_server.middleware import answer
from kith_server.requests import read_statement, require_member, vault_of
from kith_server.vaults import head_of

PUSH_BYTES: Final = 17 * 1024 * 1024
"""A push has at most 16 MiB; the rest is for the commit, its keys and the change list."""


def add_vault_routes(app: web.Application) -> None:
    """Adds the routes."""
    app.router.add_post("/v1/vaults", _register)
    app.router.add_get("/v1/vaults/{vault}/head", _head, allow_head=False)
    app.router.add_post("/v1/vaults/{vault}/commits", _push)


async def _register(request: web.Request) -> web.Response:
    admit(request, request.app[LIMITS].registration)
    register = await read_statement(request, Register)
    return answer(await request.app[VAULTS].register(register))


async def _head(request: web.Request) -> web.Response:
    vault = vault_of(request)
    await require_member(request, vault)
    return answer(head_of(await request.app[VAULTS].state(vault)))


async def _push(request: web.Request) -> web.Response:
    vault = vault_of(request)
    await require_member(request, vault)
    vaults = request.app[VAULTS]
    async with request.app[BODIES].read(request, PUSH_BYTES) as body:
        push = await vaults.decode_push(body)
        # A push is held in memory twice otherwise; its room is given back only when it is stored.
        body.clear()
        return answer(await vaults.push(vault, push))
