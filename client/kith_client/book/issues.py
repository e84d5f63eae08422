"""What waits for the person: input that was set aside, conflicts of edits made apart, invites answered twice, alarms.

Listing and settling them; what raises them is left to imports, merging and the exchange of parcels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from kith_client.book.layers import Layers
from kith_client.book.names import device_name, words
from kith_client.book.parts import Parts
from kith_client.book.problems import BadValue
from kith_client.book.properties import is_property, new_key, put_and_remember, put_units
from kith_client.book.resolve import resolve_id
from kith_client.book.showing import value_text
from kith_client.contacts.model import value_to_unit
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.content import Content, Unit
from kith_protocol.encoding import Value
from kith_protocol.merge import CONFLICT, KINDS_WITH_CONFLICTS

Keep = Literal["current", "other", "both"]

SET_ASIDE: Final = "set-aside"
_ISSUE_KINDS: Final = ("invite", "alarm")


@dataclass(frozen=True, slots=True)
class OneValue:
    """One of the two values of a conflict."""

    value: str
    at: int
    """Milliseconds since 1970."""
    by: str
    """The device where it was entered."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that waits for the person."""

    id: str
    kind: str
    """`set_aside`, `conflict`, `invite` or `alarm`."""
    text: str
    values: tuple[OneValue, ...] = ()
    """Of a conflict: the current value, then the other."""
    record: bytes = b""
    unit: str = ""
    """Of a conflict: the unit `conflict/...` in `record`."""


def list_issues(contents: Contents) -> list[Issue]:
    """Everything that waits, alarms first."""
    order = {"alarm": 0, "invite": 1, "conflict": 2, "set_aside": 3}
    found = [*_told(contents), *_conflicts(contents), *_set_aside(contents)]
    return sorted(found, key=lambda issue: (order[issue.kind], issue.text, issue.id))


def find_issue(contents: Contents, text: str) -> Issue:
    """The issue with this id or the start of it. Raises `NotFound` or `Ambiguous`."""
    issues = {issue.id: issue for issue in list_issues(contents)}
    where = "'kith issues' shows them all."
    return issues[resolve_id(issues, text, "issue", where, lambda given: issues[given].text)]


def original(contents: Contents, issue: Issue) -> bytes:
    """The bytes that were set aside. Raises `NotFound` where a part of them is missing here."""
    content = contents[issue.record]
    digest = content.value("sha256")
    if isinstance(digest, bytes):
        return Parts(contents, SET_ASIDE, "source").joined(digest)
    source = content.value("source")
    return source if isinstance(source, bytes) else b""


def resolve_issue(contents: Contents, stamp: Stamp, issue: Issue, keep: Keep | None = None) -> Edit:
    """Settles an issue. A conflict needs `keep`; what was set aside, an invite or an alarm is done with by any.

    Raises `BadValue` where `keep` is missing or does not fit.
    """
    if issue.kind == "conflict":
        if keep is None:
            raise BadValue("There are two values. Say which to keep: --keep current, other or both.")
        return _settle(contents, stamp, issue, keep)
    if keep in ("other", "both"):
        raise BadValue("There is only one value here; resolve it without --keep.")
    digest = contents[issue.record].value("sha256")
    parts = Parts(contents, SET_ASIDE, "source").records(digest) if isinstance(digest, bytes) else []
    return dict.fromkeys([issue.record, *parts])


def _told(contents: Contents) -> Iterator[Issue]:
    for record, content in of_kind(contents, "issue").items():
        told = content.value("kind")
        kind = told if isinstance(told, str) and told in _ISSUE_KINDS else "alarm"
        yield Issue(
            record.hex(), kind, words(content, "text"), record=record
        )  # fmt: skip


def _set_aside(contents: Contents) -> Iterator[Issue]:
    for record, content in of_kind(contents, SET_ASIDE).items():
        if content.value("part", 0) == 0:
            line, reason = content.value("line"), words(content, "reason")
            # Most reasons begin with the line themselves.
            place = f", line {line}" if isinstance(line, int) and not reason.startswith(f"Line {line}:") else ""
            where = words(content, "file") + place
            yield Issue(record.hex(), "set_aside", f"{where}: {reason}", record=record)


def _conflicts(contents: Contents) -> Iterator[Issue]:
    layers = Layers(contents)
    for record, content in contents.items():
        if content.kind in KINDS_WITH_CONFLICTS:
            for name, stored in content.units.items():
                if name.startswith(CONFLICT):
                    yield from _conflict(layers, record, content, name, stored)


def _conflict(layers: Layers, record: bytes, content: Content, name: str, stored: Unit) -> Iterator[Issue]:
    match stored.value:
        case [str(key), value, int(at), bytes(by)]:
            current = content.units.get(key)
            if current is not None and current.value == value:
                return
            other = OneValue(value_text(value), at, device_name(layers.contents, by))
            values = (_current(layers.contents, current), other)
            text = f"{_whose(layers, record, content)}: two values of {key.partition('-')[0]}"
            yield Issue(name.removeprefix(CONFLICT) + record.hex(), "conflict", text, values, record, name)


def _current(contents: Contents, unit: Unit | None) -> OneValue:
    if unit is None:
        return OneValue("", 0, "")
    return OneValue(value_text(unit.value), unit.at, device_name(contents, unit.by))


def _whose(layers: Layers, record: bytes, content: Content) -> str:
    if content.kind == "me":
        return "my card"
    if content.kind == "note":
        return f"a note on {layers.name(content.value('contact'))}"
    return layers.name(record)


def _settle(contents: Contents, stamp: Stamp, issue: Issue, keep: Keep) -> Edit:
    content = contents[issue.record]
    key, value = _other(content, issue.unit)
    settled = put_units(content, stamp, {issue.unit: None})
    if keep == "current":
        return {issue.record: settled}
    if keep == "other":
        remember = put_and_remember if content.kind == "contact" else put_units
        return {issue.record: remember(settled, stamp, {key: value})}
    if content.kind == "note":
        return {issue.record: settled, **_second_note(stamp, settled, key, value)}
    if not is_property(key):
        raise BadValue("Only one of these two values can stand. Keep current or other.")
    unit = value_to_unit(value.get("unit") if isinstance(value, dict) else value)
    return {issue.record: put_units(settled, stamp, {new_key(unit, settled.units, stamp.random): value})}


def _second_note(stamp: Stamp, note: Content, key: str, value: Value) -> Edit:
    if key != "text":
        raise BadValue("Only one of these two values can stand. Keep current or other.")
    values = {name: unit.value for name, unit in note.units.items() if not name.startswith(CONFLICT)}
    return {stamp.record_id(): stamp.content("note", {**values, "text": value, "remind": None})}


def _other(content: Content, name: str) -> tuple[str, Value]:
    match content.units[name].value:
        case [str(key), value, *_]:
            return key, value
        case _:
            raise BadValue("This conflict cannot be read.")
