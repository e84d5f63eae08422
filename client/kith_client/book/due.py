"""What is due: reminders of notes, and birthdays. Pure: today is an argument."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta

from kith_client.book.layers import Layers
from kith_client.book.notes import list_notes
from kith_client.contacts.views import birthday
from kith_client.stamp import Contents, of_kind


@dataclass(frozen=True, slots=True)
class Due:
    """One thing to think of."""

    contact: str
    """The contact's id in hex."""
    name: str
    why: str
    """`reminder` or `birthday`."""
    at: str
    """ISO date."""
    text: str
    """The note's text, or the age that the person reaches; may be empty."""
    note: str | None = None
    """The note's id."""


def due(contents: Contents, today: date, within: int) -> list[Due]:
    """Reminders up to `within` days ahead, missed ones too, and birthdays in that time; the earliest first."""
    last = today + timedelta(days=within)
    found = [*_reminders(contents, last), *_birthdays(contents, today, last)]
    return sorted(found, key=lambda item: (item.at, item.name, item.contact))


def next_birthday(month: int, day: int, today: date) -> date:
    """The next time the day comes, today included. 29 February is kept on the 28th in other years."""
    for year in (today.year, today.year + 1):
        last = calendar.monthrange(year, month)[1]
        comes = date(year, month, min(day, last))
        if comes >= today:
            break
    return comes


def _reminders(contents: Contents, last: date) -> list[Due]:
    return [
        Due(note.contact, note.name, "reminder", note.remind, note.text, note.id)
        for note in list_notes(contents)
        if note.remind is not None and note.remind <= last.isoformat()
    ]


def _birthdays(contents: Contents, today: date, last: date) -> list[Due]:
    layers = Layers(contents)
    found = []
    for record in of_kind(contents, "contact"):
        born = birthday(layers.units(record))
        if born is None:
            continue
        year, month, day = born
        comes = next_birthday(month, day, today)
        if comes <= last:
            age = f"turns {comes.year - year}" if year is not None and year < comes.year else ""
            found.append(Due(record.hex(), layers.name(record), "birthday", comes.isoformat(), age))
    return found
