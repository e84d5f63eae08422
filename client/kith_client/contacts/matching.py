"""When two properties say the same, and when two cards can be of one person. Lenient, but never guessing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from kith_client.contacts.escapes import unescape
from kith_client.contacts.fields import components, properties
from kith_client.contacts.model import Property, Unit
from kith_client.contacts.photos import content_key
from kith_client.contacts.text import search_key, without_marks

Same = tuple[tuple[str, str], ...]
"""Equal for units that say the same."""

_NOT_DIALLED = re.compile(r"[^0-9A-Za-z+#*,;]")
_BLANKS = re.compile(r"\s+")
_WORD = re.compile(r"\w+")
_CONTACT_POINTS: Final = ("EMAIL", "TEL")
_MEDIA: Final = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})
_INITIAL: Final = 1


def same(unit: Unit) -> Same:
    """A key that is equal for units that say the same: parameters, group names, spelling of phone numbers apart."""
    return tuple((prop.key, _said(prop)) for prop in unit)


def _said(prop: Property) -> str:
    if prop.key in _MEDIA:
        return content_key(prop) or prop.value
    text = unescape(prop.value)
    if prop.key == "TEL":
        return _NOT_DIALLED.sub("", without_marks(text).strip().lower().removeprefix("tel:"))
    if prop.key == "EMAIL":
        return without_marks(text).strip().lower().removeprefix("mailto:")
    # Trailing semicolons are components that one program writes and another leaves out.
    return unicodedata.normalize("NFC", _BLANKS.sub(" ", text).strip().rstrip("; "))


def one_person(first: Iterable[Unit], second: Iterable[Unit]) -> bool:
    """Whether two cards with one UID can be of one person: a given name, or a phone number or address, in common.

    Cards that name nobody fit everybody. People change family names and keep given ones; families share the former.
    """
    left, right = list(first), list(second)
    given, other_given = _given(left), _given(right)
    if given and other_given:
        alike = any(_alike(a, b) for a in given for b in other_given)
    else:
        words, other = _all_names(left), _all_names(right)
        alike = not words or not other or bool(words & other)
    return alike or not _points(left).isdisjoint(_points(right))


def _alike(one: str, other: str) -> bool:
    if min(len(one), len(other)) == _INITIAL:
        return one[0] == other[0]
    return one == other


def _given(units: list[Unit]) -> frozenset[str]:
    return _words(components(prop)[1:2] for prop in properties(units, "N"))


def _all_names(units: list[Unit]) -> frozenset[str]:
    return _words(components(prop) for prop in properties(units, "FN", "N", "ORG"))


def _words(names: Iterable[list[str]]) -> frozenset[str]:
    return frozenset(word for name in names for word in _WORD.findall(search_key(" ".join(name))))


def _points(units: list[Unit]) -> frozenset[tuple[str, str]]:
    return frozenset((prop.key, said) for prop in properties(units, *_CONTACT_POINTS) if (said := _said(prop)))
