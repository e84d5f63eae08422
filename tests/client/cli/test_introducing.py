"""Commands about introductions, on the address books of people who really are connected."""

from __future__ import annotations

import pytest

from tests.client.cli.kith import Kith, lines
from tests.client.relations.acquaintances import ANNA, BOB, CARLA, acquaintances, introduced
from tests.client.relations.people import Person, World
from tests.support.memory_book import MemoryBook


@pytest.fixture
def world() -> World:
    return acquaintances()


def as_person(kith: Kith, person: Person) -> Kith:
    """`kith` of somebody."""
    kith.book = MemoryBook(records=dict(person.contents), now=person.now + 1000)
    return kith


def back(kith: Kith, person: Person) -> None:
    """What was done with `kith` stands in the person's address book."""
    person.contents = dict(kith.book.contents)
    person.now = kith.book.now


def test_what_each_gets_to_see_is_said_before_it_is_sent(kith: Kith, world: World) -> None:
    as_person(kith, world["anna"])
    said = kith("introduce", "Bob", "Carla", "--message", "You both fence.")
    assert said.code == 0
    assert f"{BOB} sees the name '{CARLA}', that person's id, and your message: You both fence." in said.err
    assert f"{CARLA} sees the name '{BOB}', that person's id, and your message: You both fence." in said.err
    (row,) = kith.do("introductions")["introductions"]
    assert (row["by"], row["names"], row["state"], row["text"]) == ("me", [BOB, CARLA], "waiting", "You both fence.")
    (shared,) = kith.do("preview", "Bob")["shared"]
    assert (shared["kind"], shared["name"]) == ("introduction", f"{CARLA}: You both fence.")
    back(kith, world["anna"])
    world.settle()
    assert [row.label for row in world["bob"].requests()] == [CARLA]


def test_a_message_may_come_from_standard_input(kith: Kith, world: World) -> None:
    document = as_person(kith, world["anna"]).do("introduce", "Bob", "Carla", "--message", "-", given="hello\n")
    assert document["shown"] == [
        {"to": BOB, "label": CARLA, "text": "hello"},
        {"to": CARLA, "label": BOB, "text": "hello"},
    ]


def test_an_introduction_is_taken_back(kith: Kith, world: World) -> None:
    as_person(kith, world["anna"])
    made = kith.do("introduce", "Bob", "Carla")["id"]
    assert kith.do("introductions", "take-back", made[:8]) == {"id": made}
    assert [row["state"] for row in kith.do("introductions")["introductions"]] == ["taken back"]
    assert kith.do("preview", "Bob")["shared"] == []


def test_bad_introductions_are_refused_in_plain_words(kith: Kith, world: World) -> None:
    as_person(kith, world["anna"])
    assert kith.fail("introduce", "Bob", "Bob")[0] == "one-person"
    assert kith.fail("introduce", "Bob", "Nobody")[0] == "not-found"
    assert kith.fail("introduce", "Bob", "Carla", "--message", "x" * 5000)[0] == "bad-value"
    assert kith.fail("introductions", "take-back", "ffffffff")[0] == "not-found"
    kith.fail("introduce", "Bob", code=2)


def test_without_a_message_the_sentence_is_whole_too(kith: Kith, world: World) -> None:
    as_person(kith, world["anna"])
    said = kith("introduce", "Bob", "Carla").err
    assert f"{BOB} sees the name '{CARLA}' and that person's id.\n" in said


def test_a_request_says_who_introduces_and_what_they_say(kith: Kith, world: World) -> None:
    bob = introduced(world)["bob"]
    (row,) = as_person(kith, bob).do("requests")["requests"]
    assert (row["kind"], row["name"], row["by_name"], row["message"]) == (
        "introduction",
        CARLA,
        ANNA,
        "You both fence.",
    )
    assert row["by"] == world["anna"].id.hex()
    shown = kith("requests").out
    assert f"{ANNA} calls them so, and would like to introduce you." in shown


def test_what_an_introducer_writes_cannot_drive_the_terminal(kith: Kith, world: World) -> None:
    world["anna"].introduce(BOB, CARLA, "a\x1b[2Jb\r\nFAKE LINE")
    world.settle()
    shown = as_person(kith, world["bob"])("requests").out
    assert "\x1b" not in shown
    assert not any(line.startswith("FAKE LINE") for line in shown.splitlines())


def test_who_agreed_sees_how_far_it_is_and_can_change_their_mind(kith: Kith, world: World) -> None:
    bob = introduced(world)["bob"]
    bob.agree()
    as_person(kith, bob)
    (row,) = kith.do("introductions")["introductions"]
    assert (row["by"], row["names"], row["state"]) == (ANNA, [CARLA], "waiting")
    assert lines(kith("introductions").out)[1].startswith(f"{row['id'][:8]} {ANNA} {CARLA} and me waiting")
    kith.do("introductions", "take-back", row["id"])
    assert kith.do("introductions")["introductions"] == []
    assert "No introductions." in kith("introductions").err


def test_who_introduced_a_peer_is_shown_until_numbers_are_compared(kith: Kith, world: World) -> None:
    bob, carla = introduced(world)["bob"], world["carla"]
    bob.agree()
    carla.agree()
    world.settle()
    as_person(kith, bob)
    (row,) = (row for row in kith.do("peers")["peers"] if row["name"] == CARLA)
    assert (row["trust"], row["introduced_by"]) == ("introduced", ANNA)
    assert f"introduced by {ANNA}" in kith("peers").out
    page = kith.do("show", "Carla")
    assert (page["trust"], page["introduced_by"]) == ("introduced", ANNA)
    assert f"peer, introduced by {ANNA}" in kith("show", "Carla").out
    number = kith.do("verify", "Carla")["safety_number"]
    assert kith.do("verify", "Carla", "--number", number)["trust"] == "verified"
    (row,) = (row for row in kith.do("peers")["peers"] if row["name"] == CARLA)
    assert (row["trust"], row["introduced_by"]) == ("verified", None)


def test_numbers_that_differ_name_who_introduced(kith: Kith, world: World) -> None:
    bob, carla = introduced(world)["bob"], world["carla"]
    bob.agree()
    carla.agree()
    world.settle()
    as_person(kith, bob)
    said = kith("verify", "Carla", "--number", "1" * 60, "--json")
    assert said.code == 1
    assert said.document["error"] == "safety-number-differs"
    assert f"It was {ANNA} who introduced the two of you" in said.document["message"]
    (issue,) = kith.do("issues")["issues"]
    assert issue["kind"] == "alarm"
    assert ANNA in issue["text"]
    (row,) = (row for row in kith.do("peers")["peers"] if row["name"] == CARLA)
    assert (row["trust"], row["introduced_by"]) == ("unverified", None)


def test_the_invite_of_an_introduction_has_no_link_to_hand_out(kith: Kith, world: World) -> None:
    introduced(world)
    maker, other = sorted((world["bob"], world["carla"]), key=lambda person: person.id)
    maker.agree()
    other.agree()
    for person in (maker, other, world["anna"], maker):
        world.sync(person)
    (row,) = as_person(kith, maker).do("invites")["invites"]
    assert (row["state"], row["introduced"], row["link"]) == ("open", True, None)
    assert "an introduction" in kith("invites").out
