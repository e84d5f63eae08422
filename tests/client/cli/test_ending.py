"""`kith forget` and `kith block`, on the address books of people who really are connected."""

from __future__ import annotations

import pytest

from tests.client.cli.kith import Kith
from tests.client.relations.people import World
from tests.support.memory_book import MemoryBook


@pytest.fixture
def anna(kith: Kith) -> Kith:
    """`kith` of Anna, who is connected with Bob and knows a number of his."""
    world = World.of("Anna Beck", "Bob Klein")
    world["bob"].set_card("email", "bob@work", "work")
    world.connect("anna", "bob")
    world["bob"].grant(world["bob"].peer_named("Anna Beck"), "work")
    world.settle()
    kith.book = MemoryBook(records=dict(world["anna"].contents), now=world["anna"].now + 1000)
    kith.do("set", "bob", "tel", "3333")
    return kith


def values(kith: Kith) -> set[str]:
    return {prop["value"] for prop in kith.do("show", "bob")["properties"]}


@pytest.mark.parametrize("command", ["forget", "block"])
def test_what_the_peer_shared_disappears_and_what_i_know_stays(anna: Kith, command: str) -> None:
    assert {"bob@work", "3333"} <= values(anna)
    (peer,) = anna.do("peers")["peers"]
    assert anna.do(command, "Bob", "--yes") == {"peer": peer["id"]}
    assert "3333" in values(anna)
    assert "bob@work" not in values(anna)
    assert anna.do("peers") == {"peers": []}


def test_a_relationship_ends_once(anna: Kith) -> None:
    said = anna("forget", "Bob", "--yes")
    assert said.code == 0
    assert "will be told" in said.err
    assert anna.fail("forget", "Bob")[0] == "not-connected"


def test_only_who_is_blocked_can_be_unblocked(anna: Kith) -> None:
    assert anna.fail("block", "Bob", "--undo")[0] == "not-blocked"
    anna.do("block", "Bob", "--yes")
    anna.do("block", "Bob", "--undo")
    assert anna.do("peers") == {"peers": []}, "what was ended stays ended"
