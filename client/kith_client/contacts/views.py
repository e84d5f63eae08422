"""What the properties of a contact mean: name, addresses, birthday. Views only; the properties are what is stored.

The functions of `text`, `typed`, `fields` and `groups` are offered here too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from kith_client.contacts.fields import components, properties, text_of
from kith_client.contacts.groups import categories, group_members, is_group
from kith_client.contacts.model import Property, Unit
from kith_client.contacts.text import search_key, terminal_safe, without_marks
from kith_client.contacts.typed import InvalidProperty, make_property, name_from_words

__all__ = [
    "NO_NAME",
    "InvalidProperty",
    "birthday",
    "categories",
    "components",
    "display_name",
    "emails",
    "group_members",
    "is_group",
    "make_property",
    "name_from_words",
    "organisation",
    "phone_key",
    "phones",
    "properties",
    "search_key",
    "terminal_safe",
    "text_of",
]

NO_NAME: Final = "(no name)"
"""Shown for a contact that says nothing about itself."""

MAX_PHONE: Final = 100
"""Characters of a phone number that are looked at."""

_SPOKEN_ORDER: Final = (3, 1, 2, 0, 4)
"""Prefix, given, additional, family, suffix: the components of N in the order in which a name is said."""
_DATE = re.compile(r"(?:(\d{4})-?|--)(\d\d)-?(\d\d)(?:[T ].*)?", re.ASCII | re.DOTALL)
_APPLE_NO_YEAR: Final = 1604
"""Written by Apple where the year is unknown."""
_LEAP_YEAR: Final = 2000
_URI = re.compile(r"(?:tel|mailto):", re.IGNORECASE)
_PAUSE = re.compile(r"(?<=\d)[ ]*[,;pPwW][\d,;pPwW#* ]*\Z")
_NATIONAL_PREFIX: Final = "00"


def display_name(units: Iterable[Unit]) -> str:
    """How to call the contact: FN, else N, organisation, nickname, e-mail address, phone number. Never empty."""
    listed = list(units)
    for text in _names(listed):
        line = " ".join(text.split())
        # A name of invisible characters is none.
        if without_marks(line).strip("\x00 "):
            return line
    return NO_NAME


def _names(units: list[Unit]) -> Iterator[str]:
    yield from _texts(units, "FN")
    yield from (_spoken(components(prop)) for prop in properties(units, "N"))
    yield organisation(units)
    yield from _texts(units, "NICKNAME")
    yield from emails(units)
    yield from phones(units)


def emails(units: Iterable[Unit]) -> list[str]:
    """The e-mail addresses, preferred ones first, each once."""
    return _addresses(units, "EMAIL")


def phones(units: Iterable[Unit]) -> list[str]:
    """The phone numbers as typed, preferred ones first, each once."""
    return _addresses(units, "TEL")


def organisation(units: Iterable[Unit]) -> str:
    """The first organisation with its parts, or ""."""
    for prop in properties(units, "ORG"):
        parts = [part for part in components(prop) if part]
        if parts:
            return ", ".join(parts)
    return ""


def birthday(units: Iterable[Unit]) -> tuple[int | None, int, int] | None:
    """The birthday as (year or None, month, day); None when no full day can be read. Never guesses a day."""
    for prop in properties(units, "BDAY"):
        match = _DATE.fullmatch(text_of(prop).strip())
        if match is None:
            continue
        year = int(match[1]) if match[1] else None
        if year in (0, _APPLE_NO_YEAR) or (match[1] and match[1] in prop.param("X-APPLE-OMIT-YEAR")):
            year = None
        month, day = int(match[2]), int(match[3])
        if _exists(year or _LEAP_YEAR, month, day):
            return year, month, day
    return None


def phone_key(text: str, default_region: str | None = None) -> str | None:
    """The number in E.164 to compare with, or None where it is none or its country is unknown.

    `default_region` is an ISO 3166 code such as "DE", for numbers without a country. Pauses and extensions are left
    out.
    """
    import phonenumbers  # 40 ms to import: only commands that compare phone numbers pay for it

    plain = _URI.sub("", without_marks(text)[:MAX_PHONE].replace("\x00", "").strip(), count=1)
    plain = _PAUSE.sub("", plain.partition(";")[0])
    if default_region is None and plain.startswith(_NATIONAL_PREFIX):
        plain = "+" + plain.removeprefix(_NATIONAL_PREFIX)
    if not plain or plain[0] in "*#":
        return None
    try:
        number = phonenumbers.parse(plain, default_region)
    except phonenumbers.NumberParseException:
        return None
    if not plain.startswith("+") and not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _texts(units: Iterable[Unit], name: str) -> list[str]:
    return [text_of(prop).strip() for prop in properties(units, name)]


def _spoken(parts: list[str]) -> str:
    return " ".join(parts[i] for i in _SPOKEN_ORDER if i < len(parts) and parts[i])


def _addresses(units: Iterable[Unit], name: str) -> list[str]:
    found = sorted(properties(units, name), key=lambda prop: not _preferred(prop))
    texts = (_URI.sub("", text_of(prop).strip(), count=1) for prop in found)
    return list(dict.fromkeys(text for text in texts if text))


def _preferred(prop: Property) -> bool:
    return bool(prop.params) and ("pref" in prop.types() or "1" in prop.param("PREF"))


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
