"""`POST /v1/sessions` opens a session, `DELETE /v1/vaults/{vault}/session` ends it."""

from __future__ import annotations

from aiohttp import web

from kith_protocol.wire import SessionRequest
from kith_server.keys import LIMITS, SESSIONS
from kith_server.limits import admit
from kith_server.middleware import answer
from kith_server.requests import bearer_token, read_statement, require_member, vault_of


def add_session_routes(app: web.Application) -> None:
    """Adds the route."""
    app.router.add_post("/v1/sessions", _open)
    app.router.add_delete("/v1/vaults/{vault}/session", _close)


async def _open(request: web.Request) -> web.Response:
    admit(request, request.app[LIMITS].sessions)
    asked = await read_statement(request, SessionRequest)
    return answer(await request.app[SESSIONS].open(asked))


async def _close(request: web.Request) -> web.Response:
    vault = vault_of(request)
    await require_member(request, vault)
    await request.app[SESSIONS].close(vault, bearer_token(request))
    return web.Response(status=204)
