"""Introductions between honest people: what each sees, what follows once both agree, and what a decline looks like."""

from __future__ import annotations

import copy

import pytest

from kith_client.book.layers import Layers
from kith_client.relations.draft import Draft
from kith_client.relations.ending import block_peer, end_relationship
from kith_client.relations.introductions.exchange import said
from kith_client.relations.introductions.introduced import (
    IntroductionRow,
    agree,
    decline_introduction,
    links_to_use,
    list_introductions,
)
from kith_client.relations.introductions.introducing import introduce, list_introducings, offers_to, take_back
from kith_client.relations.introductions.records import Decision, introducings, introductions
from kith_client.relations.invites import list_invites
from kith_client.relations.outgoing import Outgoing, is_outdated
from kith_client.relations.peers import list_peers
from kith_client.relations.records import UNREADABLE_KIND, channel_at, channels, peers
from kith_client.relations.rekeying import plan_rekeys
from kith_client.relations.requests.deciding import accept_request, decline_request, list_requests
from kith_client.relations.soundness import is_sound
from kith_client.relations.trust import introducer_of, trust_of
from kith_client.stamp import of_kind
from kith_protocol.content import Content, Unit
from kith_protocol.encoding import Value
from kith_protocol.errors import Alarm, KithError, Refused
from kith_protocol.introduction import INTRODUCTION_GRACE, INTRODUCTION_LIFETIME, MAX_INTRODUCTIONS
from kith_protocol.relationship import Trust
from tests.client.relations.acquaintances import (
    ANNA,
    BOB,
    CARLA,
    DAY,
    DORA,
    acquaintances,
    are_connected,
    introduced,
    know_nothing_of_each_other,
    maker_and_other,
    row_of,
    the_introduction,
)
from tests.client.relations.people import Person, World


def refused(code: str) -> pytest.RaisesExc[KithError]:
    return pytest.RaisesExc((Refused, Alarm), check=lambda error: error.code == code)


def later(world: World, time: int) -> None:
    for person in world.people.values():
        person.now += time


def states(person: Person) -> list[str]:
    return [row.state for row in list_introducings(person.contents, person.now)]


# What each of them sees


def test_who_is_introduced_sees_a_name_and_a_text_and_who_says_so() -> None:
    world = introduced(acquaintances())
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    (row,) = bob.requests()
    assert (row.by_name, row.by, row.label, row.text) == (ANNA, anna.id, CARLA, "You both fence.")
    assert row.person == carla.id
    (row,) = carla.requests()
    assert (row.by_name, row.label, row.person) == (ANNA, BOB, bob.id)
    assert bob.events[-1].startswith(f"{ANNA} would like to introduce somebody to you")


def test_who_introduces_is_shown_before_what_each_gets_to_see() -> None:
    world = acquaintances()
    anna = world["anna"]
    both = anna.peer_named(BOB), anna.peer_named(CARLA)
    shown = introduce(anna.contents, anna.stamp(), *both, "hello").shown
    assert [(each.to, each.label, each.text) for each in shown] == [(BOB, CARLA, "hello"), (CARLA, BOB, "hello")]


def test_a_preview_shows_what_is_offered_until_it_is_not() -> None:
    world = introduced(acquaintances())
    anna = world["anna"]
    bob = anna.peer_named(BOB)
    (offer,) = offers_to(anna.contents, bob, anna.now)
    assert offer[1:] == (CARLA, "You both fence.")
    assert offers_to(anna.contents, bob, anna.now + INTRODUCTION_LIFETIME) == []
    (each,) = introducings(anna.contents)
    anna.commit(take_back(anna.contents, anna.stamp(), each.id))
    assert offers_to(anna.contents, bob, anna.now) == []


def test_the_name_is_the_one_in_the_address_book_of_who_introduces_cut_to_what_fits() -> None:
    world = acquaintances()
    anna, bob = world["anna"], world["bob"]
    world["carla"].set_card("fn", "C" * 400)
    world.settle()
    (anna_s_carla,) = [p for p in peers(anna.contents) if p.person == world["carla"].id]
    anna.commit(introduce(anna.contents, anna.stamp(), anna.peer_named(BOB), anna_s_carla.id).edit)
    world.settle()
    (row,) = bob.requests()
    assert row.label.startswith("CCC")
    assert len(row.label.encode()) <= 256


# What follows once both agreed


@pytest.mark.parametrize("first", ["bob", "carla"])
def test_two_who_both_agree_become_peers_introduced_by_who_introduced_them(first: str) -> None:
    world = introduced(acquaintances())
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    second = "carla" if first == "bob" else "bob"
    world[first].agree()
    world.settle()
    assert know_nothing_of_each_other(bob, carla)
    assert states(anna) == ["waiting"]
    assert [row.state for row in list_introductions(world[first].contents, world[first].now)] == ["waiting"]
    world[second].agree()
    world.settle()
    assert are_connected(bob, carla)
    for one, other in ((bob, carla), (carla, bob)):
        row = row_of(one, other)
        assert row is not None
        assert (row.state, row.trust, row.introducer) == ("connected", "introduced", anna.id.hex())
        assert list_introductions(one.contents, one.now) == []
        assert one.issues == []
    assert states(anna) == ["passed on"]
    assert len(list_peers(anna.contents)) == 2


def test_facets_and_contact_that_are_named_with_the_consent_count() -> None:
    world = introduced(acquaintances())
    bob, carla = world["bob"], world["carla"]
    from kith_client.book.contacts import add_contact

    for one, other in ((bob, carla), (carla, bob)):
        one.set_card("email", f"{one.name}@work", "work")
        edit, contact = add_contact(one.stamp(), f"My {other.name}")
        one.commit(edit)
        one.agree("work", contact=contact)
    world.settle()
    assert are_connected(bob, carla)
    for one, other in ((bob, carla), (carla, bob)):
        assert [p.value for p in one.sees_of(other)] == [other.name, f"{other.name}@work"]
        row = row_of(one, other)
        assert row is not None
        assert Layers(one.contents).name(row.contact) == f"My {other.name}"


def test_consents_that_come_while_the_others_are_away_for_weeks_still_bring_them_together() -> None:
    world = acquaintances()
    anna, (maker, other) = world["anna"], maker_and_other(world)
    anna.introduce(BOB, CARLA)
    world.sync(anna)
    later(world, 12 * DAY)
    world.sync(maker)
    maker.agree()
    world.sync(maker)
    later(world, 12 * DAY)
    world.sync(other)
    other.agree()
    world.sync(other)
    later(world, 10 * DAY)  # past the day until which both had to agree, which they did
    world.settle()
    assert are_connected(maker, other)


def test_an_introduction_survives_new_keys_in_between() -> None:
    world = acquaintances()
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    anna.introduce(BOB, CARLA)
    for person in (anna, bob, carla):
        person.commit(plan_rekeys(person.contents, person.stamp(), forced=True))
        world.sync(person)
    world.settle()
    bob.agree()
    for person in (anna, bob, carla):
        person.commit(plan_rekeys(person.contents, person.stamp(), forced=True))
    world.settle()
    carla.agree()
    for person in (anna, bob, carla):
        person.commit(plan_rekeys(person.contents, person.stamp(), forced=True))
    world.settle()
    assert are_connected(bob, carla)


# Silence


def _traffic(world: World, *, decline_it: bool) -> list[tuple[str, str, bytes, bytes, int, int]]:
    """Everything that Bob puts anywhere in the next hundred days: day, host, mailbox, slot, sequence, size."""
    seen = []
    bob, anna = world["bob"], world["anna"]
    if decline_it:
        bob.decline()
    for day in range(0, 100, 5):
        if day == 40:
            anna.set_card("title", "Fencer", "work")
        world.sync(anna)
        bob.fetch()
        for out in bob.to_send():
            seen.append((str(day), out.host, out.put.mailbox, out.put.slot, out.put.sequence, len(out.put.parcel)))
            world.deliver(bob, out)
        later(world, 5 * DAY)
    return seen


def test_a_decline_looks_like_silence() -> None:
    """Two worlds that differ in nothing but the decline: Anna and the servers see the same to the last byte's size."""
    silent, declined = introduced(acquaintances()), introduced(acquaintances())
    assert _traffic(silent, decline_it=False) == _traffic(declined, decline_it=True)
    for world in (silent, declined):
        assert [out for out in world["bob"].to_send() if out.what.startswith("introduce")] == []
    assert states(silent["anna"]) == states(declined["anna"])


def test_reading_an_introduction_sends_nothing() -> None:
    """Nor does it change what the next parcel acknowledges: an offer is no item."""
    world = acquaintances()
    anna, bob = world["anna"], world["bob"]
    anna.introduce(BOB, CARLA)
    world.sync(anna)
    (before,) = (channel.mine.told for channel in channels(bob.contents))
    bob.fetch()
    assert len(bob.requests()) == 1
    assert bob.to_send() == []
    assert [channel.mine.told for channel in channels(bob.contents)] == [before]


def test_a_decline_ends_it_for_the_other_as_silence_does() -> None:
    world = introduced(acquaintances())
    bob, carla = world["bob"], world["carla"]
    bob.agree()
    carla.decline()
    world.settle()
    assert carla.requests() == []
    later(world, INTRODUCTION_LIFETIME + INTRODUCTION_GRACE)
    world.settle()
    assert know_nothing_of_each_other(bob, carla)
    assert list_introductions(bob.contents, bob.now) == []


def test_a_consent_can_be_taken_back_until_both_are_connected() -> None:
    world = introduced(acquaintances())
    maker, other = maker_and_other(world)
    maker.agree()
    world.settle()
    maker.commit(decline_introduction(maker.contents, maker.stamp(), the_introduction(maker).id))
    other.agree()
    world.settle()
    assert know_nothing_of_each_other(maker, other)
    assert list_invites(maker.contents, maker.now) == []


def test_an_invite_that_is_not_needed_any_more_is_revoked() -> None:
    world = introduced(acquaintances())
    anna, (maker, other) = world["anna"], maker_and_other(world)
    maker.agree()
    other.agree()
    for person in (maker, other, anna, maker):
        world.sync(person)
    assert [row.state for row in list_invites(maker.contents, maker.now)] == ["open"]
    maker.commit(decline_introduction(maker.contents, maker.stamp(), the_introduction(maker).id))
    world.settle()
    assert [row.state for row in list_invites(maker.contents, maker.now)] == ["revoked"]
    assert not are_connected(maker, other)


# Lapsing, taking back, ending


def test_what_nobody_decided_lapses_on_all_sides_and_is_forgotten() -> None:
    world = introduced(acquaintances())
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    (row,) = bob.requests()
    later(world, INTRODUCTION_LIFETIME)
    assert bob.requests() == carla.requests() == []
    with refused("no-such-request"):
        agree(bob.contents, bob.stamp(), row.id)
    assert states(anna) == ["lapsed"]
    later(world, INTRODUCTION_GRACE)
    world.settle()
    for person in (anna, bob, carla):
        assert introductions(person.contents) == []
        assert introducings(person.contents) == []
        assert not any(key.startswith("put/introduce") for c in person.contents.values() for key in c.units)


def test_an_introduction_that_is_taken_back_disappears() -> None:
    world = introduced(acquaintances())
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    bob.agree()
    world.settle()
    (each,) = introducings(anna.contents)
    anna.commit(take_back(anna.contents, anna.stamp(), each.id))
    world.settle()
    assert bob.requests() == carla.requests() == []
    assert list_introductions(bob.contents, bob.now) == []
    assert states(anna) == ["taken back"]
    assert know_nothing_of_each_other(bob, carla)


def test_what_is_taken_back_before_it_was_sent_is_never_sent() -> None:
    world = acquaintances()
    anna = world["anna"]
    record = anna.introduce(BOB, CARLA)
    anna.commit(take_back(anna.contents, anna.stamp(), record))
    assert anna.to_send() == []
    world.settle()
    assert introductions(world["bob"].contents) == introductions(world["carla"].contents) == []


def test_what_waits_at_the_relay_is_taken_back_when_it_must_not_arrive_any_more() -> None:
    """An offer that was taken back, and a consent after which the person changed their mind."""
    world = introduced(acquaintances())
    anna, bob = world["anna"], world["bob"]
    bob.agree()
    (consent,) = bob.to_send()

    def waits(person: Person, out: Outgoing) -> bool:
        channel = channel_at(person.contents, out.channel)
        return not is_outdated(channel, out.key, said(person.contents, person.now))

    assert waits(bob, consent)
    bob.commit(decline_introduction(bob.contents, bob.stamp(), the_introduction(bob).id))
    assert not waits(bob, consent)
    record = introducings(anna.contents)[0].id
    anna.commit(take_back(anna.contents, anna.stamp(), record))
    farewells = anna.to_send()
    assert [out.version for out in farewells] == [3, 3]
    anna.introduce(BOB, CARLA)
    offers = [out for out in anna.to_send() if out.version == 1]
    assert len(offers) == 2
    assert all(waits(anna, out) for out in (*farewells, *offers))
    anna.commit(take_back(anna.contents, anna.stamp(), introducings(anna.contents)[-1].id))
    assert not any(waits(anna, out) for out in offers)


def test_what_was_passed_on_cannot_be_taken_back() -> None:
    world = introduced(acquaintances())
    world["bob"].agree()
    world["carla"].agree()
    world.settle()
    anna = world["anna"]
    with refused("passed-on"):
        take_back(anna.contents, anna.stamp(), introducings(anna.contents)[0].id)
    with refused("no-such-introduction"):
        take_back(anna.contents, anna.stamp(), b"x" * 16)


@pytest.mark.parametrize("end", [end_relationship, block_peer])
def test_when_the_introducer_parts_from_one_it_is_over_for_the_other(end: object) -> None:
    world = introduced(acquaintances())
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    carla.agree()
    world.settle()
    anna.commit(end(anna.contents, anna.stamp(), anna.peer_named(BOB)))  # type: ignore[operator]
    world.settle()
    assert states(anna) == ["taken back"]
    assert list_introductions(carla.contents, carla.now) == []
    assert know_nothing_of_each_other(bob, carla)


@pytest.mark.parametrize("end", [end_relationship, block_peer])
def test_who_parts_from_the_introducer_sees_the_request_no_more(end: object) -> None:
    world = introduced(acquaintances())
    bob, carla = world["bob"], world["carla"]
    carla.agree()
    (row,) = bob.requests()
    bob.commit(end(bob.contents, bob.stamp(), bob.peer_named(ANNA)))  # type: ignore[operator]
    assert bob.requests() == []
    with refused("no-such-request"):
        agree(bob.contents, bob.stamp(), row.id)
    world.settle()
    assert know_nothing_of_each_other(bob, carla)


# Crossing


def test_two_who_are_introduced_twice_are_connected_once() -> None:
    world = acquaintances("anna", "dora")
    bob, carla = world["bob"], world["carla"]
    world["anna"].introduce(BOB, CARLA)
    world["dora"].introduce(BOB, CARLA)
    world.settle()
    for person in (bob, carla):
        for row in person.requests():
            person.commit(agree(person.contents, person.stamp(), row.id))
    world.settle()
    assert are_connected(bob, carla)
    assert bob.issues == carla.issues == []
    for person in (bob, carla):
        assert len(list_peers(person.contents)) == 3
        assert list_introductions(person.contents, person.now) == []
        assert all(row.state in ("used", "revoked") for row in list_invites(person.contents, person.now))


def test_an_introduction_beside_an_invite_ends_in_one_relationship() -> None:
    world = introduced(acquaintances())
    bob, carla = world["bob"], world["carla"]
    bob.agree()
    carla.agree()
    for person in (bob, carla, world["anna"]):
        world.sync(person)
    carla.accept(bob.invite().link, bob.server)
    world.settle()
    assert are_connected(bob, carla)
    assert bob.issues == carla.issues == []


def test_one_to_somebody_who_is_a_peer_already_is_told_and_changes_nothing() -> None:
    world = acquaintances()
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    world.connect("bob", "carla")
    before = copy.deepcopy(carla.contents)
    anna.introduce(BOB, CARLA)
    world.settle()
    assert bob.requests() == carla.requests() == []
    assert carla.contents.keys() == before.keys()
    assert any(f"introduced you to {CARLA}, with whom you are connected already" in event for event in bob.events)
    row = row_of(bob, carla)
    assert row is not None
    assert row.trust == "unverified"
    assert states(anna) == ["waiting"]


def test_one_whom_the_person_has_come_to_know_since_is_no_request_any_more() -> None:
    world = introduced(acquaintances())
    bob = world["bob"]
    (row,) = bob.requests()
    world.connect("bob", "carla")
    assert bob.requests() == []
    with refused("already-connected"):
        agree(bob.contents, bob.stamp(), row.id)


def test_one_to_somebody_blocked_is_dropped_without_a_word() -> None:
    world = acquaintances()
    anna, bob = world["anna"], world["bob"]
    world.connect("bob", "carla")
    bob.commit(block_peer(bob.contents, bob.stamp(), bob.peer_named(CARLA)))
    world.settle()
    events = list(bob.events)
    anna.introduce(BOB, CARLA)
    world.settle()
    assert bob.requests() == []
    assert (bob.events, bob.issues) == (events, [])


# What cannot be asked for


def test_one_to_somebody_whom_the_person_blocked_since_is_no_request_any_more() -> None:
    world = introduced(acquaintances())
    bob = world["bob"]
    world.connect("bob", "carla")
    bob.commit(block_peer(bob.contents, bob.stamp(), bob.peer_named(CARLA)))
    assert bob.requests() == []
    world.settle()
    assert bob.requests() == []


def test_an_invite_that_was_passed_on_waits_while_another_handshake_with_the_same_person_is_under_way() -> None:
    world = introduced(acquaintances())
    maker, other = maker_and_other(world)
    maker.agree()
    other.agree()
    for _ in range(2):
        for person in (other, maker, world["anna"]):
            person.fetch()
            for out in person.to_send():
                world.deliver(person, out)
    other.accept(maker.invite().link, maker.server)
    other.fetch()
    assert the_introduction(other).link is not None
    assert links_to_use(other.contents, other.now) == []
    other.commit(end_relationship(other.contents, other.stamp(), other.peer_named(maker.name)))
    assert [each.id for each in links_to_use(other.contents, other.now)] == [the_introduction(other).id]


def test_only_two_different_connected_peers_can_be_introduced() -> None:
    world = acquaintances()
    anna = world["anna"]
    bob, carla = anna.peer_named(BOB), anna.peer_named(CARLA)
    with refused("one-person"):
        introduce(anna.contents, anna.stamp(), bob, bob)
    with refused("no-such-peer"):
        introduce(anna.contents, anna.stamp(), bob, b"x" * 16)
    anna.accept(world["dora"].invite().link, world["dora"].server)
    with refused("not-connected"):
        introduce(anna.contents, anna.stamp(), bob, anna.peer_named(DORA))
    with refused("bad-value"):
        introduce_too_long(anna, bob, carla)


def introduce_too_long(anna: Person, bob: bytes, carla: bytes) -> None:
    from kith_client.book.problems import BadValue

    try:
        introduce(anna.contents, anna.stamp(), bob, carla, "x" * 4097)
    except BadValue as problem:
        raise Refused(problem.code, str(problem)) from None


def test_the_same_two_are_not_introduced_again_before_it_lapsed_or_was_taken_back() -> None:
    world = introduced(acquaintances())
    anna = world["anna"]
    bob, carla = anna.peer_named(BOB), anna.peer_named(CARLA)
    with refused("introduced-already"):
        introduce(anna.contents, anna.stamp(), carla, bob)
    anna.commit(take_back(anna.contents, anna.stamp(), introducings(anna.contents)[0].id))
    introduce(anna.contents, anna.stamp(), carla, bob)


def test_nobody_introduces_more_to_one_peer_than_that_peer_keeps() -> None:
    world = acquaintances()
    anna = world["anna"]
    for _ in range(MAX_INTRODUCTIONS):
        record = anna.introduce(BOB, CARLA)
        anna.commit(take_back(anna.contents, anna.stamp(), record))
    with refused("too-many-introductions"):
        anna.introduce(BOB, CARLA)


def test_a_request_that_is_none_cannot_be_decided() -> None:
    bob = introduced(acquaintances())["bob"]
    (row,) = bob.requests()
    bob.decline()
    for record in (row.id, b"x" * 16, next(iter(of_kind(bob.contents, "contact")))):
        with refused("no-such-request"):
            decline_introduction(bob.contents, bob.stamp(), record)
        with refused("no-such-request"):
            agree(bob.contents, bob.stamp(), record)


def rows(person: Person) -> list[IntroductionRow]:
    return list_introductions(person.contents, person.now)


def test_where_my_card_cannot_be_read_the_invite_waits_until_it_can() -> None:
    world = introduced(acquaintances())
    maker, other = maker_and_other(world)
    maker.agree()
    other.agree()
    ((me, card),) = of_kind(maker.contents, "me").items()
    maker.contents[me] = Content(UNREADABLE_KIND, {})
    world.settle()
    assert [row.state for row in rows(maker)] == ["waiting"]
    assert know_nothing_of_each_other(maker, other)
    maker.contents[me] = card
    world.settle()
    assert are_connected(maker, other)


@pytest.mark.parametrize("kind", ["persona", "channel", "peer"])
def test_while_what_an_introduction_rests_on_cannot_be_read_nothing_follows(kind: str) -> None:
    world = introduced(acquaintances())
    maker, other = maker_and_other(world)
    maker.agree()
    world.settle()
    hidden = of_kind(maker.contents, kind)
    maker.contents.update(dict.fromkeys(hidden, Content(UNREADABLE_KIND, {})))
    assert rows(maker) == []
    assert maker.to_send() == []
    maker.contents.update(hidden)
    other.agree()
    world.settle()
    assert are_connected(maker, other)


def test_while_the_introducer_cannot_read_a_peer_it_is_not_taken_back() -> None:
    world = acquaintances()
    anna = world["anna"]
    anna.introduce(BOB, CARLA)
    bob = anna.peer_named(BOB)
    hidden = anna.contents[bob]
    anna.contents[bob] = Content(UNREADABLE_KIND, {})
    world.settle()
    assert states(anna) == ["waiting"]
    assert len(world["carla"].requests()) == 1
    anna.contents[bob] = hidden
    world.settle()
    assert len(world["bob"].requests()) == 1


def test_an_introduction_is_a_request_like_any_other() -> None:
    world = introduced(acquaintances())
    bob, carla = world["bob"], world["carla"]
    (row,) = list_requests(bob.contents, bob.now)
    assert (row.kind, row.name, row.person) == ("introduction", CARLA, carla.id)
    assert row.at == bob.contents[row.id].units["person"].at
    decided = accept_request(bob.contents, bob.stamp(), row, ["work"])
    assert "once the other agrees" in decided.then
    bob.commit(decided.edit)
    assert list_requests(bob.contents, bob.now) == []
    (row,) = list_requests(carla.contents, carla.now)
    carla.commit(decline_request(carla.contents, carla.stamp(), row).edit)
    assert list_requests(carla.contents, carla.now) == []
    world.settle()
    assert know_nothing_of_each_other(bob, carla)
    with refused("no-such-request"):
        accept_request(carla.contents, carla.stamp(), row)
    with refused("no-such-request"):
        decline_request(carla.contents, carla.stamp(), row)


@pytest.mark.parametrize(
    ("text", "trust", "by"),
    [
        ("introduced:" + "ab" * 32, Trust.INTRODUCED, b"\xab" * 32),
        ("introduced:xyz", Trust.INTRODUCED, None),
        ("introduced", Trust.INTRODUCED, None),
        ("verified:" + "ab" * 32, Trust.VERIFIED, None),
        ("certified", Trust.UNVERIFIED, None),
        ("", Trust.UNVERIFIED, None),
    ],
)
def test_how_far_a_peer_is_trusted_is_read_as_carefully_as_it_can_be(text: str, trust: Trust, by: bytes | None) -> None:
    assert (trust_of(text), introducer_of(text)) == (trust, by)


# Records


def with_links() -> World:
    """Everything that a record of an introduction can hold is there."""
    world = introduced(acquaintances())
    maker, other = maker_and_other(world)
    maker.agree()
    other.agree()
    for person in (other, maker, world["anna"], maker, world["anna"]):
        world.sync(person)
    other.fetch()
    return world


@pytest.mark.parametrize("whose", ["anna", "bob", "carla"])
def test_a_damaged_record_of_an_introduction_is_not_read_and_stops_nothing(whose: str) -> None:
    """Each unit in turn holds something else, as a newer or broken program of one device may write it."""
    world = with_links()
    person = world[whose]
    kind = "introducing" if whose == "anna" else "introduction"
    ((record, whole),) = of_kind(person.contents, kind).items()
    switches = {"agreed", "taken_back", "used", "offered"}
    wrongs: list[Value] = [[1], {"host": "A B", "secret": b"", "fingerprint": b""}]
    for name, unit in whole.units.items():
        for wrong in wrongs:
            content = Content(kind, {**whole.units, name: Unit(wrong, unit.at, unit.by)})
            assert is_sound(record, content) is (name in switches or name.startswith("agreed/"))
        assert is_sound(record, Content(kind, {**whole.units, name: unit}))
    if kind == "introducing":
        assert not is_sound(record, Content(kind, {**whole.units, "agreed/xyz": whole.units["text"]}))
    person.contents[record] = Content(UNREADABLE_KIND, {})
    world.settle()


@pytest.mark.parametrize("who", ["maker", "other"])
def test_a_no_after_a_yes_that_connected_the_two_is_told_once(who: str) -> None:
    world = introduced(acquaintances())
    maker, other = maker_and_other(world)
    person, them = (maker, other) if who == "maker" else (other, maker)
    maker.agree()
    other.agree()
    world.settle()
    no = Decision(False).to_value()  # made before, on a device that was offline
    draft = Draft(person.contents, person.stamp())
    draft.change(the_introduction(person).id, {"decision": no})
    person.commit(draft.edit)
    world.settle()
    assert are_connected(maker, other)
    texts = issue_texts(person)
    assert [text.startswith(f"You declined to be introduced to {them.name}") for text in texts] == [True]
    for record in of_kind(person.contents, "issue"):
        person.commit({record: None})
    world.settle()
    assert issue_texts(person) == []


def test_a_no_of_somebody_who_was_connected_with_the_other_anyway_is_nothing_to_tell() -> None:
    world = introduced(acquaintances())
    world.connect("bob", "carla")
    carla = world["carla"]
    draft = Draft(carla.contents, carla.stamp())
    draft.change(the_introduction(carla).id, {"decision": Decision(False).to_value()})
    carla.commit(draft.edit)
    world.settle()
    assert issue_texts(carla) == []


def issue_texts(person: Person) -> list[str]:
    return [str(content.value("text")) for content in of_kind(person.contents, "issue").values()]
