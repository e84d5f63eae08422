"""Handles, the owner's side (spec: directory.md). Others ask the gateway, or WebFinger."""

from __future__ import annotations

import math
from typing import Final

from aiohttp import web

from kith_protocol.handle import HANDLE_ID_BYTES, RESERVED, handle_id
from kith_protocol.wire import PutHandle
from kith_server.errors import HttpRefusal, TooManyRequests
from kith_server.keys import CONFIG
from kith_server.limits import network_of
from kith_server.mail_keys import DIRECTORY, HANDLES
from kith_server.requests import path_bytes, read_statement, require_member, vault_of

_RESERVED: Final = frozenset(handle_id(handle) for handle in RESERVED)


async def put_handle(request: web.Request) -> web.Response:
    """`PUT .../handles/{handle}`"""
    vault = vault_of(request)
    handle = path_bytes(request, "handle", HANDLE_ID_BYTES)
    await require_member(request, vault)
    wanted = await read_statement(request, PutHandle)
    if not request.app[CONFIG].handles:
        raise HttpRefusal(403, "handles-off", "Nobody can be found by a handle on this server.")
    if wait := request.app[DIRECTORY].wait(network_of(request)):
        # Whether a handle is taken tells as much as looking it up.
        raise TooManyRequests(math.ceil(wait))
    if handle in _RESERVED:
        raise HttpRefusal(403, "handle-reserved", "Nobody gets this handle: it would be taken for the server.")
    await request.app[HANDLES].put(vault, handle, wanted.secret or None)
    return web.Response(status=204)


async def delete_handle(request: web.Request) -> web.Response:
    """`DELETE .../handles/{handle}`"""
    vault = vault_of(request)
    handle = path_bytes(request, "handle", HANDLE_ID_BYTES)
    await require_member(request, vault)
    await request.app[HANDLES].delete(vault, handle)
    return web.Response(status=204)


def add_handle_routes(app: web.Application) -> None:
    handle = "/v1/vaults/{vault}/handles/{handle}"
    app.add_routes([web.put(handle, put_handle), web.delete(handle, delete_handle)])
