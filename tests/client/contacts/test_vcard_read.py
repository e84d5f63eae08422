"""Reading: arbitrary bytes never raise, nothing is lost, chunks do not matter, bombs take bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_client.contacts.model import Card, SetAside
from kith_client.contacts.vcard_read import MAX_PROPERTIES, read_cards
from kith_client.contacts.vcard_split import MAX_CARD
from kith_client.contacts.views import properties, text_of
from tests.client.contacts.corpus import card_text, cards, dense, one, read
from tests.client.contacts.strategies import bytes_like_cards, wide_bytes


@given(bytes_like_cards)
def test_arbitrary_bytes_never_raise_and_nothing_is_lost(data: bytes) -> None:
    items = read(data)
    assert dense(b"".join(item.source for item in items)) == dense(data)


@given(wide_bytes)
def test_nothing_is_lost_of_utf16_with_broken_characters(data: bytes) -> None:
    items = read(data)
    assert dense(b"".join(item.source for item in items)) == dense(data)


@given(bytes_like_cards)
def test_leftovers_are_part_of_the_card_and_lines_are_counted(data: bytes) -> None:
    for card in cards(data):
        for bad in card.leftovers:
            assert bad.source in card.source
            assert bad.line >= card.line


@given(bytes_like_cards)
def test_values_hold_no_line_end_and_no_half_character(data: bytes) -> None:
    for card in cards(data):
        for prop in (prop for unit in card.units for prop in unit):
            assert "\n" not in prop.value
            assert "\r" not in prop.value
            prop.value.encode("utf-8")


@given(bytes_like_cards, st.integers(1, 9))
def test_how_the_bytes_are_cut_into_chunks_does_not_matter(data: bytes, size: int) -> None:
    assert list(read_cards(data[i : i + size] for i in range(0, len(data), size))) == read(data)


def test_folding_line_ends_and_encoding_do_not_change_the_fingerprint() -> None:
    plain = card_text("FN:Anna Müller", "NOTE:a long note")
    others = [
        plain.replace("\r\n", "\n").encode(),
        plain.replace("a long", "a lo\r\n ng").encode(),
        plain.encode("utf-16-le"),
        plain.encode("latin-1"),
        plain.replace("FN", "fn").encode(),
    ]
    assert {card.fingerprint for other in others for card in cards(other)} == {one(plain).fingerprint}


def test_every_difference_in_content_changes_the_fingerprint() -> None:
    lines = [
        "TEL:1",
        "TEL:2",
        "TEL;TYPE=home:1",
        "EMAIL:1",
        "item1.TEL:1",
        "TEL:1;",
        "TEL;TYPE=a,b:1",
        'TEL;TYPE="a,b":1',
    ]
    assert len({one(card_text(line)).fingerprint for line in lines}) == len(lines)


def test_line_separators_of_unicode_are_no_line_ends() -> None:
    card = one(card_text("NOTE:a\u2028b\u0085c\u2029d\x0be\x0cf"))
    assert card.units[0][0].value == "a\u2028b\u0085c\u2029d\x0be\x0cf"


def test_a_note_that_is_folded_before_an_end_mark_does_not_end_the_card() -> None:
    card = one("BEGIN:VCARD\r\nVERSION:3.0\r\nNOTE:see \r\n END:VCARD\r\nTEL:1\r\nEND:VCARD\r\n")
    assert [prop.value for prop in properties(card.units, "NOTE", "TEL")] == ["see END:VCARD", "1"]


@pytest.mark.parametrize(("version", "expected"), [("2.1", "one  two"), ("3.0", "one two"), ("4.0", "one two")])
def test_a_fold_in_2_1_keeps_its_blank(version: str, expected: str) -> None:
    assert one(card_text("NOTE:one\r\n  two", version=version)).units[0][0].value == expected


def test_escapes_of_2_1_become_those_of_3_0() -> None:
    card = one(card_text("N:A\\;B;C, D", "NOTE:a, b; c\\\\d", "URL:http://x.example/a,b;c", version="2.1"))
    assert [prop.value for unit in card.units for prop in unit] == [
        "A\\;B;C\\, D",
        "a\\, b\\; c\\\\d",
        "http://x.example/a,b;c",
    ]


def test_bare_parameters_of_2_1_get_their_names() -> None:
    (unit,) = one(card_text("PHOTO;INLINE;BASE64;JPEG:QUJD", version="2.1")).units
    assert unit[0].params == (("VALUE", ("INLINE",)), ("ENCODING", ("BASE64",)), ("TYPE", ("JPEG",)))


def test_parameters_keep_their_case_order_and_values() -> None:
    (unit,) = one(card_text('X-Foo;Type=a,B;x-BAR="q,r";type=c;LABEL=a^nb^^^\'^x:v')).units
    assert unit[0].name == "X-Foo"
    assert unit[0].params == (("Type", ("a", "B")), ("x-BAR", ("q,r",)), ("type", ("c",)), ("LABEL", ('a\nb^"^x',)))


def test_registers_stay_units_of_their_own_in_a_group() -> None:
    units = one(card_text("a.FN:Anna", "a.TEL:1", "A.X-ABLabel:work", "a.UID:7")).units
    assert [[prop.name for prop in unit] for unit in units] == [["FN"], ["TEL", "X-ABLabel"], ["UID"]]


@pytest.mark.parametrize("charset", ["idna", "unicode_escape", "rot13", "zip", "undefined", "utf-7", "x" * 1000])
def test_a_charset_that_is_no_charset_is_not_looked_up(charset: str) -> None:
    (unit,) = one(card_text(f"NOTE;CHARSET={charset}:+AAo- \\n ü")).units
    assert unit[0].value == "+AAo- \\n ü"


def test_a_text_in_the_charset_that_another_line_declares_is_read_in_it() -> None:
    data = "BEGIN:VCARD\nVERSION:2.1\nFN:Київ\nLABEL;CHARSET=Windows-1251:Київ\nEND:VCARD\n".encode("cp1251")
    assert [text_of(prop) for prop in properties(one(data).units, "FN", "LABEL")] == ["Київ", "Київ"]


def test_lines_ending_in_a_backslash_continue_as_old_telephones_write_them() -> None:
    card = one(card_text("ADR:;;Brevern\\", "9999999\\", "Packstation 9;Hamburg", "TEL:1", version="2.1"))
    assert [text_of(prop) for prop in properties(card.units, "ADR", "TEL")] == [
        ";;Brevern\n9999999\nPackstation 9;Hamburg",
        "1",
    ]


def test_a_value_cannot_swallow_the_next_property() -> None:
    card = one(card_text("NOTE;ENCODING=QUOTED-PRINTABLE:a=", "TEL:1", "NOTE:b\\", "EMAIL:c", version="2.1"))
    assert [prop.key for unit in card.units for prop in unit] == ["NOTE", "TEL", "NOTE", "EMAIL"]


def test_bad_lines_that_follow_each_other_give_one_message() -> None:
    card = one(card_text("FN:x", "bad one", "bad two", "TEL:1", "bad three"))
    assert [(bad.source, bad.line) for bad in card.leftovers] == [(b"bad one\r\nbad two\r\n", 4), (b"bad three\r\n", 7)]


def test_a_card_that_is_too_long_is_set_aside_in_pieces_and_the_next_is_read() -> None:
    long = card_text("NOTE:" + "x" * (2 * MAX_CARD)).encode()
    items = read(long + card_text("FN:next").encode())
    aside = [item for item in items if isinstance(item, SetAside)]
    assert b"".join(item.source for item in aside) == long
    assert max(len(item.source) for item in aside) <= MAX_CARD + (1 << 17)
    assert [text_of(card.units[0][0]) for card in items if isinstance(card, Card)] == ["next"]


def test_a_card_of_too_many_properties_is_set_aside() -> None:
    assert len(one(card_text(*["X-A:1"] * MAX_PROPERTIES)).units) == MAX_PROPERTIES
    (item,) = read(card_text(*["X-A:1"] * (MAX_PROPERTIES + 1)))
    assert isinstance(item, SetAside)
    assert str(MAX_PROPERTIES) in item.reason


LIMIT = 2.0
"""Seconds of processor time. On an idle machine all take 0.05 to 0.6; anything quadratic takes minutes."""


def _seconds(data: bytes) -> float:
    start = time.process_time()
    for _item in read_cards([data]):
        pass
    return time.process_time() - start


BOMBS = {
    "folds": b"NOTE:a" + b"\r\n b" * 250_000,
    "blank lines": b"NOTE:a" + b"\r\n" * 500_000,
    "carriage returns": b"NOTE:a" + b"\r" * 380_000,
    "parameters": b"TEL" + b";TYPE=a" * 140_000 + b":1",
    "an open quote": b'TEL;X="' + b"a;b,c=" * 160_000 + b":1",
    "quotes": b"TEL;X=" + b'"' * 1_000_000 + b":1",
    "backslashes": b"N:" + b"\\;" * 500_000,
    "escaped ends": b"NOTE:a\\\r\n" * 100_000,
    "soft breaks": b"NOTE;ENCODING=QUOTED-PRINTABLE:a=\r\n" + b"=41=\r\n" * 150_000,
    "quoted-printable": b"NOTE;ENCODING=QUOTED-PRINTABLE:" + b"=41" * 330_000,
    "base64 lines": b"PHOTO;ENCODING=b:A\r\n" + b"AAAA\r\n" * 160_000,
    "carets": b'TEL;X="' + b"^" * 1_000_000 + b'":1',
    "blanks before a colon": b"TEL" + b" " * 1_000_000 + b"x",
    "a name": b"X" + b"-" * 1_000_000 + b":1",
    "groups": b"".join(b"g%d.X:1\r\n" % i for i in range(9_900)),
    "broken UTF-8": b"NOTE:" + b"\xff\xc3" * 250_000,
    "nested cards": b"AGENT:\r\nBEGIN:VCARD\r\n" * 40_000 + b"END:VCARD\r\n" * 40_000,
    "bad lines": b"bad\r\n\r\n" * 100_000,
    "half marks": b"BEGIN\r\n :VCAR\r\n" * 60_000,
}
NO_CARD = {"junk": b"junk\r\n" * 160_000, "ends": b"END:VCARD\r\n" * 90_000, "versions": b"VERSION:1\r\n" * 90_000}
NO_CARD["ends after a version"] = b"END:VCARD\r\nVERSION:1\r\nx\r\n" * 1000 + b"END:VCARD\r\n" * 80_000


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_of_a_megabyte_takes_no_more_than_seconds(name: str) -> None:
    assert _seconds(b"BEGIN:VCARD\r\nVERSION:3.0\r\n" + BOMBS[name] + b"\r\nEND:VCARD\r\n") < LIMIT


@pytest.mark.parametrize("name", sorted(NO_CARD))
def test_a_megabyte_without_a_card_takes_no_more_than_seconds(name: str) -> None:
    assert _seconds(NO_CARD[name]) < LIMIT


def test_a_card_is_given_before_the_rest_of_the_file_is_read() -> None:
    given = 0

    def chunks() -> Iterator[bytes]:
        nonlocal given
        for number in range(1000):
            given += 1
            yield card_text(f"FN:{number}").encode()

    first = next(iter(read_cards(chunks())))
    assert isinstance(first, Card)
    assert given <= 3
