"""The two layers of a contact: what I know about it, over what its peer shares with me.

Reads who belongs to whom once, so that a list of many contacts takes one pass. Taking in what peers send is left to
`relations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from kith_client.book.names import buried, full_name, name_of, record_of
from kith_client.book.properties import units_of
from kith_client.contacts.model import REGISTERS, Property, Unit, lead_property
from kith_client.contacts.views import NO_NAME, display_name
from kith_client.relations.peers import TheirCard, TheirLayer
from kith_client.stamp import Contents, of_kind
from kith_protocol.content import Content

MINE: Final = "me"
"""`from` of what I entered myself."""
BY_PEER: Final = "(the peer's own word)"
"""Stands behind a name in a list of choices that nobody but a peer vouches for."""
_MEMBER: Final = "member/"
_NAMES: Final = frozenset({"FN", "N", "NICKNAME", "ORG"})


@dataclass(frozen=True, slots=True)
class Shown:
    """One property of a contact as a person sees it."""

    id: str
    property: Property
    origin: str
    """`MINE`, or the id of the peer who shares it."""


@dataclass(frozen=True, slots=True)
class Called:
    """The names of somebody, by whose word they are."""

    own: tuple[str, ...]
    """As I call them; the first as they are shown. Empty where I entered no name."""
    said: tuple[str, ...]
    """As a peer says, of itself or of a card that it shares. It can say anything, and change it at any time."""

    @property
    def shown(self) -> str:
        """One name for a list, with a word on it where it is a peer's."""
        if self.own:
            return self.own[0]
        return f"{self.said[0]} {BY_PEER}" if self.said else NO_NAME


def peer_id(contents: Contents, record: bytes) -> str:
    """How people see a peer's id: the person id in hex, or the record's own where no person is known yet."""
    content = contents.get(record)
    person = content.value("person") if content else None
    return (person if isinstance(person, bytes) and person else record).hex()


class Layers:
    """What stands around the contacts of a vault: their peers, what those share, their circles."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents

    @cached_property
    def peers(self) -> dict[bytes, bytes]:
        """Contact id → id of the `peer` record that names it; of two, the one with the smaller id."""
        found: dict[bytes, bytes] = {}
        for record, content in sorted(of_kind(self.contents, "peer").items(), reverse=True):
            contact = content.value("contact")
            if isinstance(contact, bytes):
                found[contact] = record
        return found

    @cached_property
    def circles(self) -> dict[bytes, tuple[str, ...]]:
        """Contact id → names of its circles, sorted."""
        found: dict[bytes, set[str]] = {}
        for content in of_kind(self.contents, "circle").values():
            name = content.value("name")
            for key in content.units:
                member = record_of(key.removeprefix(_MEMBER)) if key.startswith(_MEMBER) else None
                if member is not None and isinstance(name, str):
                    found.setdefault(member, set()).add(name)
        return {contact: tuple(sorted(names)) for contact, names in found.items()}

    @cached_property
    def _buried(self) -> dict[bytes, Content]:
        trash = of_kind(self.contents, "trash").values()
        return {original: content for content in trash if isinstance(original := content.value("original"), bytes)}

    def _own(self, contact: bytes) -> Content:
        """What I know of a contact: nothing, where another device deleted it while this one connected it."""
        return self.contents.get(contact) or Content("contact", {})

    def theirs(self, contact: bytes) -> list[tuple[Property, str]]:
        """What the contact's peer shares about itself, with the peer's id."""
        return self.shared.properties(contact) if contact in self.peers else []

    @cached_property
    def shared(self) -> TheirLayer:
        """Everything that peers share with me."""
        return TheirLayer(self.contents)

    @cached_property
    def cards(self) -> dict[bytes, TheirCard]:
        """Cards of others that peers share with me, by id: contacts that I can only read."""
        return {bytes.fromhex(card.id): card for card in self.shared.cards()}

    def shown(self, contact: bytes) -> list[Shown]:
        """The contact's properties, mine first; mine hide what the peer shares of a register or with the same value."""
        if contact in self.cards:
            card = self.cards[contact]
            return [Shown(f"theirs-{place}", prop, card.peer) for place, prop in enumerate(card.properties)]
        content = self._own(contact)
        mine = [Shown(key, prop, MINE) for key, unit in units_of(content).items() for prop in unit]
        hiding = {_identity(item.property) for item in mine}
        theirs = [(prop, peer) for prop, peer in self.theirs(contact) if _identity(prop) not in hiding]
        return mine + [Shown(f"theirs-{place}", prop, peer) for place, (prop, peer) in enumerate(theirs)]

    def units(self, contact: bytes) -> list[Unit]:
        """As `shown`, as units."""
        mine = list(units_of(self._own(contact)).values())
        if contact not in self.peers:
            return mine
        return mine + [(item.property,) for item in self.shown(contact) if item.origin != MINE]

    def name(self, contact: object) -> str:
        """How a contact is called, also after its deletion; never empty."""
        if not isinstance(contact, bytes):
            return "(no contact)"
        content = self.contents.get(contact)
        if content is not None and content.kind == "contact":
            return self.names(contact)[0]
        if contact in self.cards:
            return card_name(self.cards[contact])
        trash = self._buried.get(contact)
        return "(deleted)" if trash is None else f"{name_of(buried(trash))} (deleted)"

    def names(self, contact: bytes) -> tuple[str, ...]:
        """What a contact is called: first how it is shown, then as the peer calls itself."""
        content = self._own(contact)
        if contact not in self.peers:
            return (name_of(content),)
        own = full_name(content)
        theirs = [prop for prop, _ in self.theirs(contact) if prop.key == "FN"]
        given = self.contents[self.peers[contact]].value("name")
        candidates = [
            *([display_name([own])] if own else ()),
            *([display_name([(prop,)]) for prop in theirs]),
            *([given] if isinstance(given, str) and given else ()),
        ]
        return tuple(dict.fromkeys(candidates)) or (name_of(content),)

    def called(self, contact: bytes) -> Called:
        """All names of a contact or of a card that a peer shares, apart by whose word they are."""
        if contact in self.cards:
            return Called((), (card_name(self.cards[contact]),))
        units = list(units_of(self._own(contact)).values())
        whole = display_name(units)
        names = [display_name([unit]) for unit in units if lead_property(unit).key in _NAMES]
        own = tuple(name for name in dict.fromkeys([whole, *names]) if name != NO_NAME)
        return Called(own, self._said(contact, self.peers[contact]) if contact in self.peers else ())

    def peer_called(self, peer: bytes) -> Called:
        """As `called`, for the `peer` record of somebody."""
        contact = self.contents[peer].value("contact")
        if not isinstance(contact, bytes):
            return Called((), self._said(b"", peer))
        return Called(self.called(contact).own, self._said(contact, peer))

    def _said(self, contact: bytes, peer: bytes) -> tuple[str, ...]:
        given = self.contents[peer].value("name")
        card = [display_name([(prop,)]) for prop, _ in self.theirs(contact) if prop.key == "FN"]
        return tuple(dict.fromkeys([*card, *([given] if isinstance(given, str) and given else [])]))

    def peer_names(self, peer: bytes) -> tuple[str, ...]:
        """What a peer is called: as the contact, then as the peer calls itself."""
        content = self.contents[peer]
        contact, given = content.value("contact"), content.value("name")
        known = isinstance(contact, bytes) and contact in self.contents
        names = [*([self.name(contact)] if known else ()), *([given] if isinstance(given, str) and given else ())]
        return tuple(dict.fromkeys(names)) or ("(no name)",)


def card_name(card: TheirCard) -> str:
    """How a card that a peer shares is called."""
    return display_name([(prop,) for prop in card.properties]) if card.properties else card.label or NO_NAME


def _identity(prop: Property) -> tuple[str, ...]:
    return (prop.key,) if prop.key in REGISTERS else (prop.key, prop.value)
