"""What a contact is made of: properties, the units they form, and the cards they come in.

Pure values. Reading and writing vCard text is left to `vcard_read` and `vcard_write`, meaning to `views`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from kith_protocol.errors import DecodingError

NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
"""Names of properties, parameters and groups. The underscore is not in the standard, but telephones write it."""

REGISTERS: Final = frozenset({"FN", "N", "KIND", "UID", "REV", "PRODID"})
"""Properties that a contact has once: two values of one are a conflict, not a list."""

STRUCTURAL: Final = frozenset({"BEGIN", "END", "VERSION"})
"""Lines of a card that are not properties."""

RANDOM_ID_SIZE: Final = 6
"""Bytes of randomness in the key of a unit; it need only be unique within one contact."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Property:
    """One line of a card, as it was written.

    `value` is raw: unfolded and free of transport encodings (quoted-printable, CHARSET), its backslash escapes as in
    vCard 3 and 4, never with a line end in it. `params` keep their order and case; their values are free of quotes and
    carets. `more` is what a newer version of Kithbook stored behind the fields known here.
    """

    name: str
    value: str
    params: tuple[tuple[str, tuple[str, ...]], ...] = ()
    group: str = ""
    more: tuple[object, ...] = ()

    @property
    def key(self) -> str:
        """The name to compare with, in upper case."""
        return self.name.upper()

    def param(self, name: str) -> tuple[str, ...]:
        """Every value of the parameter `name` (any case), in order."""
        wanted = name.upper()
        return tuple(value for key, values in self.params if key.upper() == wanted for value in values)

    def types(self) -> frozenset[str]:
        """The TYPE values in lower case; `TYPE="a,b"` counts as two."""
        return frozenset(part.strip().lower() for value in self.param("TYPE") for part in value.split(","))


Unit = tuple[Property, ...]
"""The unit of merging and of facets: one property, or a vCard group (`item1.TEL` and `item1.X-ABLabel`) as one."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """Input that was not understood: a plain sentence (what, where, what to do) and all of the bytes.

    `source` is empty where the reason is only a remark and everything was taken in. `line` counts from 1.
    """

    reason: str
    source: bytes
    line: int


@dataclass(frozen=True, slots=True)
class Card:
    """One card as it was read. BEGIN, END and VERSION are not among its units.

    `version` is as found ("2.1", "3.0", "4.0", ...), or "" where the card names none. `source` are the original bytes.
    `fingerprint` is a SHA-256 over the parsed content: folding, line ends and encodings do not change it.
    `leftovers` are the lines inside the card that are no properties; they are part of `source` too.
    """

    version: str
    units: tuple[Unit, ...]
    source: bytes
    fingerprint: bytes
    leftovers: tuple[SetAside, ...] = ()
    line: int = 1


def unit_key(unit: Unit, random_id: Callable[[], bytes], used: Container[str] = ()) -> str:
    """The key under which a contact holds `unit`: the register's name when that is not in `used`, else a random one."""
    lead = lead_property(unit)
    register = lead.name.lower()
    if lead.key in REGISTERS and register not in used:
        return register
    while (key := f"{register}-{random_id()[:RANDOM_ID_SIZE].hex()}") in used:
        pass
    return key


def keyed_units(units: Iterable[Unit], random_id: Callable[[], bytes], used: Container[str] = ()) -> dict[str, Unit]:
    """Gives every unit a key that is neither in `used` nor given twice."""
    keyed: dict[str, Unit] = {}
    for unit in units:
        keyed[unit_key(unit, random_id, _Either(keyed, used))] = unit
    return keyed


class _Either:
    def __init__(self, first: Container[str], second: Container[str]) -> None:
        self._both = (first, second)

    def __contains__(self, key: object) -> bool:
        return any(key in part for part in self._both)


def lead_property(unit: Unit) -> Property:
    """The property that a unit is about: the first that is not a label of another."""
    for prop in unit:
        if not prop.key.startswith("X-AB"):
            return prop
    return unit[0]


def unit_to_value(unit: Unit) -> list[Any]:
    """The plain value that a vault stores: a list of [group, name, value, [[parameter, [values]]], ...]."""
    return [
        [p.group, p.name, p.value, [[name, list(values)] for name, values in p.params], *_thaw(p.more)] for p in unit
    ]


def value_to_unit(value: object) -> Unit:
    """The reverse of `unit_to_value`; fields behind the known ones are carried. Raises `DecodingError`."""
    if not isinstance(value, list) or not value:
        raise DecodingError("A unit of a contact is not a list of properties.")
    return tuple(map(_property, value))


def _property(item: object) -> Property:
    if not isinstance(item, list) or len(item) < 4:
        raise DecodingError("A property of a contact does not have its four fields.")
    group, name, value, params, *more = item
    if group != "":
        _check_name(group)
    if _check_name(name).upper() in STRUCTURAL:
        raise DecodingError("A property of a contact has the name of a vCard delimiter.")
    text = _check_text(value)
    if "\n" in text or "\r" in text:
        raise DecodingError("The value of a property has a raw line end in it.")
    if not isinstance(params, list):
        raise DecodingError("The parameters of a property are not a list.")
    return Property(name, text, tuple(map(_param, params)), group, _freeze(more) if more else ())


def _param(item: object) -> tuple[str, tuple[str, ...]]:
    if not isinstance(item, list) or len(item) != 2 or not isinstance(item[1], list):
        raise DecodingError("A parameter of a property is not a name with a list of values.")
    return _check_name(item[0]), tuple(map(_check_text, item[1]))


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not _is_name(name):
        raise DecodingError("A property, parameter or group of a contact has an impossible name.")
    return name


@lru_cache(maxsize=1024)
def _is_name(name: str) -> bool:
    return NAME.fullmatch(name) is not None


def _check_text(text: object) -> str:
    if not isinstance(text, str) or not (text.isascii() or _SURROGATE.search(text) is None):
        raise DecodingError("A value in a contact is not text.")
    return text


def _freeze(items: list[object]) -> tuple[object, ...]:
    return tuple(_freeze(item) if isinstance(item, list) else item for item in items)


def _thaw(items: tuple[object, ...]) -> list[object]:
    return [_thaw(item) if isinstance(item, tuple) else item for item in items]
