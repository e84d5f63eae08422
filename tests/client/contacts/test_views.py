"""What properties mean, what a person types, and text from strangers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_client.contacts.model import Unit
from kith_client.contacts.text import search_key, terminal_safe
from kith_client.contacts.vcard_write import write_card
from kith_client.contacts.views import (
    NO_NAME,
    InvalidProperty,
    birthday,
    categories,
    components,
    display_name,
    emails,
    make_property,
    name_from_words,
    organisation,
    phone_key,
    phones,
    text_of,
)
from tests.client.contacts.corpus import card_text, one


def units(*lines: str) -> tuple[Unit, ...]:
    return one(card_text(*lines)).units


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["N:Beck;Anna", "FN:Anna  Beck"], "Anna Beck"),
        (["FN:", "N:Beck;Anna;Maria;Dr.;jr."], "Dr. Anna Maria Beck jr."),
        (["FN:\u200b\u202e", "N:;;;;", "ORG:ACME;Lab"], "ACME, Lab"),
        (["NICKNAME:Annie", "EMAIL:a@b.example"], "Annie"),
        (["TEL:1", "EMAIL:a@b.example"], "a@b.example"),
        (["TEL:1"], "1"),
        (["NOTE:x"], NO_NAME),
        ([], NO_NAME),
        (["FN:A\\nB\\, C"], "A B, C"),
    ],
)
def test_a_contact_always_has_a_name_to_show(lines: list[str], name: str) -> None:
    assert display_name(units(*lines)) == name


def test_preferred_addresses_come_first_and_each_once() -> None:
    card = units(
        "EMAIL:a@x", "EMAIL;TYPE=pref:b@x", "EMAIL:mailto:a@x", "TEL:1", 'TEL;TYPE="home,pref":2', "TEL;PREF=1:tel:3"
    )
    assert emails(card) == ["b@x", "a@x"]
    assert phones(card) == ["2", "3", "1"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("BDAY:19530415", (1953, 4, 15)),
        # 1700 was no leap year, but a year that is omitted counts as one.
        ("BDAY;X-APPLE-OMIT-YEAR=1700:1700-02-29", (None, 2, 29)),
        ("BDAY;X-APPLE-OMIT-YEAR=1604:1604-02-29", (None, 2, 29)),
        ("BDAY;X-APPLE-OMIT-YEAR=1704:1704-02-29", (None, 2, 29)),
        ("BDAY: --03-07", (None, 3, 7)),
        ("BDAY:2023-02-29", None),
        ("BDAY:--0230", None),
        ("BDAY:١٩٥٣-٠٤-١٥", None),
        ("BDAY:", None),
        ("NOTE:19530415", None),
    ],
)
def test_a_birthday_is_a_day_that_exists_or_nothing(line: str, expected: object) -> None:
    assert birthday(units(line)) == expected


def test_organisation_joins_its_parts() -> None:
    assert organisation(units("ORG:;", "ORG:Foo\\, Inc.;R&D\\; Lab;")) == "Foo, Inc., R&D; Lab"
    assert organisation(units("ORG:;")) == ""


def test_categories_are_names_each_once_without_googles_label_for_all() -> None:
    assert categories(units("CATEGORIES:a\\,b,c , ,myContacts", "CATEGORIES:c,d")) == ("a,b", "c", "d")


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+49 (0) 30 / 23125-014", None, "+493023125014"),
        ("0049 30 23125014", None, "+493023125014"),
        ("030 23125014", "DE", "+493023125014"),
        ("030 23125014", None, None),
        ("tel:+49-30-23125014;ext=5", None, "+493023125014"),
        ("*31#+4930", "DE", None),
        ("+1 (202) 555-0143 x7", None, "+12025550143"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("+493023125014,,1234#", None, "+493023125014"),
        ("\u202a+1 555 0100\u202c", None, "+15550100"),
        ("", "DE", None),
        ("+" * 100_000, "DE", None),
        ("call me", "DE", None),
    ],
)
def test_phone_numbers_compare_in_e164(text: str, region: str | None, expected: str | None) -> None:
    assert phone_key(text, region) == expected


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("org", "ACME;Lab", "ACME;Lab"),
        ("org", "Foo, Inc.; R\\;D", "Foo\\, Inc.;R\\;D"),
        ("n", "Beck;Anna", "Beck;Anna"),
        ("note", "a;b, c\nd\\e", "a\\;b\\, c\\nd\\\\e"),
        ("categories", "a, b\\,c", "a,b\\,c"),
        ("url", "https://x.example/a;b,c", "https://x.example/a;b,c"),
        ("tel", " +49 30 1 ", "+49 30 1"),
    ],
)
def test_what_is_typed_becomes_a_raw_value(name: str, text: str, value: str) -> None:
    prop = make_property(name, text, [("TYPE", ["home"])])
    assert (prop.name, prop.value, prop.params) == (name.upper(), value, (("TYPE", ("home",)),))


@given(
    st.sampled_from(["NOTE", "FN", "TITLE"]), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))
)
def test_a_typed_text_comes_back_from_a_written_card(name: str, text: str) -> None:
    prop = make_property(name, text)
    (unit,) = one(write_card([(prop,)], "4.0")).units
    assert text_of(unit[0]) == text.strip()


@pytest.mark.parametrize("name", ["", "T EL", "TEL:x", "tel\n", "BEGIN", "end", "Version", "größe", "X" * 101])
def test_a_name_that_is_no_property_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidProperty):
        make_property(name, "1")


def test_a_parameter_cannot_smuggle_in_another() -> None:
    with pytest.raises(InvalidProperty):
        make_property("TEL", "1", [("TYPE=x;Y", ["home"])])


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("Anna Beck", ["Beck", "Anna", "", "", ""]),
        ("Anna", ["", "Anna", "", "", ""]),
        ("Dr. Anna Maria van der Berg", ["van der Berg", "Anna Maria", "", "Dr.", ""]),
        ("van der Berg", ["der Berg", "van", "", "", ""]),
        ("Berg, Anna", ["Berg", "Anna", "", "", ""]),
        ("Mr.", ["", "Mr.", "", "", ""]),
        ("", ["", "", "", "", ""]),
        ("A;B C\\D", ["C\\D", "A;B", "", "", ""]),
    ],
)
def test_a_name_in_words_becomes_its_components(words: str, parts: list[str]) -> None:
    ((prop,),) = (name_from_words(words),)
    assert (prop.name, components(prop)) == ("N", parts)


def test_a_search_does_not_care_for_case_accents_or_invisible_characters() -> None:
    assert search_key("  JÖRG  Straße\u200b Łukasz Østby") == "jorg strasse lukasz ostby"
    assert search_key("ANNA  Beck") == "anna beck"
    assert search_key("ad\u200bmin") == "admin"


@given(st.text())
def test_a_hostile_card_cannot_drive_the_terminal(text: str) -> None:
    safe = terminal_safe(text)
    assert not any(ord(ch) < 32 or 0x7F <= ord(ch) < 0xA0 or 0xD800 <= ord(ch) < 0xE000 for ch in safe)
    assert not set(safe) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\u200b\ufeff")
    assert terminal_safe(safe) == safe


def test_control_characters_become_visible() -> None:
    assert terminal_safe("a\x1b[31mred\x07\x00") == "a␛[31mred␇␀"
    assert terminal_safe("a\nb\tc") == "a b c"
    assert terminal_safe("a\nb\r", lines=True) == "a\nb "
    assert terminal_safe("Zoë 😀 می‌خواهم") == "Zoë 😀 می‌خواهم"
