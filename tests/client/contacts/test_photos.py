"""Large inline data apart from its contact and back; recognising formats."""

from __future__ import annotations

import base64
import hashlib

import pytest

from kith_client.contacts.importing import ImportIndex, KnownContact, Unchanged
from kith_client.contacts.matching import same
from kith_client.contacts.model import unit_to_value, value_to_unit
from kith_client.contacts.photos import LARGE, inline_data, join_photo, photo_reference, split_photo
from kith_client.contacts.recognise import recognise
from tests.client.contacts.corpus import card_text, one
from tests.client.contacts.ids import counting_ids

PICTURE = bytes(range(256)) * 20
TEXT = base64.b64encode(PICTURE).decode()

WAYS = [
    f"PHOTO;ENCODING=b;TYPE=JPEG:{TEXT}",
    f"PHOTO;JPEG;BASE64:{TEXT}",
    f"PHOTO:data:image/png;base64,{TEXT}",
    f"item1.LOGO;VALUE=uri:data:image/png;base64\\,{TEXT}\r\nitem1.X-ABLabel:x",
    f"KEY;ENCODING=B:{TEXT}",
]


@pytest.mark.parametrize("line", WAYS)
def test_large_data_leaves_its_unit_and_comes_back_to_the_letter(line: str) -> None:
    (unit,) = one(card_text(line)).units
    split = split_photo(unit)
    assert split is not None
    apart, data = split
    assert data == PICTURE
    assert photo_reference(apart) == hashlib.sha256(PICTURE).digest()
    assert TEXT not in str(unit_to_value(apart))
    assert join_photo(value_to_unit(unit_to_value(apart)), data) == unit
    assert same(apart) == same(unit)


@pytest.mark.parametrize(
    "line",
    [
        f"PHOTO;ENCODING=b:{base64.b64encode(bytes(LARGE)).decode()}",
        f"PHOTO;ENCODING=b:!{TEXT}",
        f"PHOTO;ENCODING=b:{TEXT[:-2]}",
        "PHOTO;VALUE=uri:file:///etc/passwd",
        "PHOTO:http://169.254.169.254/latest/",
        f"NOTE;ENCODING=b:{TEXT}",
        f"PHOTO:{TEXT}",
    ],
)
def test_what_is_small_damaged_or_elsewhere_stays_where_it_is(line: str) -> None:
    (unit,) = one(card_text(line)).units
    assert split_photo(unit) is None
    assert photo_reference(unit) is None
    assert join_photo(unit, b"x") == unit


def test_a_reference_that_is_no_hash_refers_to_nothing() -> None:
    for text in ("kith:photo:", "kith:photo:xyz", "kith:photo:00ff"):
        (unit,) = one(card_text(f"PHOTO:{text}")).units
        assert photo_reference(unit) is None


def test_an_empty_photo_holds_no_data() -> None:
    assert inline_data(one(card_text("PHOTO;ENCODING=b:")).units[0][0]) is None


def test_a_photo_kept_apart_is_known_when_its_card_comes_again() -> None:
    card = one(card_text("FN:Anna", f"PHOTO;ENCODING=b:{TEXT}", "UID:7"))
    units = {str(i): (split_photo(unit) or (unit, b""))[0] for i, unit in enumerate(card.units)}
    index = ImportIndex([KnownContact(b"1", "7", units)], counting_ids())
    assert isinstance(index.plan(card), Unchanged)


@pytest.mark.parametrize(
    ("name", "head", "format_"),
    [
        ("x.csv", b"BEGIN:VCARD\r\n", "vcard"),
        ("x", b"\xef\xbb\xbfbegin:vcard", "vcard"),
        ("x", "BEGIN:VCARD\r\nFN:ü".encode("utf-16"), "vcard"),
        ("x", "BEGIN:VCARD\r\nFN:ü".encode("utf-16-be"), "vcard"),
        ("x", b"From: a\r\n\r\nBEGIN:VCARD\r", "vcard"),
        ("x", b"a\rBEGIN:VCARD\r", "vcard"),
        ("x", b"BEGIN:VCA\r\n RD\r\n", "vcard"),
        ("Family.vcf", b"", "vcard"),
        ("Family.csv", b"", "unknown"),
        ("x.vcf", b"First Name,Last Name\r\n", "unknown"),
        ("x.vcf", b"BEGIN:VCALENDAR\r\n", "unknown"),
        ("x", b"NOTE:BEGIN:VCARD", "unknown"),
        ("x.vcf", bytes(range(256)), "unknown"),
    ],
)
def test_a_format_is_recognised_by_content(name: str, head: bytes, format_: str) -> None:
    assert recognise(name, head) == format_
