"""What people are shown of guardians: who keeps what, in the list, the preview, and before something ends."""

from __future__ import annotations

import copy

import pytest

from kith_client.relations.guardians import guarding, splits
from tests.client.cli.kith import Kith, lines
from tests.client.relations.guardians import ENTROPY, acquainted, arrived, give, states
from tests.client.relations.people import Person, World
from tests.support.memory_book import MemoryBook


@pytest.fixture
def world() -> World:
    return arrived(copy.deepcopy(acquainted()))


def sit_at(kith: Kith, person: Person) -> Kith:
    kith.book = MemoryBook(records=dict(person.contents), now=person.now + 1000)
    return kith


def test_who_has_no_guardians_is_told_how_to_get_some(kith: Kith) -> None:
    assert kith.do("guardians") == {"guardians": [], "needed": None, "guarding": []}
    assert "splits your recovery phrase among friends" in kith("guardians").err


def test_both_directions_are_listed(kith: Kith, world: World) -> None:
    give(world["bob"])
    world.settle()
    found = sit_at(kith, world["anna"]).do("guardians")
    assert (found["needed"], found["guarding"]) == (2, [])
    assert {each["name"]: (each["state"], each["given"]) for each in found["guardians"]} == {
        "Bob Kay": ("kept", 1),
        "Cleo Ray": ("kept", 0),
        "Dora Falk": ("kept", 0),
    }
    shown = lines(kith("guardians").out)
    assert shown[0] == "My guardians (2 are needed together):"
    assert any("Bob Kay" in line and "once, 20" in line for line in shown)
    sit_at(kith, world["bob"])
    (said,) = lines(kith("guardians").out)
    assert said.startswith("You are a guardian for Anna Beck since 20")
    assert "handed out 20" in said
    assert guarding.share_of(world["bob"].contents, world["bob"].peer_named("Anna Beck")).words not in said


def test_the_end_of_an_office_is_shown_with_its_date(kith: Kith, world: World) -> None:
    anna, dora = world["anna"], world["dora"]
    anna.commit(splits.remove_guardian(anna.contents, anna.stamp(), ENTROPY, anna.peer_named("Dora Falk")))
    world.settle()
    assert states(anna)["dora"] == "released"
    (row,) = sit_at(kith, dora).do("guardians")["guarding"]
    assert row["ended"].startswith("20")
    assert "the office ended on 20" in kith("guardians").out


def test_a_time_beyond_all_calendars_breaks_no_list(kith: Kith, world: World) -> None:
    """A guardian names it, with a program of its own."""
    anna = world["anna"]
    split = splits.splits(anna.contents)[0]
    stamp = anna.stamp()
    content = anna.contents[split.id]
    answer = splits.ANSWER + anna.peer_named("Bob Kay").hex()
    anna.contents[split.id] = type(content)(
        content.kind, {**content.units, answer: stamp.unit([2, [[1, 2**53]]])}, content.extra
    )
    sit_at(kith, anna)
    assert {each["given_at"] for each in kith.do("guardians")["guardians"]} == {None, "9999-12-31T23:59:59Z"}
    assert "once, 9999-12-31" in kith("guardians").out


def test_a_preview_shows_that_a_peer_is_a_guardian(kith: Kith, world: World) -> None:
    (shared,) = sit_at(kith, world["anna"]).do("preview", "Bob")["shared"]
    assert shared["kind"] == "guardian"
    assert "share of my recovery phrase" in shared["name"]
    assert str(shared["version"]) not in kith("preview", "Bob").out


@pytest.mark.parametrize("command", ["forget", "block"])
def test_who_ends_a_relationship_is_told_what_stays_of_a_share(kith: Kith, world: World, command: str) -> None:
    said = sit_at(kith, world["anna"])(command, "Bob", "--yes")
    assert "Bob Kay is your guardian and keeps that share for 180 days more" in said.err
    said = sit_at(kith, world["bob"])(command, "Anna", "--yes")
    assert "You are a guardian for Anna Beck: the share is erased 180 days from now" in said.err
