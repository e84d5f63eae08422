"""Which property a person means by a name or an id, and the property that a typed value makes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kith_client.book.problems import Ambiguous, BadValue, Choice, NotFound, checked_text
from kith_client.book.properties import named
from kith_client.contacts.model import STRUCTURAL, Property, Unit, lead_property
from kith_client.contacts.views import make_property, text_of

MAX_VALUE_CHARS: Final = 500_000
"""Characters of a typed value: what fits into a record, with room for the rest of the contact."""

_ID = re.compile(r"[a-z0-9_-]+-[0-9a-f]{12}")
_SHOWN_CHARS: Final = 60


def given_property(name: str, text: str, params: tuple[tuple[str, tuple[str, ...]], ...] = ()) -> Property:
    """The property that a person typed. Raises `BadValue`."""
    if name.upper() in STRUCTURAL:
        raise BadValue(f"{name.upper()} is no property but part of a card file.")
    if not text.strip():
        raise BadValue("A property needs a value. 'unset' takes one away.")
    if len(text) > MAX_VALUE_CHARS:
        raise BadValue(f"A value has at most {MAX_VALUE_CHARS} characters.")
    return make_property(name, checked_text(text), params)


def is_key(prop: str, units: Mapping[str, Unit]) -> bool:
    """Whether `prop` is the id of a property. Raises `NotFound` for an id that nothing here has."""
    if prop.lower() in units:
        return True
    if _ID.fullmatch(prop.lower()):
        raise NotFound(f"There is no property with the id {prop.lower()} here.")
    return False


def choose(units: Mapping[str, Unit], prop: str, text: str | None, where: str) -> str:
    """The id of the one property that is meant; `text` chooses by value. Raises `NotFound` or `Ambiguous`."""
    same = {prop.lower(): units[prop.lower()]} if is_key(prop, units) else named(units, prop)
    if text is not None:
        same = {key: unit for key, unit in same.items() if text_of(lead_property(unit)).strip() == text.strip()}
    if len(same) == 1:
        return next(iter(same))
    if same:
        raise Ambiguous(f"There are {len(same)} such properties. Give the id of one.", choices=described(same))
    have = ", ".join(sorted({lead_property(unit).name.lower() for unit in units.values()})) or "nothing"
    raise NotFound(f"There is no such property on {where}. It has: {have}.")


def described(units: Mapping[str, Unit]) -> tuple[Choice, ...]:
    """Ids and values of properties, to choose from."""
    return tuple(Choice(key, text_of(lead_property(unit))[:_SHOWN_CHARS]) for key, unit in units.items())
