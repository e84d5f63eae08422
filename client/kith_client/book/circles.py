"""Circles: who is in them. Two devices may begin a circle of the same name apart: its records count as one circle."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kith_client.book.facets import granted
from kith_client.book.names import record_of
from kith_client.book.problems import BadValue, NotFound, checked_text
from kith_client.book.properties import put_units
from kith_client.contacts.views import search_key
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.content import Content

MEMBER: Final = "member/"
"""Prefix of units of a circle: `member/<contact id in hex>` → true."""
MAX_NAME_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Circle:
    """One circle as people see it."""

    name: str
    contacts: tuple[bytes, ...]
    """Contacts that are in it and still exist."""
    facets: tuple[str, ...]


def list_circles(contents: Contents) -> list[Circle]:
    """All circles, sorted by name."""
    groups: dict[str, list[Content]] = {}
    for _, content in sorted(of_kind(contents, "circle").items()):
        groups.setdefault(search_key(str(content.value("name"))), []).append(content)
    return [_circle(contents, groups[key]) for key in sorted(groups)]


def find_circle(contents: Contents, name: str) -> tuple[bytes, ...]:
    """Ids of the records of the circle with this name (case and accents do not count), the smallest first."""
    wanted = search_key(" ".join(name.split()))
    circles = sorted(of_kind(contents, "circle").items())
    return tuple(record for record, content in circles if search_key(str(content.value("name"))) == wanted)


def require_circle(contents: Contents, name: str) -> tuple[bytes, ...]:
    """As `find_circle`. Raises `NotFound`."""
    found = find_circle(contents, name)
    if not found:
        raise NotFound(
            "There is no such circle. 'kith circle' shows them all.",
            shown=f"There is no circle '{name.strip()}'. 'kith circle' shows them all.",
        )
    return found


def circle_name(text: str) -> str:
    """A circle's name as it is kept. Raises `BadValue`."""
    name = unicodedata.normalize("NFC", " ".join(checked_text(text).split()))
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise BadValue(f"A circle's name has 1 to {MAX_NAME_CHARS} characters.")
    return name


def add_to_circle(contents: Contents, stamp: Stamp, name: str, contacts: Iterable[bytes]) -> Edit:
    """Puts contacts into a circle, which is begun where there is none. Raises `BadValue`."""
    found = find_circle(contents, name)
    content = contents[found[0]] if found else stamp.content("circle", {"name": circle_name(name)})
    record = found[0] if found else stamp.record_id()
    there = {key for each in found for key in contents[each].units}
    new = [key for contact in contacts if (key := MEMBER + contact.hex()) not in there]
    changed = put_units(content, stamp, dict.fromkeys(new, True))
    return {} if found and not new else {record: changed}


def remove_from_circle(contents: Contents, stamp: Stamp, name: str, contacts: Iterable[bytes]) -> Edit:
    """Takes contacts out of a circle. Raises `NotFound` where one of them is not in it."""
    records = require_circle(contents, name)
    keys = [MEMBER + contact.hex() for contact in contacts]
    for key in keys:
        if not any(key in contents[record].units for record in records):
            raise NotFound("This contact is not in the circle.")
    return _without(contents, stamp, records, keys)


def remove_circle(contents: Contents, name: str) -> Edit:
    """Removes a circle; its contacts stay. Raises `NotFound`."""
    return dict.fromkeys(require_circle(contents, name))


def leave_all_circles(contents: Contents, stamp: Stamp, contact: bytes) -> Edit:
    """Takes a contact out of every circle."""
    return _without(contents, stamp, of_kind(contents, "circle"), [MEMBER + contact.hex()])


def _without(contents: Contents, stamp: Stamp, records: Iterable[bytes], keys: list[str]) -> Edit:
    touched = [record for record in records if any(key in contents[record].units for key in keys)]
    return {record: put_units(contents[record], stamp, dict.fromkeys(keys)) for record in touched}


def _circle(contents: Contents, records: list[Content]) -> Circle:
    members = {record_of(key.removeprefix(MEMBER)) for each in records for key in each.units if key.startswith(MEMBER)}
    there = sorted(member for member in members if member is not None and member in contents)
    facets = frozenset[str]().union(*(granted(each) for each in records))
    return Circle(str(records[0].value("name")), tuple(there), tuple(sorted(facets)))
