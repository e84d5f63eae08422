"""`GET /healthz`: whether the server can read its database; for load balancers and `kith-server doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from kith_server.keys import DATABASE

if TYPE_CHECKING:
    from sqlite3 import Connection


def add_health_routes(app: web.Application) -> None:
    """Adds the route."""
    app.router.add_get("/healthz", _health)


async def _health(request: web.Request) -> web.Response:
    def look(connection: Connection) -> None:
        connection.execute("SELECT 1 FROM migrations").fetchone()

    await request.app[DATABASE].read(look)
    return web.json_response({"ok": True})
