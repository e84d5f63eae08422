"""What routes need of a request: the vault in its path, its member, its decoded body."""

from __future__ import annotations

import binascii
from typing import TypeVar

from aiohttp import web

from kith_protocol.encoding import Statement, decode
from kith_protocol.suite import HASH_BYTES
from kith_protocol.wire import TOKEN_BYTES
from kith_server.bodies import SMALL
from kith_server.errors import HttpRefusal, no_session, not_found
from kith_server.keys import BODIES, LIMITS, SESSIONS
from kith_server.limits import admit

T = TypeVar("T", bound=Statement)


def vault_of(request: web.Request) -> bytes:
    """The vault that the path names. Raises `HttpRefusal` 404."""
    return path_bytes(request, "vault", HASH_BYTES)


def path_bytes(request: web.Request, name: str, size: int) -> bytes:
    """The bytes that the path names as `{name}` in lower-case hex. Raises `HttpRefusal` 404."""
    try:
        found = bytes.fromhex(request.match_info[name])
    except ValueError:
        raise not_found(name) from None
    if len(found) != size or found.hex() != request.match_info[name]:
        raise not_found(name)
    return found


def bearer_token(request: web.Request) -> bytes:
    """The token that the request carries. Raises `HttpRefusal` 401."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    try:
        token = binascii.unhexlify(text.strip())
    except ValueError:
        token = b""
    if scheme.lower() != "bearer" or len(token) != TOKEN_BYTES:
        raise no_session()
    return token


async def require_member(request: web.Request, vault: bytes) -> bytes:
    """The id of the member of `vault` that sent the request. Raises `HttpRefusal` 401, `TooManyRequests`."""
    try:
        return await request.app[SESSIONS].member(vault, bearer_token(request))
    except HttpRefusal as error:
        if error.status == 401:
            admit(request, request.app[LIMITS].refused)
        raise


async def read_statement(request: web.Request, kind: type[T], limit: int = SMALL) -> T:
    """The body, decoded, for bodies that are small enough to be decoded on the event loop.

    Raises `DecodingError` and what `Bodies.read` raises.
    """
    async with request.app[BODIES].read(request, limit) as body:
        return decode(body, kind)


def query_bytes(request: web.Request, name: str, size: int) -> bytes:
    """Bytes of the query in hex; `size` zeros where the parameter is missing. Raises `HttpRefusal` 400."""
    try:
        found = bytes.fromhex(request.query.get(name, bytes(size).hex()))
    except ValueError:
        found = b""
    if len(found) != size:
        raise HttpRefusal(400, "bad-request", f"The parameter {name} has to be {size} bytes in hex.")
    return found


def query_number(request: web.Request, name: str, default: int | None = None) -> int:
    """A whole number of the query. Raises `HttpRefusal` 400 where it is missing or none."""
    text = request.query.get(name, "" if default is None else str(default))
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 16:
        raise HttpRefusal(400, "bad-request", f"The parameter {name} has to be a whole number.")
    return int(text)
