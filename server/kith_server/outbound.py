"""The only way in which this server reaches out: to other servers, over HTTPS, at public addresses (spec: gateway.md).

Addresses are checked when the socket connects, so that no name can be turned to an inner address after the check.
What is sent, when it is tried again, and what an answer means are the relay's business.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Any, Final

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver

from kith_protocol.errors import Fault, KithError, Refused
from kith_protocol.host import parse_host
from kith_server.addresses import is_public
from kith_server.config import Federation
from kith_server.resolver import PooledResolver

STATEMENT_PATH: Final = "/.well-known/kith"
GATEWAY_PATH: Final = "/v1/gateway"
MAX_STATEMENT_BYTES: Final = 50 * 1024
MAX_ANSWER_BYTES: Final = 1024 * 1024
DEADLINE_SECONDS: Final = 10.0
"""For everything together: resolving, connecting, TLS, sending, and reading to the end."""
MAX_CONNECTIONS: Final = 64
MAX_CONNECTIONS_PER_HOST: Final = 4

_TRY_LATER: Final = frozenset({408, 425, 429})
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "kithbook"}


class Reason(StrEnum):
    """Why a request was refused or failed."""

    HOST = "host"
    """The text is no host, or it is an IP address that settings do not allow."""
    ADDRESS = "address"
    """The host leads to addresses that are not public."""
    REDIRECT = "redirect"
    """The server answered with another place; we go only where we meant to go."""
    TOO_LARGE = "too-large"
    ENCODED = "encoded"
    """The answer is compressed although that was not offered."""
    STATUS = "status"
    TLS = "tls"
    CONNECTION = "connection"
    """It does not resolve, does not accept connections, or hung up."""
    DEADLINE = "deadline"


class OutboundRefused(KithError):
    """A rule forbids the request or its answer; the same request will not do better soon."""

    code = "outbound-refused"

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class OutboundUnreachable(KithError):
    """The other server could not be reached or did not answer properly; later may be better."""

    code = "destination-unreachable"
    fault = Fault.SERVER

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _AddressRefused(OSError):
    """Raised in place of a connection. One text for all addresses, so that it survives where several are tried."""

    def __init__(self) -> None:
        super().__init__("the address is not public")


class Outbound:
    """Requests to other servers under the rules of `settings`.

    `resolver` and `tls` are for tests and unusual networks: how names resolve, and which certificates count.
    Use inside a running event loop; close it, or use it as an async context manager.
    """

    def __init__(
        self,
        settings: Federation,
        *,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
        deadline: float = DEADLINE_SECONDS,
    ) -> None:
        self._settings = settings
        self._resolver = resolver
        self._own_resolver: AbstractResolver | None = None
        # Reads the system's certificates, for some 20 ms: here rather than in the middle of serving.
        self._tls = tls or ssl.create_default_context()
        self._deadline = deadline
        self._session: aiohttp.ClientSession | None = None

    async def get_statement(self, host: str) -> bytes:
        """The signed statement that the server at `host` publishes, as it travelled, at most 50 KiB.

        Raises `OutboundRefused` and `OutboundUnreachable`.
        """
        return await self._fetch("GET", host, STATEMENT_PATH, None, MAX_STATEMENT_BYTES)

    async def post_gateway(self, host: str, body: bytes) -> bytes:
        """Hands the sealed request `body` to the gateway at `host`; its sealed answer, at most 1 MiB.

        Raises `OutboundRefused` and `OutboundUnreachable`.
        """
        return await self._fetch("POST", host, GATEWAY_PATH, body, MAX_ANSWER_BYTES)

    async def close(self) -> None:
        """Drops all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._own_resolver is not None:
            await self._own_resolver.close()
            self._resolver = self._own_resolver = None

    async def __aenter__(self) -> Outbound:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _fetch(self, method: str, host: str, path: str, body: bytes | None, limit: int) -> bytes:
        url = self._url(host, path)
        headers = _HEADERS if body is None else {**_HEADERS, "Content-Type": "application/octet-stream"}
        try:
            async with (
                asyncio.timeout(self._deadline),
                self._open().request(method, url, data=body, headers=headers, allow_redirects=False) as response,
            ):
                return await _read(response, limit)
        except TimeoutError:
            raise OutboundUnreachable(Reason.DEADLINE, "The other server did not answer in time.") from None
        except (aiohttp.ClientSSLError, ssl.SSLError):
            raise OutboundUnreachable(Reason.TLS, "The other server's certificate or TLS is not in order.") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _connection_error(error) from None

    def _url(self, host: str, path: str) -> yarl.URL:
        try:
            normal = parse_host(host)
        except Refused as error:
            raise OutboundRefused(Reason.HOST, str(error)) from None
        # `parse_host` guarantees the shape, so this cannot move user names or paths into the URL.
        url = yarl.URL(f"https://{normal}{path}")
        literal = _ip_literal(url.host or "")
        if literal is not None and not self._settings.allows(literal):
            raise OutboundRefused(Reason.HOST, "A server is named by its name; this IP address is not allowed here.")
        if self._settings.plain_http(normal):
            return yarl.URL(f"http://{normal}{path}")
        return url

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            if self._resolver is None:
                self._resolver = self._own_resolver = PooledResolver()
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                socket_factory=self._socket_factory(),
                ssl=self._tls,
                limit=MAX_CONNECTIONS,
                limit_per_host=MAX_CONNECTIONS_PER_HOST,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=self._deadline),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _socket_factory(self) -> Callable[[tuple[Any, ...]], socket.socket]:
        def connect_only_where_allowed(info: tuple[Any, ...]) -> socket.socket:
            family, kind, proto, _, target = info
            address = ipaddress.ip_address(str(target[0]))
            if not (is_public(address) or self._settings.allows(address)):
                raise _AddressRefused
            return socket.socket(family, kind, proto)

        return connect_only_where_allowed


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body of `response`, if it is what we asked for; nothing past `limit` is kept in memory."""
    try:
        _check_head(response, limit)
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise _too_large()
    except KithError:
        response.close()
        raise
    return bytes(body)


def _check_head(response: aiohttp.ClientResponse, limit: int) -> None:
    status = response.status
    if 300 <= status < 400:
        raise OutboundRefused(Reason.REDIRECT, "The other server points elsewhere; redirects are not followed.")
    if status >= 500 or status in _TRY_LATER:
        raise OutboundUnreachable(Reason.STATUS, f"The other server answered with status {status}.")
    if status != 200:
        raise OutboundRefused(Reason.STATUS, f"The other server answered with status {status}.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise OutboundRefused(Reason.ENCODED, "The other server's answer is compressed, which is not allowed.")
    if (response.content_length or 0) > limit:
        raise _too_large()


def _too_large() -> OutboundRefused:
    return OutboundRefused(Reason.TOO_LARGE, "The other server's answer is larger than allowed.")


def _connection_error(error: Exception) -> KithError:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, _AddressRefused):
        return OutboundRefused(Reason.ADDRESS, "The host leads to an address that is not on the public internet.")
    return OutboundUnreachable(Reason.CONNECTION, "The other server could not be reached, or hung up.")


def _ip_literal(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
