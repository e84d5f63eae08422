"""Sealed requests to other servers on behalf of this server's own people (spec: mail.md, Relay)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from kith_protocol.host import parse_host
from kith_protocol.padding import CLASSES
from kith_protocol.suite import HASH_BYTES
from kith_protocol.wire import RelayRequest
from kith_server.errors import HttpRefusal
from kith_server.mail_keys import RELAY, RELAYED, STATEMENTS
from kith_server.middleware import answer
from kith_server.requests import path_bytes, read_statement, require_member, vault_of
from kith_server.routes.gateway import CONTENT_TYPE

MAX_BODY: Final = CLASSES[-1] + 1024
"""The largest request, its host, and their framing."""


async def hand_over(request: web.Request) -> web.Response:
    """`POST .../relay`"""
    vault = vault_of(request)
    await require_member(request, vault)
    wanted = await read_statement(request, RelayRequest, MAX_BODY)
    if len(wanted.request) not in CLASSES:
        raise HttpRefusal(422, "request-size", "A sealed request has exactly one of the four sizes.")
    return answer(await request.app[RELAY].hand_over(vault, parse_host(wanted.host), wanted.request))


async def look_up(request: web.Request) -> web.Response:
    """`GET .../relay/{request}`"""
    vault = vault_of(request)
    await require_member(request, vault)
    return answer(await request.app[RELAYED].look_up(vault, path_bytes(request, "request", HASH_BYTES)))


async def forget(request: web.Request) -> web.Response:
    """`DELETE .../relay/{request}`"""
    vault = vault_of(request)
    await require_member(request, vault)
    await request.app[RELAY].forget(vault, path_bytes(request, "request", HASH_BYTES))
    return web.Response(status=204)


async def server_statement(request: web.Request) -> web.Response:
    """`GET .../servers/{host}`: another server's signed statement, as it travelled."""
    vault = vault_of(request)
    await require_member(request, vault)
    raw = await request.app[STATEMENTS].get(parse_host(request.match_info["host"]))
    return web.Response(body=raw, content_type=CONTENT_TYPE)


def add_relay_routes(app: web.Application) -> None:
    handed_over = "/v1/vaults/{vault}/relay/{request}"
    app.add_routes(
        [
            web.post("/v1/vaults/{vault}/relay", hand_over),
            web.get(handed_over, look_up),
            web.delete(handed_over, forget),
            web.get("/v1/vaults/{vault}/servers/{host}", server_statement),
        ]
    )
