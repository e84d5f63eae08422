"""Taking cards in: in batches, twice without effect, with pictures, circles, and nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kith_client.book.circles import list_circles, remove_from_circle
from kith_client.book.contacts import set_property
from kith_client.book.exporting import cards, harmless, table
from kith_client.book.importing import BATCH_CARDS, Importer, Tally
from kith_client.book.issues import list_issues, original
from kith_client.book.listing import list_contacts
from kith_client.book.parts import PART_BYTES
from kith_client.contacts.model import Card
from kith_client.contacts.vcard_read import read_cards
from tests.client.book.library import contact, new_book
from tests.support.address_book import address_book
from tests.support.memory_book import MemoryBook


def take_in(book: MemoryBook, *files: bytes) -> Tally:
    importer = Importer(book.contents, book.stamp())
    for number, data in enumerate(files):
        for edit in importer.batches(f"{number}.vcf", read_cards([data])):
            book.put(edit)
    book.put(importer.circles())
    return importer.tally


def card(*lines: str) -> bytes:
    return "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""]).encode()


def names(book: MemoryBook) -> list[str]:
    return [row.name for row in list_contacts(book.contents)]


def test_the_same_file_twice_changes_nothing() -> None:
    book, data = new_book(), address_book(40)
    assert take_in(book, data).imported == 40
    before = dict(book.contents)
    tally = take_in(book, data)
    assert (tally.imported, tally.updated, tally.unchanged) == (0, 0, 40)
    assert book.contents == before


def test_an_edit_made_since_stands_when_the_file_comes_again() -> None:
    book, data = new_book(), card("UID:1", "FN:Anna", "TEL:1111")
    take_in(book, data)
    anna = bytes.fromhex(list_contacts(book.contents)[0].id)
    book.put(set_property(book.contents, book.stamp(), anna, "tel", "2222")[0])
    assert take_in(book, data).unchanged == 1
    assert list_contacts(book.contents)[0].phones == ("2222",)


def test_a_newer_card_adds_and_removes_nothing() -> None:
    book = new_book()
    take_in(book, card("UID:1", "FN:Anna Beck", "TEL:1111", "EMAIL:a@x.org"))
    tally = take_in(book, card("UID:1", "FN:Anna Beck", "TEL:2222"))
    assert (tally.imported, tally.updated) == (0, 1)
    (row,) = list_contacts(book.contents)
    assert (row.phones, row.emails) == (("1111", "2222"), ("a@x.org",))


def test_a_card_may_be_updated_by_a_later_one_of_the_same_batch() -> None:
    book = new_book()
    tally = take_in(book, card("UID:1", "FN:Anna", "TEL:1") + card("UID:1", "FN:Anna", "TEL:2") + card("FN:Bob"))
    assert (tally.imported, tally.updated) == (2, 1)
    assert list_contacts(book.contents)[0].phones == ("1", "2")


def test_what_is_no_card_is_set_aside_once_with_its_bytes_and_the_others_come_in() -> None:
    book = new_book()
    data = card("FN:Anna") + b"this is no card\r\n" + card("FN:Bob", "this is no property")
    tally = take_in(book, data)
    assert names(book) == ["Anna", "Bob"]
    assert {each.file for each in tally.set_aside} == {"0.vcf"}
    kept = [original(book.contents, issue) for issue in list_issues(book.contents)]
    assert sorted(bytes(b"".join(each.split())) for each in kept) == [b"thisisnocard", b"thisisnoproperty"]
    assert len(take_in(book, data).set_aside) == len(tally.set_aside)
    assert len(list_issues(book.contents)) == len(kept)


def test_a_card_too_large_for_a_contact_is_set_aside_whole() -> None:
    book = new_book()
    huge = card("FN:Huge", *(f"NOTE:{number} {'x' * 70}" for number in range(12_000)))
    tally = take_in(book, huge + card("FN:Anna"))
    assert names(book) == ["Anna"]
    assert len(tally.set_aside) == 1
    (issue,) = list_issues(book.contents)
    assert original(book.contents, issue) == huge
    assert len(huge) > PART_BYTES


def test_pictures_are_records_of_their_own_kept_once_and_come_back() -> None:
    book = new_book()
    picture = "PHOTO;ENCODING=b;TYPE=JPEG:" + "/9j/" + "AAAA" * 1000
    take_in(book, card("UID:1", "FN:Anna", picture) + card("UID:2", "FN:Bob", picture))
    assert sum(content.kind == "photo" for content in book.contents.values()) == 1
    for record, content in book.contents.items():
        if content.kind == "contact":
            assert len(str(content.units)) < 2000
            (text,) = cards(book.contents, [record], "3.0")
            assert "".join(text.replace("\r\n ", "").split()).count("AAAA" * 1000) == 1


def test_categories_and_group_cards_become_circles() -> None:
    book = new_book()
    group = card("UID:g", "FN:Fencing", "X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:b1")
    data = group + card("UID:a1", "FN:Anna", "CATEGORIES:Friends,fencing") + card("UID:b1", "FN:Bob")
    take_in(book, data)
    assert names(book) == ["Anna", "Bob"]
    rows = {row.name: row.circles for row in list_contacts(book.contents)}
    circles = {circle.name.lower(): len(circle.contacts) for circle in list_circles(book.contents)}
    assert circles == {"friends": 1, "fencing": 2}
    assert len(rows["Anna"]) == 2


def test_who_left_a_circle_stays_out_when_the_file_comes_again() -> None:
    book = new_book()
    data = card("UID:b1", "FN:Bob") + card(
        "UID:g", "FN:Fencing", "X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:b1"
    )
    take_in(book, data)
    bob = bytes.fromhex(list_contacts(book.contents)[0].id)
    book.put(remove_from_circle(book.contents, book.stamp(), "Fencing", [bob]))
    take_in(book, data)
    assert [circle.contacts for circle in list_circles(book.contents)] == [()]


def test_a_dry_run_counts_and_changes_nothing() -> None:
    book, data = new_book(), address_book(30) + card("UID:1", "FN:A", "TEL:1") + card("UID:1", "FN:A", "TEL:2")
    before = dict(book.contents)
    importer = Importer(book.contents, book.stamp(), dry_run=True)
    assert all(edit == {} for edit in importer.batches("a.vcf", read_cards([data])))
    assert book.contents == before
    real = take_in(book, data)
    assert (importer.tally.imported, importer.tally.updated) == (real.imported, real.updated) == (31, 1)


def test_cards_are_taken_from_the_stream_only_as_batches_are_asked_for() -> None:
    book = new_book()
    asked = 0

    def endless() -> Iterator[Card]:
        nonlocal asked
        while True:
            asked += 1
            yield next(each for each in read_cards([card(f"FN:Person {asked}")]) if isinstance(each, Card))

    batches = Importer(book.contents, book.stamp()).batches("a.vcf", endless())
    for _ in range(3):
        edit = next(batches)
        assert len(edit) <= 2 * BATCH_CARDS
        book.put(edit)
    assert asked == 3 * BATCH_CARDS


def test_a_second_book_made_from_an_export_holds_the_same() -> None:
    book, other = new_book(), new_book()
    take_in(book, address_book(60))
    ids = [bytes.fromhex(row.id) for row in list_contacts(book.contents)]
    for version in ("4.0", "3.0"):
        take_in(other, "".join(cards(book.contents, ids, version)).encode())
        shown = [(row.name, row.emails, row.phones, row.org) for row in list_contacts(other.contents)]
        assert shown == [(row.name, row.emails, row.phones, row.org) for row in list_contacts(book.contents)]


def test_the_real_files_of_the_corpus_come_in_twice_without_effect(shared: Path) -> None:
    files = [path.read_bytes() for path in sorted((shared / "corpus" / "vcards").rglob("*.vcf"))[::7]]
    book = new_book()
    first = take_in(book, *files)
    assert first.imported > 50
    records = dict(book.contents)
    again = take_in(book, *files)
    assert (again.imported, again.updated) == (0, 0)
    assert book.contents == records


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd", "\t=1", "\r=1"])
def test_no_cell_of_a_csv_file_can_be_a_formula(cell: str) -> None:
    assert harmless(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["+49 40 1234", "-5", "Anna", "", "anna@x.org", "(040) 12-34"])
def test_plain_cells_stay_as_they_are(cell: str) -> None:
    assert harmless(cell) == cell


def test_a_csv_file_has_a_line_for_each_contact() -> None:
    book = new_book()
    contact(book, "=HYPERLINK(1)", tel="+49 40 1", org="A;B")
    contact(book, 'Anna, the "first"', email="a@x.org")
    lines = list(table(book.contents, [bytes.fromhex(row.id) for row in list_contacts(book.contents)]))
    assert lines[0].startswith("Name,Given Name,Family Name,E-mail 1,")
    assert lines[1].startswith("'=HYPERLINK(1),")
    assert "+49 40 1" in lines[1]
    assert lines[2].startswith('"Anna, the ""first""",')
    assert all(line.endswith("\r\n") for line in lines)
