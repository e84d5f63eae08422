"""What to do with each card of an import: a new contact, an update of one, or nothing. Decides; stores nothing.

Cards that list members are not contacts: see `groups.is_group` and `circles`. Large photos are cut off afterwards, by
`photos.split_photo`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kith_client.contacts.escapes import unescape
from kith_client.contacts.fields import properties
from kith_client.contacts.groups import categories, plain_uid
from kith_client.contacts.matching import Same, one_person, same
from kith_client.contacts.model import REGISTERS, Card, Property, SetAside, Unit, keyed_units, lead_property
from kith_client.contacts.views import display_name, name_from_words

RandomIds = Callable[[Iterable[str]], Callable[[], bytes]]
"""Given the keys that a contact has, a source of random ids for further ones."""

MAX_CLASHES: Final = 16
"""Contacts with one UID that a card is compared with; where a program gives all the same, each card is a contact."""

_REPLACED: Final = ("FN", "N", "KIND")
"""Registers that a newer card changes."""
_FOLLOWING: Final = ("REV", "PRODID")
"""Registers that tell about the card: replaced when anything else is, no change of their own."""


@dataclass(frozen=True, slots=True)
class KnownContact:
    """What the vault knows of a contact. `taken`: the fingerprints of the cards once taken into it."""

    id: bytes
    uid: str
    units: Mapping[str, Unit]
    taken: frozenset[bytes] = frozenset()
    beside: tuple[Unit, ...] = ()
    """What a peer shares about itself: an exported card says it too, and that makes it nobody's own."""


@dataclass(frozen=True, slots=True)
class NewContact:
    """The card is nobody's yet. To be stored with the card's fingerprint among those taken."""

    units: dict[str, Unit]
    fingerprint: bytes
    circles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdatedContact:
    """The card adds to a contact: these units are put; nothing is removed."""

    id: bytes
    put: dict[str, Unit]
    fingerprint: bytes
    circles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The card brings nothing new. `remember`: its fingerprint, where it is not yet among those taken."""

    id: bytes
    remember: bytes | None = None


Plan = NewContact | UpdatedContact | Unchanged | SetAside


class _Known:
    """A contact's units, and what they say: worked out when first asked, as most imports never ask."""

    def __init__(self, units: Mapping[str, Unit], beside: tuple[Unit, ...] = ()) -> None:
        self.units = dict(units)
        self._beside = beside
        self._said: set[Same] | None = None

    @property
    def said(self) -> set[Same]:
        if self._said is None:
            units = (*self.units.values(), *self._beside)
            # A card of version 3.0 has to have an N: an export makes one from the name, which says nothing new.
            self._said = set(map(same, (*units, name_from_words(display_name(units)))))
        return self._said

    def put(self, units: Mapping[str, Unit]) -> None:
        self.units.update(units)
        self._said = None


class ImportIndex:
    """Finds the contact that a card belongs to. Built once; told of each plan that was carried out."""

    def __init__(self, known: Iterable[KnownContact], random_ids: RandomIds) -> None:
        self._random_ids = random_ids
        self._contacts: dict[bytes, _Known] = {}
        self._by_fingerprint: dict[bytes, bytes] = {}
        self._by_uid: dict[str, list[bytes]] = {}
        for contact in known:
            self._learn(contact.id, contact.units, contact.taken, contact.uid, contact.beside)

    def plan(self, card: Card) -> Plan:
        """What to do with `card`. An empty card is `SetAside`."""
        if not any(prop.value.strip("; \t") for unit in card.units for prop in unit):
            return SetAside(
                f"Line {card.line}: this card is empty. Nothing was imported from it.", card.source, card.line
            )
        taken = self._by_fingerprint.get(card.fingerprint)
        if taken is not None:
            return Unchanged(taken)
        uid = uid_of(card.units)
        for id_ in self._by_uid.get(plain_uid(uid), [])[:MAX_CLASHES] if uid else ():
            if one_person(self._contacts[id_].units.values(), card.units):
                return self._update(id_, card)
        return self._new(card, uid)

    def taken(self, plan: Plan, id_: bytes | None = None) -> None:
        """Learns that `plan` was carried out, so that later cards of the same import see it. A new contact's id is
        `id_`; the others bring theirs."""
        match plan:
            case NewContact(units, fingerprint) if id_ is not None:
                self._learn(id_, units, (fingerprint,), uid_of(units.values()))
            case UpdatedContact(known, put, fingerprint):
                self._contacts[known].put(put)
                self._by_fingerprint[fingerprint] = known
            case Unchanged(known, remember) if remember is not None:
                self._by_fingerprint[remember] = known
            case _:
                pass

    def by_uid(self) -> dict[str, bytes]:
        """Contacts by `plain_uid`, to resolve the members of groups. Of two with one UID, the older."""
        return {uid: ids[0] for uid, ids in self._by_uid.items()}

    def _learn(
        self, id_: bytes, units: Mapping[str, Unit], taken: Iterable[bytes], uid: str, beside: tuple[Unit, ...] = ()
    ) -> None:
        self._contacts[id_] = _Known(units, beside)
        if uid:
            self._by_uid.setdefault(plain_uid(uid), []).append(id_)
        for fingerprint in taken:
            self._by_fingerprint[fingerprint] = id_

    def _new(self, card: Card, uid: str) -> NewContact:
        filled = tuple(unit for unit in card.units if uid or lead_property(unit).key != "UID")
        units = filled if uid else (*filled, (Property("UID", uid_from(card.fingerprint)),))
        return NewContact(keyed_units(units, self._random_ids(())), card.fingerprint, categories(card.units))

    def _update(self, id_: bytes, card: Card) -> UpdatedContact | Unchanged:
        known = self._contacts[id_]
        put: dict[str, Unit] = {}
        following: dict[str, Unit] = {}
        added: dict[Same, Unit] = {}
        seen: set[str] = set()
        for unit in card.units:
            said, key = same(unit), lead_property(unit).key
            first = key not in seen
            seen.add(key)
            if said in known.said or key == "UID":
                continue
            if first and key in _REPLACED and any(text for _, text in said):
                put[key.lower()] = unit
            elif first and key in _FOLLOWING:
                following[key.lower()] = unit
            elif any(text for _, text in said):
                added.setdefault(said, unit)
        used = frozenset(known.units) | {register.lower() for register in REGISTERS}
        put |= keyed_units(added.values(), self._random_ids(known.units), used)
        if not put:
            return Unchanged(id_, card.fingerprint)
        return UpdatedContact(id_, put | following, card.fingerprint, categories(card.units))


def uid_of(units: Iterable[Unit]) -> str:
    """The first UID that is not empty, or ""."""
    texts = (unescape(prop.value).strip() for prop in properties(units, "UID"))
    return next((text for text in texts if text), "")


def uid_from(fingerprint: bytes) -> str:
    """A UID for a card that has none: the same card gets the same on every device (RFC 9562, version 8)."""
    number = int.from_bytes(fingerprint[:16], "big")
    number = number & ~(0xF << 76) | (0x8 << 76)
    return UUID(int=number & ~(0x3 << 62) | (0x2 << 62)).urn
