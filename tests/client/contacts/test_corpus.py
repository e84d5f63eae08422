"""Every vCard of the corpus, most of them from other projects' tests: read whole, written back, imported twice."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from kith_client.contacts.groups import is_group
from kith_client.contacts.importing import ImportIndex, NewContact, Unchanged, UpdatedContact
from kith_client.contacts.model import Card, SetAside, unit_to_value, value_to_unit
from kith_client.contacts.recognise import recognise
from kith_client.contacts.vcard_convert import to_version
from kith_client.contacts.vcard_write import Version, write_card
from kith_client.contacts.views import birthday, categories, display_name, emails, organisation, phones
from tests.client.contacts.corpus import Sample, cards, dense, needs_corpus, read, samples
from tests.client.contacts.ids import counting_ids

pytestmark = needs_corpus

SAMPLES = samples()
NO_CARD = "FolkerKinzel.VCards.Tests__TestFiles__Empty.vcf"
"""The manifest counts one card, but the file holds nothing but a byte order mark."""

FOLDERS = sorted({sample.path.split("/")[1] for sample in SAMPLES})


def each(check: Callable[[Sample], None]) -> Callable[[str], None]:
    """Checks every file of a folder in one test, and says which failed: a test for each would take longer to start."""

    def folder_test(folder: str) -> None:
        for sample in SAMPLES:
            if sample.path.split("/")[1] == folder:
                try:
                    check(sample)
                except Exception as error:
                    error.add_note(sample.path)
                    raise

    return pytest.mark.parametrize("folder", FOLDERS)(folder_test)


@each
def test_no_card_is_lost(sample: Sample) -> None:
    found = len(cards(sample.data()))
    if sample.path.endswith(NO_CARD):
        assert found == 0
    elif sample.cards:
        assert found == sample.cards


@each
def test_no_byte_is_lost(sample: Sample) -> None:
    data = sample.data()
    assert dense(b"".join(item.source for item in read(data))) == dense(data)


@each
def test_every_line_of_a_real_card_is_a_property_or_left_over(sample: Sample) -> None:
    for card in cards(sample.data()):
        if b"\x00" in card.source or re.search(rb"(?i)quoted-printable|base64|encoding=b|agent|\\\r?\n", card.source):
            continue
        rest = b"\n".join(bad.source for bad in card.leftovers)
        assert sum(map(len, card.units)) + _content_lines(rest) == _content_lines(card.source)


@each
def test_what_is_read_is_written_and_read_again_unchanged(sample: Sample) -> None:
    versions: tuple[Version, ...] = ("3.0", "4.0")
    for card in cards(sample.data())[:50]:
        for version in versions:
            (again,) = cards(write_card(card.units, version))
            assert again.units == card.units
            assert again.leftovers == ()


@each
def test_what_is_read_can_be_stored(sample: Sample) -> None:
    for card in cards(sample.data())[:50]:
        assert tuple(value_to_unit(unit_to_value(unit)) for unit in card.units) == card.units


@each
def test_views_and_conversions_cope_with_every_card(sample: Sample) -> None:
    for card in cards(sample.data())[:50]:
        assert display_name(card.units)
        birthday(card.units)
        assert all([*emails(card.units), *phones(card.units), *categories(card.units)])
        organisation(card.units)
        for version in ("3.0", "4.0"):
            converted = to_version(card.units, "3.0" if version == "3.0" else "4.0")
            assert len(converted) >= len(card.units)


@each
def test_importing_a_file_twice_changes_nothing(sample: Sample) -> None:
    index = ImportIndex([], counting_ids())
    people = [card for card in cards(sample.data()) if not is_group(card)]
    for number, card in enumerate(people):
        plan = index.plan(card)
        assert not (isinstance(plan, SetAside) and card.units and display_name(card.units) != "(no name)")
        index.taken(plan, number.to_bytes(16, "big") if isinstance(plan, NewContact) else None)
    again = [index.plan(card) for card in people]
    assert not [plan for plan in again if isinstance(plan, NewContact | UpdatedContact)]
    assert all(plan.remember is None for plan in again if isinstance(plan, Unchanged))


@each
def test_every_vcard_is_recognised_by_its_content(sample: Sample) -> None:
    data = sample.data()
    expected = "vcard" if any(isinstance(item, Card) for item in read(data)) else "unknown"
    assert recognise("contacts", data) == expected


def _content_lines(data: bytes) -> int:
    lines = re.sub(rb"\r?\r?\n[ \t]", b"", data).replace(b"\r", b"\n").split(b"\n")
    delimiters = rb"(?i)[\xef\xbb\xbf\s]*(begin|version|end)\s*:"
    return sum(1 for line in lines if line.strip() and not re.match(delimiters, line))
