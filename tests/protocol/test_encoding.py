"""One encoding for each value, and one error for everything else."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.encoding import MAX_DEPTH, Statement, decode, decode_map, encode, encode_map
from kith_protocol.errors import DecodingError


class Example(Statement, frozen=True):
    SIZES: ClassVar[Mapping[str, int]] = {"id": 4}

    number: int
    id: bytes
    name: str


EXAMPLE = Example(7, b"abcd", "Ä")

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_a_statement_is_an_array_in_field_order() -> None:
    assert encode(EXAMPLE).hex() == "93" + "07" + "c40461626364" + "a2c384"
    assert decode(encode(EXAMPLE), Example) == EXAMPLE


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "c1",
        "93cc07c40461626364a2c384",  # a number longer than needed
        "dc000307c40461626364a2c384",  # an array header longer than needed
        "9307c5000461626364a2c384",  # bytes with a longer header
        "9307c40461626364d902c384",  # text with a longer header
        "9407c40461626364a2c38400",  # one field more
        "9207c40461626364",  # one field less
        "9307c40461626364a2c38400",  # bytes after the end
        "9307c40461626364a2c3",  # cut off
        "9307c40461626364a2ff84",  # not UTF-8
        "9307c403616263a2c384",  # an id that is too short
        "93a107c40461626364a2c384",  # text where a number stands
        "83a66e756d62657207a26964c40461626364a46e616d65a2c384",  # a map instead of an array
    ],
)
def test_any_other_encoding_is_refused(raw: str) -> None:
    with pytest.raises(DecodingError):
        decode(bytes.fromhex(raw), Example)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    for attempt in (lambda: decode(raw, Example), lambda: decode_map(raw)):
        with contextlib.suppress(DecodingError):
            attempt()


@given(st.integers(0, 2**64 - 1), st.binary(min_size=4, max_size=4), st.text())
def test_what_decodes_encodes_to_the_same_bytes(number: int, id_: bytes, name: str) -> None:
    raw = encode(Example(number, id_, name))
    assert encode(decode(raw, Example)) == raw


@given(st.dictionaries(st.text(), values, max_size=5))
def test_a_map_of_plain_values_comes_back(content: dict[str, None]) -> None:
    assert decode_map(encode_map(content)) == content


@pytest.mark.parametrize(
    "raw",
    [
        b"\xc0",  # no map
        b"\x81\x01\x01",  # a key that is a number
        b"\x81\xa1a\x81\x01\x01",  # the same one level down
        b"\x81\xa1a\xd4\x01\x00",  # an extension type
        b"\x81\xa1a\xd6\xff\x00\x00\x00\x00",  # a timestamp
        b"\x81\xa1a",
        b"\x81\xa1\xff\x01",
        b"\x81\xa1a" + b"\x91" * 5000 + b"\xc0",
        b"\x81\xa1a" + b"\x91" * MAX_DEPTH + b"\xc0",
    ],
)
def test_a_record_that_is_no_map_of_plain_values_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodingError):
        decode_map(raw)


def test_a_record_may_be_nested_as_deeply_as_allowed() -> None:
    raw = b"\x81\xa1a" + b"\x91" * (MAX_DEPTH - 2) + b"\xc0"
    assert decode_map(raw)


def test_msgspec_alone_would_accept_what_we_refuse() -> None:
    longer = bytes.fromhex("93cc07c40461626364a2c384")
    assert msgspec.msgpack.decode(longer, type=Example) == EXAMPLE
