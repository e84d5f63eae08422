"""The door for sealed requests from outside (spec: mail.md, Gateway). Cheap checks come first."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from kith_protocol.gateway import request_hash
from kith_protocol.padding import CLASSES
from kith_server.errors import HttpRefusal
from kith_server.keys import BODIES, LIMITS
from kith_server.limits import LOCAL, admit, network_of
from kith_server.mail_keys import GATEWAY, RELAY

CONTENT_TYPE: Final = "application/octet-stream"


async def gateway(request: web.Request) -> web.Response:
    """`POST /v1/gateway`"""
    relay = request.app[RELAY]
    perhaps_ours = relay.sends_to_ourselves
    if not perhaps_ours:
        admit(request, request.app[LIMITS].gateway)
    if request.content_length not in CLASSES:
        raise HttpRefusal(422, "request-size", "A sealed request has exactly one of the four sizes.")
    async with request.app[BODIES].read(request, CLASSES[-1]) as body:
        raw = bytes(body)
        ours = perhaps_ours and relay.is_ours(request_hash(raw))
        if perhaps_ours and not ours:
            admit(request, request.app[LIMITS].gateway)
        network = LOCAL if ours else network_of(request)
        return web.Response(body=await request.app[GATEWAY].answer(raw, network), content_type=CONTENT_TYPE)


def add_gateway_routes(app: web.Application) -> None:
    app.add_routes([web.post("/v1/gateway", gateway)])
