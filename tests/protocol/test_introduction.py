"""Introductions: what the messages say, and who makes the invite. Their bounds are tested with parcels."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.introduction import IntroduceInvite, IntroductionSequence, makes_invite
from kith_protocol.invite import format_link, parse_link
from tests.protocol.people import fixed

PERSONS = st.binary(min_size=32, max_size=32)


@given(PERSONS, PERSONS)
def test_exactly_one_of_two_persons_makes_the_invite(one: bytes, other: bytes) -> None:
    assert makes_invite(one, other) + makes_invite(other, one) == (one != other)


def test_the_invite_of_an_introduction_is_the_one_of_a_link() -> None:
    message = IntroduceInvite(bytes(16), "b.example", fixed("secret"), fixed("fingerprint", 16))
    assert parse_link(format_link(message.invite)) == message.invite


def test_an_invite_of_an_introduction_does_not_show_its_secret() -> None:
    message = IntroduceInvite(bytes(16), "b.example", b"\x41" * 32, bytes(16))
    assert "A" * 8 not in repr(message)
    assert "41" * 8 not in repr(message)


def test_what_comes_later_takes_the_place_of_what_came_before() -> None:
    steps = IntroductionSequence
    assert steps.OFFER < steps.INVITE < steps.TAKEN_BACK
