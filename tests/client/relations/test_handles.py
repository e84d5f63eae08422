"""Handles as records: what the home server is asked to hold, the invites behind them, and two devices at once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.ending import end_relationship
from kith_client.relations.handles import (
    LIFETIME,
    RENEW_BEFORE,
    HandleState,
    choose,
    find,
    give_up,
    given_up,
    handles,
    handles_to_delete,
    handles_to_put,
    invite_behind,
    lose,
    plan_handles,
    read_handle,
)
from kith_client.relations.homes import Place, moved
from kith_client.relations.invites import revoke_invite
from kith_client.relations.pins import known_fingerprints, note_shown, pin, pin_of, read_pin
from kith_client.relations.records import channels
from kith_client.stamp import of_kind, the_one
from kith_protocol.content import Content, Unit
from kith_protocol.encoding import Value, decode, encode
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.handle import handle_id
from kith_protocol.invite import Greeting
from tests.client.relations.people import Person, World
from tests.client.relations.simserver import SimServer

DAY = 24 * 3600 * 1000
HOME = Place("https://anna.example", b"F" * 16)


@pytest.fixture
def anna() -> Person:
    return Person.begin("Anna Beck", SimServer())


def take(person: Person, name: str = "anna", *facets: str, private: bool = False) -> None:
    person.commit(choose(person.contents, person.stamp(), name, HOME, facets, private=private))


def held(person: Person) -> dict[bytes, bytes]:
    """What the server is to hold: id of a handle → secret."""
    return {put.handle: put.secret for put in handles_to_put(person.contents, person.now)}


def open_invites(person: Person) -> list[records.InviteRecord]:
    return [each for each in records.invites(person.contents) if each.state is records.InviteState.OPEN]


def plan(person: Person) -> None:
    person.commit(plan_handles(person.contents, person.stamp()))


def test_a_handle_leads_to_a_reusable_invite_that_grants_what_was_said(anna: Person) -> None:
    take(anna, "Anna", "work")
    (invite,) = open_invites(anna)
    assert (invite.handle, invite.reusable, invite.facets) == ("anna", True, ("work",))
    assert held(anna) == {handle_id("anna"): invite.own.secret}
    assert find(anna.contents, "ANNA").address == "anna@anna.example"


def test_choosing_the_same_again_changes_nothing_and_other_facets_make_another_invite(anna: Person) -> None:
    take(anna, "anna", "work")
    before = held(anna)
    take(anna, "anna", "work")
    assert held(anna) == before
    take(anna, "anna", "private")
    (invite,) = open_invites(anna)
    assert invite.facets == ("private",)
    assert held(anna) == {handle_id("anna"): invite.own.secret} != before


def test_a_private_handle_gives_the_server_no_secret_and_closes_the_way_in(anna: Person) -> None:
    take(anna)
    take(anna, private=True)
    assert held(anna) == {handle_id("anna"): b""}
    assert not open_invites(anna)
    plan(anna)
    assert held(anna) == {handle_id("anna"): b""}
    take(anna)
    (invite,) = open_invites(anna)
    assert held(anna) == {handle_id("anna"): invite.own.secret}


def test_giving_a_handle_up_revokes_its_invites_and_no_others(anna: Person) -> None:
    other = anna.invite("work")
    take(anna)
    take(anna, "anna.beck")
    anna.commit(give_up(anna.contents, anna.stamp(), "anna"))
    assert {each.handle for each in open_invites(anna)} == {None, "anna.beck"}
    assert other.id in {each.id for each in open_invites(anna)}
    assert (set(held(anna)), handles_to_delete(anna.contents)) == ({handle_id("anna.beck")}, [handle_id("anna")])
    anna.commit(given_up(anna.contents, [handle_id("anna")]))
    assert [handle.name for handle in handles(anna.contents)] == ["anna.beck"]
    assert handles_to_delete(anna.contents) == []
    with pytest.raises(Refused) as gone:
        give_up(anna.contents, anna.stamp(), "anna")
    assert gone.value.code == "no-such-handle"


def test_an_invite_is_renewed_half_a_year_before_its_end_and_the_old_one_stays_good(anna: Person) -> None:
    take(anna)
    (first,) = open_invites(anna)
    anna.now = first.expires - RENEW_BEFORE - 10
    plan(anna)
    assert open_invites(anna) == [first]
    anna.now = first.expires - RENEW_BEFORE + 1
    plan(anna)
    plan(anna)
    before, second = open_invites(anna)
    assert (before, second.handle, second.expires - anna.now > LIFETIME - DAY) == (first, "anna", True)
    assert held(anna) == {handle_id("anna"): second.own.secret}


def test_whoever_stays_away_for_longer_is_found_again_after_the_next_sync(anna: Person) -> None:
    take(anna)
    anna.now += 2 * LIFETIME
    assert held(anna) == {}
    plan(anna)
    assert list(held(anna)) == [handle_id("anna")]


def test_a_revoked_invite_and_one_of_an_older_persona_are_replaced(anna: Person) -> None:
    take(anna)
    (first,) = open_invites(anna)
    anna.commit(revoke_invite(anna.contents, anna.stamp(), first.id))
    assert held(anna) == {}
    plan(anna)
    (second,) = open_invites(anna)
    anna.renew_persona(7)
    plan(anna)
    third = invite_behind(anna.contents, find(anna.contents, "anna"), anna.now)
    assert third is not None
    assert len({first.id, second.id, third.id}) == 3
    assert decode(third.own.greeting, Greeting).persona == records.own_persona(anna.contents).raw


def test_a_handle_moves_with_the_vault_and_its_new_invite_is_at_the_new_server(anna: Person) -> None:
    take(anna)
    take(anna, "beck", private=True)
    (first,) = open_invites(anna)
    new = Place("https://new.example", b"N" * 16)
    anna.commit(moved(anna.contents, anna.stamp(), new, HOME))
    plan(anna)
    handle = find(anna.contents, "anna")
    behind = invite_behind(anna.contents, handle, anna.now)
    assert behind is not None
    assert handle.address == "anna@new.example"
    assert (behind.own.host, behind.own.fingerprint) == ("new.example", b"N" * 16)
    assert [put.secret for put in handles_to_put(anna.contents, anna.now, new)] == [behind.own.secret, b""]
    assert handles_to_put(anna.contents, anna.now, HOME) == []
    assert first in open_invites(anna)


def test_two_devices_that_choose_the_same_handle_at_once_have_one(anna: Person) -> None:
    laptop = choose(anna.contents, anna.stamp(), "anna", HOME, (), private=False)
    phone = choose(anna.contents, anna.stamp(), "anna", HOME, (), private=False)
    anna.commit(laptop | phone)
    assert len(of_kind(anna.contents, "handle")) == 2
    assert [handle.name for handle in handles(anna.contents)] == ["anna"]
    assert len(held(anna)) == 1
    newest = open_invites(anna)[-1]
    assert held(anna) == {handle_id("anna"): newest.own.secret}
    anna.commit(give_up(anna.contents, anna.stamp(), "anna"))
    assert not open_invites(anna)
    anna.commit(given_up(anna.contents, handles_to_delete(anna.contents)))
    assert not of_kind(anna.contents, "handle")


def test_a_handle_that_the_server_refuses_is_not_asked_for_again_and_the_person_hears_of_it(anna: Person) -> None:
    take(anna)
    anna.commit(lose(anna.contents, anna.stamp(), find(anna.contents, "anna").id, "Somebody else has it."))
    assert (held(anna), open_invites(anna)) == ({}, [])
    plan(anna)
    assert held(anna) == {}
    (issue,) = of_kind(anna.contents, "issue").values()
    assert issue.value("text") == "Nobody finds you as anna@anna.example any more. Somebody else has it."
    assert find(anna.contents, "anna").state is HandleState.LOST
    take(anna)
    assert list(held(anna)) == [handle_id("anna")]


@pytest.mark.parametrize(
    ("name", "code"), [("a", "bad-handle"), ("\u0430nna", "bad-handle"), ("root", "handle-reserved")]
)
def test_what_cannot_be_a_handle_is_not_chosen(anna: Person, name: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        choose(anna.contents, anna.stamp(), name, HOME, (), private=True)
    assert refused.value.code == code


def test_whoever_has_no_name_on_the_card_is_not_found(anna: Person) -> None:
    record, card = the_one(anna.contents, "me") or (b"", None)
    assert card is not None
    anna.commit({record: Content(card.kind, {key: unit for key, unit in card.units.items() if key != "fn"})})
    with pytest.raises(Refused) as refused:
        take(anna)
    assert refused.value.code == "no-name"
    take(anna, private=True)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": 7},
        {"state": "odd"},
        {"name": "Not One"},
        {"facets": "work"},
        {"host": None},
    ],
)
def test_a_damaged_handle_is_said_to_be_damaged(values: dict[str, Value]) -> None:
    good: dict[str, Value] = {"name": "anna", "host": "anna.example", "state": "public", "facets": []}
    assert read_handle(b"", _content("handle", good)).name == "anna"
    with pytest.raises(DecodingError):
        read_handle(b"", _content("handle", {**good, **values} if values else {}))


def test_an_invite_that_takes_no_more_is_followed_by_another_behind_the_handle(
    anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(anna)
    handle = find(anna.contents, "anna")
    plan(anna)
    behind = invite_behind(anna.contents, handle, anna.now)
    assert behind is not None
    monkeypatch.setattr("kith_client.relations.requests.records.MAX_ASKED", 0)
    plan(anna)
    after = invite_behind(anna.contents, handle, anna.now)
    assert after is not None
    assert after.id != behind.id


@pytest.mark.parametrize("values", [{}, {"fingerprint": b"short"}, {"host": "Not.Normal"}, {"host": 7}])
def test_a_damaged_pin_is_said_to_be_damaged(values: dict[str, Value]) -> None:
    good: dict[str, Value] = {"host": "a.example", "fingerprint": bytes(16)}
    assert read_pin(b"", _content("server", good)).host == "a.example"
    with pytest.raises(DecodingError):
        read_pin(b"", _content("server", {**good, **values} if values else {}))


@pytest.mark.parametrize("is_there", [True, False])
def test_a_server_that_a_peer_names_is_known_by_that_key_only_once_it_showed_it(is_there: bool) -> None:
    world = World.of("Anna Beck", "Bob Klein")
    world.connect("anna", "bob")
    bob = world["bob"]
    (channel,) = channels(bob.contents)
    old = channel.established
    assert old is not None
    for host, fingerprint in (("popular.example", old.outbox.fingerprint), (old.outbox.host, b"E" * 16)):
        told = replace(old, outbox=replace(old.outbox, host=host, fingerprint=fingerprint))
        draft = Draft(bob.contents, bob.stamp())
        draft.change(channel.id, {"established": encode(told)})
        bob.commit(draft.edit)
        assert known_fingerprints(bob.contents, host) == [], "by the peer's word alone"
        assert known_fingerprints(bob.contents, old.outbox.host) == [], "and it is no longer there"
        assert note_shown(bob.contents, bob.stamp(), channel.id, host, b"O" * 16) == {}
        shown = host if is_there else "anna.other"
        bob.commit(note_shown(bob.contents, bob.stamp(), channel.id, shown, fingerprint))
        assert known_fingerprints(bob.contents, host) == [fingerprint] * is_there
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    bob.to_send()
    assert known_fingerprints(bob.contents, host) == [], "nor after the relationship ended"


def test_what_was_pinned_counts_before_what_peers_say_and_those_before_nothing() -> None:
    world = World.of("Anna Beck", "Bob Klein")
    world.connect("anna", "bob")
    bob = world["bob"]
    assert known_fingerprints(bob.contents, "new.example") == []
    assert known_fingerprints(bob.contents, "anna.example") == [b"F" * 16]
    bob.commit(pin(bob.contents, bob.stamp(), "anna.example", b"P" * 16))
    assert known_fingerprints(bob.contents, "anna.example") == [b"P" * 16]
    bob.commit(pin(bob.contents, bob.stamp(), "anna.example", b"Q" * 16))
    found = pin_of(bob.contents, "anna.example")
    assert found is not None
    assert (found.fingerprint, len(of_kind(bob.contents, "server"))) == (b"Q" * 16, 1)
    assert pin(bob.contents, bob.stamp(), "anna.example", b"Q" * 16) == {}


def _content(kind: str, values: dict[str, Value]) -> Content:
    return Content(kind, {key: Unit(value, 1) for key, value in values.items() if value is not None})
