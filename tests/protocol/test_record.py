"""Sealed records: bound to vault, id, epoch and suite, padded, and opened by one key only (spec: record.md)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol import labels
from kith_protocol.encoding import MAX_DEPTH, Value, encode_map
from kith_protocol.errors import Alarm, AlarmCode, DecodingError, KithError, LimitExceeded, Undecryptable
from kith_protocol.padding import RECORD_MINIMUM, pad_record
from kith_protocol.record import MAX_PLAINTEXT_BYTES, open_record, record_key, seal_record
from kith_protocol.recordheader import HEADER_BYTES, MAX_EPOCH, MAX_RECORD_BYTES, header, read_header
from kith_protocol.suite import BOX_OVERHEAD, decrypt, encrypt
from tests.protocol.people import fixed

VAULT, ID, NONCE = fixed("vault"), fixed("id", 16), fixed("nonce", 24)
KEY = record_key(fixed("epoch-key"), VAULT)
CONTENT: dict[str, Value] = {"kind": "note", "units": {"text": [1, b"by", "hello"]}}
BLOB = seal_record(KEY, VAULT, ID, 3, CONTENT, nonce=NONCE)


def sealed_plain(padded: bytes, *, epoch: int = 3) -> bytes:
    """A record as a member with a broken program could write it: any padded plaintext."""
    associated = header(1, epoch) + VAULT + ID
    return header(1, epoch) + encrypt(KEY, labels.RECORD, associated, padded, nonce=NONCE)


_plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _plain, max_size=6), st.integers(0, MAX_EPOCH))
def test_a_record_survives_the_trip_with_everything_unknown_in_it(content: dict[str, Any], epoch: int) -> None:
    blob = seal_record(KEY, VAULT, ID, epoch, content, nonce=NONCE)
    assert read_header(blob) == (1, epoch)
    assert open_record(KEY, VAULT, ID, blob) == content


def test_the_layout_is_header_nonce_commitment_and_ciphertext() -> None:
    assert BLOB[:HEADER_BYTES] == bytes.fromhex("0100000003")
    assert BLOB[HEADER_BYTES : HEADER_BYTES + 24] == NONCE
    padded = decrypt(KEY, labels.RECORD, BLOB[:HEADER_BYTES] + VAULT + ID, BLOB[HEADER_BYTES:])
    assert padded == pad_record(encode_map(CONTENT))
    assert len(BLOB) == HEADER_BYTES + BOX_OVERHEAD + RECORD_MINIMUM


@given(st.integers(0, len(BLOB) - 1), st.integers(1, 255))
def test_no_byte_of_a_record_can_be_changed_without_notice(position: int, flip: int) -> None:
    altered = bytearray(BLOB)
    altered[position] ^= flip
    with pytest.raises(KithError):
        open_record(KEY, VAULT, ID, bytes(altered))


def test_a_record_under_another_id_does_not_open() -> None:
    with pytest.raises(Undecryptable):
        open_record(KEY, VAULT, fixed("other id", 16), BLOB)


def test_a_record_of_another_vault_does_not_open() -> None:
    other = fixed("other vault")
    for key in (KEY, record_key(fixed("epoch-key"), other)):
        with pytest.raises(Undecryptable):
            open_record(key, other, ID, BLOB)


def test_a_record_whose_header_names_another_epoch_does_not_open() -> None:
    with pytest.raises(Undecryptable):
        open_record(KEY, VAULT, ID, header(1, 4) + BLOB[HEADER_BYTES:])


def test_a_record_under_another_epochs_key_does_not_open() -> None:
    with pytest.raises(Undecryptable):
        open_record(record_key(fixed("another epoch key"), VAULT), VAULT, ID, BLOB)


def test_a_record_of_another_suite_raises_the_alarm_downgrade() -> None:
    for suite in (0, 2):
        with pytest.raises(Alarm) as caught:
            open_record(KEY, VAULT, ID, header(suite, 3) + BLOB[HEADER_BYTES:])
        assert caught.value.alarm is AlarmCode.DOWNGRADE


def test_a_record_that_is_too_short_or_too_long_is_refused() -> None:
    with pytest.raises(DecodingError):
        open_record(KEY, VAULT, ID, BLOB[: HEADER_BYTES - 1])
    for blob in (BLOB[: HEADER_BYTES + BOX_OVERHEAD - 1], BLOB + bytes(MAX_RECORD_BYTES)):
        with pytest.raises(Undecryptable, match="too short or too long"):
            open_record(KEY, VAULT, ID, blob)


@pytest.mark.parametrize("padded", [b"", bytes(256), encode_map(CONTENT), encode_map(CONTENT) + b"\x81\x00"])
def test_a_record_without_its_padding_is_refused(padded: bytes) -> None:
    with pytest.raises(DecodingError, match="padding"):
        open_record(KEY, VAULT, ID, sealed_plain(padded))


def deep(levels: int) -> dict[str, Value]:
    value: Value = 1
    for _ in range(levels - 1):
        value = [value]
    return {"x": value}


@pytest.mark.parametrize(
    "plain",
    [b"\x90", b"\xc0", b"", b"\x81\x01\x02", b"\x81\xa1\xff\x01", b"\x81\xa1a", encode_map(deep(MAX_DEPTH + 1))],
    ids=["an array", "nothing", "empty", "a number as key", "no UTF-8", "cut off", "too deep"],
)
def test_a_record_that_is_no_map_of_plain_values_is_refused(plain: bytes) -> None:
    with pytest.raises(DecodingError):
        open_record(KEY, VAULT, ID, sealed_plain(pad_record(plain)))


def test_content_over_the_limit_is_refused_and_the_largest_fits() -> None:
    room = MAX_PLAINTEXT_BYTES - len(encode_map({"kind": "photo", "data": bytes(70_000)})) + 70_000
    largest: dict[str, Value] = {"kind": "photo", "data": bytes(room)}
    assert len(encode_map(largest)) == MAX_PLAINTEXT_BYTES
    blob = seal_record(KEY, VAULT, ID, 1, largest, nonce=NONCE)
    assert len(blob) <= MAX_RECORD_BYTES
    assert open_record(KEY, VAULT, ID, blob) == largest
    with pytest.raises(LimitExceeded):
        seal_record(KEY, VAULT, ID, 1, {"kind": "photo", "data": bytes(room + 1)}, nonce=NONCE)


@given(st.text(max_size=200), st.text(max_size=200))
def test_two_small_records_cannot_be_told_apart_by_length(one: str, other: str) -> None:
    lengths = {
        len(seal_record(KEY, VAULT, ID, 1, {"t": text}, nonce=NONCE))
        for text in (one, other)
        if len(encode_map({"t": text})) < RECORD_MINIMUM
    }
    assert len(lengths) <= 1
