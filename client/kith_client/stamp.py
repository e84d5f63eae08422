"""What an edit needs from outside: the time, who edits, and randomness. Passed in, so that edits are pure."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kith_protocol.commit import RECORD_ID_BYTES
from kith_protocol.content import Content, Unit
from kith_protocol.encoding import Value

Edit = dict[bytes, Content | None]
"""Record id → its new content, or None where the record is deleted."""

Contents = Mapping[bytes, Content]
"""All records of a vault as they stand, unsent edits included: record id → content."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When, by whom, and with what randomness an edit is made."""

    now: int
    """Milliseconds since 1970."""
    by: bytes
    """The first 8 bytes of the editing member's id."""
    random: Callable[[int], bytes]
    """So many fresh random bytes."""

    def unit(self, value: Value) -> Unit:
        """`value`, edited now by this device."""
        return Unit(value, self.now, self.by)

    def record_id(self) -> bytes:
        """A fresh id for a new record."""
        return self.random(RECORD_ID_BYTES)

    def content(self, kind: str, values: Mapping[str, Value]) -> Content:
        """A new record's content."""
        return Content(kind, {key: self.unit(value) for key, value in values.items()})


def overlay(contents: Contents, edit: Edit) -> Contents:
    """`contents` as they will stand after an edit."""
    changed = {record: content for record, content in edit.items() if content is not None}
    if len(changed) < len(edit):
        return {record: content for record, content in {**contents, **changed}.items() if edit.get(record, content)}
    return ChainMap(changed, contents)  # type: ignore[arg-type]  # only the first mapping is ever written to


def of_kind(contents: Contents, kind: str) -> dict[bytes, Content]:
    """The records of one kind, by id."""
    return {record: content for record, content in contents.items() if content.kind == kind}


def the_one(contents: Contents, kind: str) -> tuple[bytes, Content] | None:
    """The record of a kind that a vault has once; of two, the one with the smaller id counts."""
    return min(of_kind(contents, kind).items(), default=None, key=lambda item: item[0])
