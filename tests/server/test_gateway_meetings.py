"""Meetings with people of other servers: messages at the rendezvous by way of the gateway, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kith_protocol.gateway import (
    LeaveMessage,
    LookForMessage,
    RendezvousResult,
    RendezvousStatus,
    open_rendezvous_answer,
)
from kith_protocol.padding import CLASSES
from kith_protocol.wire import MAX_RENDEZVOUS_BYTES, Nameplate, RelayState
from kith_server import rendezvous
from kith_server.limits import Buckets
from tests.support.mail_world import Person, Site, sealed, sites

GUESSER = {"X-Forwarded-For": "203.0.113.7"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with sites(tmp_path, "anna") as (running,):
        yield running


@pytest.fixture
async def anna(site: Site) -> Person:
    return await site.join()


async def nameplate(person: Person, purpose: str = "meet") -> str:
    return (await person.ask("POST", f"/rendezvous/{purpose}")).as_(Nameplate).nameplate


async def ask(site: Site, wanted: LeaveMessage | LookForMessage, **headers: str) -> tuple[RendezvousResult, int]:
    """What the gateway says, and the size of its answer."""
    request = await sealed(site, wanted)
    answer = await site.ask("POST", "/v1/gateway", request.raw, **headers)
    assert answer.status == 200
    return open_rendezvous_answer(request.response_key, request.hash, answer.body), len(answer.body)


async def status(site: Site, wanted: LeaveMessage | LookForMessage, **headers: str) -> RendezvousStatus:
    return (await ask(site, wanted, **headers))[0].status


async def test_who_types_leaves_messages_and_finds_those_of_who_shows(site: Site, anna: Person) -> None:
    name = await nameplate(anna)
    assert await status(site, LookForMessage(name, 0)) is RendezvousStatus.NOT_YET
    message = bytes(MAX_RENDEZVOUS_BYTES)
    for _ in range(2):
        assert await status(site, LeaveMessage(name, 2, message)) is RendezvousStatus.DONE
    assert await status(site, LeaveMessage(name, 2, b"another")) is RendezvousStatus.TAKEN
    assert (await site.ask("GET", f"/v1/rendezvous/meet/{name}/b/2")).body == message
    await site.ask("PUT", f"/v1/rendezvous/meet/{name}/a/0", b"hello")
    assert (await ask(site, LookForMessage(name, 0)))[0] == RendezvousResult(RendezvousStatus.DONE, b"hello")


async def test_a_message_comes_by_way_of_the_relay_at_once(site: Site, anna: Person) -> None:
    name = await nameplate(anna)
    await site.ask("PUT", f"/v1/rendezvous/meet/{name}/a/0", b"hello")
    request = await sealed(site, LookForMessage(name, 0))
    answer = await anna.relay(request, site.host)
    assert answer.state is RelayState.ANSWERED
    assert open_rendezvous_answer(request.response_key, request.hash, answer.answer).message == b"hello"


async def test_unknown_burned_expired_and_other_nameplates_look_the_same(site: Site, anna: Person) -> None:
    burned, device, expired = await nameplate(anna), await nameplate(anna, "device"), await nameplate(anna)
    await site.ask("DELETE", f"/v1/rendezvous/meet/{burned}")
    answers = [await ask(site, LookForMessage(name, 0)) for name in ("999999", burned, device)]
    site.clock.ahead += rendezvous.LIFETIME
    answers.append(await ask(site, LookForMessage(expired, 0)))
    assert set(answers) == {(RendezvousResult(RendezvousStatus.NO_NAMEPLATE), CLASSES[1])}


async def test_a_device_is_not_linked_through_the_gateway(site: Site, anna: Person) -> None:
    name = await nameplate(anna, "device")
    assert await status(site, LeaveMessage(name, 0, b"x")) is RendezvousStatus.NO_NAMEPLATE
    assert (await site.ask("GET", f"/v1/rendezvous/device/{name}/b/0")).body == b""


async def test_guessing_nameplates_through_the_gateway_is_slowed_down_and_others_are_not(
    site: Site, anna: Person
) -> None:
    name = await nameplate(anna)
    answers = [await ask(site, LookForMessage(str(guess), 0), **GUESSER) for guess in range(100_000, 100_010)]
    statuses = [answer.status for answer, _ in answers]
    assert statuses.count(RendezvousStatus.NO_NAMEPLATE) <= 6
    assert statuses[-3:] == [RendezvousStatus.LATER] * 3
    assert {size for _, size in answers} == {CLASSES[1]}, "the relay in between sees no difference"
    assert await status(site, LookForMessage(name, 0), **GUESSER) is RendezvousStatus.LATER
    assert await status(site, LookForMessage(name, 0), **{"X-Forwarded-For": "198.51.100.7"}) is not (
        RendezvousStatus.LATER
    )
    plain = await site.ask("GET", "/v1/rendezvous/meet/100000/a/0", None, **GUESSER)
    assert plain.status in (404, 429), "one budget for both ways in"


async def test_right_nameplates_cost_nothing_of_what_guesses_may_cost(site: Site, anna: Person) -> None:
    name = await nameplate(anna)
    for _ in range(30):
        assert await status(site, LookForMessage(name, 0), **GUESSER) is RendezvousStatus.NOT_YET


def test_what_is_given_back_to_a_bucket_never_exceeds_it() -> None:
    buckets = Buckets(rate=1, burst=10, now=lambda: 0.0)
    assert buckets.take("a", 10) == 0
    buckets.give_back("a", 10)
    buckets.give_back("a", 10)
    assert buckets.take("a", 10) == 0
    assert buckets.take("a", 1) > 0
    buckets.give_back("unknown", 5)
