"""Greetings of open invites, the owner's side (spec: mail.md). Others ask the gateway."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from kith_protocol.wire import LINK_ID_BYTES, PutGreeting
from kith_server.errors import HttpRefusal
from kith_server.keys import CLOCK
from kith_server.mail_keys import MAILBOXES
from kith_server.requests import path_bytes, read_statement, require_member, vault_of

MAX_LIFETIME: Final = 400 * 24 * 3600 * 1000
"""Milliseconds that a greeting is kept at most: a printed card is good for a year."""


async def put_greeting(request: web.Request) -> web.Response:
    """`PUT .../greetings/{link}`"""
    vault = vault_of(request)
    link_id = path_bytes(request, "link", LINK_ID_BYTES)
    await require_member(request, vault)
    greeting = await read_statement(request, PutGreeting)
    now = request.app[CLOCK]()
    if not now < greeting.expires <= now + MAX_LIFETIME:
        raise HttpRefusal(422, "greeting-expiry", "A greeting expires in the future, within 400 days.")
    await request.app[MAILBOXES].put_greeting(vault, link_id, greeting.sealed, greeting.expires)
    return web.Response(status=204)


async def delete_greeting(request: web.Request) -> web.Response:
    """`DELETE .../greetings/{link}`"""
    vault = vault_of(request)
    link_id = path_bytes(request, "link", LINK_ID_BYTES)
    await require_member(request, vault)
    await request.app[MAILBOXES].delete_greeting(vault, link_id)
    return web.Response(status=204)


def add_greeting_routes(app: web.Application) -> None:
    greeting = "/v1/vaults/{vault}/greetings/{link}"
    app.add_routes([web.put(greeting, put_greeting), web.delete(greeting, delete_greeting)])
