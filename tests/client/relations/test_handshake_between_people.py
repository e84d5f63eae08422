"""Invites, accepting and connecting, as two people live through it."""

from __future__ import annotations

from tests.client.relations.people import World


def test_two_people_connect_and_see_what_was_granted() -> None:
    world = World.of("Anna Beck", "Bob Kay")
    anna, bob = world["anna"], world["bob"]
    anna.set_card("email", "anna@work.example", "work")
    anna.set_card("tel", "+49 40 1234", "private")
    link = anna.invite("work").link
    bob.accept(link, anna.server)
    world.settle()
    assert anna.states() == bob.states() == ["connected"]
    assert bob.sees_of(anna) == anna.shows_to(bob)
    assert anna.sees_of(bob) == bob.shows_to(anna)
    assert [prop.value for prop in bob.sees_of(anna)] == ["Anna Beck", "anna@work.example"]
