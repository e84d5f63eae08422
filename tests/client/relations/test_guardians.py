"""Guardians between people: shares arrive, outlast what relationships go through, and all that is said is heard."""

from __future__ import annotations

import copy
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kith_client.relations.draft import Draft
from kith_client.relations.ending import block_peer, end_relationship
from kith_client.relations.guardians import guarding, splits
from kith_client.relations.guardians.splits import list_guardians
from kith_client.relations.outgoing import Outgoing
from kith_client.relations.rekeying import DAY, plan_rekeys
from kith_client.stamp import of_kind
from kith_protocol.errors import Refused
from kith_protocol.gateway import PutStatus
from kith_protocol.persona import FIRST_NUMBER
from kith_protocol.reclaim import MAX_PERSONA_KEYS
from kith_protocol.splitting import candidates, read_share
from tests.client.relations.guardians import (
    ENTROPY,
    FRIENDS,
    NAMES,
    VAULT,
    acquainted,
    arrived,
    give,
    kept,
    opened,
    plain,
    split,
    states,
    words_of,
)
from tests.client.relations.people import Person, World


@pytest.fixture
def world() -> World:
    return copy.deepcopy(acquainted())


def test_each_guardian_gets_a_share_and_any_that_are_needed_give_the_phrase(world: World) -> None:
    split(world)
    assert states(world["anna"]) == dict.fromkeys(FRIENDS, "waiting")
    world.settle()
    assert states(world["anna"]) == dict.fromkeys(FRIENDS, "kept")
    for one, other in (("bob", "cleo"), ("dora", "bob"), ("cleo", "dora")):
        assert opened(world, one, other) == [ENTROPY]
    for friend in FRIENDS:
        assert opened(world, friend) == []
        (event,) = (each for each in world[friend].events if "guardian" in each)
        assert "Anna Beck made you a guardian" in event
        found = kept(world[friend])
        assert found is not None
        assert (found.vault, found.needed) == (VAULT, 2)


def test_nothing_is_said_again_once_all_have_answered(world: World) -> None:
    arrived(world)
    for person in world.people.values():
        assert [out.what for out in person.to_send()] == []


def test_a_share_waits_for_a_guardian_who_is_offline_and_only_for_that_one(world: World) -> None:
    split(world)
    for _ in range(3):
        for name in ("anna", "bob", "cleo"):
            world.sync(world[name])
    assert states(world["anna"]) == {"bob": "kept", "cleo": "kept", "dora": "waiting"}
    (waiting,) = splits.splits(world["anna"].contents)
    assert set(waiting.sealed) == {world["anna"].peer_named("Dora Falk")}
    world.settle()
    assert states(world["anna"])["dora"] == "kept"


def test_a_share_arrives_after_both_sides_got_new_keys_meanwhile(world: World) -> None:
    """It is sealed to the guardian's persona, which outlives the keys of a relationship."""
    anna, bob = world["anna"], world["bob"]
    split(world)
    anna.to_send()
    for _ in range(2):
        for person in (bob, anna):
            person.now += 8 * DAY
            person.commit(plan_rekeys(person.contents, person.stamp(), forced=True))
            for out in person.to_send():
                if out.what not in ("guard", "guard-answer"):
                    world.deliver(person, out)
        anna.fetch()
        bob.fetch()
    assert words_of(bob) == ""
    world.settle()
    assert opened(world, "bob", "dora") == [ENTROPY]


def test_a_parcel_that_a_server_lost_is_put_again_when_the_guardian_has_a_new_mailbox(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    split(world)
    for out in anna.to_send():
        anna.receipt(out, PutStatus.STORED)  # and lost
    world.settle()
    assert words_of(bob) == ""
    bob.now += 41 * DAY
    world.settle()
    assert opened(world, "bob") == []
    assert words_of(bob)


def test_two_devices_that_split_at_the_same_time_agree_on_one(world: World) -> None:
    anna = world["anna"]
    peers = [anna.peer_named(name) for name in NAMES]
    first = splits.make_split(anna.contents, anna.stamp(), VAULT, ENTROPY, peers, 2)
    second = splits.make_split(anna.contents, anna.stamp(), VAULT, ENTROPY, peers[:2], 2)
    anna.commit(first)
    anna.commit(second)
    world.settle()
    assert opened(world, "bob", "cleo") == [ENTROPY]
    assert words_of(world["dora"]) == ""
    assert states(anna) == {"bob": "kept", "cleo": "kept", "dora": "removed"}
    assert all(not each.sealed for each in splits.splits(anna.contents))


def test_a_new_split_replaces_the_shares_and_releases_who_is_left_out(world: World) -> None:
    arrived(world)
    old = words_of(world["bob"])
    split(world, "Bob Kay", "Cleo Ray")
    world.settle()
    assert words_of(world["bob"]) != old
    assert opened(world, "bob", "cleo") == [ENTROPY]
    assert states(world["anna"]) == {"bob": "kept", "cleo": "kept", "dora": "released"}
    assert candidates([read_share(old), read_share(words_of(world["cleo"]))]) == []
    assert candidates([read_share(old), read_share(words_of(world["dora"]))])[0].entropy == ENTROPY, (
        "what was handed out once stays good together: the docs say so"
    )


def test_a_guardian_who_resigns_keeps_nothing_and_the_person_hears_of_it(world: World) -> None:
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    bob.commit(guarding.resign(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    assert words_of(bob) == ""
    assert b"words" not in plain(bob)
    world.settle()
    assert states(anna)["bob"] == "resigned"
    assert any("Bob Kay keeps no share of your recovery phrase any more" in issue for issue in anna.issues)
    split(world)
    world.settle()
    assert states(anna)["bob"] == "kept", "asked again, and not refused so far"


def test_a_share_for_a_persona_that_was_replaced_is_answered_as_unreadable(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    split(world)
    for number in range(2, 2 + MAX_PERSONA_KEYS):
        bob.renew_persona(number)
    world.settle()
    assert states(anna)["bob"] == "unreadable"
    assert any("Bob Kay could not open the share" in issue for issue in anna.issues)
    assert words_of(bob) == ""


def test_a_share_that_was_sealed_before_a_theft_at_the_guardian_opens_after_it(world: World) -> None:
    split(world)
    world["bob"].renew_persona(2)
    world.settle()
    assert opened(world, "bob", "cleo") == [ENTROPY]


def test_a_guardian_with_whom_the_relationship_ended_is_an_alarm_once(world: World) -> None:
    arrived(world)
    anna = world["anna"]
    anna.commit(end_relationship(anna.contents, anna.stamp(), anna.peer_named("Bob Kay")))
    world.settle()

    def told() -> list[bytes]:
        issues = of_kind(anna.contents, "issue").items()
        return [i for i, c in issues if "Bob Kay is not connected with you any more" in str(c.value("text"))]

    (issue,) = told()
    del anna.contents[issue]
    world.settle()
    assert told() == []


def test_a_guardian_whose_words_are_gone_does_not_say_that_they_are_kept(world: World) -> None:
    arrived(world)
    bob, found = world["bob"], kept(world["bob"])
    assert found is not None
    draft = Draft(bob.contents, bob.stamp())
    draft.change(found.id, {}, without=["words"])
    bob.commit(draft.edit)
    world.settle()
    assert states(world["anna"])["bob"] == "resigned"
    assert any("Bob Kay keeps no share" in issue for issue in world["anna"].issues)


def test_a_guardian_whose_persona_cannot_be_read_now_leaves_the_parcel_where_it_is(world: World) -> None:
    split(world)
    bob = world["bob"]
    world.sync(world["anna"])
    (record,) = of_kind(bob.contents, "persona")
    persona = bob.contents.pop(record)
    bob.fetch()
    assert words_of(bob) == ""
    bob.contents[record] = persona
    bob.fetch()
    assert words_of(bob)


def test_blocking_a_guardian_sends_nothing_and_shows_it(world: World) -> None:
    arrived(world)
    anna = world["anna"]
    anna.commit(block_peer(anna.contents, anna.stamp(), anna.peer_named("Bob Kay")))
    world.settle()
    assert states(anna)["bob"] == "disconnected"
    assert splits.guardians_now(anna.contents) == sorted(anna.peer_named(name) for name in NAMES[1:])


def test_a_split_is_among_different_people_with_whom_one_is_connected(world: World) -> None:
    anna = world["anna"]
    bob, cleo = anna.peer_named("Bob Kay"), anna.peer_named("Cleo Ray")
    with pytest.raises(Refused) as refused:
        splits.make_split(anna.contents, anna.stamp(), VAULT, ENTROPY, [bob, bob], 2)
    assert refused.value.code == "guardians-count"
    anna.commit(end_relationship(anna.contents, anna.stamp(), cleo))
    with pytest.raises(Refused) as refused:
        splits.make_split(anna.contents, anna.stamp(), VAULT, ENTROPY, [bob, cleo], 2)
    assert refused.value.code == "not-connected"


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_whatever_is_lost_or_late_all_is_told_in_the_end(seed: int) -> None:
    """Splits, removals, resignations and handing out in any order, over a network that loses and delays."""
    world, rng = copy.deepcopy(acquainted()), random.Random(seed)
    anna = world["anna"]
    flying: list[tuple[Person, Outgoing]] = []
    for _ in range(14):
        _one_step(world, rng, flying)
    for sender, out in flying:
        world.deliver(sender, out)
    world.settle(20)
    for friend, name in zip(FRIENDS, NAMES, strict=True):
        _check(anna, world[friend], name)


def _one_step(world: World, rng: random.Random, flying: list[tuple[Person, Outgoing]]) -> None:
    anna, friend = world["anna"], world[rng.choice(FRIENDS)]
    match rng.randrange(7):
        case 0:
            split(world, *rng.sample(NAMES, rng.choice((2, 3))))
        case 1:
            now = splits.guardians_now(anna.contents)
            if now:
                anna.commit(splits.remove_guardian(anna.contents, anna.stamp(), ENTROPY, rng.choice(now)))
        case 2 if words_of(friend):
            friend.commit(guarding.resign(friend.contents, friend.stamp(), friend.peer_named("Anna Beck")))
        case 3 if words_of(friend):
            give(friend)
        case 4:
            rng.shuffle(flying)
            while flying and rng.random() < 0.7:
                world.deliver(*flying.pop())
        case _:
            person = world[rng.choice(("anna", *FRIENDS))]
            person.fetch()
            person.commit(plan_rekeys(person.contents, person.stamp(), forced=rng.random() < 0.3))
            flying += [(person, out) for out in person.to_send()]


def _check(anna: Person, friend: Person, name: str) -> None:
    row = next((row for row in list_guardians(anna.contents) if row.peer == anna.peer_named(name)), None)
    found = kept(friend)
    if row is None or found is None:
        assert row is None or row.state in ("removed", "released")
        return
    current = splits.splits(anna.contents)[0]
    if row.state == "kept":
        assert (found.made, bool(found.words), found.released) == (current.made, True, 0)
    else:
        assert row.state in ("resigned", "released", "removed")
        assert not found.words or found.released
    assert max(
        (a.given for s in splits.splits(anna.contents) for p, a in s.answers.items() if p == row.peer), default=0
    ) == (found.answer.given)


def test_a_share_is_handed_out_for_the_server_where_the_peer_is_while_a_new_link_of_it_names_another() -> None:
    world = arrived(copy.deepcopy(acquainted()))
    anna, bob = world["anna"], world["bob"]
    anna.renew_persona(FIRST_NUMBER + 1)
    bob.accept(anna.invite().link.replace("anna.example", "mallory.example"), anna.server)
    _, link = guarding.give(bob.contents, bob.stamp(), bob.peer_named("Anna Beck"))
    assert link.host == "anna.example"
