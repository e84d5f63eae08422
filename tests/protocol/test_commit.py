"""Commits and change lists: one encoding, one signature, and what is no commit (spec: vault.md, Commits)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.commit import (
    DELETED,
    MAX_ABANDONED,
    MAX_CHANGES,
    MAX_COMMIT_BYTES,
    MAX_MEMBERS,
    MAX_NUMBER,
    ChangeList,
    CommitBody,
    change_list,
    parse_commit,
    sign_commit,
)
from kith_protocol.encoding import decode, encode
from kith_protocol.errors import Alarm, AlarmCode, BadSignature, DecodingError, KithError
from kith_protocol.suite import HASH_BYTES, SIGNATURE_BYTES, digest
from tests.protocol.people import fixed
from tests.protocol.vaults import Story, keys_of, without_sealing

STORY = Story(seal=without_sealing)
GENESIS = STORY.steps[0].commit
ORDINARY = STORY.make().commit
ID, HASH = fixed("id", 16), fixed("hash")


def raw_with(**fields: Any) -> bytes:
    """An ordinary commit with fields turned, encoded and signed without being checked."""
    return sign_commit(msgspec.structs.replace(ORDINARY.body, **fields), STORY.device.sign).raw


def test_a_commit_survives_the_trip_and_its_hash_covers_the_signature() -> None:
    for commit in (GENESIS, ORDINARY, STORY.make_adding(keys_of("phone")).commit):
        parsed = parse_commit(commit.raw)
        assert parsed == commit
        parsed.verify(STORY.device.sign.public)
        assert parsed.hash == digest(encode(commit.body) + commit.raw[-SIGNATURE_BYTES:])


def test_the_vault_id_is_the_hash_of_genesis_whose_own_field_is_zero() -> None:
    assert GENESIS.body.vault == bytes(HASH_BYTES)
    assert GENESIS.vault == GENESIS.hash == ORDINARY.vault == ORDINARY.body.vault


def test_a_signature_by_somebody_else_is_refused() -> None:
    with pytest.raises(BadSignature):
        ORDINARY.verify(keys_of("phone").sign.public)


@given(st.integers(0, len(ORDINARY.raw) - 1), st.integers(1, 255))
def test_no_byte_of_a_commit_can_be_changed_without_notice(position: int, flip: int) -> None:
    altered = bytearray(ORDINARY.raw)
    altered[position] ^= flip
    with pytest.raises(KithError):
        parse_commit(bytes(altered)).verify(STORY.device.sign.public)


def test_a_commit_of_another_suite_raises_the_alarm_downgrade() -> None:
    for suite in (0, 2):
        with pytest.raises(Alarm) as caught:
            parse_commit(raw_with(suite=suite))
        assert caught.value.alarm is AlarmCode.DOWNGRADE


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"number": -1}, "out of its bounds"),
        ({"time": MAX_NUMBER + 1}, "out of its bounds"),
        ({"epoch": MAX_NUMBER + 1}, "out of its bounds"),
        ({"epoch_commitment": b"short"}, "commitment has 32 bytes"),
        ({"parent": b"short"}, "parent"),
        ({"tree": bytes(33)}, "tree"),
        ({"removed": (b"short",)}, "member id has 32 bytes"),
        ({"removed": (b"\x02" * 32, b"\x01" * 32)}, "not sorted"),
        ({"removed": (b"\x01" * 32, b"\x01" * 32)}, "stands twice"),
        ({"removed": tuple(n.to_bytes(32, "big") for n in range(MAX_MEMBERS + 1))}, "more members"),
        ({"abandoned": (b"short",)}, "hash of a commit has 32 bytes"),
        ({"abandoned": (b"\x02" * 32, b"\x01" * 32)}, "abandoned commits are not sorted"),
        ({"abandoned": (b"\x01" * 32, b"\x01" * 32)}, "stands twice"),
        ({"abandoned": tuple(n.to_bytes(32, "big") for n in range(MAX_ABANDONED + 1))}, "at most 2000"),
        ({"added": (keys_of("x").public,) * (MAX_MEMBERS + 1)}, "more members"),
        ({"added": (msgspec.structs.replace(keys_of("x").public, sign_key=b""),)}, "sign_key"),
    ],
)
def test_a_commit_with_a_field_out_of_its_bounds_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(DecodingError, match=why):
        parse_commit(raw_with(**fields))


def test_a_commit_that_is_too_short_or_too_long_is_refused() -> None:
    for raw in (b"", bytes(SIGNATURE_BYTES), bytes(MAX_COMMIT_BYTES + 1)):
        with pytest.raises(DecodingError, match="too short or too long"):
            parse_commit(raw)


def test_the_largest_commit_fits() -> None:
    added = tuple(keys_of("x").public for _ in range(MAX_MEMBERS))
    removed = tuple(n.to_bytes(32, "big") for n in range(MAX_MEMBERS))
    abandoned = tuple(n.to_bytes(32, "big") for n in range(MAX_ABANDONED))
    raw = raw_with(added=added, removed=removed, abandoned=abandoned, epoch_commitment=HASH, number=MAX_NUMBER)
    assert parse_commit(raw).body.added == added


def test_a_commit_with_a_number_encoded_the_long_way_is_refused() -> None:
    body = encode(ORDINARY.body)
    assert body[1] == 1  # the suite, a small integer
    long_way = body[:1] + b"\xcc\x01" + body[2:]
    with pytest.raises(DecodingError, match="one allowed way"):
        parse_commit(long_way + ORDINARY.raw[-SIGNATURE_BYTES:])


def test_a_commit_with_an_unknown_field_is_refused() -> None:
    fields = [*msgspec.msgpack.decode(encode(ORDINARY.body)), "more"]
    with pytest.raises(DecodingError):
        parse_commit(msgspec.msgpack.encode(fields) + ORDINARY.raw[-SIGNATURE_BYTES:])


def test_a_commit_with_a_field_left_out_is_refused() -> None:
    fields = msgspec.msgpack.decode(encode(ORDINARY.body))[:-1]
    with pytest.raises(DecodingError):
        parse_commit(msgspec.msgpack.encode(fields) + ORDINARY.raw[-SIGNATURE_BYTES:])


# Change lists

_pairs = st.dictionaries(
    st.binary(min_size=16, max_size=16), st.sampled_from([DELETED, HASH, fixed("other")]), max_size=20
)


@given(_pairs)
def test_a_change_list_is_the_same_whatever_the_order_it_was_made_in(pairs: dict[bytes, bytes]) -> None:
    raw = encode(change_list(pairs.items()))
    assert raw == encode(change_list(reversed(list(pairs.items()))))
    assert dict(decode(raw, ChangeList).changes) == pairs


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([(b"\x02" * 16, HASH), (b"\x01" * 16, HASH)], "not sorted"),
        ([(ID, HASH), (ID, HASH)], "names a record twice"),
        ([(ID, HASH), (ID, DELETED)], "not sorted, or names"),
        ([(ID[:15], HASH)], "wrong size"),
        ([(ID, HASH[:31])], "wrong size"),
        ([(n.to_bytes(16, "big"), HASH) for n in range(MAX_CHANGES + 1)], "at most 1000"),
    ],
)
def test_a_change_list_out_of_its_bounds_is_refused(changes: list[tuple[bytes, bytes]], why: str) -> None:
    with pytest.raises(DecodingError, match=why):
        decode(encode(ChangeList(tuple(changes))), ChangeList)


def test_the_longest_change_list_is_taken() -> None:
    longest = change_list((n.to_bytes(16, "big"), HASH) for n in range(MAX_CHANGES))
    assert decode(encode(longest), ChangeList) == longest


@given(st.binary(max_size=300))
def test_random_bytes_are_no_commit_and_no_other_error(raw: bytes) -> None:
    with pytest.raises(KithError):
        parse_commit(raw)


@given(st.integers(0, MAX_NUMBER), st.integers(0, MAX_NUMBER), st.binary(min_size=32, max_size=32))
def test_encoding_and_decoding_agree(number: int, time: int, tree: bytes) -> None:
    raw = raw_with(number=number, time=time, tree=tree)
    body = parse_commit(raw).body
    assert (body.number, body.time, body.tree) == (number, time, tree)
    assert encode(body) == raw[:-SIGNATURE_BYTES]
    assert isinstance(body, CommitBody)
