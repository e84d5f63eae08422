"""Each file of the hostile part of the corpus meets the expectation that the corpus states for it."""

from __future__ import annotations

import codecs
from collections.abc import Callable

import pytest

from kith_client.contacts.model import Card, SetAside
from kith_client.contacts.views import birthday, components, emails, phone_key, phones, properties, search_key, text_of
from tests.client.contacts.corpus import hostile, needs_corpus, read

pytestmark = needs_corpus

COUNTS = {
    "agent_escaped_v3": (1, 0),
    "apple_group_loop": (2, 0),
    "base64_blank_line": (1, 0),
    "base64_no_blank_line": (1, 0),
    "bidi_zero_width": (1, 0),
    "bom_each_card": (3, 0),
    "cesu8_surrogates": (1, 0),
    "colon_escaped": (1, 0),
    "cp1252_v21_noparam": (1, 0),
    "cr_only": (1, 0),
    "date_zoo": (1, 0),
    "deep_nest": (1, 0),
    "dup_version_and_fn": (1, 0),
    "empty_values": (2, 0),
    "end_in_note": (1, 0),
    "fold_bomb": (1, 0),
    "fold_in_name": (1, 0),
    "fold_inside_escape": (1, 0),
    "fold_inside_utf8": (1, 0),
    "fold_no_space": (1, 0),
    "fold_tab_and_space_lines": (1, 0),
    "formula_injection": (1, 0),
    "gb18030": (1, 0),
    "giant_line_1mb": (1, 0),
    "google_blank_line_in_fn": (1, 0),
    "homoglyph_nfc_nfd": (3, 0),
    "junk_around": (2, 2),
    "latin1_undeclared": (1, 0),
    "lowercase_spaces": (1, 0),
    "many_cards": (2000, 0),
    "many_groups": (1, 0),
    "missing_begin": (2, 0),
    "missing_end_eof": (1, 0),
    "missing_end_first": (2, 0),
    "mixed_charset_per_line": (1, 0),
    "mixed_eol": (1, 0),
    "nested_agent_inline_v21": (1, 0),
    "no_version": (3, 0),
    "nul_bytes": (1, 0),
    "oppo": (1, 0),
    "params_weird": (1, 0),
    "photo_not_base64": (1, 0),
    "qp_bad": (1, 0),
    "qp_break_without_equals": (1, 0),
    "qp_in_v3": (1, 0),
    "qp_softbreak_no_space": (1, 0),
    "qp_split_in_multibyte": (1, 0),
    "qp_structured": (1, 0),
    "regex_bomb": (1, 0),
    "same_line": (1, 1),
    "sound_x_irmc": (1, 0),
    "tel_zoo": (1, 0),
    "truncated_mid_base64": (1, 0),
    "uid_clash": (3, 0),
    "unescaped_commas": (1, 0),
    "utf16be_nobom": (1, 0),
    "utf16le_bom": (1, 0),
    "utf8_bom": (1, 0),
    "xss_path": (1, 0),
}
"""File → (cards, pieces set aside between cards)."""

Check = Callable[[Card], object]


def texts(*names: str) -> Check:
    return lambda card: [text_of(prop) for prop in properties(card.units, *names)]


def parts(name: str) -> Check:
    return lambda card: [components(prop) for prop in properties(card.units, name)]


def leftover_lines(card: Card) -> list[bytes]:
    return [line for bad in card.leftovers for line in bad.source.splitlines()]


def numbers(card: Card) -> object:
    return [phone_key(text) for text in phones(card.units)]


ANNA = ["Anna Müller"]
PHONE = ["+49 30 23125 014"]
EXPECTED: list[tuple[str, Check, object]] = [
    ("agent_escaped_v3", texts("TEL"), PHONE),
    ("base64_blank_line", texts("TEL"), PHONE),
    ("base64_blank_line", texts("PHOTO"), ["/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQ=="]),
    ("base64_no_blank_line", texts("TEL"), PHONE),
    ("base64_no_blank_line", texts("PHOTO"), ["/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEB=="]),
    ("bidi_zero_width", numbers, ["+15550100"]),
    ("cesu8_surrogates", texts("TEL"), ["1"]),
    ("colon_escaped", parts("N"), [["Rp: Wr.no", "Z New", "", "", ""]]),
    ("colon_escaped", texts("NOTE"), ["C:\\temp \\x \\"]),
    ("colon_escaped", texts("URL"), ["http://www.example.com/a,b"]),
    ("cp1252_v21_noparam", texts("FN", "NOTE"), ["Anna Müller", "„quoted“ – 5€"]),
    ("cr_only", texts("FN", "EMAIL", "TEL"), ["Anna Müller", "anna@example.com", *PHONE]),
    ("date_zoo", lambda card: [birthday([unit]) for unit in card.units[1:]],
     [(1953, 4, 15), (None, 4, 15), None, None, None, None, (1953, 10, 15), (1582, 10, 4), None, (None, 2, 29), None,
      None, (1985, 4, 12), None]),
    ("dup_version_and_fn", lambda card: card.version, "3.0"),
    ("dup_version_and_fn", texts("FN", "N", "UID"), ["One", "Two", "a;b", "c;d", "1", "2"]),
    ("end_in_note", texts("NOTE", "X-FOO"), ["text\nEND:VCARD\nBEGIN:VCARD", "bar"]),
    ("fold_bomb", lambda card: len(card.units[1][0].value), 200_001),
    ("fold_in_name", lambda card: (card.version, texts("FN")(card)), ("4.0", ["x"])),
    ("fold_inside_escape", texts("NOTE"), ["line1\nline2,comma"]),
    ("fold_inside_utf8", lambda card: set(card.units[1][0].value.split("äöü€😀")), {""}),
    ("fold_no_space", texts("EMAIL"), ["anna@example.com"]),
    ("fold_no_space", leftover_lines, [b"that continues without a space"]),
    ("fold_tab_and_space_lines", texts("NOTE"), ["abc"]),
    ("formula_injection", texts("FN", "NOTE"), ["=1+1", '=HYPERLINK("http://evil.example","x")']),
    ("gb18030", texts("FN"), ["袁春梅㐀"]),
    ("giant_line_1mb", lambda card: len(card.units[1][0].value), 500_000),
    ("google_blank_line_in_fn", texts("FN", "TEL"), ["Anna Béla", *PHONE]),
    ("google_blank_line_in_fn", parts("N"), [["Béla\n\nMüller", "Anna", "", "", ""]]),
    ("google_blank_line_in_fn", leftover_lines, ["Müller-Gyöngyösi".encode()]),
    ("latin1_undeclared", texts("FN"), ANNA),
    ("lowercase_spaces", lambda card: emails(card.units), ["anna@example.com"]),
    ("lowercase_spaces", texts("FN"), [" Anna"]),
    ("mixed_charset_per_line", parts("N"), [["Müller", "Anna"]]),
    ("mixed_charset_per_line", texts("FN", "NOTE", "ORG"), ["Anna Müller", "山田太郎ソ表", "Пример"]),
    ("mixed_eol", texts("N", "FN", "EMAIL"), ["Müller;Anna;;;", "Anna Müller", "anna@example.com"]),
    ("nested_agent_inline_v21", texts("N", "TEL"), ["Boss", "2"]),
    ("nested_agent_inline_v21", lambda card: "TEL:1" in text_of(card.units[1][0]), True),
    ("nul_bytes", texts("FN"), ["Anna\x00Müller"]),
    ("nul_bytes", numbers, ["+493023125014"]),
    ("oppo", texts("FN", "TEL"), ["袁春梅", "13900000000", "+86 10 5550 0100"]),
    ("oppo", texts("OPPO_RECENT_CALL"), ["NULL", "NULL"]),
    ("params_weird", texts("TEL"), ["tel:+1-555-555-0100;ext=5", "1", "2", "3", ""]),
    ("params_weird", lambda card: next(properties(card.units, "ADR")).param("LABEL"), ("1 St.\nTown \"q\" ^",)),
    ("params_weird", lambda card: sorted(next(properties(card.units, "TEL")).types()), ["voice", "work"]),
    ("params_weird", leftover_lines, [b";:x", b":novalue", b"NOCOLON"]),
    ("photo_not_base64", lambda card: len(list(properties(card.units, "PHOTO"))), 5),
    ("qp_bad", texts("FN", "TEL"), ["100=% =ZZ =4 äö", "1"]),
    ("qp_break_without_equals", texts("FN"), ["Виктор Сотников"]),
    ("qp_in_v3", texts("FN"), ["Jürgen"]),
    ("qp_softbreak_no_space", texts("FN", "TEL"), ["Митко Колчак", *PHONE]),
    ("qp_split_in_multibyte", texts("FN"), ["Russ ⚽⚽⚽"]),
    ("qp_structured", parts("N"), [["Müller;-H", "Anna"]]),
    ("qp_structured", parts("ADR"), [["", "", "Str. 5\n2. OG", "Köln", "", "50667", ""]]),
    ("regex_bomb", lambda card: [len(line) for line in leftover_lines(card)], [140_005, 50_004]),
    ("sound_x_irmc", texts("FN", "SOUND"), ["Anna Müller", ";;;;"]),
    ("truncated_mid_base64", texts("FN", "TEL"), ["Anna Müller", *PHONE]),
    ("unescaped_commas", texts("NOTE"), ["a,b;c"]),
    ("unescaped_commas", parts("N"), [["van der Berg, Jr.", "Jan", "", "", ""]]),
    ("utf16be_nobom", texts("FN", "TEL"), ["Anna Müller", *PHONE]),
    ("utf16le_bom", texts("FN", "TEL"), ["Anna Müller", *PHONE]),
    ("utf8_bom", texts("FN"), ANNA),
    ("xss_path", texts("X-FN", "UID"), ["../../etc/passwd", "x"]),
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_cards_and_pieces_set_aside_are_as_many_as_expected(name: str) -> None:
    items = read(hostile(name))
    found = [item for item in items if isinstance(item, Card)]
    assert (len(found), len(items) - len(found)) == COUNTS[name]


@pytest.mark.parametrize(("name", "check", "expected"), EXPECTED)
def test_what_a_hostile_card_says_is_read(name: str, check: Check, expected: object) -> None:
    card = next(item for item in read(hostile(name)) if isinstance(item, Card))
    assert check(card) == expected


def test_every_hostile_file_has_an_expectation() -> None:
    from tests.client.contacts.corpus import samples

    names = {s.path.rpartition("/a_")[2].removesuffix(".vcf") for s in samples() if "synthetic_hostile" in s.path}
    assert names == set(COUNTS)


def test_no_bytes_are_dropped_from_a_name_in_an_undeclared_charset() -> None:
    for name in ("cesu8_surrogates", "latin1_undeclared", "cp1252_v21_noparam", "mixed_charset_per_line"):
        card = next(item for item in read(hostile(name)) if isinstance(item, Card))
        assert "\ufffd" not in "".join(prop.value for unit in card.units for prop in unit)


@pytest.mark.parametrize("name", ["missing_begin", "missing_end_eof", "missing_end_first", "truncated_mid_base64"])
def test_a_card_without_its_begin_or_end_is_kept_with_a_remark(name: str) -> None:
    card = next(item for item in read(hostile(name)) if isinstance(item, Card))
    assert [bad.source for bad in card.leftovers] == [b""]
    assert "BEGIN:VCARD" in card.leftovers[0].reason or "END:VCARD" in card.leftovers[0].reason


def test_two_cards_of_which_one_has_no_end_are_not_merged() -> None:
    first, second = (item for item in read(hostile("missing_end_first")) if isinstance(item, Card))
    assert first.units == second.units


def test_mail_headers_around_cards_are_set_aside_with_their_bytes() -> None:
    aside = [item for item in read(hostile("junk_around")) if isinstance(item, SetAside)]
    assert [item.source.split(b"\r\n")[0] for item in aside] == [b"From: someone", b""]
    assert [item.line for item in aside] == [1, 11]


def test_labels_find_their_numbers_among_hundreds_of_groups() -> None:
    card = next(item for item in read(hostile("many_groups")) if isinstance(item, Card))
    assert [(unit[0].value, unit[1].value) for unit in card.units] == [(str(i), f"L{i}") for i in range(1, 300)]


def test_two_spellings_of_one_name_match_and_a_homoglyph_does_not() -> None:
    composed, decomposed, cyrillic = (
        search_key(text_of(item.units[0][0])) for item in read(hostile("homoglyph_nfc_nfd")) if isinstance(item, Card)
    )
    assert composed == decomposed == "jose"
    assert cyrillic != search_key("Anna (Cyrillic A)")


def test_the_source_of_a_utf16_card_is_what_stood_in_the_file() -> None:
    for name, mark in (("utf16le_bom", codecs.BOM_UTF16_LE), ("utf16be_nobom", b"")):
        data = hostile(name)
        assert [item.source for item in read(data)] == [data]
        assert data.startswith(mark)
