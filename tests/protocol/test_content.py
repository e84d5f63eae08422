"""Content: units with their origin, and what is none (spec: content.md)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.content import MAX_TIME, MAX_UNITS, Content, Unit, content_of
from kith_protocol.encoding import Value, decode_map, encode_map
from kith_protocol.errors import DecodingError

_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_units = st.builds(Unit, _values, st.integers(0, MAX_TIME), st.binary(max_size=8))
_extra = st.dictionaries(st.text().filter(lambda key: key not in ("kind", "units")), _values, max_size=3)
_contents = st.builds(Content, st.text(), st.dictionaries(st.text(), _units, max_size=5), _extra)


@given(_contents)
def test_content_survives_the_trip_with_what_a_newer_program_wrote(content: Content) -> None:
    assert content_of(decode_map(encode_map(content.to_map()))) == content


def test_a_value_is_found_by_its_unit() -> None:
    content = Content("note", {"text": Unit("hello", 1)})
    assert content.value("text") == "hello"
    assert content.value("remind") is None
    assert content.value("kind", "note") == "note"


def test_a_fingerprint_tells_values_apart_and_nothing_else() -> None:
    assert Unit(1, 5, b"a").fingerprint == Unit(1, 6, b"b").fingerprint
    assert Unit(1, 5).fingerprint != Unit(True, 5).fingerprint
    assert Unit("1", 5).fingerprint != Unit(b"1", 5).fingerprint


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"kind": "note"},
        {"kind": 1, "units": {}},
        {"kind": "note", "units": []},
        {"kind": "note", "units": {"text": "hello"}},
        {"kind": "note", "units": {"text": [1, b"by"]}},
        {"kind": "note", "units": {"text": [1, b"by", "hello", "more"]}},
        {"kind": "note", "units": {"text": ["1", b"by", "hello"]}},
        {"kind": "note", "units": {"text": [True, b"by", "hello"]}},
        {"kind": "note", "units": {"text": [1.0, b"by", "hello"]}},
        {"kind": "note", "units": {"text": [1, "by", "hello"]}},
        {"kind": "note", "units": {"text": [-1, b"by", "hello"]}},
        {"kind": "note", "units": {"text": [MAX_TIME + 1, b"by", "hello"]}},
    ],
)
def test_a_map_that_is_no_content_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(DecodingError):
        content_of(values)


def test_a_record_with_too_many_units_is_refused() -> None:
    units: dict[str, Value] = {str(number): [1, b"", number] for number in range(MAX_UNITS + 1)}
    with pytest.raises(DecodingError):
        content_of({"kind": "contact", "units": units})
    del units["0"]
    assert len(content_of({"kind": "contact", "units": units}).units) == MAX_UNITS
