"""Contacts as cards or as a table, for other programs: both layers, with circles and pictures.

JSContact and a complete archive are further formats, not built here.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from kith_client.book.layers import Layers
from kith_client.book.photos import Photos
from kith_client.contacts.model import Unit, lead_property
from kith_client.contacts.vcard_convert import to_version, with_required
from kith_client.contacts.vcard_write import write_card
from kith_client.contacts.views import (
    components,
    display_name,
    emails,
    make_property,
    organisation,
    phones,
    properties,
    text_of,
)
from kith_client.stamp import Contents

Version = Literal["3.0", "4.0"]

_EACH: Final = 3
"""Columns for addresses and numbers each; further ones follow in the last, parted by ` ::: `."""
_SINGLE: Final = ("TITLE", "BDAY", "ADR", "URL", "NOTE")
_HEADS: Final = ("Title", "Birthday", "Address", "Website", "Notes")
_JOINER: Final = " ::: "
_FORMULA = re.compile(r"[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?[\d ()./-]+")


def cards(contents: Contents, contacts: Iterable[bytes], version: Version) -> Iterator[str]:
    """The text of each contact's card."""
    layers, photos = Layers(contents), Photos(contents)
    for contact in contacts:
        units = photos.joined([*layers.units(contact), *_categories(layers, contact)])
        yield write_card(with_required(to_version(units, version), version), version)


def table(contents: Contents, contacts: Iterable[bytes]) -> Iterator[str]:
    """The lines of a CSV file (RFC 4180), headers first. No cell can be taken for a formula by a spreadsheet."""
    layers = Layers(contents)
    numbered = [f"{name} {number}" for name in ("E-mail", "Phone") for number in range(1, _EACH + 1)]
    yield _csv_line(["Name", "Given Name", "Family Name", *numbered, "Organisation", *_HEADS, "Circles"])
    for contact in contacts:
        units = layers.units(contact)
        names = next((components(prop) for prop in properties(units, "N")), [])
        parts = [*names, "", ""][:2]
        single = [_JOINER.join(text_of(prop) for prop in properties(units, name)) for name in _SINGLE]
        several = [*_columns(emails(units)), *_columns(phones(units))]
        circles = _JOINER.join(layers.circles.get(contact, ()))
        yield _csv_line([display_name(units), parts[1], parts[0], *several, organisation(units), *single, circles])


def harmless(cell: str) -> str:
    """`cell` so that no spreadsheet computes it: what could begin a formula gets an apostrophe; plain numbers stay."""
    if not _FORMULA.match(cell) or _NUMBER.fullmatch(cell):
        return cell
    return "'" + cell


def _categories(layers: Layers, contact: bytes) -> list[Unit]:
    """The circles, unless the card says so already."""
    circles = layers.circles.get(contact, ())
    said = {lead_property(unit).key for unit in layers.units(contact)}
    if not circles or "CATEGORIES" in said:
        return []
    escaped = (name.replace("\\", "\\\\").replace(",", "\\,") for name in circles)
    return [(make_property("CATEGORIES", ",".join(escaped)),)]


def _columns(texts: list[str]) -> list[str]:
    shown = [*texts[: _EACH - 1], _JOINER.join(texts[_EACH - 1 :])]
    return [*shown, *[""] * (_EACH - len(shown))]


def _csv_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([harmless(cell) for cell in cells])
    return line.getvalue()
