"""What stands inside a record: a kind, and units that change independently of each other (spec: record.md, Content).

A unit is the smallest thing that a person edits: one property of a contact, the text of a note, one member of a
circle. Each remembers when and by which member it was last edited, which is what merging needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import pack
from typing import Final

from kith_protocol.encoding import Value, encode_map
from kith_protocol.errors import DecodingError
from kith_protocol.suite import digest

MAX_UNITS: Final = 20_000
"""Units in one record: more than a hostile card can need, few enough to walk."""
MAX_TIME: Final = 2**53
"""Bound of a unit's time in milliseconds, so that every language can hold it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One value with its origin."""

    value: Value
    at: int
    """Milliseconds since 1970 of the last edit, by the editor's clock."""
    by: bytes = b""
    """The first 8 bytes of the editing member's id."""

    def __repr__(self) -> str:
        return "Unit(...)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Unit):
            return NotImplemented
        return (self.at, self.by) == (other.at, other.by) and same_value(self.value, other.value)

    __hash__ = None  # type: ignore[assignment]

    @property
    def fingerprint(self) -> bytes:
        """Hash of the value, to break ties the same way everywhere."""
        return digest(encode_map({"": self.value}))


@dataclass(frozen=True, slots=True)
class Content:
    """A record's content, decoded."""

    kind: str
    units: Mapping[str, Unit]
    extra: Mapping[str, Value] = field(default_factory=dict)
    """What a newer program wrote beside kind and units; carried along."""

    def __repr__(self) -> str:
        return f"Content({self.kind!r}, {len(self.units)} units)"

    def value(self, key: str, default: Value = None) -> Value:
        """The value of the unit `key`."""
        unit = self.units.get(key)
        return default if unit is None else unit.value

    def to_map(self) -> dict[str, Value]:
        """The map that is sealed."""
        units: dict[str, Value] = {key: [unit.at, unit.by, unit.value] for key, unit in self.units.items()}
        return {**self.extra, "kind": self.kind, "units": units}


def same_value(one: Value, other: Value) -> bool:
    """Whether two plain values are one. Python's own equality takes `True` for 1 and 1 for 1.0, which are three."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_value(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return pack("d", one) == pack("d", other)  # 0.0 is not -0.0, and no number is itself
    return one == other


def content_of(values: Mapping[str, Value]) -> Content:
    """Reads the map of an opened record. Raises `DecodingError`."""
    kind, units = values.get("kind"), values.get("units")
    if not isinstance(kind, str) or not isinstance(units, dict) or len(units) > MAX_UNITS:
        raise DecodingError("A record has no kind or no units.")
    extra = {key: value for key, value in values.items() if key not in ("kind", "units")}
    return Content(kind, {key: _unit(unit) for key, unit in units.items()}, extra)


def _unit(raw: Value) -> Unit:
    match raw:
        case [int(at), bytes(by), value] if not isinstance(at, bool) and 0 <= at <= MAX_TIME:
            return Unit(value, at, by)
        case _:
            raise DecodingError("A unit of a record is damaged.")
