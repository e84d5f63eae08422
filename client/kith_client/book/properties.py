"""The properties inside a record of kind `contact` or `me`, and the edits of one: put, replace, take away.

Reads and writes units only; which contact, and what the person asked for, is left to `contacts` and `me`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from kith_client.contacts.model import (
    RANDOM_ID_SIZE,
    Property,
    Unit,
    lead_property,
    unit_key,
    unit_to_value,
    value_to_unit,
)
from kith_client.stamp import Stamp
from kith_protocol.content import Content
from kith_protocol.content import Unit as Stored
from kith_protocol.encoding import Value
from kith_protocol.errors import DecodingError
from kith_protocol.merge import CONFLICT, PAST, past_name

TAKEN: Final = "taken/"
"""Prefix of units that remember imported cards: `taken/<fingerprint in hex>`."""
KEPT_PAST: Final = 50
"""Replaced values that a contact keeps, the newest ones."""

_BOOKKEEPING: Final = (PAST, CONFLICT, TAKEN)
_FIRST: Final = {"fn": 0, "n": 1, "kind": 2}
_LAST: Final = {"uid": 0, "rev": 1, "prodid": 2}
_PLACE_BYTES: Final = 2
_PLACES: Final = 256**_PLACE_BYTES


class Places:
    """Ids for the keys of a contact's units that keep their order: a place (2 bytes), then 4 random bytes."""

    def __init__(self, random: Callable[[int], bytes], used: Iterable[str] = ()) -> None:
        self._random = random
        self._next = 1 + max((_place(key) for key in used), default=-1)

    def __call__(self) -> bytes:
        place = min(self._next, _PLACES - 1)
        self._next += 1
        return place.to_bytes(_PLACE_BYTES, "big") + self._random(4)


def is_property(key: str) -> bool:
    """Whether a unit of a contact or of my card is a property, not book-keeping about it."""
    return not key.startswith(_BOOKKEEPING)


def order_of(key: str) -> tuple[int, int, str, str]:
    """Sorts keys of units: FN and N first, then as they were entered, UID and the like last."""
    if key in _FIRST:
        return 0, _FIRST[key], "", key
    if key in _LAST:
        return 2, _LAST[key], "", key
    return 1, 0, key.rpartition("-")[2], key


def units_of(content: Content) -> dict[str, Unit]:
    """The properties of a contact or of my card, in order. A unit that cannot be read stays where it is, unread."""
    found: dict[str, Unit] = {}
    for key in sorted(filter(is_property, content.units), key=order_of):
        try:
            found[key] = value_to_unit(_unit_value(content.units[key].value))
        except DecodingError:
            continue
    return found


def facets_of(stored: Value) -> tuple[str, ...]:
    """The facets beside a property of my card, sorted."""
    facets = stored.get("facets") if isinstance(stored, dict) else None
    return tuple(sorted({facet for facet in facets if isinstance(facet, str)})) if isinstance(facets, list) else ()


def contact_value(unit: Unit) -> Value:
    """What a contact stores for a property."""
    return unit_to_value(unit)


def me_value(unit: Unit, facets: Iterable[str]) -> Value:
    """What my card stores for a property."""
    return {"unit": unit_to_value(unit), "facets": list[Value](sorted(set(facets)))}


def named(units: Mapping[str, Unit], name: str) -> dict[str, Unit]:
    """The units whose property has this name (any case)."""
    return {key: unit for key, unit in units.items() if lead_property(unit).key == name.upper()}


def new_key(unit: Unit, units: Iterable[str], random: Callable[[int], bytes]) -> str:
    """A key for one more unit, behind those that are there."""
    used = frozenset(units)
    return unit_key(unit, Places(random, used), used)


def with_value(unit: Unit, given: Property) -> Unit:
    """`unit` with its leading property's value replaced; group, labels and, where none are given, parameters stay."""
    lead = lead_property(unit)
    changed = replace(lead, value=given.value, params=given.params or _fitting(lead))
    return tuple(changed if prop is lead else prop for prop in unit)


def _fitting(lead: Property) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Parameters that still hold for a new value: not how the old one was written, nor what an import made of it."""
    return tuple(param for param in lead.params if param[0].upper() not in ("ENCODING", "VALUE", "CHARSET"))


def put_units(content: Content, stamp: Stamp, values: Mapping[str, Value | None]) -> Content:
    """`content` with these units edited now: replaced, added, or, for None, taken away. Equal ones stay untouched."""
    units = dict(content.units)
    for key, value in values.items():
        old = units.get(key)
        if value is None:
            units.pop(key, None)
        elif old is None or old.value != value:
            units[key] = stamp.unit(value)
    return replace(content, units=units)


def put_and_remember(content: Content, stamp: Stamp, values: Mapping[str, Value | None]) -> Content:
    """As `put_units`, and what was replaced is kept under `past/`, the newest `KEPT_PAST` of it."""
    changed = put_units(content, stamp, values)
    for key in values:
        old = content.units.get(key)
        if old is not None and changed.units.get(key) is not old:
            changed = put_units(changed, stamp, {past_name(key, old): [key, old.value, old.at, old.by]})
    past = sorted((key for key in changed.units if key.startswith(PAST)), key=lambda key: changed.units[key].at)
    return put_units(changed, stamp, dict.fromkeys(past[:-KEPT_PAST]))


def past_of(content: Content) -> list[tuple[Stored, str, Value, int, bytes]]:
    """What was replaced, newest first: (who replaced it and when, unit, value, when and by whom it was made)."""
    found = []
    for key, stored in content.units.items():
        if key.startswith(PAST):
            match stored.value:
                case [str(unit), value, int(at), bytes(by)]:
                    found.append((stored, unit, value, at, by))
    return sorted(found, key=lambda item: (-item[0].at, item[1]))


def _unit_value(stored: Value) -> Value:
    return stored.get("unit") if isinstance(stored, dict) else stored


def _place(key: str) -> int:
    name, _, suffix = key.rpartition("-")
    if not name or len(suffix) != 2 * RANDOM_ID_SIZE:
        return -1
    try:
        return int(suffix[: 2 * _PLACE_BYTES], 16)
    except ValueError:
        return -1
