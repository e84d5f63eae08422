"""Units as values of a vault, and their keys."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_client.contacts.model import (
    Property,
    Unit,
    keyed_units,
    lead_property,
    unit_key,
    unit_to_value,
    value_to_unit,
)
from kith_protocol.errors import DecodingError
from tests.client.contacts.ids import counting_ids
from tests.client.contacts.strategies import unit_lists

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=4) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=12,
)


@given(unit_lists())
def test_a_unit_survives_the_vault(units: tuple[Unit, ...]) -> None:
    for unit in units:
        stored = msgspec.msgpack.decode(msgspec.msgpack.encode(unit_to_value(unit)))
        assert value_to_unit(stored) == unit


@given(anything | st.lists(st.lists(anything, min_size=4, max_size=5), min_size=1, max_size=2))
def test_a_value_that_is_no_unit_is_refused_with_the_one_error(value: object) -> None:
    try:
        unit = value_to_unit(value)
    except DecodingError:
        return
    assert unit_to_value(unit) == value


def test_what_a_newer_version_stored_behind_the_known_fields_is_carried() -> None:
    value = [["", "TEL", "1", [], "new", [1, [2]], {"a": 1}]]
    assert unit_to_value(value_to_unit(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        [],
        [[]],
        [["", "TEL", "1"]],
        [["", "END", "VCARD", []]],
        [["", "tel:x", "1", []]],
        [["", "", "1", []]],
        [["a b", "TEL", "1", []]],
        [["", "TEL", "1\r\nEND:VCARD", []]],
        [["", "TEL", "\ud800", []]],
        [["", "TEL", b"1", []]],
        [["", "TEL", "1", [["TYPE", "home"]]]],
        [["", "TEL", "1", [["TY;PE", ["home"]]]]],
        [["", "TEL", "1", {"TYPE": ["home"]}]],
    ],
)
def test_a_unit_that_could_break_a_card_is_refused(value: object) -> None:
    with pytest.raises(DecodingError):
        value_to_unit(value)


def test_registers_are_keyed_by_their_names_and_the_rest_at_random() -> None:
    names = ["FN", "n", "N", "TEL", "uid", "REV", "PRODID", "KIND", "FN"]
    keys = list(keyed_units(((Property(name, "x"),) for name in names), counting_ids()(())))
    assert keys == [
        *("fn", "n", "n-000000000001", "tel-000000000002", "uid", "rev", "prodid", "kind", "fn-000000000003"),
    ]


def test_a_key_in_use_is_never_given_again() -> None:
    ids = iter([b"aaaaaa", b"bbbbbb"])
    used = {"tel-" + b"aaaaaa".hex()}
    assert unit_key((Property("TEL", "1"),), lambda: next(ids), used) == "tel-" + b"bbbbbb".hex()


def test_a_labelled_unit_is_about_what_the_label_names() -> None:
    label, tel = Property("X-ABLabel", "x", (), "i"), Property("TEL", "1", (), "i")
    assert lead_property((label, tel)) is tel
    assert lead_property((label,)) is label
