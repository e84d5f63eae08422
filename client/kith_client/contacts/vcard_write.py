"""Writes units as a vCard: as they stand, so that reading gives the same units. Not what a version asks for.

Turning properties of one version into those of the other, and what a program requires of a card, is in
`vcard_convert`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, Literal

from kith_client.contacts.escapes import caret_encode
from kith_client.contacts.model import REGISTERS, STRUCTURAL, Property, Unit

Version = Literal["3.0", "4.0"]

FOLD: Final = 75
"""Octets of a physical line, its end not counted (RFC 2425, RFC 6350 §3.2)."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_MUST_QUOTE = re.compile(r"[,;:=]|^\s|\s$")
_TRANSPORT: Final = frozenset({"QUOTED-PRINTABLE"})


def write_card(units: Iterable[Unit], version: Version) -> str:
    """The text of one card, with CRLF line ends and folded at `FOLD` octets, never inside a character."""
    lines = ["BEGIN:VCARD", f"VERSION:{version}"]
    for unit in _distinct_groups(units):
        lines.extend(fold(write_property(prop)) for prop in unit if prop.key not in STRUCTURAL)
    lines.append("END:VCARD\r\n")
    return "\r\n".join(lines)


def write_property(prop: Property) -> str:
    """One logical line, not folded, without its end."""
    head = f"{prop.group}.{prop.name}" if prop.group else prop.name
    params = "".join(f";{name}={values}" for name, values in _params(prop))
    return f"{head}{params}:{_LINE_END.sub(_escaped_end, prop.value)}"


def fold(line: str) -> str:
    """`line` broken into pieces of at most `FOLD` octets."""
    if len(line) * 4 <= FOLD or (line.isascii() and len(line) <= FOLD):
        return line
    data = line.encode("utf-8")
    pieces, start, room = [], 0, FOLD
    while len(data) - start > room:
        end = start + room
        while data[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(data[start:end])
        start, room = end, FOLD - 1
    pieces.append(data[start:])
    return b"\r\n ".join(pieces).decode("utf-8")


def _escaped_end(_: re.Match[str]) -> str:
    # Readers know no raw line end in a value; where one got in, it must not become a property of its own.
    return "\\n"


def _params(prop: Property) -> Iterator[tuple[str, str]]:
    for name, values in prop.params:
        upper = name.upper()
        # Values are kept decoded: naming the old encoding would have them decoded twice.
        if upper == "CHARSET" or (upper == "ENCODING" and any(v.upper() in _TRANSPORT for v in values)):
            continue
        yield name, ",".join(map(_param_value, values))


def _param_value(value: str) -> str:
    text = caret_encode(value)
    return f'"{text}"' if value and _MUST_QUOTE.search(text) else text


def _distinct_groups(units: Iterable[Unit]) -> Iterator[Unit]:
    """Two units may come from different cards with one group name; written so, they would be read as one unit."""
    listed = list(units)
    used = {prop.group.lower() for unit in listed for prop in unit if prop.group}
    seen: set[str] = set()
    number = 1
    for unit in listed:
        names = {p.group.lower() for p in unit if p.group and p.key not in REGISTERS}
        if len(unit) > 1 or names:
            unchanged = len(names) == 1 and not names & seen and all(p.group for p in unit)
            if not unchanged:
                while f"item{number}" in used:
                    number += 1
                used.add(f"item{number}")
                unit = _regrouped(unit, f"item{number}")
                names = {f"item{number}"}
            seen |= names
        yield unit


def _regrouped(unit: Unit, group: str) -> Unit:
    return tuple(replace(prop, group=group) for prop in unit)
