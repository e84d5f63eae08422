"""What this server says of itself, signed (spec: server.md)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from kith_server.mail_keys import SERVER_KEYS
from kith_server.routes.gateway import CONTENT_TYPE

MAX_AGE: Final = 3600
"""Seconds that a statement may be reused; each is good for four days at least."""


async def statement(request: web.Request) -> web.Response:
    """`GET /.well-known/kith`"""
    headers = {"Cache-Control": f"public, max-age={MAX_AGE}"}
    return web.Response(body=request.app[SERVER_KEYS].statement, content_type=CONTENT_TYPE, headers=headers)


def add_wellknown_routes(app: web.Application) -> None:
    app.add_routes([web.get("/.well-known/kith", statement)])
