"""A relay that answers falsely: the parcel stays without a receipt, goes out again, and arrives once."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from aiohttp import web

from kith_client.errors import ServerUnreachable
from kith_client.sync import knock
from kith_client.sync.befriend import accept_invite
from kith_protocol.encoding import decode, encode
from kith_protocol.gateway import UNREADABLE
from kith_protocol.padding import CLASSES
from kith_protocol.wire import RelayAnswer, RelayRequest, RelayState
from tests.adversary.friends import MAIL, Friends, set_mail, told

NEW = "new@work.example"
Falsify = Callable[[bytes, bytes], RelayAnswer]
"""(the sealed request, the true answer) → what the relay says."""


def random_bytes(_request: bytes, true: bytes) -> RelayAnswer:
    return RelayAnswer(RelayState.ANSWERED, secrets.token_bytes(len(true)), "")


def nothing(_request: bytes, _true: bytes) -> RelayAnswer:
    return RelayAnswer(RelayState.ANSWERED, b"", "")


def of_no_size_class(_request: bytes, true: bytes) -> RelayAnswer:
    return RelayAnswer(RelayState.ANSWERED, true + b"\x00", "")


def the_request_itself(request: bytes, _true: bytes) -> RelayAnswer:
    return RelayAnswer(RelayState.ANSWERED, request, "")


def unreadable(_request: bytes, _true: bytes) -> RelayAnswer:
    """What a gateway says to what it cannot open; anybody can say it."""
    return RelayAnswer(RelayState.ANSWERED, UNREADABLE, "")


def given_up(_request: bytes, _true: bytes) -> RelayAnswer:
    return RelayAnswer(RelayState.GIVEN_UP, b"", "No.")


def for_ever_queued(_request: bytes, _true: bytes) -> RelayAnswer:
    return RelayAnswer(RelayState.QUEUED, b"", "")


@pytest.mark.parametrize("delivers", [True, False], ids=["delivers", "keeps"])
@pytest.mark.parametrize(
    "falsify",
    [random_bytes, nothing, of_no_size_class, the_request_itself, unreadable, given_up, for_ever_queued],
    ids=lambda falsify: falsify.__name__,
)
async def test_without_the_destinations_receipt_a_parcel_goes_out_again_and_arrives_once(
    friends: Friends, falsify: Falsify, delivers: bool
) -> None:
    """Whether the relay delivered it or not, it cannot make the sender believe either."""
    anna, bob, proxy = friends.anna, friends.bob, friends.anna_site.proxy
    await set_mail(anna, NEW)
    _falsify(friends, falsify, delivers=delivers)
    report = await anna.sync(patience=0.3)
    assert (report.parcels_out, report.waiting) == (0, 1)
    assert NEW not in str(proxy.seen)
    proxy.be_honest()
    report = await anna.sync()
    assert (report.parcels_out, report.waiting) == (1, 0)
    taken = await bob.sync()
    assert (taken.parcels_in, told(bob)) == (1, [NEW])
    assert (await bob.sync()).parcels_in == 0
    assert (await anna.sync()).parcels_out == 0


async def test_the_answer_to_another_request_is_no_receipt(friends: Friends) -> None:
    anna, bob = friends.anna, friends.bob
    await set_mail(anna, "first@work.example")
    genuine: list[bytes] = []

    def remember(_request: bytes, true: bytes) -> RelayAnswer:
        genuine.append(true)
        return RelayAnswer(RelayState.ANSWERED, true, "")

    _falsify(friends, remember, delivers=True)
    assert (await anna.sync()).parcels_out == 1
    await set_mail(anna, NEW)
    _falsify(friends, lambda _request, _true: RelayAnswer(RelayState.ANSWERED, genuine[0], ""), delivers=False)
    report = await anna.sync()
    assert (report.parcels_out, report.waiting) == (0, 1)
    friends.anna_site.proxy.be_honest()
    assert (await anna.sync()).waiting == 0
    await bob.sync()
    assert told(bob) == [NEW]


async def test_a_relay_whose_answers_make_no_sense_is_named_and_costs_no_parcel(friends: Friends) -> None:
    anna, bob, proxy = friends.anna, friends.bob, friends.anna_site.proxy
    await set_mail(anna, NEW)
    proxy.answer = lambda method, path, status, body: (200, b"\xc1") if path.endswith("/relay") else (status, body)
    report = await anna.sync()
    assert (report.parcels_out, report.waiting, len(report.alarms)) == (0, 1, 1)
    proxy.be_honest()
    assert (await anna.sync()).waiting == 0
    assert (await bob.sync()).parcels_in == 1
    assert told(bob) == [NEW]


async def test_a_relay_that_swallows_answers_gets_the_same_request_again_and_it_arrives_once(friends: Friends) -> None:
    anna, bob, proxy = friends.anna, friends.bob, friends.anna_site.proxy
    await set_mail(anna, NEW)
    proxy.drop_answers = lambda _method, path: path.endswith("/relay")
    for _ in range(3):
        assert (await anna.sync()).waiting == 1
    handed = [decode(body, RelayRequest) for body in _relayed(friends)]
    assert len(handed) == 3
    assert len({each.request for each in handed}) == 1, "each try sealed the parcel anew"
    proxy.be_honest()
    assert (await anna.sync()).parcels_out == 1
    assert (await bob.sync()).parcels_in == 1
    assert told(bob) == [NEW]


async def test_a_relay_learns_neither_what_nor_to_whom_but_the_host_and_a_size_class(friends: Friends) -> None:
    anna = friends.anna
    outbox = anna.channel.established
    assert outbox is not None
    await set_mail(anna, NEW)
    friends.anna_site.proxy.seen.clear()
    await anna.sync()
    (body,) = _relayed(friends)
    request = decode(body, RelayRequest)
    assert request.host == outbox.outbox.host
    assert len(request.request) in CLASSES
    seen = b"".join(friends.anna_site.proxy.seen)
    for secret in (
        outbox.outbox.mailbox,
        outbox.outbox.deposit.public,
        outbox.relationship,
        NEW.encode(),
        MAIL.encode(),
    ):
        assert secret not in seen
        assert secret.hex().encode() not in seen


async def test_a_greeting_that_never_comes_keeps_nothing_of_an_invite(
    friends: Friends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knock, "GREETING_DEADLINE", 0.5)
    carl = friends.carl
    before = carl.state()
    for falsify in (for_ever_queued, unreadable, random_bytes):
        _falsify(friends, falsify, delivers=False, site="bob")
        with pytest.raises(ServerUnreachable):
            await accept_invite(carl.vault, carl.server, friends.link)
        assert carl.state() == before
    friends.bob_site.proxy.be_honest()
    assert (await accept_invite(carl.vault, carl.server, friends.link)).name == "Anna Beck"


def _falsify(friends: Friends, falsify: Falsify, *, delivers: bool, site: str = "anna") -> None:
    """`delivers`: the true relay gets the request; otherwise it never leaves the liar's hands."""
    proxy = friends.anna_site.proxy if site == "anna" else friends.bob_site.proxy
    handed: list[bytes] = []

    async def keep(request: web.Request) -> web.StreamResponse | None:
        if not _about_relay(request.path):
            return None
        if request.method == "POST":
            handed.append(decode(await request.read(), RelayRequest).request)
        if delivers or request.method == "DELETE":
            return None
        return web.Response(body=encode(falsify(handed[-1], bytes(CLASSES[0]))), content_type="application/x-msgpack")

    def answer(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if not _about_relay(path) or status != 200:
            return status, body
        return status, encode(falsify(handed[-1], decode(body, RelayAnswer).answer))

    proxy.instead, proxy.answer = keep, answer


def _about_relay(path: str) -> bool:
    return "/relay" in path


def _relayed(friends: Friends) -> list[bytes]:
    """The bodies that were handed to Anna's relay."""
    seen = friends.anna_site.proxy.seen
    return [seen[place + 1] for place, each in enumerate(seen) if each.endswith(b"/relay")]
