"""Relationships that a theft broke, taken back by the root's word: Anna's devices were stolen, Bob is her peer."""

from __future__ import annotations

import copy
from collections import Counter
from functools import cache

import pytest
from msgspec.structs import replace

from kith_client.relations.draft import Draft
from kith_client.relations.ending import block_peer, end_relationship
from kith_client.relations.invites import list_invites
from kith_client.relations.own_keys import OwnKey
from kith_client.relations.peers import list_peers
from kith_client.relations.records import (
    FORMER,
    RECLAIM,
    Channel,
    channels,
    own_persona,
    peers,
    persona_of,
    persona_seals,
)
from kith_client.relations.rekeying import DAY, MAX_RETIRED, RETIRED_FOR, plan_rekeys, rekeying
from kith_client.relations.theft.reclaiming import FORMER_EVERY, MAX_ENDED, MAX_FORMER
from kith_client.relations.verify import mark_verified, safety_number_of
from kith_protocol.content import Content
from kith_protocol.encoding import encode
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.gateway import Put, PutStatus
from kith_protocol.introduction import Introduce
from kith_protocol.mailbox import new_mailbox, sign_put
from kith_protocol.parcel import Rekey
from kith_protocol.persona import OwnPersona
from kith_protocol.reclaim import RECLAIM_SEQUENCE, make_reclaim, reclaim_slot
from kith_protocol.suite import SealKey
from tests.client.relations.people import Person, World
from tests.client.relations.simserver import SimServer
from tests.client.relations.test_attacks import crafted


@cache
def _connected() -> World:
    world = World.of("Anna Beck", "Bob Kay")
    for who in ("anna", "bob"):
        world[who].set_card("email", f"{who}@work", "work")
    world.connect("anna", "bob", ("work",))
    world["bob"].grant(world["bob"].peer_named("Anna Beck"), "work")
    world.settle()
    return world


@pytest.fixture
def world() -> World:
    return copy.deepcopy(_connected())


def standing(person: Person) -> Channel:
    (channel,) = (each for each in channels(person.contents) if not each.ended)
    return channel


def thief_of(person: Person) -> Person:
    """Everything that the person's vault holds, in other hands."""
    return Person(person.name, SimServer(), copy.deepcopy(person.rng), dict(person.contents), now=person.now)


def falsify(person: Person, channel: bytes, **known: object) -> None:
    """Another thing in the record of a channel than what was learned, and no memory of the peer's former mailboxes."""
    content = person.contents[channel]
    read = standing(person).established
    assert read is not None
    units = {name: unit for name, unit in content.units.items() if name != FORMER}
    units["established"] = person.stamp().unit(encode(replace(read, **known)))
    person.contents[channel] = Content(content.kind, units, content.extra)


def take_back(person: Person, number: int = 2) -> None:
    person.renew_persona(number)


def send_all(world: World, sender: Person) -> list[PutStatus]:
    """Sends what the sender would, with all receipts known to the sender."""
    return [world.deliver(sender, out) for out in sender.to_send()]


def see_each_other(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    assert anna.sees_of(bob) == bob.shows_to(anna)
    assert bob.sees_of(anna) == anna.shows_to(bob)
    assert len(bob.sees_of(anna)) == 2, "name and email"
    mine, theirs = standing(anna).established, standing(bob).established
    assert mine is not None
    assert theirs is not None
    assert mine.rs == theirs.rs
    assert (mine.outbox, theirs.outbox) == (theirs.inbox.address, mine.inbox.address)


def test_a_relationship_is_made_anew_and_both_share_again_what_they_shared(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    before = standing(anna).established
    take_back(anna)
    assert [out.what for out in anna.to_send()] == [RECLAIM], "nothing else before the other has heard"
    assert rekeying(anna.contents) == {anna.peer_named("Bob Kay"): False}
    world.settle()
    see_each_other(world)
    after = standing(anna).established
    assert before is not None
    assert after is not None
    assert before.rs != after.rs
    assert rekeying(anna.contents) == {anna.peer_named("Bob Kay"): True}
    assert len(peers(anna.contents)) == len(peers(bob.contents)) == 1
    assert bob.to_send() == anna.to_send() == []


def test_the_contact_the_trust_and_what_is_granted_stay_and_the_person_is_told(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    peer = bob.peer_named("Anna Beck")
    number = safety_number_of(bob.contents, peer)
    bob.commit(mark_verified(bob.contents, bob.stamp(), peer, number))
    (before,) = peers(bob.contents)
    take_back(anna)
    world.settle()
    (after,) = peers(bob.contents)
    assert (after.contact, after.trust, after.facets) == (before.contact, "verified", ("work",))
    assert safety_number_of(bob.contents, peer) == number
    assert any("Anna Beck replaced all keys" in event for event in bob.events)
    assert ["Anna Beck replaced all keys" in text for text in bob.issues] == [True]


def test_what_a_thief_says_afterwards_in_the_old_relationship_reaches_nobody(world: World) -> None:
    anna = world["anna"]
    thief = thief_of(anna)
    take_back(anna)
    world.settle()
    thief.now = anna.now + 8 * DAY
    thief.set_card("email", "evil@work", "work")
    thief.commit(plan_rekeys(thief.contents, thief.stamp(), forced=True))
    assert {world.server_at(out.host).put(out.put) for out in thief.to_send()} == {PutStatus.STORED}
    world.settle()
    see_each_other(world)


def test_a_thief_who_was_faster_loses_the_peer_to_the_root(world: World) -> None:
    """She announced new keys and a mailbox of hers in Anna's name, and Bob followed her there."""
    anna, bob = world["anna"], world["bob"]
    bob.now += 8 * DAY
    thief = thief_of(anna)
    thief.now = bob.now
    thief.commit(plan_rekeys(thief.contents, thief.stamp(), forced=True))
    evil = World({"anna": thief, "bob": bob})
    evil.settle()
    assert standing(bob).established.outbox == standing(thief).established.inbox.address  # type: ignore[union-attr]
    anna.now = bob.now
    anna.set_card("email", "new@work", "work")
    send_all(world, anna)
    bob.fetch()
    assert [prop.value for prop in bob.sees_of(anna)] != [prop.value for prop in anna.shows_to(bob)], "she has him"
    take_back(anna)
    world.settle()
    see_each_other(world)
    thief.set_card("email", "evil@work", "work")
    for out in thief.to_send():
        bob.server.put(out.put)
    world.settle()
    see_each_other(world)


def test_a_thief_who_ended_the_relationship_in_annas_name_did_not_end_it(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    thief = thief_of(anna)
    thief.commit(end_relationship(thief.contents, thief.stamp(), thief.peer_named("Bob Kay")))
    for out in thief.to_send():
        world.server_at(out.host).put(out.put)
    bob.fetch()
    assert list_peers(bob.contents) == []
    bob.serve()
    bob.now += 100 * DAY
    take_back(anna)
    world.settle()
    see_each_other(world)


def test_whom_bob_left_himself_does_not_come_back_by_a_reclaim(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    bob.to_send()
    take_back(anna)
    for _ in range(3):
        anna.fetch()
        send_all(world, anna)
        bob.fetch()
    assert list_peers(bob.contents) == []
    assert list_peers(anna.contents) == []
    assert "none of the mailboxes" in str([c.value("text") for c in anna.contents.values() if c.kind == "issue"])


def test_whom_bob_blocked_does_not_come_back_by_a_reclaim(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    thief = thief_of(anna)
    thief.commit(end_relationship(thief.contents, thief.stamp(), thief.peer_named("Bob Kay")))
    for out in thief.to_send():
        world.server_at(out.host).put(out.put)
    bob.fetch()
    bob.serve()
    bob.commit(block_peer(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    take_back(anna)
    assert send_all(world, anna) == [PutStatus.STORED]
    bob.fetch()
    assert list_peers(bob.contents) == []
    assert bob.states() == ["ended"]


def test_a_reclaim_finds_the_peer_in_a_mailbox_that_was_replaced(world: World) -> None:
    """Bob's newest is known to the thief alone; a parcel of hers closed the others."""
    anna, bob = world["anna"], world["bob"]
    first = standing(anna).established.outbox  # type: ignore[union-attr]
    for _ in range(3):
        bob.now += 8 * DAY
        anna.now = bob.now
        bob.commit(plan_rekeys(bob.contents, bob.stamp(), forced=True))
        world.settle()
    assert len(standing(anna).former) == 3
    falsify(anna, standing(anna).id, outbox=first)
    take_back(anna)
    world.settle()
    see_each_other(world)


def test_a_relationship_under_a_persona_that_nobody_has_is_taken_back_like_any_other(world: World) -> None:
    anna = world["anna"]
    content = anna.contents[standing(anna).id]
    units = {**content.units, "persona": anna.stamp().unit(2**50)}
    anna.commit({standing(anna).id: Content(content.kind, units)})
    take_back(anna)
    world.settle()
    see_each_other(world)
    assert standing(anna).persona == 2


def test_a_peer_who_takes_the_relationship_back_again_and_again_fills_no_address_book(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    for number in range(2, 12):
        for each in range(3):
            offer = Introduce(bytes([number, each]) * 8, "Carla", bytes([number, each]) * 16, "", anna.now + DAY)
            anna.take([crafted(bob, anna, [offer], sequence=100)])
        take_back(bob, number)
        world.settle()
    see_each_other(world)
    kinds = Counter(content.kind for content in anna.contents.values())
    assert kinds["channel"] == MAX_ENDED + 1
    assert kinds["introduction"] == 0
    issues = [str(c.value("text")) for c in anna.contents.values() if c.kind == "issue"]
    told = [text for text in issues if "replaced all keys" in text]
    assert len(told) == 1
    assert len(anna.read_ids()) <= MAX_RETIRED + 2


def test_that_a_peer_replaced_all_keys_is_told_whatever_else_the_peer_caused(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    draft = Draft(anna.contents, anna.stamp())
    assert [draft.tell("invite", anna.peer_named("Bob Kay"), str(n)) for n in range(5)] == [True] * 4 + [False]
    anna.commit(draft.edit)
    take_back(bob)
    world.settle()
    assert "Bob Kay replaced all keys" in anna.issues[-1]


def test_a_flood_of_mailboxes_in_a_peers_name_does_not_make_it_unreachable(world: World) -> None:
    """Who holds all that Anna's vault held can announce as many mailboxes to her as she likes, in Bob's name."""
    anna, bob = world["anna"], world["bob"]
    real = standing(anna).established.outbox  # type: ignore[union-attr]
    for day in range(30):
        made = [new_mailbox("bob.example", b"F" * 16, bob.random(64)).address for _ in range(4)]
        if not day:
            made.insert(2, real)  # announced once more, it is not forgotten either
        for number, address in enumerate(made):
            message = Rekey(SealKey(bytes(32)).public, address)
            anna.take([crafted(bob, anna, [message], sequence=100 + 10 * day + number)])
        anna.now += DAY
    assert standing(anna).established.outbox != real  # type: ignore[union-attr]
    bob.now = anna.now
    take_back(anna)
    world.settle()
    see_each_other(world)


def test_former_mailboxes_of_a_peer_are_remembered_up_to_a_bound(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    first = standing(anna).established.outbox  # type: ignore[union-attr]
    for number in range(MAX_FORMER + 2):
        for person in (anna, bob):
            person.now += FORMER_EVERY
        bob.commit(plan_rekeys(bob.contents, bob.stamp(), forced=True))
        world.settle()
        assert len(standing(anna).former) == min(number + 1, MAX_FORMER)
    assert first not in standing(anna).former
    take_back(anna)
    assert len(anna.to_send()) == MAX_FORMER
    world.settle()
    see_each_other(world)


def test_the_receiver_has_a_new_key_and_mailbox_at_once(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    before = {key.seed for key in standing(bob).mine.keys}
    take_back(anna)
    send_all(world, anna)
    bob.fetch()
    (key,) = standing(bob).mine.keys
    assert isinstance(key, OwnKey)
    assert key.seed not in before | {each.seed for each in persona_seals(bob.contents)}
    assert not key.used


def test_a_reclaim_waits_for_a_peer_who_is_away_and_is_put_again(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    take_back(anna)
    assert send_all(world, anna) == [PutStatus.STORED]
    assert anna.to_send() == []
    for box in bob.server.boxes.values():
        box.waiting.clear()
        box.highest.clear()
    anna.now += 61 * DAY
    assert [out.what for out in anna.to_send()] == [RECLAIM]
    send_all(world, anna)
    bob.now = anna.now
    world.settle()
    see_each_other(world)


def test_the_same_reclaim_again_changes_nothing(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    take_back(anna)
    world.settle()
    before = dict(bob.contents)
    boxes = {each.inbox.read_id for each in standing(bob).mine.retired}
    again = [stored for stored in bob.server.seen if stored.mailbox in boxes and len(stored.parcel) == 14_848]
    assert bob.take(again).handled
    assert bob.contents == before


def test_two_thefts_at_once_end_in_one_relationship(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    take_back(anna)
    take_back(bob)
    sent = [anna.to_send(), bob.to_send()]
    for person, outs in zip((anna, bob), sent, strict=True):
        for out in outs:
            world.deliver(person, out)
    world.settle()
    see_each_other(world)
    for person in (anna, bob):
        assert len(peers(person.contents)) == 1
        assert list(rekeying(person.contents).values()) == [True]


def test_of_two_reclaims_that_cross_the_one_of_the_smaller_person_id_stands(world: World) -> None:
    """Each has heard that the other's devices were stolen too, and both make the relationship at the same moment."""
    anna, bob = world["anna"], world["bob"]
    take_back(anna)
    take_back(bob)
    for _ in range(2):
        sent = [(person, person.to_send()) for person in (anna, bob)]
        for person, outs in sent:
            assert {out.what for out in outs} == {RECLAIM}
            for out in outs:
                world.deliver(person, out)
        for person in (anna, bob):
            person.fetch()
    smaller, other = sorted((anna, bob), key=lambda person: person.id)
    assert (standing(smaller).is_reclaiming, standing(other).state.value) == (True, "connected")
    world.settle()
    see_each_other(world)


@pytest.mark.parametrize("order", [("anna", "bob"), ("bob", "anna")])
@pytest.mark.parametrize("thefts", [(2, 2), (3, 2), (2, 3)])
def test_thefts_that_cross_in_any_order_end_in_one_relationship(
    world: World, order: tuple[str, str], thefts: tuple[int, int]
) -> None:
    one, other = (world[who] for who in order)
    for count, person in zip(thefts, (one, other), strict=True):
        for number in range(2, count + 1):
            take_back(person, number)
            for out in person.to_send():
                world.deliver(person, out)
    for _ in range(6):
        for person in (one, other):
            world.sync(person)
    world.settle()
    see_each_other(world)


def test_a_reclaim_that_a_thief_of_mine_may_have_read_makes_no_relationship(world: World) -> None:
    """Sealed to Bob's old persona: his thief knows the secret in it."""
    anna, bob = world["anna"], world["bob"]
    take_back(anna)
    (out,) = anna.to_send()
    take_back(bob)
    bob.to_send()
    world.deliver(anna, out)
    bob.fetch()
    theirs, mine = standing(anna).established, standing(bob).established
    assert theirs is not None
    assert mine is not None
    assert theirs.rs != mine.rs
    assert persona_of(mine.peer_persona).number == 2, "the new persona counts"
    assert mine.peer_seal_key == persona_of(own_persona(anna.contents).raw).seal_key
    assert standing(bob).is_reclaiming


def forged(thief: Person, bob: Person, me: OwnPersona) -> None:
    """A reclaim by somebody who knows all that Anna's vault knew, into Bob's mailbox."""
    known = standing(thief).established
    assert known is not None
    inbox = new_mailbox("evil.example", b"E" * 16, thief.random(64))
    raw, _ = make_reclaim(
        me,
        known.peer_persona,
        "Bob",
        seal_seed=thief.random(32),
        inbox=inbox,
        outbox=known.outbox,
        secret=thief.random(32),
        nonce=thief.random(24),
    )
    put_raw(thief, bob, raw)


def put_raw(thief: Person, bob: Person, raw: bytes) -> None:
    to = standing(thief).established.outbox  # type: ignore[union-attr]
    slot = reclaim_slot(raw)
    signature = sign_put(to.deposit, to.mailbox, slot, RECLAIM_SEQUENCE, raw)
    assert bob.server.put(Put(to.mailbox, slot, RECLAIM_SEQUENCE, raw, signature)) is PutStatus.STORED


def test_a_thief_cannot_reclaim_a_peer_without_the_root(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    thief, before = thief_of(anna), standing(bob).established
    forged(thief, bob, own_persona(thief.contents))
    bob.fetch()
    assert standing(bob).established == before
    stranger = Person.begin("Anna Beck", SimServer(), seed=7)
    stranger.renew_persona(9)
    known = standing(thief).established
    assert known is not None
    bob.fetch()
    assert standing(bob).established == before
    assert bob.issues == []


def test_another_root_in_a_reclaim_is_an_alarm(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, bob = world["anna"], world["bob"]
    thief, before = thief_of(anna), standing(bob).established
    stranger = Person.begin("Eve Low", SimServer())
    stranger.renew_persona(9)
    eve = own_persona(stranger.contents)

    class AsAnna(OwnPersona):
        @property
        def person(self) -> bytes:
            return anna.id

    forged(thief, bob, AsAnna(eve.raw, eve.sign))
    bob.fetch()
    assert standing(bob).established == before
    assert "Somebody tried to replace the keys of Anna Beck" in bob.issues[-1]


def test_invites_of_the_old_persona_are_revoked(world: World) -> None:
    anna = world["anna"]
    anna.invite("work")
    take_back(anna)
    world.settle()
    assert [row.state for row in list_invites(anna.contents, anna.now)] == ["used", "revoked"]
    new = anna.invite("work")
    world.settle()
    assert [row.state for row in list_invites(anna.contents, anna.now)][-1] == "open"
    assert new.link


@pytest.mark.parametrize("thief_of", ["anna", "bob"])
@pytest.mark.parametrize("delivered", [False, True])
def test_a_handshake_that_was_under_way_at_the_theft_comes_about(thief_of: str, delivered: bool) -> None:
    """Anna's finish is not there yet, or lies unread."""
    world = World.of("Anna Beck", "Bob Kay")
    anna, bob = world["anna"], world["bob"]
    bob.accept(anna.invite().link, anna.server)
    for out in bob.to_send():
        world.deliver(bob, out)
    anna.fetch()
    finishes = anna.to_send()
    for out in finishes if delivered else []:
        world.deliver(anna, out)
    take_back(world[thief_of])
    world.settle()
    assert (anna.states(), bob.states()) == (["connected", "ended"], ["connected", "ended"])
    assert anna.sees_of(bob) == bob.shows_to(anna)
    assert bob.sees_of(anna) == anna.shows_to(bob)


@pytest.mark.parametrize("who_invites", ["anna", "bob"])
def test_a_fresh_handshake_with_a_higher_number_replaces_the_relationship(world: World, who_invites: str) -> None:
    """Anna cannot reach Bob by what her vault knows; they meet again by an invite."""
    anna, bob = world["anna"], world["bob"]
    anna.contents = {r: c for r, c in anna.contents.items() if c.kind not in ("peer", "channel")}
    take_back(anna)
    inviter, accepter = (anna, bob) if who_invites == "anna" else (bob, anna)
    accepter.accept(inviter.invite("work").link, inviter.server)
    world.settle()
    anna.grant(anna.peer_named("Bob Kay"), "work")
    world.settle()
    see_each_other(world)
    assert len(peers(bob.contents)) == 1
    assert [row.facets for row in list_peers(bob.contents)] == [("work",)]
    assert any("Anna Beck replaced all keys" in text for text in bob.issues)


def test_a_fresh_handshake_with_the_old_number_does_not(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    thief, before = thief_of(anna), standing(bob).established
    thief.contents = {r: c for r, c in thief.contents.items() if c.kind not in ("peer", "channel")}
    thief.accept(bob.invite("work").link, bob.server)
    for out in thief.to_send():
        world.server_at(out.host).put(out.put)
    bob.fetch()
    assert standing(bob).established == before


def test_old_mailboxes_go_in_the_end(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    take_back(anna)
    world.settle()
    for person in (anna, bob):
        person.now += RETIRED_FOR + DAY
    for _ in range(3):
        world.settle()
    for person in (anna, bob):
        assert all(each.at + RETIRED_FOR > person.now for each in standing(person).mine.retired)


def test_an_alarm_is_raised_where_another_person_stands_behind_a_contact(world: World) -> None:
    bob = world["bob"]
    eve = Person.begin("Anna Beck", SimServer(), seed=3)
    (peer,) = peers(bob.contents)
    with pytest.raises(Alarm) as raised:
        bob.accept(eve.invite().link, eve.server, contact=peer.contact)
    assert raised.value.alarm is AlarmCode.PERSON_CHANGED


def test_a_reclaim_is_sealed_to_the_key_that_the_peers_root_signed(world: World) -> None:
    """Whatever else the vault says of Bob's keys, the thief may have written there."""
    anna = world["anna"]
    evil = SealKey(bytes(32)).public
    falsify(anna, standing(anna).id, peer_seal_key=evil)
    take_back(anna)
    world.settle()
    see_each_other(world)
