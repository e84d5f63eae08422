"""Reaching out: against real servers on loopback, well-behaved and hostile."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
import trustme
import uvloop
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from kith_server.config import Federation
from kith_server.outbound import (
    MAX_ANSWER_BYTES,
    MAX_STATEMENT_BYTES,
    Outbound,
    OutboundRefused,
    OutboundUnreachable,
    Reason,
)
from kith_server.resolver import PooledResolver

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOOPBACK = (ip_network("127.0.0.0/8"),)


class Names(AbstractResolver):
    """A name service under the test's control: each call answers with the next addresses of the list."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing to close."""


class Tls:
    """A certificate authority, a server's certificate for `kith.test`, and a client that trusts the authority."""

    def __init__(self, name: str = "kith.test") -> None:
        authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self.server)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A real server on a free port of 127.0.0.1 that answers every request with `handler`; gives the port."""
    app = web.Application(client_max_size=2 << 20)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(raw: bytes, pause: float = 0.0) -> AsyncIterator[int]:
    """A server on loopback that reads a little, then writes `raw`, a byte at a time where there is a `pause`."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        try:
            for part in [raw[i : i + 1] for i in range(len(raw))] if pause else [raw]:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def plain(*hosts: str) -> Federation:
    return Federation(also_allow=LOOPBACK, plain_http_hosts=hosts or ("127.0.0.1", "kith.test"))


async def hello(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"hello")


async def refused(outbound: Outbound, host: str) -> Reason:
    """The reason why both requests to `host` are refused."""
    with pytest.raises(OutboundRefused) as first:
        await outbound.get_statement(host)
    with pytest.raises(OutboundRefused) as second:
        await outbound.post_gateway(host, b"sealed")
    assert first.value.reason is second.value.reason
    return first.value.reason


# What works


async def test_a_statement_and_an_answer_come_back_over_https() -> None:
    seen: list[tuple[str, str, bytes, str]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, request.path, await request.read(), request.headers["Accept-Encoding"]))
        return web.Response(body=b"answer %d" % len(seen))

    tls = Tls()
    async with (
        serving(handler, tls.server) as port,
        Outbound(Federation(also_allow=LOOPBACK), resolver=Names(["127.0.0.1"]), tls=tls.client) as outbound,
    ):
        assert await outbound.get_statement(f"kith.test:{port}") == b"answer 1"
        assert await outbound.post_gateway(f"kith.test:{port}", b"sealed") == b"answer 2"
    assert seen == [
        ("GET", "/.well-known/kith", b"", "identity"),
        ("POST", "/v1/gateway", b"sealed", "identity"),
    ]


def test_it_works_on_uvloop_too() -> None:
    async def main() -> None:
        async with serving(hello) as port, Outbound(plain("127.0.0.1", "localhost")) as outbound:
            assert await outbound.get_statement(f"127.0.0.1:{port}") == b"hello"
            assert await outbound.get_statement(f"localhost:{port}") == b"hello"
        async with Outbound(Federation(), resolver=Names(["127.0.0.1", "::1"])) as outbound:
            assert await refused(outbound, "kith.test") is Reason.ADDRESS

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def test_a_session_is_made_again_after_close() -> None:
    outbound = Outbound(plain("localhost"))
    for _ in range(2):
        async with serving(hello) as port:
            assert await outbound.get_statement(f"localhost:{port}") == b"hello"
        await outbound.close()
    await outbound.close()


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_of_exactly_the_limit_is_read(chunked: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        size = MAX_ANSWER_BYTES if request.method == "POST" else MAX_STATEMENT_BYTES
        response = web.Response(body=b"x" * size)
        if chunked:
            response.enable_chunked_encoding()
        return response

    async with serving(handler) as port, Outbound(plain()) as outbound:
        assert len(await outbound.get_statement(f"127.0.0.1:{port}")) == MAX_STATEMENT_BYTES
        assert len(await outbound.post_gateway(f"127.0.0.1:{port}", b"sealed")) == MAX_ANSWER_BYTES


# Where it does not go


@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            " ",
            "user@kith.test",
            "user:word@kith.test",
            "kith.test/",
            "kith.test/path",
            "kith.test?x",
            "kith.test#x",
        ),
        *("https://kith.test", "kith.test:", "kith.test:0", "kith.test:65536", "kith.test:http", "kith..test", ".test"),
        *("kith.test.", "kith test", "kith.test\r\nHost: a", "kith.test\x00", "kith%2etest", "-a.test", "a_b.test"),
        *("127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "127.0.0.1.", "::1", "[::1", "[::1]x"),
        *("[fe80::1%25eth0]", "[fe80::1%eth0]", "käse.test", "127。0。0。1", "a" * 64 + ".test", "a." * 200 + "test"),
    ],
)
async def test_an_odd_host_is_refused_before_anything_is_looked_up(host: str) -> None:
    names = Names(["127.0.0.1"])
    async with Outbound(plain("kith.test"), resolver=names) as outbound:
        assert await refused(outbound, host) is Reason.HOST
    assert names.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "8.8.8.8", "[::1]", "[::ffff:127.0.0.1]", "[2a00::1]:443"])
async def test_an_ip_address_as_host_is_refused(host: str) -> None:
    async with Outbound(Federation()) as outbound:
        assert await refused(outbound, host) is Reason.HOST


async def test_an_ip_address_outside_also_allow_is_refused_even_where_plain_http_names_it() -> None:
    async with serving(hello) as port:
        settings = Federation(also_allow=(ip_network("127.0.0.0/31"),), plain_http_hosts=("127.0.0.1", "127.0.0.2"))
        async with Outbound(settings) as outbound:
            assert await outbound.get_statement(f"127.0.0.1:{port}") == b"hello"
            assert await refused(outbound, f"127.0.0.2:{port}") is Reason.HOST


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["127.0.0.1", "::1"], ["10.0.0.1", "169.254.169.254"], ["64:ff9b::7f00:1"], ["0.0.0.0"]],
)
async def test_a_name_that_leads_inside_is_refused(addresses: list[str]) -> None:
    reached: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        reached.append(request.path)
        return await hello(request)

    async with (
        serving(handler) as port,
        Outbound(Federation(plain_http_hosts=("kith.test",)), resolver=Names(addresses)) as outbound,
    ):
        assert await refused(outbound, f"kith.test:{port}") is Reason.ADDRESS
    assert reached == []


async def test_a_name_that_turns_inside_after_the_first_answer_is_refused() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    settings = Federation(also_allow=(ip_network("127.0.0.1/32"),), plain_http_hosts=("kith.test", "other.test"))
    async with serving(hello) as port, Outbound(settings, resolver=names) as outbound:
        assert await outbound.get_statement(f"kith.test:{port}") == b"hello"
        assert await refused(outbound, f"other.test:{port}") is Reason.ADDRESS


async def test_a_redirect_is_not_followed() -> None:
    paths: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with serving(handler) as port, Outbound(plain()) as outbound:
        assert await refused(outbound, f"127.0.0.1:{port}") is Reason.REDIRECT
    assert paths == ["/.well-known/kith", "/v1/gateway"]


async def test_proxies_from_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async def proxy(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"through a proxy")

    async with serving(proxy) as proxy_port, serving(hello) as port:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy_port}")
        async with Outbound(plain()) as outbound:
            assert await outbound.get_statement(f"127.0.0.1:{port}") == b"hello"


# TLS


async def test_plain_http_is_not_spoken_to_a_host_that_settings_do_not_name() -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1024))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = plain(f"127.0.0.1:{port + 1 if port < 65535 else 1}")
    async with server, Outbound(settings) as outbound:
        with pytest.raises(OutboundUnreachable):
            await outbound.post_gateway(f"127.0.0.1:{port}", b"sealed")
    assert heard
    assert heard[0][:1] == b"\x16", "a TLS handshake and nothing else"


@pytest.mark.parametrize("case", ["stranger", "wrong name"])
async def test_a_certificate_that_does_not_verify_is_refused(case: str) -> None:
    tls = Tls("other.test" if case == "wrong name" else "kith.test")
    client = tls.client if case == "wrong name" else None
    async with (
        serving(hello, tls.server) as port,
        Outbound(Federation(also_allow=LOOPBACK), resolver=Names(["127.0.0.1"]), tls=client) as outbound,
    ):
        with pytest.raises(OutboundUnreachable) as caught:
            await outbound.get_statement(f"kith.test:{port}")
    assert caught.value.reason is Reason.TLS


# Answers that are not what was asked for


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_that_is_too_large_is_cut_off(chunked: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        size = MAX_ANSWER_BYTES if request.method == "POST" else MAX_STATEMENT_BYTES
        response = web.Response(body=b"x" * (size + 1))
        if chunked:
            response.enable_chunked_encoding()
        return response

    async with serving(handler) as port, Outbound(plain()) as outbound:
        assert await refused(outbound, f"127.0.0.1:{port}") is Reason.TOO_LARGE


async def test_an_answer_without_end_is_cut_off_at_the_limit() -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)
            sent += 65536

    async with serving(handler) as port, Outbound(plain()) as outbound:
        with pytest.raises(OutboundRefused) as caught:
            await outbound.post_gateway(f"127.0.0.1:{port}", b"sealed")
        assert caught.value.reason is Reason.TOO_LARGE
        assert sent < 64 << 20


async def test_a_compressed_answer_is_not_decoded() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(b"x" * (10 << 20)), headers={"Content-Encoding": "gzip"})

    async with serving(handler) as port, Outbound(plain()) as outbound:
        assert await refused(outbound, f"127.0.0.1:{port}") is Reason.ENCODED


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 413])
async def test_a_status_that_will_not_mend_itself_is_refused(status: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with serving(handler) as port, Outbound(plain()) as outbound:
        assert await refused(outbound, f"127.0.0.1:{port}") is Reason.STATUS


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
async def test_a_status_that_may_pass_means_later(status: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with serving(handler) as port, Outbound(plain()) as outbound:
        with pytest.raises(OutboundUnreachable) as caught:
            await outbound.get_statement(f"127.0.0.1:{port}")
    assert caught.value.reason is Reason.STATUS


# Servers that are slow, broken or gone


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500, id="in the head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500, id="in the body"),
    ],
)
async def test_a_server_that_drips_hits_the_deadline(raw: bytes) -> None:
    async with speaking(raw, pause=0.02) as port, Outbound(plain(), deadline=0.5) as outbound:
        started = time.monotonic()
        with pytest.raises(OutboundUnreachable) as caught:
            await outbound.get_statement(f"127.0.0.1:{port}")
    assert caught.value.reason is Reason.DEADLINE
    assert 0.4 < time.monotonic() - started < 3


async def test_a_name_service_that_hangs_hits_the_deadline() -> None:
    class Hangs(Names):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            await asyncio.sleep(60)
            return []

    async with Outbound(Federation(), resolver=Hangs(), deadline=0.2) as outbound:
        with pytest.raises(OutboundUnreachable) as caught:
            await outbound.get_statement("kith.test")
    assert caught.value.reason is Reason.DEADLINE


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_a_server_that_does_not_speak_http_properly_counts_as_unreachable(raw: bytes) -> None:
    async with speaking(raw) as port, Outbound(plain()) as outbound:
        with pytest.raises(OutboundUnreachable) as caught:
            await outbound.get_statement(f"127.0.0.1:{port}")
    assert caught.value.reason is Reason.CONNECTION


async def test_a_server_that_is_gone_counts_as_unreachable() -> None:
    async with serving(hello) as port:
        pass
    async with Outbound(plain()) as outbound:
        with pytest.raises(OutboundUnreachable) as caught:
            await outbound.post_gateway(f"127.0.0.1:{port}", b"sealed")
    assert caught.value.reason is Reason.CONNECTION


async def test_a_name_that_does_not_exist_counts_as_unreachable() -> None:
    async with Outbound(Federation()) as outbound:
        with pytest.raises(OutboundUnreachable) as caught:
            await outbound.get_statement("kith.invalid")
    assert caught.value.reason is Reason.CONNECTION


async def test_errors_do_not_repeat_what_was_sent_or_where_a_name_leads() -> None:
    async with Outbound(Federation(), resolver=Names(["10.11.12.13"])) as outbound:
        with pytest.raises(OutboundRefused) as caught:
            await outbound.post_gateway("kith.test", b"sealed")
    assert "10.11.12.13" not in str(caught.value)
    assert "sealed" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_lookups_run_on_threads_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(*_: object, **__: object) -> list[object]:
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    resolver = PooledResolver()
    lookups = [asyncio.create_task(resolver.resolve(f"{n}.test")) for n in range(40)]
    await asyncio.sleep(0.05)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 5) == "free"
    release.set()
    assert await asyncio.gather(*lookups) == [[]] * 40
    await resolver.close()


async def test_a_name_that_cannot_even_be_asked_for_is_an_error_of_the_lookup() -> None:
    resolver = PooledResolver()
    with pytest.raises(OSError, match="cannot be looked up"):
        await resolver.resolve("a" * 64 + ".test")
    await resolver.close()
