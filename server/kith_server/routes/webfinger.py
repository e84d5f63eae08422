"""WebFinger (RFC 7033): tells other software that somebody can be found here by a handle (spec: directory.md).

It gives the address only, never the invite behind it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from kith_protocol.errors import Refused
from kith_protocol.handle import Address, handle_id, parse_address
from kith_server.errors import HttpRefusal, TooManyRequests, not_found
from kith_server.keys import CONFIG
from kith_server.limits import network_of
from kith_server.mail_keys import DIRECTORY

CONTENT_TYPE: Final = "application/jrd+json"
REL_ADDRESS: Final = "kith:address"
"""The link that Kithbook understands; its `href` is what `kith accept` takes."""
REL_PAGE: Final = "http://webfinger.net/rel/profile-page"
CORS: Final = {"Access-Control-Allow-Origin": "*"}
"""RFC 7033, 5: pages of others may read it. Nothing else of this server may be read by them."""

_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*:.+", re.ASCII | re.IGNORECASE | re.DOTALL)
_SCHEMES: Final = ("acct:", "kith:", "https:")


async def webfinger(request: web.Request) -> web.Response:
    """`GET /.well-known/webfinger?resource=acct:anna@anna.example`"""
    try:
        found = await _look_up(request)
    except HttpRefusal as error:
        # Other software asks here, and people with a browser: the reason is plain text, not a `Failure`.
        later = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        return web.Response(status=error.status, text=f"{error}\n", headers={**CORS, **later})
    body = json.dumps(_document(found, request.app[CONFIG].url, request.query.getall("rel", [])))
    return web.Response(text=body, content_type=CONTENT_TYPE, headers=CORS)


async def _look_up(request: web.Request) -> Address:
    """The address that is asked for. Raises `HttpRefusal`: 400, 429, and 404 for whoever is not to be found."""
    resources = request.query.getall("resource", [])
    if len(resources) != 1 or not _URI.fullmatch(resources[0]):
        raise HttpRefusal(400, "bad-request", "Say whom: ?resource=acct:NAME@HOST, once.")
    directory = request.app[DIRECTORY]
    if wait := directory.wait(network_of(request)):
        raise TooManyRequests(math.ceil(wait))
    address = _address(resources[0], request.app[CONFIG].host)
    # What nobody can be called is looked up as well, so that it takes as long.
    found = await directory.find(handle_id(address.handle if address else ""))
    if found is None or address is None:
        raise not_found("person")
    return address


def _address(resource: str, host: str) -> Address | None:
    try:
        address = parse_address(resource)
    except Refused:
        return None
    return address if resource.lower().startswith(_SCHEMES) and address.host == host else None


def _document(address: Address, origin: str, rels: list[str]) -> Mapping[str, Any]:
    """Only the links whose `rel` was asked for, all of them where none was (RFC 7033, 4.3)."""
    page = f"{origin}/@{address.handle}"
    links = [{"rel": REL_ADDRESS, "href": f"kith:{address}"}, {"rel": REL_PAGE, "type": "text/html", "href": page}]
    return {
        "subject": f"acct:{address}",
        "aliases": [f"kith:{address}", page],
        "links": [link for link in links if not rels or link["rel"] in rels],
    }


def add_webfinger_route(app: web.Application) -> None:
    app.router.add_get("/.well-known/webfinger", webfinger)
