"""The record that says where the vault lives: new mailboxes are made there, old ones are held where they were."""

from __future__ import annotations

import pytest

from kith_client.relations.homes import READ_FOR, Place, former_places, here, home_of, moved, without_former
from kith_client.relations.records import channels
from kith_client.relations.server_side import addresses, server_side
from kith_client.relations.soundness import is_sound
from kith_protocol.content import Content, Unit
from kith_protocol.encoding import Value
from tests.client.relations.people import Person, World

OLD = Place("https://anna.example", b"F" * 16)
NEW = Place("https://new.example", b"N" * 16)


@pytest.fixture
def world() -> World:
    world = World.of("Anna Beck", "Bob Kay")
    world["anna"].set_card("email", "anna@work", "work")
    world.connect("anna", "bob", ("work",))
    return world


def move(person: Person, new: Place = NEW, old: Place | None = OLD) -> None:
    person.commit(moved(person.contents, person.stamp(), new, old))


def test_a_vault_that_never_moved_has_no_such_record(world: World) -> None:
    assert home_of(world["anna"].contents) is None
    assert former_places(world["anna"].contents, 0) == ()


def test_the_next_plan_after_a_move_gives_every_relationship_a_mailbox_at_the_new_server(world: World) -> None:
    anna = world["anna"]
    move(anna)
    anna.to_send()
    (channel,) = channels(anna.contents)
    assert [key.inbox.address.host for key in channel.mine.keys] == ["new.example", "anna.example"]
    assert NEW.has(channel.mine.keys[0].inbox.address)
    anna.to_send()
    (again,) = channels(anna.contents)
    assert again.mine.keys == channel.mine.keys


def test_each_server_holds_its_own_mailboxes_only(world: World) -> None:
    anna = world["anna"]
    anna.invite("work")
    everything = server_side(anna.contents, anna.now)
    move(anna)
    anna.to_send()
    at_old, at_new = (server_side(anna.contents, anna.now, place) for place in (OLD, NEW))
    assert {box.mailbox for box in at_old.mailboxes} == {box.mailbox for box in everything.mailboxes}
    assert at_old.greetings == everything.greetings
    assert len(at_new.mailboxes) == 1
    assert at_new.greetings == ()
    assert sum(OLD.has(address) for address in addresses(anna.contents, anna.now)) == len(at_old.mailboxes)


def test_the_peer_writes_to_the_new_server_once_it_heard_and_nothing_arrives_twice(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    bob.set_card("email", "bob@work", "work")
    bob.grant(bob.peer_named("Anna Beck"), "work")
    move(anna)
    world.people["new"] = Person("New", anna.server, anna.rng)  # another name for the same boxes
    for _ in range(6):
        for person in (anna, bob):
            world.sync(person)
    assert [prop.value for prop in anna.sees_of(bob) if prop.key == "EMAIL"] == ["bob@work"]
    (channel,) = channels(anna.contents)
    assert [NEW.has(key.inbox.address) and key.used for key in channel.mine.keys] == [True]


def test_moving_back_makes_the_first_server_the_home_again_and_the_second_one_former(world: World) -> None:
    anna = world["anna"]
    move(anna)
    move(anna, OLD, NEW)
    home = home_of(anna.contents)
    assert home is not None
    assert home.here == OLD
    assert [each.place for each in home.former] == [NEW]


def test_a_server_that_was_left_is_read_for_180_days_or_until_it_is_given_up(world: World) -> None:
    anna = world["anna"]
    move(anna)
    assert [each.place for each in former_places(anna.contents, anna.now)] == [OLD]
    assert former_places(anna.contents, anna.now + READ_FOR) == ()
    anna.commit(without_former(anna.contents, OLD.host))
    assert former_places(anna.contents, anna.now) == ()
    assert here(anna.contents) == NEW


GOOD: dict[str, Value] = {"url": "https://new.example", "fingerprint": b"N" * 16, "since": 1}


@pytest.mark.parametrize(
    "units",
    [
        {},
        {"here": "https://new.example"},
        {"here": {**GOOD, "url": "https://new.example/path"}},
        {"here": {**GOOD, "fingerprint": b"short"}},
        {"here": {**GOOD, "since": "today"}},
        {"here": GOOD, "former/anna.example": {**GOOD}},
    ],
)
def test_a_damaged_record_moves_nobody(units: dict[str, Value]) -> None:
    content = Content("home", {key: Unit(value, 1, b"12345678") for key, value in units.items()})
    assert not is_sound(b"r" * 16, content)


def test_a_server_that_is_to_be_read_for_ever_is_not_read(world: World) -> None:
    """Whoever writes to the record cannot have this device sign in at a server of hers for ever."""
    anna = world["anna"]
    move(anna)
    (record,) = (record for record, content in anna.contents.items() if content.kind == "home")
    content = anna.contents[record]
    hers: dict[str, Value] = {"url": "https://evil.example", "fingerprint": bytes(16), "until": 2**50}
    anna.commit({record: Content(content.kind, {**content.units, "former/evil.example": anna.stamp().unit(hers)})})
    assert [each.place for each in former_places(anna.contents, anna.now)] == [OLD]
    assert [each.place for each in former_places(anna.contents, anna.now - 3600 * 1000)] == [OLD], "a clock behind"
