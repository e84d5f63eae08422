"""`POST /v1/sessions`: opens a session."""

from __future__ import annotations

from aiohttp import web

from kith_protocol.wire import SessionRequest
from kith_server.keys import LIMITS, SESSIONS
from kith_server.limits import admit
from kith_server.middleware import answer
from kith_server.requests import read_statement


def add_session_routes(app: web.Application) -> None:
    """Adds the route."""
    app.router.add_post("/v1/sessions", _open)


async def _open(request: web.Request) -> web.Response:
    admit(request, request.app[LIMITS].sessions)
    asked = await read_statement(request, SessionRequest)
    return answer(await request.app[SESSIONS].open(asked))
