"""What surrounds every request: errors become `Failure`s, headers are set, and one line is logged."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web
from aiohttp.hdrs import METH_ALL
from aiohttp.typedefs import Handler

from kith_protocol.encoding import Statement, encode
from kith_protocol.errors import KithError
from kith_protocol.wire import CONTENT_TYPE, Failure
from kith_server.errors import HttpRefusal, status_of
from kith_server.logs import describe

SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""A route may set its own instead."""

_log: Final = structlog.get_logger()


def answer(statement: Statement, status: int = 200) -> web.Response:
    """A statement as the body of an answer."""
    return web.Response(status=status, body=encode(statement), content_type=CONTENT_TYPE)


def failure(status: int, code: str, message: str, *, retry_after: int = 0) -> web.Response:
    """The answer to what did not succeed."""
    response = answer(Failure(code, message), status)
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


@web.middleware
async def surround(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Runs the handler; whatever it raises becomes an answer. Logs method, route, status and milliseconds."""
    began = time.monotonic()
    response = await _attempt(request, handler)
    resource = request.match_info.route.resource
    _log.info(
        "request",
        method=request.method if request.method in METH_ALL else "other",
        route=resource.canonical if resource else "none",
        status=response.status,
        ms=round((time.monotonic() - began) * 1000, 1),
    )
    return response


async def set_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Sets the security headers that the route did not set, and hides versions."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "kith"


async def _attempt(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except KithError as error:
        retry_after = error.retry_after if isinstance(error, HttpRefusal) else 0
        return failure(status_of(error), error.code, str(error), retry_after=retry_after)
    except web.HTTPException as error:
        return failure(error.status, "not-found" if error.status == 404 else "bad-request", error.reason)
    except (ConnectionError, web.RequestPayloadError):
        return failure(400, "broken-off", "The request broke off.")
    except Exception as error:  # noqa: BLE001 (the last border: logged, and answered without detail)
        _log.error("unexpected", **describe(error))
        return failure(500, "internal", "The server made a mistake; its operator finds it in the log.")
