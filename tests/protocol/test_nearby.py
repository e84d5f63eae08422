"""What two devices of one vault say to each other on a local network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol import labels
from kith_protocol.encoding import encode
from kith_protocol.errors import BadSignature, Undecryptable
from kith_protocol.nearby import (
    HEAD_NOTE_BYTES,
    TAG_LIFETIME,
    HeadNote,
    Knows,
    Talk,
    Verdict,
    nearby_key,
    tag_at,
    tags_around,
    verdict,
)
from kith_protocol.padding import pad_to
from kith_protocol.suite import BOX_OVERHEAD, SignKey, encrypt
from tests.protocol.people import fixed

VAULT, KEY = fixed("vault"), nearby_key(fixed("epoch"), fixed("vault"))
LAPTOP, MEMBER = SignKey(fixed("laptop")), fixed("laptop id")
MEMBERS = {MEMBER: LAPTOP.public}
TALK = Talk(VAULT, KEY, fixed("asks", 16), fixed("answers", 16))
NONCE = fixed("nonce", 24)
NOTE = TALK.sign(1, MEMBER, LAPTOP, 7, fixed("head"), knows=Knows.NOT)
SEALED = TALK.seal(1, NOTE, nonce=NONCE)


def test_a_note_comes_back_and_has_one_length() -> None:
    assert len(SEALED) == HEAD_NOTE_BYTES
    assert TALK.open(1, SEALED, MEMBERS) == NOTE


@pytest.mark.parametrize(
    "turned",
    [
        {"key": nearby_key(fixed("other"), VAULT)},
        {"vault": fixed("other")},
        {"asks": fixed("other", 16)},
        {"answers": fixed("other", 16)},
    ],
)
def test_a_note_of_another_vault_epoch_or_exchange_does_not_open(turned: dict[str, Any]) -> None:
    """So an old one that somebody recorded says nothing."""
    with pytest.raises(Undecryptable):
        replace(TALK, **turned).open(1, SEALED, MEMBERS)


def test_a_note_in_another_place_does_not_open() -> None:
    with pytest.raises(Undecryptable):
        TALK.open(3, SEALED, MEMBERS)


@given(st.integers(0, HEAD_NOTE_BYTES - 1))
def test_a_note_with_any_bit_changed_does_not_open(position: int) -> None:
    raw = bytearray(SEALED)
    raw[position] ^= 1
    with pytest.raises(Undecryptable):
        TALK.open(1, bytes(raw), MEMBERS)


@pytest.mark.parametrize("raw", [b"", SEALED[:-1], SEALED + b"\x00", bytes(HEAD_NOTE_BYTES)])
def test_what_is_no_note_does_not_open(raw: bytes) -> None:
    with pytest.raises(Undecryptable):
        TALK.open(1, raw, MEMBERS)


def by_hand(plain: bytes) -> bytes:
    return encrypt(KEY, labels.NEARBY_NOTE, TALK._context(1), plain, nonce=NONCE)


@pytest.mark.parametrize(
    "note",
    [
        msgspec.structs.replace(NOTE, number=-1),
        msgspec.structs.replace(NOTE, head=bytes(31)),
        msgspec.structs.replace(NOTE, member=bytes(31)),
    ],
)
def test_a_note_out_of_its_bounds_does_not_open(note: HeadNote) -> None:
    with pytest.raises(Undecryptable):
        TALK.open(1, by_hand(pad_to(encode(note), HEAD_NOTE_BYTES - BOX_OVERHEAD)), MEMBERS)


def test_a_note_without_padding_does_not_open() -> None:
    with pytest.raises(Undecryptable):
        TALK.open(1, by_hand(bytes(HEAD_NOTE_BYTES - BOX_OVERHEAD)), MEMBERS)


def test_who_is_no_member_is_not_believed_though_they_have_the_key() -> None:
    with pytest.raises(BadSignature):
        TALK.open(1, SEALED, {})
    with pytest.raises(BadSignature):
        TALK.open(1, SEALED, {MEMBER: SignKey(fixed("other")).public})


@pytest.mark.parametrize("turned", [{"number": 8}, {"head": fixed("other")}, {"knows": Knows.STANDS}])
def test_nothing_in_a_note_is_said_without_a_signature(turned: dict[str, Any]) -> None:
    forged = TALK.seal(1, msgspec.structs.replace(NOTE, **turned), nonce=NONCE)
    with pytest.raises(BadSignature):
        TALK.open(1, forged, MEMBERS)


def test_secrets_do_not_show_themselves() -> None:
    assert repr(TALK) == "Talk(...)"


# Names


def test_a_name_changes_every_hour_and_tells_nothing_without_the_key() -> None:
    assert tag_at(KEY, 0) == tag_at(KEY, TAG_LIFETIME - 1) != tag_at(KEY, TAG_LIFETIME)
    assert tag_at(KEY, 0) != tag_at(nearby_key(fixed("epoch"), fixed("other vault")), 0)
    assert len(tag_at(KEY, 0)) == 16


@given(st.integers(2 * TAG_LIFETIME, 2**50), st.integers(1 - TAG_LIFETIME, TAG_LIFETIME - 1))
def test_clocks_may_differ_by_less_than_an_hour(now: int, difference: int) -> None:
    assert tag_at(KEY, now + difference) in tags_around(KEY, now)


# What follows

heads = st.tuples(st.integers(0, 3), st.sampled_from([fixed("a"), fixed("b")]))


@given(heads, heads, st.sampled_from(Knows), st.sampled_from(Knows))
def test_both_sides_come_to_the_same(mine: Any, theirs: Any, i_know: Knows, they_know: Knows) -> None:
    def note(head: Any, knows: Knows) -> HeadNote:
        return HeadNote(MEMBER, head[0], head[1], knows, bytes(64))

    here, there = verdict(mine, i_know, note(theirs, they_know)), verdict(theirs, they_know, note(mine, i_know))
    turned = {Verdict.AHEAD: Verdict.BEHIND, Verdict.BEHIND: Verdict.AHEAD}
    assert there is turned.get(here, here)
    assert (here is Verdict.IN_STEP) == (mine == theirs)
    if mine != theirs:
        assert (here is Verdict.FORK) == (i_know is they_know or Knows.NOT not in (i_know, they_know))
        assert (here is Verdict.REPAIRED) == ({i_know, they_know} == {Knows.NOT, Knows.GIVEN_UP})


def test_the_examples_of_the_page_are_what_the_code_gives() -> None:
    page = (Path(__file__).parents[2] / "protocol" / "spec" / "nearby.md").read_text()
    zero, key = bytes(32), nearby_key(bytes(32), bytes(32))
    note = Talk(zero, key, bytes(16), bytes(16)).sign(1, zero, SignKey(zero), 7, zero, knows=Knows.NOT)
    for value in (key.hex(), tag_at(key, 1_800_000_000_000), note.signature.hex()):
        assert value in page
