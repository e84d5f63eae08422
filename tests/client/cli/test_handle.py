"""`kith handle`, as far as it needs no server: what it shows, and what it refuses before anything is asked."""

from __future__ import annotations

import pytest

from kith_client.relations.handles import choose
from kith_client.relations.homes import Place
from tests.client.cli.kith import Kith, lines
from tests.client.relations.people import Person
from tests.client.relations.simserver import SimServer
from tests.support.memory_book import MemoryBook

HOME = Place("https://anna.example", b"F" * 16)


@pytest.fixture
def anna(kith: Kith) -> Kith:
    """`kith` of Anna, who is found as `anna` and keeps `anna.beck`."""
    person = Person.begin("Anna Beck", SimServer())
    person.commit(choose(person.contents, person.stamp(), "anna", HOME, ["work"], private=False))
    person.commit(choose(person.contents, person.stamp(), "anna.beck", HOME, [], private=True))
    kith.book = MemoryBook(records=dict(person.contents), now=person.now + 1000)
    return kith


def test_handles_are_shown_with_their_addresses(anna: Kith) -> None:
    public, private = anna.do("handle")["handles"]
    assert public.pop("until") > "2026"
    assert public == {"handle": "anna", "address": "anna@anna.example", "state": "public", "facets": ["work"]}
    assert (private["address"], private["state"], private["until"]) == ("anna.beck@anna.example", "private", None)
    assert lines(anna("handle").out) == [
        "ADDRESS STATE FACETS GRANTED",
        "anna@anna.example public work",
        "anna.beck@anna.example private",
    ]


def test_whoever_has_no_handle_is_told_how_to_choose_one(kith: Kith) -> None:
    assert kith.do("handle") == {"handles": []}
    assert "'kith handle NAME' chooses one" in kith("handle").err


def test_the_invite_behind_a_handle_is_listed_as_such(anna: Kith) -> None:
    (invite,) = anna.do("invites")["invites"]
    assert (invite["handle"], invite["reusable"]) == ("anna", True)
    assert "those who find your handle anna" in anna("invites").out


@pytest.mark.parametrize(
    "words",
    [
        ["--private", "--remove"],
        ["anna", "--facet", "work", "--private"],
        ["anna", "--facet", "work", "--remove"],
        ["--facet", "work"],
    ],
)
def test_what_makes_no_sense_together_is_wrong_usage(kith: Kith, words: list[str]) -> None:
    assert kith.fail("handle", *words, code=2)[0] == "usage"
