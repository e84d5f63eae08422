"""The circles that an import asks for: by CATEGORIES of cards, and by cards that list members."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping

from kith_client.book.circles import add_to_circle, circle_name, find_circle
from kith_client.book.properties import TAKEN, put_units
from kith_client.contacts.circles import Group, group_of, resolve_groups
from kith_client.contacts.model import Card
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.content import Content


class CirclesOfImport:
    """Collects while the cards come; members of group cards are known only at the end."""

    def __init__(self) -> None:
        self._joined: dict[str, set[bytes]] = {}
        self._groups: list[Group] = []

    def join(self, contact: bytes, circles: Iterable[str]) -> None:
        """A contact is in these circles, by its own card."""
        for name in circles:
            self._joined.setdefault(name, set()).add(contact)

    def group(self, card: Card) -> None:
        """A card that lists members."""
        self._groups.append(group_of(card))

    def edit(self, contents: Contents, stamp: Stamp, by_uid: Mapping[str, bytes]) -> Edit:
        """Fills the circles. A group card that was taken in before changes nothing: who left the circle stays out."""
        changed: dict[bytes, Content] = {}
        view: Contents = ChainMap(changed, contents)  # type: ignore[arg-type]  # a Mapping is only read
        groups = [group for group in self._groups if not _taken(contents, group)]
        wanted = {name: set(contacts) for name, contacts in self._joined.items()}
        for name, members in resolve_groups(groups, by_uid).items():
            wanted.setdefault(name, set()).update(members)
        for name, contacts in sorted(wanted.items()):
            for record, content in add_to_circle(view, stamp, circle_name(name), sorted(contacts)).items():
                if content is not None:
                    changed[record] = content
        for group in groups:
            record = find_circle(view, group.name)[0]
            changed[record] = put_units(view[record], stamp, {TAKEN + group.fingerprint.hex(): True})
        return dict(changed)


def _taken(contents: Contents, group: Group) -> bool:
    key = TAKEN + group.fingerprint.hex()
    return any(key in circle.units for circle in of_kind(contents, "circle").values())
