"""The gateway as the world outside meets it: greetings, what cannot be read, and what must not be told apart."""

from __future__ import annotations

import asyncio
import secrets
import statistics
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kith_protocol import labels
from kith_protocol.encoding import encode
from kith_protocol.errors import Undecryptable
from kith_protocol.gateway import (
    KEY_ID_BYTES,
    REQUEST_OVERHEAD,
    UNREADABLE,
    FetchGreeting,
    GreetingStatus,
    Operation,
    PutStatus,
    Request,
    gateway_key_id,
    open_greeting_answer,
    open_put_answer,
)
from kith_protocol.mailbox import new_mailbox
from kith_protocol.padding import CLASSES, INNER_CLASSES, pad_to
from kith_protocol.server_statement import verify_server_statement
from kith_protocol.suite import SUITE, seal
from kith_protocol.wire import PutGreeting
from tests.support.mail_world import Person, Site, knock, parcel_of, put_of, sealed, sites, spoilt

DAY = 24 * 3600 * 1000


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with sites(tmp_path, "bob") as (running,):
        yield running


@pytest.fixture
async def bob(site: Site) -> Person:
    return await site.join()


async def fetch(site: Site, link_id: bytes) -> tuple[GreetingStatus, bytes, int]:
    """Status, greeting, and size of the answer."""
    request = await sealed(site, FetchGreeting(link_id))
    answer = await site.ask("POST", "/v1/gateway", request.raw)
    result = open_greeting_answer(request.response_key, request.hash, answer.body)
    return result.status, result.greeting, len(answer.body)


async def test_a_greeting_is_found_by_whoever_knows_the_link_until_it_expires(site: Site, bob: Person) -> None:
    link, greeting = secrets.token_bytes(16), secrets.token_bytes(INNER_CLASSES[1])
    path = f"/greetings/{link.hex()}"
    wanted = PutGreeting(greeting, site.clock() + DAY)
    assert (await bob.ask("PUT", path, wanted)).status == 204
    assert (await bob.ask("PUT", path, wanted)).status == 204
    assert (await fetch(site, link))[:2] == (GreetingStatus.FOUND, greeting)
    assert (await fetch(site, link))[:2] == (GreetingStatus.FOUND, greeting), "fetching does not use it up"
    site.clock.ahead += DAY
    assert (await fetch(site, link))[:2] == (GreetingStatus.NOT_FOUND, b"")


async def test_a_revoked_greeting_is_gone(site: Site, bob: Person) -> None:
    link = secrets.token_bytes(16)
    await bob.ask("PUT", f"/greetings/{link.hex()}", PutGreeting(b"hello", site.clock() + DAY))
    assert (await bob.ask("DELETE", f"/greetings/{link.hex()}")).status == 204
    assert (await fetch(site, link))[0] is GreetingStatus.NOT_FOUND


async def test_nobody_replaces_or_revokes_the_greeting_of_another_vault(site: Site, bob: Person) -> None:
    link = secrets.token_bytes(16)
    await bob.ask("PUT", f"/greetings/{link.hex()}", PutGreeting(b"bob's", site.clock() + DAY))
    eve = await site.join()
    refused = await eve.ask("PUT", f"/greetings/{link.hex()}", PutGreeting(b"eve's", site.clock() + DAY))
    assert (refused.status, refused.code) == (409, "greeting-taken")
    await eve.ask("DELETE", f"/greetings/{link.hex()}")
    assert (await fetch(site, link))[:2] == (GreetingStatus.FOUND, b"bob's")


@pytest.mark.parametrize("lifetime", [-1, 0, 500 * DAY])
async def test_a_greeting_from_the_past_or_for_ever_is_refused(site: Site, bob: Person, lifetime: int) -> None:
    wanted = PutGreeting(b"hello", site.clock() + lifetime)
    refused = await bob.ask("PUT", f"/greetings/{secrets.token_hex(16)}", wanted)
    assert (refused.status, refused.code) == (422, "greeting-expiry")


async def test_found_and_missing_greetings_are_answers_of_one_size(site: Site, bob: Person) -> None:
    link = secrets.token_bytes(16)
    await bob.ask("PUT", f"/greetings/{link.hex()}", PutGreeting(bytes(10_000), site.clock() + DAY))
    found, missing = await fetch(site, link), await fetch(site, secrets.token_bytes(16))
    assert found[2] == missing[2] == CLASSES[1]


async def unreadable_requests(site: Site) -> dict[str, bytes]:
    """Everything that a gateway must not be able to read, of one size."""
    good = await sealed(site, FetchGreeting(bytes(16)))
    statement = verify_server_statement(
        (await site.ask("GET", "/.well-known/kith")).body, site.fingerprint, site.host, site.clock()
    )
    key, key_id = statement.gateway_key, gateway_key_id(statement.gateway_key)

    def request(operation: int, arguments: bytes, expires: int) -> bytes:
        plain = encode(Request(SUITE, Operation(1), arguments, bytes(32), expires))
        plain = plain.replace(b"\x95\x01\x01", b"\x95\x01" + bytes([operation]), 1)
        padded = pad_to(plain, CLASSES[0] - REQUEST_OVERHEAD)
        return key_id + seal(key, labels.GATEWAY_REQUEST, site.fingerprint, key_id, plaintext=padded)

    later = site.clock() + DAY
    arguments = encode(FetchGreeting(bytes(16)))
    assert len(request(1, arguments, later)) == CLASSES[0]
    return {
        "noise": secrets.token_bytes(CLASSES[0]),
        "zeros": bytes(CLASSES[0]),
        "unknown key": bytes(KEY_ID_BYTES) + good.raw[KEY_ID_BYTES:],
        "altered": good.raw[:-1] + bytes([good.raw[-1] ^ 1]),
        "other context": key_id + seal(key, labels.GATEWAY_ANSWER, plaintext=bytes(CLASSES[0] - REQUEST_OVERHEAD)),
        "expired": (await sealed(site, FetchGreeting(bytes(16)), lifetime=-1)).raw,
        "unknown operation": request(99, arguments, later),
        "arguments of another operation": request(2, arguments, later),
        "no padding": key_id
        + seal(
            key,
            labels.GATEWAY_REQUEST,
            site.fingerprint,
            key_id,
            plaintext=bytes(CLASSES[0] - REQUEST_OVERHEAD),
        ),
    }


async def test_whatever_cannot_be_read_gets_the_same_answer_and_leaves_the_same_traces(site: Site) -> None:
    answers, traces = {}, {}
    for name, raw in (await unreadable_requests(site)).items():
        with capture_logs() as logs:
            answer = await site.ask("POST", "/v1/gateway", raw)
        headers = {key: value for key, value in answer.headers.items() if key != "Date"}
        answers[name] = (answer.status, answer.body, tuple(sorted(headers.items())))
        traces[name] = [{key: value for key, value in line.items() if key != "ms"} for line in logs]
    with capture_logs() as logs:
        readable = await sealed(site, FetchGreeting(bytes(16)))
        await site.ask("POST", "/v1/gateway", readable.raw)
    assert set(answers.values()) == {(200, UNREADABLE, next(iter(answers.values()))[2])}
    expected = [{"method": "POST", "route": "/v1/gateway", "status": 200, "event": "request", "log_level": "info"}]
    assert all(trace == expected for trace in traces.values()), traces
    assert {key: value for key, value in logs[-1].items() if key != "ms"} == expected[0]


@pytest.mark.parametrize("size", [0, 1, CLASSES[0] - 1, CLASSES[0] + 1, CLASSES[3] + 1])
async def test_a_request_of_another_size_is_refused_before_it_is_opened(site: Site, size: int) -> None:
    answer = await site.ask("POST", "/v1/gateway", bytes(size))
    assert (answer.status, answer.code) == (422, "request-size")


async def test_a_request_sealed_to_a_key_that_was_replaced_is_still_read_for_three_weeks(
    site: Site, bob: Person
) -> None:
    mailbox = await bob.open_mailbox()
    request = await sealed(site, put_of(mailbox, 1, 1, parcel_of("late")), lifetime=100 * DAY)
    site.clock.ahead += 27 * DAY
    await site.stop()
    await site.start()
    newer = await sealed(site, FetchGreeting(bytes(16)))
    assert newer.raw[:KEY_ID_BYTES] != request.raw[:KEY_ID_BYTES]
    answer = await site.ask("POST", "/v1/gateway", request.raw)
    assert request.receipt(answer.body) is PutStatus.STORED
    site.clock.ahead += 2 * DAY
    await site.stop()
    await site.start()
    assert (await site.ask("POST", "/v1/gateway", request.raw)).body == UNREADABLE


async def test_an_answer_opens_only_for_its_own_request(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    put = put_of(mailbox, 1, 1, parcel_of("one"))
    first, second = await sealed(site, put), await sealed(site, put)
    answer = (await site.ask("POST", "/v1/gateway", first.raw)).body
    assert first.receipt(answer) is PutStatus.STORED
    with pytest.raises(Undecryptable):
        open_put_answer(first.response_key, second.hash, answer)
    with pytest.raises(Undecryptable):
        open_put_answer(second.response_key, first.hash, answer)


async def test_the_same_request_again_changes_nothing(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    request = await sealed(site, put_of(mailbox, 1, 1, parcel_of("one")))
    receipts = [request.receipt((await site.ask("POST", "/v1/gateway", request.raw)).body) for _ in range(3)]
    assert receipts == [PutStatus.STORED, PutStatus.HAVE, PutStatus.HAVE]
    assert len((await bob.parcels()).parcels) == 1


async def test_an_unknown_mailbox_takes_as_long_as_a_wrong_signature(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    unknown = new_mailbox(site.host, site.fingerprint, secrets.token_bytes(64))
    parcel = parcel_of("probe")
    puts = {"known": spoilt(put_of(mailbox, 1, 1, parcel)), "unknown": put_of(unknown, 1, 1, parcel)}
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    sizes = set()
    for _ in range(40):
        for name, put in puts.items():
            request = await sealed(site, put)
            answer = await site.ask("POST", "/v1/gateway", request.raw)
            assert request.receipt(answer.body) is PutStatus.NO_MAILBOX
            sizes.add(len(answer.body))
            times[name].append(answer.seconds)
    slow, fast = sorted((statistics.median(times["known"]), statistics.median(times["unknown"])), reverse=True)
    assert sizes == {CLASSES[0]}
    assert slow < 1.5 * fast


async def test_one_network_that_knocks_too_often_is_told_to_wait_and_others_are_not(site: Site) -> None:
    raw = (await sealed(site, FetchGreeting(bytes(16)))).raw
    statuses: list[int] = []
    while 429 not in statuses and len(statuses) < 2000:
        statuses.append((await site.ask("POST", "/v1/gateway", b"x", **{"X-Forwarded-For": "203.0.113.7"})).status)
    assert set(statuses) == {422, 429}
    assert len(statuses) > 500
    for _ in range(200):  # the bucket fills again all the time, so a single request may find room in it
        neighbour = await site.ask("POST", "/v1/gateway", raw, **{"X-Forwarded-For": "203.0.113.99"})
        if neighbour.status == 429:
            break
    assert (neighbour.status, neighbour.code) == (429, "too-many-requests")
    assert int(neighbour.headers["Retry-After"]) >= 1
    assert (await site.ask("POST", "/v1/gateway", raw, **{"X-Forwarded-For": "198.51.100.7"})).status == 200


async def test_many_requests_at_once_are_each_answered_in_their_own_words(site: Site, bob: Person) -> None:
    mailbox = await bob.open_mailbox()
    puts = [put_of(mailbox, slot, 1, parcel_of(f"{slot}")) for slot in range(60)]
    assert await asyncio.gather(*(knock(site, put) for put in puts)) == [PutStatus.STORED] * 60
    assert {stored.parcel for stored in (await bob.parcels()).parcels} == {put.parcel for put in puts}
