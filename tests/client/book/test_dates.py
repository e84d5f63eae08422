"""Dates as people write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_client.book.dates import add_months, date_of, dated, iso_time, milliseconds_of, parse_date, parse_duration
from kith_client.book.problems import BadValue

MONDAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-03-01", date(2027, 3, 1)),
        ("20270301", date(2027, 3, 1)),
        ("2027-03-01T09:30", date(2027, 3, 1)),
        ("2027-03-01T09:30:00z", date(2027, 3, 1)),
        ("today", MONDAY),
        ("  Tomorrow ", date(2026, 11, 24)),
        ("yesterday", date(2026, 11, 22)),
        ("in 3 weeks", date(2026, 12, 14)),
        ("IN  3  Weeks", date(2026, 12, 14)),
        ("in a week", date(2026, 11, 30)),
        ("next week", date(2026, 11, 30)),
        ("in 2 months", date(2027, 1, 23)),
        ("next month", date(2026, 12, 23)),
        ("in 1 year", date(2027, 11, 23)),
        ("7d", date(2026, 11, 30)),
        ("6w", date(2027, 1, 4)),
        ("2m", date(2027, 1, 23)),
        ("2mo", date(2027, 1, 23)),
        ("1y", date(2027, 11, 23)),
        ("monday", date(2026, 11, 30)),
        ("tuesday", date(2026, 11, 24)),
        ("next sunday", date(2026, 11, 29)),
        ("on fri", date(2026, 11, 27)),
    ],
)
def test_words_mean_a_day(text: str, expected: date) -> None:
    assert parse_date(text, MONDAY) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "2027-13-01", "2027-02-29", "in weeks", "in -3 days", "99999 weeks", "10000y", "3", "next"]
)
def test_what_is_no_date_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(BadValue, match=r"2027-03-01"):
        parse_date(text, MONDAY)


def test_the_end_of_a_month_is_kept_inside_the_month() -> None:
    assert add_months(date(2027, 1, 31), 1) == date(2027, 2, 28)
    assert add_months(date(2028, 1, 31), 1) == date(2028, 2, 29)
    assert parse_date("in 1 year", date(2028, 2, 29)) == date(2029, 2, 28)


@pytest.mark.parametrize(("text", "days"), [("7d", 7), ("3 weeks", 21), ("2 months", 61), ("1y", 365), ("a day", 1)])
def test_a_span_is_so_many_days(text: str, days: int) -> None:
    assert parse_duration(text, MONDAY) == days


@pytest.mark.parametrize("text", ["1m", "in 30 m", "2M"])
def test_a_span_that_could_be_minutes_or_months_is_refused_and_says_so(text: str) -> None:
    with pytest.raises(BadValue, match=r"minutes or months.*'30d' or '1 month'"):
        parse_duration(text, MONDAY)


@pytest.mark.parametrize(
    ("prop", "text", "stored"),
    [
        ("bday", "tomorrow", "2026-11-24"),
        ("BDAY-0001a2b3c4d5", "Yesterday", "2026-11-22"),
        ("anniversary", "in 3 weeks", "2026-12-14"),
        ("bday", "1990-05-01", "1990-05-01"),
        ("bday", "--0501", "--0501"),
        ("bday", "circa 1800", "circa 1800"),
        ("note", "tomorrow", "tomorrow"),
        ("title", "monday", "monday"),
    ],
)
def test_a_day_in_words_is_stored_as_a_date_where_a_property_is_a_day(prop: str, text: str, stored: str) -> None:
    assert dated(prop, text, MONDAY) == stored


@pytest.mark.parametrize("text", ["monday", "2027-01-01", "", "d", "7"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        parse_duration(text, MONDAY)


@given(st.text(max_size=40))
def test_any_text_is_a_day_or_refused(text: str) -> None:
    with suppress(BadValue):
        assert isinstance(parse_date(text, MONDAY), date)


@given(st.dates())
def test_iso_dates_are_read_as_they_are(day: date) -> None:
    assert parse_date(day.isoformat(), MONDAY) == day


@given(st.dates(), st.sampled_from(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]))
def test_a_weekday_is_the_next_one_and_never_today(today: date, name: str) -> None:
    if today > date(9999, 12, 20):
        return
    found = parse_date(name, today)
    assert today < found <= today + timedelta(days=7)
    assert found.strftime("%A").lower() == name


@given(st.dates(min_value=date(1970, 1, 1), max_value=date(9999, 12, 30)))
def test_days_and_milliseconds_are_each_other_s_reverse(day: date) -> None:
    assert date_of(milliseconds_of(day)) == day
    assert iso_time(milliseconds_of(day)) == f"{day.isoformat()}T00:00:00Z"


@given(st.integers(-(2**63), 2**63))
def test_every_time_that_a_record_may_hold_can_be_shown(milliseconds: int) -> None:
    """A thief, or a broken clock, writes times beyond all calendars: shown as the end of the calendar."""
    shown = iso_time(milliseconds)
    assert len(shown) == len("1970-01-01T00:00:00Z")
    assert shown[:10] == date_of(milliseconds).isoformat()
    in_calendar = datetime.fromisoformat(shown).timestamp()
    assert abs(in_calendar - milliseconds / 1000) < 1 or shown[:4] in ("0001", "9999")
