"""Device linking: messages left under a nameplate, without a session on the new device's side (`rendezvous`)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from kith_protocol.wire import CONTENT_TYPE, MAX_RENDEZVOUS_BYTES, RENDEZVOUS_MESSAGES, Purpose
from kith_server.errors import HttpRefusal, not_found
from kith_server.keys import BODIES, LIMITS, RENDEZVOUS
from kith_server.limits import admit
from kith_server.middleware import answer
from kith_server.rendezvous import SIDES, WRONG_GUESS, knows_not
from kith_server.requests import query_number, require_member, vault_of

MAX_WAIT_SECONDS: Final = 25

_PLACE: Final = "/v1/rendezvous/{purpose}/{nameplate}/{side}/{index}"


def add_rendezvous_routes(app: web.Application) -> None:
    """Adds the routes."""
    app.router.add_post("/v1/vaults/{vault}/rendezvous/{purpose}", _open)
    app.router.add_put(_PLACE, _put)
    app.router.add_get(_PLACE, _get, allow_head=False)
    app.router.add_delete("/v1/rendezvous/{purpose}/{nameplate}", _burn)


async def _open(request: web.Request) -> web.Response:
    vault = vault_of(request)
    await require_member(request, vault)
    return answer(request.app[RENDEZVOUS].open(vault, _purpose(request)))


async def _put(request: web.Request) -> web.Response:
    purpose, nameplate, side, index = _place(request)
    async with request.app[BODIES].read(request, MAX_RENDEZVOUS_BYTES) as body:
        with _Guess(request):
            request.app[RENDEZVOUS].put(purpose, nameplate, side, index, bytes(body))
    return web.Response(status=204)


async def _get(request: web.Request) -> web.Response:
    purpose, nameplate, side, index = _place(request)
    seconds = min(max(query_number(request, "wait", 0), 0), MAX_WAIT_SECONDS)
    with _Guess(request):
        message = await request.app[RENDEZVOUS].get(purpose, nameplate, side, index, seconds)
    if message is None:
        return web.Response(status=204)
    return web.Response(body=message, content_type=CONTENT_TYPE)


async def _burn(request: web.Request) -> web.Response:
    admit(request, request.app[LIMITS].rendezvous)
    with _Guess(request):
        request.app[RENDEZVOUS].burn(_purpose(request), request.match_info["nameplate"])
    return web.Response(status=204)


def _purpose(request: web.Request) -> Purpose:
    try:
        return Purpose(request.match_info["purpose"])
    except ValueError:
        raise not_found("place") from None


def _place(request: web.Request) -> tuple[Purpose, str, str, int]:
    admit(request, request.app[LIMITS].rendezvous)
    side, index = request.match_info["side"], request.match_info["index"]
    if side not in SIDES or index not in map(str, range(RENDEZVOUS_MESSAGES)):
        raise not_found("place")
    return _purpose(request), request.match_info["nameplate"], side, int(index)


class _Guess:
    """Around the use of a nameplate: one that is not known costs its sender more."""

    def __init__(self, request: web.Request) -> None:
        self._request = request

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, HttpRefusal) and knows_not(error):
            admit(self._request, self._request.app[LIMITS].rendezvous, WRONG_GUESS)
