"""Writing: what is written reads back as the same units, whatever they hold."""

from __future__ import annotations

import pytest
from hypothesis import given

from kith_client.contacts.model import Property, Unit
from kith_client.contacts.vcard_convert import to_version
from kith_client.contacts.vcard_write import FOLD, Version, fold, write_card
from tests.client.contacts.corpus import card_text, one
from tests.client.contacts.strategies import unit_lists

VERSIONS: tuple[Version, ...] = ("3.0", "4.0")


@given(unit_lists())
def test_what_is_written_reads_back_as_the_same_units(units: tuple[Unit, ...]) -> None:
    for version in VERSIONS:
        card = one(write_card(units, version))
        assert card.units == units
        assert card.version == version
        assert card.leftovers == ()


@given(unit_lists())
def test_no_written_line_is_longer_than_75_octets_or_cuts_a_character(units: tuple[Unit, ...]) -> None:
    lines = write_card(units, "4.0").encode("utf-8").split(b"\r\n")
    assert max(map(len, lines)) <= FOLD
    for line in lines:
        line.decode("utf-8")


def test_a_fold_fills_its_line() -> None:
    assert fold("x" * 200).split("\r\n ") == ["x" * 75, "x" * 74, "x" * 51]


def test_a_raw_line_end_in_a_value_cannot_start_a_property() -> None:
    text = write_card([(Property("NOTE", "a\r\nTEL:1\nEND:VCARD"),)], "4.0")
    assert one(text).units == ((Property("NOTE", "a\\nTEL:1\\nEND:VCARD"),),)


def test_a_property_cannot_close_its_card() -> None:
    units = [(Property("END", "VCARD"),), (Property("TEL", "1"),)]
    assert one(write_card(units, "3.0")).units == ((Property("TEL", "1"),),)


def test_units_from_two_cards_with_one_group_name_stay_two() -> None:
    label = Property("X-ABLabel", "a", (), "item1")
    units = [(Property("TEL", str(i), (), "item1"), label) for i in range(3)]
    read = one(write_card(units, "3.0")).units
    assert [[prop.value for prop in unit] for unit in read] == [["0", "a"], ["1", "a"], ["2", "a"]]
    assert [unit[0].group for unit in read] == ["item1", "item2", "item3"]


def test_an_old_encoding_is_not_named_for_a_value_that_is_decoded() -> None:
    prop = Property("NOTE", "50=50", (("ENCODING", ("QUOTED-PRINTABLE",)), ("CHARSET", ("UTF-8",))))
    assert one(write_card([(prop,)], "3.0")).units == ((Property("NOTE", "50=50"),),)


def test_a_photo_and_a_preference_cross_between_the_versions() -> None:
    three = one(card_text("N:Beck;Anna", "FN:Anna", "TEL;TYPE=home,pref:1", "PHOTO;ENCODING=b;TYPE=JPEG:QUJD")).units
    four = to_version(three, "4.0")
    assert [(prop.value, prop.params) for unit in four[2:] for prop in unit] == [
        ("1", (("TYPE", ("home",)), ("PREF", ("1",)))),
        ("data:image/jpeg;base64,QUJD", ()),
    ]
    back = to_version(four, "3.0")
    assert [(prop.value, prop.params) for unit in back[2:] for prop in unit] == [
        ("1", (("TYPE", ("home",)), ("TYPE", ("pref",)))),
        ("QUJD", (("ENCODING", ("b",)), ("TYPE", ("JPEG",)))),
    ]


@pytest.mark.parametrize(("version", "names"), [("3.0", ["FN", "N", "ORG"]), ("4.0", ["FN", "ORG"])])
def test_required_properties_are_added(version: Version, names: list[str]) -> None:
    converted = to_version([(Property("ORG", "ACME"),)], version)
    assert [unit[0].name for unit in converted] == names
    assert converted[0][0].value == "ACME"


def test_groups_cross_between_the_versions() -> None:
    three = one(
        card_text("FN:G", "N:G", "X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:1")
    ).units
    four = to_version(three, "4.0")
    assert [unit[0].name for unit in four] == ["FN", "N", "KIND", "MEMBER"]
    assert to_version(four, "3.0") == three
    person = to_version([(Property("KIND", "individual"),)], "3.0")
    assert "KIND" in [unit[0].name for unit in person]
