"""A channel that went on on two sides, because a server lost one: joined, it leads to the same as one history."""

from __future__ import annotations

import copy
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kith_client.book.problems import NotFound
from kith_client.relations.apart import KINDS, join
from kith_client.relations.records import Channel, channels
from kith_client.relations.rekeying import DAY, demand_rekeys, plan_rekeys
from kith_protocol.content import Content
from kith_protocol.merge import merge
from kith_protocol.parcel import MAX_RECEIVER_KEYS
from tests.client.relations.people import Person, World
from tests.client.relations.test_rekeying_world import fresh_world

STEPS = ["anna's card", "bob's card", "anna's key", "bob's key", "anna syncs", "bob syncs", "days", "withdraw", "grant"]
_some_steps = st.lists(st.sampled_from(STEPS), max_size=8)


def play(world: World, steps: list[str], side: str) -> None:
    """What happens on one side."""
    anna, bob = world["anna"], world["bob"]
    for place, step in enumerate(steps):
        match step:
            case "anna's card":
                anna.set_card("email", f"anna-{side}-{place}@work", "work")
            case "bob's card":
                bob.set_card("email", f"bob-{side}-{place}@work", "work")
            case "anna's key" | "bob's key":
                person = world[step.partition("'")[0]]
                person.commit(plan_rekeys(person.contents, person.stamp(), forced=True))
            case "anna syncs" | "bob syncs":
                world.sync(world[step.partition(" ")[0]])
            case "days":
                for person in world.people.values():
                    person.now += 8 * DAY
            case "grant" | "withdraw":
                peer = anna.peer_named("Bob Kay")
                change = anna.grant if step == "grant" else anna.withdraw
                with suppress(NotFound):  # it was not granted
                    change(peer, "work")


def joined(one: dict[bytes, Content], other: dict[bytes, Content], now: int) -> dict[bytes, Content]:
    """Both sides, record by record, without a base."""
    found: dict[bytes, Content] = {}
    for record in {*one, *other}:
        sides = [side[record] for side in (one, other) if record in side]
        if len(sides) == 2 and sides[0] != sides[1]:
            kept = join(*sides) if sides[0].kind in KINDS else merge(None, *sides, latest=now).content
            assert kept is not None
            found[record] = kept
        else:
            found[record] = sides[0]
    return found


def parted(lost: list[str], since: list[str]) -> tuple[World, dict[bytes, Content]]:
    """Anna's server was restored between the steps. The world at the end of the second side, and the first side."""
    world = copy.deepcopy(fresh_world())
    anna = world["anna"]
    before, server = copy.deepcopy(anna.contents), copy.deepcopy(anna.server)
    play(world, lost, "lost")
    first = dict(anna.contents)
    anna.contents, anna.server = before, server
    play(world, since, "since")
    return world, first


def channel_of(contents: dict[bytes, Content]) -> Channel:
    (channel,) = channels(contents)
    return channel


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_some_steps, _some_steps)
def test_after_a_repair_both_have_what_the_other_shows(lost: list[str], since: list[str]) -> None:
    world, first = parted(lost, since)
    anna, bob = world["anna"], world["bob"]
    anna.contents = joined(first, anna.contents, anna.now)
    anna.commit(demand_rekeys(anna.contents, anna.stamp()))
    world.settle()
    for _ in range(2):  # what was lost with a receipt comes again
        for person in world.people.values():
            person.now += 61 * DAY
        world.settle(40)
    assert bob.sees_of(anna) == anna.shows_to(bob)
    assert anna.sees_of(bob) == bob.shows_to(anna)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_some_steps, _some_steps)
def test_joining_goes_never_back_and_is_the_same_in_either_order(lost: list[str], since: list[str]) -> None:
    world, first = parted(lost, since)
    anna: Person = world["anna"]
    for record, one in first.items():
        other = anna.contents.get(record)
        if other is not None and one.kind in KINDS and one != other:
            assert join(one, other) == join(other, one)
    sides = [channel_of(first), channel_of(anna.contents)]
    both = channel_of(joined(first, anna.contents, anna.now))
    for side in sides:
        for key, item in side.items.items():
            assert both.items[key].version >= item.version
        assert both.address_sequence >= side.address_sequence
        assert both.mine.told.sequence >= side.mine.told.sequence
        assert both.mine.forced >= side.mine.forced
        assert max(key.sequence for key in both.mine.keys) >= max(key.sequence for key in side.mine.keys)
        for key, version in both.receipts.items():
            assert version <= side.receipts.get(key, 0)
    assert len(both.mine.keys) <= MAX_RECEIVER_KEYS
    assert not any(key.used for key in both.mine.keys[:-1])
    live = {key.inbox.read_id for key in both.mine.keys}
    seen = {key.inbox.read_id for side in sides for key in side.mine.keys}
    retired = {each.inbox.read_id for each in both.mine.retired}
    assert seen <= live | retired | set(both.mine.closing)
    assert not live & retired
    refs = [item.ref for item in both.items.values() if not item.gone]
    assert len(refs) == len(set(refs))


def test_a_record_that_cannot_be_read_does_not_stop_the_other() -> None:
    world, first = parted(["anna's card", "anna syncs"], ["anna's key"])
    channel = channel_of(first).id
    broken = Content("channel", {})
    assert join(first[channel], broken) in (first[channel], broken)
    assert join(first[channel], broken) == join(broken, first[channel])
    assert world["anna"].contents[channel] != first[channel]
