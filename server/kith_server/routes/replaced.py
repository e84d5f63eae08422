"""What was replaced or deleted, for the paper key alone (spec: home-server.md)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from kith_protocol.commit import RECORD_ID_BYTES
from kith_protocol.wire import ReplacedPage, ReplacedRecord
from kith_server.errors import HttpRefusal
from kith_server.keys import VAULTS
from kith_server.middleware import answer
from kith_server.requests import query_bytes, query_number, require_member, vault_of
from kith_server.storage.interface import Cursor

PAGE_BYTES: Final = 1024 * 1024


def add_replaced_route(app: web.Application) -> None:
    """Adds the route."""
    app.router.add_get("/v1/vaults/{vault}/replaced", _replaced, allow_head=False)


async def _replaced(request: web.Request) -> web.Response:
    vault = vault_of(request)
    member = await require_member(request, vault)
    vaults = request.app[VAULTS]
    if member != (await vaults.state(vault)).paper:
        # A device that was stolen must not learn what its owner deleted before the thief could read it.
        raise HttpRefusal(403, "paper-key-only", "Only the recovery phrase gives access to what was deleted.")
    after = Cursor(query_number(request, "after", 0), query_bytes(request, "record", RECORD_ID_BYTES))
    found = await vaults.store.replaced(vault, after, PAGE_BYTES)
    return answer(ReplacedPage(tuple(ReplacedRecord(r.number, r.record, r.written, r.sealed) for r in found)))
