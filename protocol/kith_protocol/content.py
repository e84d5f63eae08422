"""What stands inside a record: a kind, and units that change independently of each other (spec: record.md, Content).

A unit is the smallest thing that a person edits: one property of a contact, the text of a note, one member of a
circle. Each remembers when and by which member it was last edited, which is what merging needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
