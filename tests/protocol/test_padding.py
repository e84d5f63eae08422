"""Lengths that tell little."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.errors import DecodingError, LimitExceeded
from kith_protocol.padding import (
    CLASSES,
    INNER_CLASSES,
    RECORD_MINIMUM,
    pad_record,
    pad_to,
    padme,
    smallest_class,
    unpad,
)


@given(st.binary(max_size=3000))
def test_what_is_padded_comes_back(plaintext: bytes) -> None:
    assert unpad(pad_record(plaintext)) == plaintext
    assert unpad(pad_to(plaintext, 3001)) == plaintext


@given(st.integers(2, 2**30))
def test_padme_adds_at_most_twelve_per_cent(length: int) -> None:
    assert length <= padme(length) <= length * 1.12
    assert padme(padme(length)) == padme(length)


@given(st.integers(2, 2**30), st.integers(2, 2**30))
def test_padme_never_makes_the_longer_one_shorter(a: int, b: int) -> None:
    assert (padme(a) <= padme(b)) or a > b


@pytest.mark.parametrize(
    ("length", "padded"), [(0, 0), (1, 1), (2, 2), (9, 10), (100, 104), (1000, 1024), (1025, 1088)]
)
def test_padme_gives_the_published_lengths(length: int, padded: int) -> None:
    assert padme(length) == padded


def test_few_lengths_are_seen_of_many() -> None:
    assert len({len(pad_record(bytes(length))) for length in range(10_000)}) < 100
    assert len(pad_record(b"")) == RECORD_MINIMUM


def test_a_class_is_the_smallest_with_room_for_the_mark() -> None:
    assert smallest_class(4096 - 11, CLASSES, 10) == 4096
    assert smallest_class(4096 - 10, CLASSES, 10) == 16384
    assert tuple(size - 1536 for size in CLASSES) == INNER_CLASSES


def test_what_fits_no_class_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        smallest_class(CLASSES[-1], CLASSES, 0)
    with pytest.raises(LimitExceeded):
        pad_to(bytes(10), 10)


@pytest.mark.parametrize("padded", [b"", bytes(20), b"text", b"text\x81\x00"])
def test_damaged_padding_is_refused(padded: bytes) -> None:
    with pytest.raises(DecodingError):
        unpad(padded)
