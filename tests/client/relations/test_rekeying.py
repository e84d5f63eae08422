"""New keys at their time, old mailboxes closed, acknowledgements once a day, and the end of a relationship."""

from __future__ import annotations

import pytest

from kith_client.relations.ending import block_peer, end_relationship, unblock_peer
from kith_client.relations.outgoing import BYE, STATE
from kith_client.relations.records import Channel, channels
from kith_client.relations.rekeying import DAY, EARLIEST, LATEST, REKEY, RETIRED_FOR, plan_rekeys, rekeying
from kith_client.relations.server_side import server_side
from kith_protocol.errors import Refused
from kith_protocol.mailbox import MailboxKind
from tests.client.relations.people import Person, World
from tests.client.relations.simserver import SimServer


@pytest.fixture
def world() -> World:
    world = World.of("Anna Beck", "Bob Kay")
    world["anna"].set_card("email", "anna@work", "work")
    world["bob"].set_card("email", "bob@work", "work")
    world.connect("anna", "bob", ("work",))
    world["bob"].grant(world["bob"].peer_named("Anna Beck"), "work")
    world.settle()
    return world


def channel_of(person: Person) -> Channel:
    (channel,) = channels(person.contents)
    return channel


def wait(world: World, days: float) -> None:
    for person in world.people.values():
        person.now += int(days * DAY)


def force(person: Person) -> None:
    person.commit(plan_rekeys(person.contents, person.stamp(), forced=True))


def test_a_new_key_is_due_between_20_and_40_days_and_comes_by_itself(world: World) -> None:
    anna = world["anna"]
    due = channel_of(anna).mine.rekey_at
    assert due - anna.now + DAY >= EARLIEST
    assert due - anna.now <= LATEST
    wait(world, 41)
    world.settle()
    (key,) = channel_of(anna).mine.keys
    assert key.used
    assert key.sequence >= 1


def test_an_old_mailbox_is_retired_with_the_first_parcel_in_the_new_one_and_deleted_after_180_days(
    world: World,
) -> None:
    anna = world["anna"]
    old = channel_of(anna).inbox
    force(anna)
    assert rekeying(anna.contents) == {channel_of(anna).peer: False}
    world.settle()
    assert rekeying(anna.contents) == {channel_of(anna).peer: True}
    assert anna.server.boxes[old.address.mailbox].owner.kind is MailboxKind.RETIRED
    anna.now += RETIRED_FOR
    anna.to_send()
    anna.serve()
    assert old.address.mailbox not in anna.server.boxes
    assert channel_of(anna).mine.closing == ()


def test_a_removed_device_that_knows_the_old_addresses_is_not_heard_any_more(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    thief = Person("Anna Beck", SimServer(), anna.rng, dict(anna.contents), now=anna.now)
    wait(world, 8)
    force(anna)
    world.settle()
    thief.set_card("fn", "Anna the Thief")
    for out in thief.to_send():
        world.deliver(thief, out)
    bob.fetch()
    assert [prop.value for prop in bob.sees_of(anna) if prop.key == "FN"] == ["Anna Beck"]


def test_who_waits_to_be_connected_gets_a_new_key_as_soon_as_that_is_done() -> None:
    world = World.of("Anna Beck", "Bob Kay")
    anna, bob = world["anna"], world["bob"]
    bob.accept(anna.invite().link, anna.server)
    force(bob)
    world.settle()
    assert channel_of(bob).mine.keys[0].sequence == 1
    assert rekeying(bob.contents) == {channel_of(bob).peer: True}


def test_what_only_acknowledges_goes_once_a_day(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    anna.set_card("email", "anna@new", "work")
    world.sync(anna)
    bob.fetch()
    assert bob.to_send() == []
    wait(world, 1.1)
    assert [out.what for out in bob.to_send()] == [STATE]
    world.settle()
    assert channel_of(anna).mine.acknowledged == {key: i.version for key, i in channel_of(anna).items.items()}


def test_what_was_not_acknowledged_is_put_again_after_60_days(world: World) -> None:
    anna = world["anna"]
    anna.set_card("email", "anna@new", "work")
    world.sync(anna)
    assert anna.to_send() == []
    anna.now += 61 * DAY
    assert {REKEY} < {out.what for out in anna.to_send()}


def test_a_receipt_from_a_mailbox_that_was_replaced_does_not_count(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    anna.set_card("email", "anna@new", "work")
    (late,) = anna.to_send()
    status = world.server_at(late.host).put(late.put)
    force(bob)
    for out in bob.to_send():
        world.deliver(bob, out)
    anna.fetch()
    anna.receipt(late, status)
    assert late.what in {out.what for out in anna.to_send()}


def test_a_farewell_takes_everything_back_on_both_sides_and_old_parcels_bring_nothing(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    old = list(bob.server.seen)
    anna.commit(end_relationship(anna.contents, anna.stamp(), anna.peer_named("Bob Kay")))
    assert anna.sees_of(bob) == [], "at once, before any sync"
    assert [out.what for out in anna.to_send()] == [BYE]
    world.settle()
    assert bob.sees_of(anna) == []
    assert (anna.states(), bob.states()) == (["ended"], ["ended"])
    assert "Anna Beck ended the relationship" in " ".join(bob.events)
    bob.take(old)
    assert bob.sees_of(anna) == []
    assert [m for m in server_side(anna.contents, anna.now).mailboxes if m.kind is MailboxKind.PARCELS] == []
    with pytest.raises(Refused):
        end_relationship(anna.contents, anna.stamp(), anna.peer_named("Bob Kay"))


def test_a_blocked_person_hears_nothing_and_cannot_come_back_until_that_is_undone(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    peer = anna.peer_named("Bob Kay")
    anna.commit(block_peer(anna.contents, anna.stamp(), peer))
    assert anna.to_send() == []
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    world.settle()
    link = bob.invite().link
    with pytest.raises(Refused, match="blocked"):
        anna.accept(link, bob.server)
    bob.accept(anna.invite().link, anna.server)
    world.settle()
    assert "blocked" in anna.issues[-1]
    assert anna.sees_of(bob) == []
    anna.commit(unblock_peer(anna.contents, anna.stamp(), peer))
    anna.accept(bob.invite().link, bob.server)
    world.settle()
    assert anna.sees_of(bob) != []


def test_no_key_that_the_peer_may_have_is_dropped_and_the_demand_waits(world: World) -> None:
    """Two who each drop the key that the other has would never hear of each other again."""
    anna, bob = world["anna"], world["bob"]
    for number in range(6):
        for person in (anna, bob):
            person.now += 1000
            force(person)
            keys = channel_of(person).mine.keys
            assert [key.sequence for key in keys] == list(range(min(number + 1, 3), -1, -1))
    for _ in range(3):
        world.settle()
    for person, other in ((anna, bob), (bob, anna)):
        (key,) = channel_of(person).mine.keys
        assert key.at >= channel_of(person).mine.forced
        assert set(rekeying(person.contents).values()) == {True}
        assert person.sees_of(other) == other.shows_to(person)


def test_what_a_server_lost_in_a_new_mailbox_does_not_part_two_people_for_ever(world: World) -> None:
    """It gave receipts, and says of the same sequences that it has them: only new ones get through."""
    anna, bob = world["anna"], world["bob"]
    force(anna)
    for out in anna.to_send():
        world.deliver(anna, out)
    bob.set_card("email", "bob@new", "work")
    world.sync(bob)
    for box in anna.server.boxes.values():
        box.waiting.clear()
    for _ in range(10):
        wait(world, 12)
        world.sync(anna)
        world.sync(bob)
    assert channel_of(anna).mine.keys[-1].sequence > 0, "the very first key is still in use"
    assert anna.sees_of(bob) == bob.shows_to(anna)
