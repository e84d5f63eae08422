"""Records as a newer or broken program might leave them: what can be read is shown, and nothing ends in a crash."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kith_client.book.circles import list_circles
from kith_client.book.due import due
from kith_client.book.exporting import cards, table
from kith_client.book.importing import Importer
from kith_client.book.issues import list_issues
from kith_client.book.listing import list_contacts
from kith_client.book.me import my_card
from kith_client.book.notes import list_notes
from kith_client.book.resolve import resolve_contact
from kith_client.book.showing import show_contact
from kith_client.book.views import view_of
from kith_client.contacts.vcard_read import read_cards
from kith_protocol.content import Content, Unit
from tests.client.book.library import contact, new_book, peer
from tests.client.book.test_notes_and_due import MONDAY

PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5) | st.binary(max_size=16),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)
PROPERTY = st.tuples(st.just(""), st.sampled_from(["FN", "TEL", "BDAY", "N"]), st.text(max_size=8), st.just([])).map(
    list
)
NAMES = st.sampled_from(
    [
        *("fn", "n", "uid", "tel-000000000000", "bday-000100000000", "photo-000200000000"),
        *(
            "past/0011",
            "conflict/0011",
            "taken/" + "ab" * 32,
            "taken/x",
            "member/" + "ab" * 16,
            "member/x",
            "facet/work",
            "name",
        ),
        *("text", "contact", "kind", "at", "remind", "source", "reason", "file", "line", "part", "sha256", "original"),
    ]
)
CONTENTS = st.builds(
    Content,
    st.sampled_from(
        ["contact", "note", "circle", "me", "set-aside", "trash", "issue", "photo", "devices", "unreadable"]
    ),
    st.dictionaries(
        NAMES, st.builds(Unit, PLAIN | st.lists(PROPERTY, max_size=2), st.integers(0, 9), st.binary(max_size=8))
    ),
)


@given(st.lists(CONTENTS, max_size=6))
def test_damaged_records_stop_no_reading(damaged: list[Content]) -> None:
    book = new_book()
    anna = contact(book, "Anna Beck", tel="1111")
    bob = peer(book, anna, "Anna", "work")
    for number, content in enumerate(damaged):
        book.records[number.to_bytes(16, "big")] = content
    assert anna.hex() in {row.id for row in list_contacts(book.contents)}
    assert resolve_contact(book.contents, anna.hex()) == anna
    for record in [record for record, content in book.contents.items() if content.kind == "contact"]:
        show_contact(book.contents, record)
    ids = [bytes.fromhex(row.id) for row in list_contacts(book.contents)]
    assert len(list(cards(book.contents, ids, "4.0"))) == len(ids)
    assert len(list(table(book.contents, ids))) == len(ids) + 1
    for read in (list_circles, list_notes, my_card, list_issues):
        read(book.contents)
    due(book.contents, MONDAY, 7)
    view_of(book.contents, bob)
    importer = Importer(book.contents, book.stamp())
    for edit in importer.batches("a.vcf", read_cards([b"BEGIN:VCARD\r\nFN:New\r\nEND:VCARD\r\n"])):
        book.put(edit)
    assert importer.tally.imported == 1
