"""Issues: what the person settles."""

from __future__ import annotations

import pytest

from kith_client.book.contacts import set_property
from kith_client.book.issues import Keep, find_issue, list_issues, original, resolve_issue
from kith_client.book.me import set_mine
from kith_client.book.notes import add_note, list_notes
from kith_client.book.parts import PART_BYTES, cut
from kith_client.book.problems import BadValue, NotFound
from kith_client.book.properties import units_of
from kith_client.contacts.views import phones
from kith_client.stamp import Edit, the_one
from kith_protocol.content import Content
from kith_protocol.encoding import Value
from kith_protocol.merge import merge
from tests.client.book.library import contact, mine, new_book
from tests.client.book.test_notes_and_due import MONDAY
from tests.support.memory_book import MemoryBook


def collide(book: MemoryBook, record: bytes, here: Edit, there: Edit) -> None:
    """Two devices edited the same record apart; the edits are merged as a pull does it."""
    merged = merge(book.contents[record], here[record], there[record], latest=book.now + 10)
    assert merged.conflicts == 1
    book.put({record: merged.content})


def contact_in_conflict() -> tuple[MemoryBook, bytes]:
    book = new_book()
    anna = contact(book, "Anna", tel="0000")
    here = set_property(book.contents, book.stamp(), anna, "tel", "1111")[0]
    book.now += 5
    there = set_property(book.contents, book.stamp(), anna, "tel", "2222")[0]
    collide(book, anna, here, there)
    return book, anna


def settle(book: MemoryBook, keep: Keep | None) -> None:
    (issue,) = list_issues(book.contents)
    book.put(resolve_issue(book.contents, book.stamp(), issue, keep))


def test_a_conflict_shows_both_values_with_the_later_one_current() -> None:
    book, _ = contact_in_conflict()
    (issue,) = list_issues(book.contents)
    assert (issue.kind, issue.text) == ("conflict", "Anna: two values of tel")
    assert [each.value for each in issue.values] == ["2222", "1111"]
    assert find_issue(book.contents, issue.id[:6]) == issue


@pytest.mark.parametrize(("keep", "left"), [("current", ["2222"]), ("other", ["1111"]), ("both", ["2222", "1111"])])
def test_a_conflict_is_settled_as_the_person_says(keep: Keep, left: list[str]) -> None:
    book, anna = contact_in_conflict()
    settle(book, keep)
    assert phones(units_of(book.contents[anna]).values()) == left
    assert list_issues(book.contents) == []


def test_a_conflict_needs_a_decision() -> None:
    book, _ = contact_in_conflict()
    with pytest.raises(BadValue, match="--keep"):
        settle(book, None)


def test_a_conflict_is_over_when_somebody_enters_the_other_value() -> None:
    book, anna = contact_in_conflict()
    book.put(set_property(book.contents, book.stamp(), anna, "tel", "1111")[0])
    assert list_issues(book.contents) == []


def test_a_conflict_about_my_card_keeps_the_facets() -> None:
    book = new_book()
    key = mine(book, "tel", "0", "private")
    found = the_one(book.contents, "me")
    assert found is not None
    here = set_mine(book.contents, book.stamp(), key, "1", ["work"])[0]
    book.now += 5
    there = set_mine(book.contents, book.stamp(), key, "2")[0]
    collide(book, found[0], here, there)
    (issue,) = list_issues(book.contents)
    assert issue.text == "my card: two values of tel"
    settle(book, "both")
    me = book.contents[found[0]]
    kept = [unit.value for key, unit in me.units.items() if key.startswith("tel")]
    assert kept == [
        {"unit": [["", "TEL", "2", []]], "facets": ["private"]},
        {"unit": [["", "TEL", "1", []]], "facets": ["work"]},
    ]


def test_both_texts_of_a_note_become_two_notes() -> None:
    book = new_book()
    edit, record = add_note(book.stamp(), contact(book, "Anna"), "base", at=MONDAY)
    book.put(edit)
    note = book.contents[record]
    here, there = ({**note.units, "text": book.stamp().unit(text)} for text in ("one", "two"))
    collide(book, record, {record: Content("note", here)}, {record: Content("note", there)})
    assert [issue.text for issue in list_issues(book.contents)] == ["a note on Anna: two values of text"]
    settle(book, "both")
    assert sorted(each.text for each in list_notes(book.contents)) == ["one", "two"]
    assert list_issues(book.contents) == []


def test_both_dates_of_a_note_cannot_stand() -> None:
    book = new_book()
    edit, record = add_note(book.stamp(), contact(book, "Anna"), "text", at=MONDAY)
    book.put(edit)
    note = book.contents[record]
    here, there = ({**note.units, "at": book.stamp().unit(text)} for text in ("2026-01-01", "2026-01-02"))
    collide(book, record, {record: Content("note", here)}, {record: Content("note", there)})
    with pytest.raises(BadValue):
        settle(book, "both")
    settle(book, "other")


@pytest.mark.parametrize("size", [100, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
def test_set_aside_bytes_come_back_to_the_byte_and_go_as_a_whole(size: int) -> None:
    book = new_book()
    source = bytes(number % 251 for number in range(size))
    values: dict[str, Value] = {"reason": "Line 7: no card.", "file": "a.vcf", "line": 7}
    book.put(cut(book.stamp(), "set-aside", "source", source, values))
    (issue,) = list_issues(book.contents)
    assert (issue.kind, issue.text) == ("set_aside", "a.vcf: Line 7: no card.")
    assert original(book.contents, issue) == source
    with pytest.raises(BadValue):
        settle(book, "other")
    settle(book, None)
    assert all(content.kind != "set-aside" for content in book.contents.values())


def test_a_missing_part_is_said_and_not_passed_over() -> None:
    book = new_book()
    book.put(cut(book.stamp(), "set-aside", "source", bytes(PART_BYTES + 1), {"reason": "r"}))
    last = next(record for record, content in book.contents.items() if content.value("part") == 1)
    book.put({last: None})
    with pytest.raises(NotFound):
        original(book.contents, list_issues(book.contents)[0])


def test_alarms_come_first_and_can_be_done_with() -> None:
    book, _ = contact_in_conflict()
    stamp = book.stamp()
    for kind in ("invite", "alarm"):
        book.put({stamp.record_id(): stamp.content("issue", {"kind": kind, "text": f"an {kind}", "at": book.now})})
    issues = list_issues(book.contents)
    assert [issue.kind for issue in issues] == ["alarm", "invite", "conflict"]
    book.put(resolve_issue(book.contents, book.stamp(), issues[0]))
    assert [issue.kind for issue in list_issues(book.contents)] == ["invite", "conflict"]
