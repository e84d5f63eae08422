"""Names and ids as people see them: of contacts, circles, devices; short forms of ids. Finding by them: `resolve`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kith_client.book.properties import units_of
from kith_client.contacts.model import Unit, value_to_unit
from kith_client.contacts.views import display_name
from kith_client.stamp import Contents, the_one
from kith_protocol.content import Content
from kith_protocol.errors import DecodingError

SHORT_DIGITS: Final = 8
"""Hex digits of an id that people see, where they are enough to tell it from the others."""
MIN_DIGITS: Final = 4
"""Hex digits of the start of an id that people may type."""

_ID_DIGITS: Final = 32
_BY_BYTES: Final = 8


def name_of(content: Content) -> str:
    """How a contact is called by its own properties; never empty."""
    full = full_name(content)
    return display_name([full]) if full is not None else display_name(units_of(content).values())


def words(content: Content, key: str) -> str:
    """The text of a unit; empty where it holds something else."""
    value = content.value(key)
    return value if isinstance(value, str) else ""


def buried(trash: Content) -> Content:
    """The contact inside a trash record, as far as it can be read."""
    from kith_protocol.content import content_of

    try:
        return content_of({"kind": "contact", "units": trash.value("units")})
    except DecodingError:
        return Content("contact", {})


def device_name(contents: Contents, by: bytes) -> str:
    """The device that made an edit, from the first bytes of its member id."""
    devices = the_one(contents, "devices")
    for member, stored in devices[1].units.items() if devices else ():
        if by and member.startswith(by[:_BY_BYTES].hex()) and isinstance(stored.value, str):
            return stored.value
    return by.hex()[:SHORT_DIGITS] or "(unknown)"


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Each id with its shortest start, of at least `SHORT_DIGITS` digits, that no other of them has."""
    ordered = sorted(set(ids))
    short = {}
    for place, full in enumerate(ordered):
        near = ordered[max(place - 1, 0) : place] + ordered[place + 1 : place + 2]
        short[full] = full[: max(SHORT_DIGITS, *(_common(full, other) + 1 for other in near), 0)]
    return short


def is_id(text: str) -> bool:
    """Whether `text` may be the start of an id."""
    return MIN_DIGITS <= len(text) <= 2 * _ID_DIGITS and all(sign in "0123456789abcdef" for sign in text)


def record_of(text: object) -> bytes | None:
    """The record id that 32 hex digits stand for; None for anything else."""
    if not isinstance(text, str) or len(text) != _ID_DIGITS or not is_id(text):
        return None
    return bytes.fromhex(text)


def _common(one: str, other: str) -> int:
    length = 0
    while length < min(len(one), len(other)) and one[length] == other[length]:
        length += 1
    return length


def full_name(content: Content) -> Unit | None:
    """The contact's FN, where it has one that says something."""
    stored = content.units.get("fn")
    if stored is None:
        return None
    try:
        unit = value_to_unit(stored.value)
    except DecodingError:
        return None
    return unit if any(prop.value.strip() for prop in unit) else None
