"""The owner's side of mailboxes: open, read, empty, delete (spec: mail.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from kith_protocol.mailbox import MAILBOX_BYTES
from kith_protocol.suite import HASH_BYTES, check_sign_key
from kith_protocol.wire import DeleteParcels, OpenMailbox
from kith_server.errors import Busy, HttpRefusal
from kith_server.mail_keys import MAILBOXES, PAGES
from kith_server.middleware import answer
from kith_server.requests import path_bytes, query_number, read_statement, require_member, vault_of

SEND_SECONDS: Final = 30.0
"""Time in which a client has to take one page."""
TURN_SECONDS: Final = 60.0
MAX_DELETED: Final = 4000
"""Parcels deleted by one request."""
MAX_DELETE_BODY: Final = 36 * MAX_DELETED


async def open_mailbox(request: web.Request) -> web.Response:
    """`PUT .../mailboxes/{mailbox}`"""
    vault = vault_of(request)
    read_id = path_bytes(request, "mailbox", MAILBOX_BYTES)
    await require_member(request, vault)
    wanted = await read_statement(request, OpenMailbox)
    if wanted.mailbox == read_id:
        # Whoever may write would know how to name what the owner reads.
        raise HttpRefusal(422, "mailbox-ids", "A mailbox needs a read id that differs from its write id.")
    check_sign_key(wanted.deposit_key)
    await request.app[MAILBOXES].open(vault, read_id, wanted)
    return web.Response(status=204)


async def delete_mailbox(request: web.Request) -> web.Response:
    """`DELETE .../mailboxes/{mailbox}`"""
    vault = vault_of(request)
    read_id = path_bytes(request, "mailbox", MAILBOX_BYTES)
    await require_member(request, vault)
    await request.app[MAILBOXES].delete(vault, read_id)
    return web.Response(status=204)


async def list_parcels(request: web.Request) -> web.StreamResponse:
    """`GET .../parcels?after=CURSOR`"""
    vault = vault_of(request)
    await require_member(request, vault)
    after = query_number(request, "after", 0)
    async with _turn(request):
        response = answer(await request.app[MAILBOXES].page(vault, after))
        # Sent before the turn ends, so that slow readers do not fill the memory.
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            # Once the answer has begun, breaking the connection is the only way left to say that it is not whole.
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionAbortedError from None
    return response


@asynccontextmanager
async def _turn(request: web.Request) -> AsyncIterator[None]:
    """Raises `Busy` where other pages take too long."""
    pages = request.app[PAGES]
    try:
        await asyncio.wait_for(pages.acquire(), TURN_SECONDS)
    except TimeoutError:
        raise Busy from None
    try:
        yield
    finally:
        pages.release()


async def delete_parcels(request: web.Request) -> web.Response:
    """`POST .../parcels/delete`"""
    vault = vault_of(request)
    await require_member(request, vault)
    hashes = (await read_statement(request, DeleteParcels, MAX_DELETE_BODY)).hashes
    if len(hashes) > MAX_DELETED or any(len(hash_) != HASH_BYTES for hash_ in hashes):
        raise HttpRefusal(422, "parcel-hashes", f"Parcels are deleted by SHA-256, at most {MAX_DELETED} at a time.")
    await request.app[MAILBOXES].delete_parcels(vault, hashes)
    return web.Response(status=204)


def add_mailbox_routes(app: web.Application) -> None:
    mailbox = "/v1/vaults/{vault}/mailboxes/{mailbox}"
    app.add_routes(
        [
            web.put(mailbox, open_mailbox),
            web.delete(mailbox, delete_mailbox),
            web.get("/v1/vaults/{vault}/parcels", list_parcels),
            web.post("/v1/vaults/{vault}/parcels/delete", delete_parcels),
        ]
    )
