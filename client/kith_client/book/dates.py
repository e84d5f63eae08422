"""Dates as people write them: ISO 8601, or words such as "in 3 weeks". Pure: today is an argument."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from kith_client.book.problems import BadValue

MAX_AMOUNT: Final = 10_000
"""Days, weeks, months or years ahead; more is a slip of the hand."""

_DAY_MS: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
_LAST_SECOND: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
_ISO_LENGTH: Final = len("1970-01-01T00:00:00Z")
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NEAR: Final = {"today": 0, "tomorrow": 1, "yesterday": -1}
_UNITS: Final = {"d": "day", "day": "day", "w": "week", "week": "week", "m": "month", "month": "month", "mo": "month",
                 "y": "year", "year": "year"}  # fmt: skip
_AMOUNT = re.compile(r"(?:in\s+)?(\d{1,5}|an?|one)\s*(days?|weeks?|months?|years?|mo|[dwmy])")
_DAYS: Final = ("BDAY", "ANNIVERSARY", "DEATHDATE")
"""Properties that are a day."""
_HINT: Final = "Write a date like 2027-03-01, or 'tomorrow', 'monday', 'in 3 weeks', '7d'."


def parse_date(text: str, today: date) -> date:
    """The day that `text` means. Raises `BadValue`."""
    words = " ".join(text.casefold().split())
    if words in _NEAR:
        return today + timedelta(days=_NEAR[words])
    weekday = words.removeprefix("next ").removeprefix("on ")
    for number, name in enumerate(_WEEKDAYS):
        if weekday in (name, name[:3]):
            return today + timedelta(days=(number - today.weekday() - 1) % 7 + 1)
    if words.startswith("next "):
        words = "in 1 " + words.removeprefix("next ")
    amount = _AMOUNT.fullmatch(words)
    if amount:
        return _later(today, amount)
    return _iso(words)


def dated(prop: str, text: str, today: date) -> str:
    """What to store for a typed value: of a day, where it is given in words such as "tomorrow", its ISO date.

    A date that a card may have (1990-05-01, --0501), and text that is no date, stay as they are.
    """
    if prop.partition("-")[0].upper() not in _DAYS or not text.strip()[:1].isalpha():
        return text
    try:
        return parse_date(text, today).isoformat()
    except BadValue:
        return text


def parse_duration(text: str, today: date) -> int:
    """Days from `today` that a span such as "7d" or "2 weeks" covers. Raises `BadValue`, also for an "m"."""
    amount = _AMOUNT.fullmatch(" ".join(text.casefold().split()))
    if amount is not None and amount[2] == "m":
        raise BadValue("'m' could be minutes or months. A span has at least a day: write one like '30d' or '1 month'.")
    if amount is None:
        raise BadValue("This is no span of time. Write one like '7d', '3 weeks' or '2 months'.")
    return (_later(today, amount) - today).days


def add_months(day: date, months: int) -> date:
    """The same day so many months later; the last day of a shorter month. Raises `BadValue` outside the calendar."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise BadValue("This date is outside the calendar. " + _HINT)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def date_of(milliseconds: int) -> date:
    """The day (UTC) of a time in milliseconds since 1970."""
    return date.fromisoformat(iso_time(milliseconds)[:10])


def iso_time(milliseconds: int) -> str:
    """A time in milliseconds since 1970 as ISO 8601 in UTC, to the second.

    A time beyond the calendar, as a record of a thief may have it, is shown as the calendar's end.
    """
    seconds = min(max(milliseconds // 1000, _FIRST_SECOND), _LAST_SECOND)
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").zfill(_ISO_LENGTH)


def milliseconds_of(day: date) -> int:
    """Midnight (UTC) of a day, in milliseconds since 1970."""
    return (day - date(1970, 1, 1)).days * _DAY_MS


def _later(today: date, amount: re.Match[str]) -> date:
    number = int(amount[1]) if amount[1].isdigit() else 1
    unit = _UNITS[amount[2].removesuffix("s")]
    if number > MAX_AMOUNT:
        raise BadValue("This is too far ahead. " + _HINT)
    if unit in ("month", "year"):
        return add_months(today, number * (12 if unit == "year" else 1))
    try:
        return today + timedelta(days=number * (7 if unit == "week" else 1))
    except OverflowError:
        raise BadValue("This date is outside the calendar. " + _HINT) from None


def _iso(words: str) -> date:
    try:
        return datetime.fromisoformat(words.upper()).date()
    except ValueError:
        raise BadValue("This date cannot be read. " + _HINT) from None
