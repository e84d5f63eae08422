"""A vault that lives elsewhere now: following who is a member of it, and forgetting it (spec: move.md)."""

from __future__ import annotations

from aiohttp import web

from kith_protocol.wire import MAX_FOLLOW_BYTES, Follow
from kith_server.errors import HttpRefusal
from kith_server.keys import CLOCK, VAULTS
from kith_server.mail_keys import SERVER_KEYS
from kith_server.middleware import answer
from kith_server.requests import read_statement, require_member, vault_of


def add_leaving_routes(app: web.Application) -> None:
    """Adds the routes."""
    app.router.add_post("/v1/vaults/{vault}/followed", _follow)
    app.router.add_delete("/v1/vaults/{vault}", _forget)


async def _follow(request: web.Request) -> web.Response:
    vault = vault_of(request)
    member = await require_member(request, vault)
    follow = await read_statement(request, Follow, MAX_FOLLOW_BYTES)
    return answer(await request.app[VAULTS].follow(vault, follow.commits, member))


async def _forget(request: web.Request) -> web.Response:
    """Everything of the vault goes, and the server signs that it did."""
    vault = vault_of(request)
    member = await require_member(request, vault)
    vaults = request.app[VAULTS]
    if member != (await vaults.state(vault)).paper:
        raise HttpRefusal(403, "paper-key-only", "Only the recovery phrase can delete a vault.")
    await vaults.delete(vault)
    return answer(request.app[SERVER_KEYS].forgotten(vault, request.app[CLOCK]()))
