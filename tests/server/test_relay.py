"""The relay with two real servers: delivery, a destination that is down, restarts, and destinations that misbehave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from kith_protocol.gateway import PutStatus
from kith_protocol.padding import CLASSES
from kith_protocol.server_statement import verify_server_statement
from kith_protocol.wire import RelayRequest, RelayState
from kith_server.config import Federation, Quotas
from kith_server.keys import LIMITS
from kith_server.limits import Buckets
from kith_server.mail import expire
from kith_server.mail_keys import MAILBOXES, RELAYED
from kith_server.relay.destination import FIRST_DELAY, FORCE_INTERVAL
from kith_server.relay.queue import GIVE_UP_AFTER, SWEEP_INTERVAL
from kith_server.relay.statements import FRESH, FRESH_FAILURE
from tests.support.mail_world import Person, Sealed, Site, free_port, parcel_of, put_of, sealed, sites

Pair = tuple[Site, Site]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Anna's server and Bob's."""
    async with sites(tmp_path, "anna", "bob", quotas=Quotas(waiting_requests=5)) as (anna, bob):
        yield anna, bob


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def odd_server(port: int, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Something else than a Kithbook server, on `port`."""
    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def put_for_bob(bob: Site, text: str = "hello") -> tuple[Person, Sealed]:
    owner = await bob.join()
    mailbox = await owner.open_mailbox()
    return owner, await sealed(bob, put_of(mailbox, 1, 1, parcel_of(text)))


async def test_a_parcel_goes_through_my_server_to_the_other_and_the_receipt_comes_back(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (bob, request) = await anna_site.join(), await put_for_bob(bob_site)
    answer = await anna.relay(request, bob_site.host)
    assert (answer.state, answer.reason) == (RelayState.ANSWERED, "")
    assert request.receipt(answer.answer) is PutStatus.STORED
    assert [stored.parcel for stored in (await bob.parcels()).parcels] == [parcel_of("hello")]


async def test_peers_on_the_same_server_take_the_same_path_and_its_own_limit_does_not_stop_them(tmp_path: Path) -> None:
    async with sites(tmp_path, "home") as (home,):
        anna, (bob, request) = await home.join(), await put_for_bob(home)
        object.__setattr__(home.app[LIMITS], "gateway", Buckets(rate=1e-6, burst=1e-6))
        assert (await home.ask("POST", "/v1/gateway", request.raw)).status == 429
        answer = await anna.relay(request, home.host)
        assert request.receipt(answer.answer) is PutStatus.STORED
        assert len((await bob.parcels()).parcels) == 1
        assert (await home.ask("POST", "/v1/gateway", request.raw)).status == 429


async def test_the_answer_is_kept_until_it_is_deleted_and_handing_over_again_sends_nothing(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (_, request) = await anna_site.join(), await put_for_bob(bob_site)
    first = await anna.relay(request, bob_site.host)
    await bob_site.stop()
    assert await anna.relay(request, bob_site.host) == first
    assert await anna.relayed(request) == first
    assert (await anna.ask("DELETE", f"/relay/{request.hash.hex()}")).status == 204
    assert (await anna.ask("GET", f"/relay/{request.hash.hex()}")).status == 404
    assert (await anna.ask("DELETE", f"/relay/{request.hash.hex()}")).status == 204


async def test_a_request_waits_for_a_destination_that_is_down_and_arrives_once_when_it_is_back(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (bob, request) = await anna_site.join(), await put_for_bob(bob_site)
    await bob_site.stop()
    began = time.monotonic()
    queued = await anna.relay(request, bob_site.host)
    assert queued.state is RelayState.QUEUED
    assert "could not be reached" in queued.reason
    assert time.monotonic() - began < 3, "a refused connection is not waited for"
    await bob_site.start()
    anna_site.clock.ahead += FIRST_DELAY

    async def answered() -> bool:
        return (await anna.relayed(request)).state is RelayState.ANSWERED

    await until(answered)
    assert request.receipt((await anna.relayed(request)).answer) is PutStatus.STORED
    assert len((await bob.parcels()).parcels) == 1


async def test_handing_over_again_tries_at_once_though_its_time_has_not_come(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (_, request) = await anna_site.join(), await put_for_bob(bob_site)
    await bob_site.stop()
    assert (await anna.relay(request, bob_site.host)).state is RelayState.QUEUED
    await bob_site.start()
    answer = await anna.relay(request, bob_site.host)
    assert request.receipt(answer.answer) is PutStatus.STORED


async def test_a_client_that_repeats_itself_does_not_hammer_the_destination(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (_, request) = await anna_site.join(), await put_for_bob(bob_site)
    knocks = 0

    async def broken(_: web.Request) -> web.StreamResponse:
        nonlocal knocks
        knocks += 1
        return web.Response(status=500)

    await bob_site.stop()
    async with odd_server(bob_site.port, broken) as host:
        for _ in range(20):
            assert (await anna.relay(request, host)).state is RelayState.QUEUED
        assert knocks == 2, "once as new, once more because it was asked for"
        anna_site.clock.ahead += FORCE_INTERVAL
        await anna.relay(request, host)
        assert knocks == 3


async def test_queued_requests_survive_a_restart_of_my_server(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (bob, request) = await anna_site.join(), await put_for_bob(bob_site)
    await bob_site.stop()
    await anna.relay(request, bob_site.host)
    await anna_site.stop()
    await bob_site.start()
    anna_site.clock.ahead += FIRST_DELAY
    await anna_site.start()

    async def answered() -> bool:
        return (await anna.relayed(request)).state is RelayState.ANSWERED

    await until(answered)
    assert len((await bob.parcels()).parcels) == 1


async def test_a_request_that_was_under_way_when_my_server_stopped_is_sent_again_and_stored_once(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (bob, request) = await anna_site.join(), await put_for_bob(bob_site)
    await bob_site.stop()
    arrived = asyncio.Event()

    async def never_answers(_: web.Request) -> web.StreamResponse:
        arrived.set()
        await asyncio.sleep(60)
        return web.Response()

    async with odd_server(bob_site.port, never_answers) as host:
        asking = asyncio.create_task(anna.relay(request, host))
        await arrived.wait()
        await anna_site.stop()
        await asyncio.gather(asking, return_exceptions=True)
    await bob_site.start()
    await anna_site.start()

    async def answered() -> bool:
        return (await anna.relayed(request)).state is RelayState.ANSWERED

    await until(answered)
    assert len((await bob.parcels()).parcels) == 1


async def test_a_client_waits_three_seconds_at_most_for_a_slow_destination(pair: Pair) -> None:
    anna_site, _ = pair
    anna, request = await anna_site.join(), Sealed(bytes(CLASSES[0]), bytes(32))

    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response(body=b"late".ljust(CLASSES[0]))

    async with odd_server(free_port(), slow) as host:
        began = time.monotonic()
        assert (await anna.relay(request, host)).state is RelayState.QUEUED
        assert 2.5 < time.monotonic() - began < 4.5

        async def answered() -> bool:
            return (await anna.relayed(request)).state is RelayState.ANSWERED

        await until(answered)
    assert (await anna.relayed(request)).answer.startswith(b"late")


async def test_a_destination_that_never_answers_does_not_hold_up_the_others(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (_, request) = await anna_site.join(), await put_for_bob(bob_site)

    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async with odd_server(free_port(), never) as host:
        waiting = [
            asyncio.create_task(anna.relay(Sealed(bytes([n]).ljust(CLASSES[0]), bytes(32)), host)) for n in range(4)
        ]
        await asyncio.sleep(0.2)
        began = time.monotonic()
        answer = await anna.relay(request, bob_site.host)
        assert request.receipt(answer.answer) is PutStatus.STORED
        assert time.monotonic() - began < 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await anna_site.stop()


ODD_ANSWERS: dict[str, Callable[[], web.StreamResponse]] = {
    "another status": lambda: web.Response(status=404, body=bytes(CLASSES[0])),
    "a redirect": lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "another size": lambda: web.Response(body=bytes(CLASSES[0] - 1)),
    "nothing": lambda: web.Response(),
    "too much": lambda: web.Response(body=bytes(2 * 1024 * 1024)),
    "compressed": lambda: web.Response(body=bytes(CLASSES[0]), headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("name", ODD_ANSWERS)
async def test_what_is_no_answer_of_a_gateway_is_not_taken_for_one(pair: Pair, name: str) -> None:
    anna_site, _ = pair
    anna, request = await anna_site.join(), Sealed(bytes(CLASSES[0]), bytes(32))

    async def odd(_: web.Request) -> web.StreamResponse:
        return ODD_ANSWERS[name]()

    async with odd_server(free_port(), odd) as host:
        answer = await anna.relay(request, host)
    assert (answer.state, answer.answer) == (RelayState.QUEUED, b"")
    assert answer.reason


async def test_a_request_is_given_up_after_fourteen_days_and_may_be_handed_over_anew(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (_, request) = await anna_site.join(), await put_for_bob(bob_site)
    await bob_site.stop()
    await anna.relay(request, bob_site.host)
    anna_site.clock.ahead += GIVE_UP_AFTER + SWEEP_INTERVAL
    await anna.sign_in()

    async def given_up() -> bool:
        return (await anna.relayed(request)).state is RelayState.GIVEN_UP

    await until(given_up)
    assert "14 days" in (await anna.relayed(request)).reason
    await bob_site.start()
    answer = await anna.relay(request, bob_site.host)
    assert request.receipt(answer.answer) in (PutStatus.STORED, PutStatus.HAVE)


async def test_answers_that_nobody_collects_are_forgotten_after_fourteen_days(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (_, request) = await anna_site.join(), await put_for_bob(bob_site)
    await anna.relay(request, bob_site.host)
    now = anna_site.clock() + GIVE_UP_AFTER
    await expire(anna_site.app[MAILBOXES], anna_site.app[RELAYED], now - 60_000)
    assert (await anna.relayed(request)).state is RelayState.ANSWERED
    await expire(anna_site.app[MAILBOXES], anna_site.app[RELAYED], now)
    assert (await anna.ask("GET", f"/relay/{request.hash.hex()}")).status == 404


async def test_a_vault_queues_no_more_than_its_quota(pair: Pair) -> None:
    anna_site, _ = pair
    anna, host = await anna_site.join(), f"127.0.0.1:{free_port()}"
    for n in range(5):
        await anna.relay(Sealed(bytes([n]).ljust(CLASSES[0]), bytes(32)), host)
    refused = await anna.ask("POST", "/relay", RelayRequest(host, b"more".ljust(CLASSES[0])))
    assert (refused.status, refused.code) == (413, "limit-exceeded")
    again = await anna.relay(Sealed(bytes([1]).ljust(CLASSES[0]), bytes(32)), host)
    assert again.state is RelayState.QUEUED


@pytest.mark.parametrize("host", ["user@bob.example", "bob.example/path", "", "bob .example", "bob.example:99999"])
async def test_what_is_no_host_is_refused(pair: Pair, host: str) -> None:
    anna = await pair[0].join()
    refused = await anna.ask("POST", "/relay", RelayRequest(host, bytes(CLASSES[0])))
    assert (refused.status, refused.code) == (422, "bad-host")


async def test_a_request_of_another_size_is_not_forwarded(pair: Pair) -> None:
    anna = await pair[0].join()
    refused = await anna.ask("POST", "/relay", RelayRequest("bob.example", b"short"))
    assert (refused.status, refused.code) == (422, "request-size")


async def test_the_relay_does_not_reach_into_the_inner_network(tmp_path: Path) -> None:
    async with sites(tmp_path, "anna") as (site,):
        await site.stop()
        site.federation = Federation()
        await site.start()
        anna = await site.join()
        reached = False

        async def inner(_: web.Request) -> web.StreamResponse:
            nonlocal reached
            reached = True
            return web.Response(body=bytes(CLASSES[0]))

        async with odd_server(free_port(), inner) as host:
            answer = await anna.relay(Sealed(bytes(CLASSES[0]), bytes(32)), host)
            assert answer.state is RelayState.GIVEN_UP
            assert answer.reason
            refused = await anna.ask("GET", f"/servers/{host}")
            assert (refused.status, refused.code) == (403, "destination-refused")
            assert not reached


async def test_a_stranger_cannot_use_the_relay_or_read_its_answers(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (_, request) = await anna_site.join(), await put_for_bob(bob_site)
    await anna.relay(request, bob_site.host)
    eve = await anna_site.join()
    as_anna = Person(anna_site, anna.vault, eve.authorization)
    for answer in (
        await as_anna.ask("POST", "/relay", RelayRequest(bob_site.host, request.raw)),
        await as_anna.ask("GET", f"/relay/{request.hash.hex()}"),
        await as_anna.ask("DELETE", f"/relay/{request.hash.hex()}"),
        await as_anna.ask("GET", f"/servers/{bob_site.host}"),
    ):
        assert (answer.status, answer.code) == (401, "session")
    assert (await eve.ask("GET", f"/relay/{request.hash.hex()}")).status == 404


async def test_a_request_handed_over_for_one_host_is_not_sent_to_another(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (_, request) = await anna_site.join(), await put_for_bob(bob_site)
    await anna.relay(request, bob_site.host)
    refused = await anna.ask("POST", "/relay", RelayRequest(anna_site.host, request.raw))
    assert (refused.status, refused.code) == (409, "relay-host")


async def test_a_forgotten_request_is_not_sent_any_more(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna, (bob, request) = await anna_site.join(), await put_for_bob(bob_site)
    await bob_site.stop()
    await anna.relay(request, bob_site.host)
    await anna.ask("DELETE", f"/relay/{request.hash.hex()}")
    await bob_site.start()
    anna_site.clock.ahead += FIRST_DELAY
    await asyncio.sleep(1.5)
    assert (await bob.parcels()).parcels == ()


async def test_the_statement_of_another_server_comes_through_mine_and_is_fetched_once_an_hour(pair: Pair) -> None:
    anna_site, bob_site = pair
    anna = await anna_site.join()
    path = f"/servers/{bob_site.host}"
    answers = await asyncio.gather(*(anna.ask("GET", path) for _ in range(5)))
    (raw,) = {answer.body for answer in answers}
    verify_server_statement(raw, bob_site.fingerprint, bob_site.host, bob_site.clock())
    await bob_site.stop()
    assert (await anna.ask("GET", path)).body == raw
    anna_site.clock.ahead += FRESH
    refused = await anna.ask("GET", path)
    assert (refused.status, refused.code) == (502, "destination-unreachable")


async def test_a_server_that_is_down_is_not_asked_by_every_client(pair: Pair) -> None:
    anna_site, _ = pair
    anna, knocks = await anna_site.join(), 0

    async def broken(_: web.Request) -> web.StreamResponse:
        nonlocal knocks
        knocks += 1
        return web.Response(status=503)

    async with odd_server(free_port(), broken) as host:
        for _ in range(5):
            assert (await anna.ask("GET", f"/servers/{host}")).status == 502
        assert knocks == 1
        anna_site.clock.ahead += FRESH_FAILURE
        await anna.ask("GET", f"/servers/{host}")
        assert knocks == 2
