"""Notes, and what is due."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_client.book.contacts import remove_contact
from kith_client.book.due import due, next_birthday
from kith_client.book.notes import add_note, list_notes, remind_no_more, remove_note
from kith_client.book.problems import BadValue
from tests.client.book.library import contact, new_book
from tests.support.memory_book import MemoryBook

MONDAY = date(2026, 11, 23)


def note(book: MemoryBook, about: bytes, text: str, at: date = MONDAY, remind: date | None = None) -> bytes:
    edit, record = add_note(book.stamp(), about, text, at=at, remind=remind)
    book.put(edit)
    return record


def test_notes_are_listed_newest_first_of_one_contact_or_all() -> None:
    book = new_book()
    anna, carla = contact(book, "Anna"), contact(book, "Carla")
    note(book, anna, "first", date(2026, 1, 1))
    note(book, carla, "second", date(2026, 2, 1))
    note(book, anna, "third", date(2026, 3, 1))
    assert [each.text for each in list_notes(book.contents)] == ["third", "second", "first"]
    assert [(each.text, each.name) for each in list_notes(book.contents, anna)] == [
        ("third", "Anna"),
        ("first", "Anna"),
    ]


def test_a_note_outlives_its_contact() -> None:
    book = new_book()
    anna = contact(book, "Anna")
    note(book, anna, "text")
    book.put(remove_contact(book.contents, book.stamp(), anna))
    assert [(each.text, each.name) for each in list_notes(book.contents)] == [("text", "Anna (deleted)")]


NO_NOTES = [("", "note"), (" \n", "note"), ("x", "gossip"), ("x" * 200_001, "note"), ("\udcff", "note")]


@pytest.mark.parametrize(("text", "kind"), NO_NOTES)
def test_what_is_no_note_is_refused(text: str, kind: str) -> None:
    with pytest.raises(BadValue):
        add_note(new_book().stamp(), bytes(16), text, kind, at=MONDAY)


def test_reminders_are_due_from_then_on_until_they_are_settled() -> None:
    book = new_book()
    anna = contact(book, "Anna")
    late = note(book, anna, "late", remind=MONDAY - timedelta(days=40))
    note(book, anna, "soon", remind=MONDAY + timedelta(days=7))
    note(book, anna, "later", remind=MONDAY + timedelta(days=8))
    note(book, anna, "never")
    assert [(each.why, each.text, each.at) for each in due(book.contents, MONDAY, 7)] == [
        ("reminder", "late", "2026-10-14"),
        ("reminder", "soon", "2026-11-30"),
    ]
    book.put(remind_no_more(book.contents, book.stamp(), late))
    assert [each.text for each in due(book.contents, MONDAY, 7)] == ["soon"]
    assert len(list_notes(book.contents)) == 4
    book.put(remove_note(late))
    assert len(list_notes(book.contents)) == 3


@pytest.mark.parametrize(
    ("bday", "today", "at", "text"),
    [
        ("1990-11-25", MONDAY, "2026-11-25", "turns 36"),
        ("19901123", MONDAY, "2026-11-23", "turns 36"),
        ("--11-30", MONDAY, "2026-11-30", ""),
        ("1604-11-30", MONDAY, "2026-11-30", ""),
        ("2000-01-01", date(2026, 12, 30), "2027-01-01", "turns 27"),
        ("2000-02-29", date(2027, 2, 25), "2027-02-28", "turns 27"),
        ("2000-02-29", date(2028, 2, 25), "2028-02-29", "turns 28"),
        ("--0229", date(2027, 2, 28), "2027-02-28", ""),
    ],
)
def test_birthdays_come_up(bday: str, today: date, at: str, text: str) -> None:
    book = new_book()
    contact(book, "Anna", bday=bday)
    assert [(each.name, each.why, each.at, each.text) for each in due(book.contents, today, 7)] == [
        ("Anna", "birthday", at, text)
    ]


@pytest.mark.parametrize("bday", ["1990-12-01", "1990-11-22", "1990", "--13-45", "unknown", "1990-02-30"])
def test_other_days_do_not(bday: str) -> None:
    book = new_book()
    contact(book, "Anna", bday=bday)
    assert due(book.contents, MONDAY, 7) == []


@given(st.dates(max_value=date(9998, 12, 31)), st.dates())
def test_the_next_birthday_is_within_a_year_and_a_day(today: date, born: date) -> None:
    comes = next_birthday(born.month, born.day, today)
    assert today <= comes <= today + timedelta(days=366)
    assert comes.month == born.month
