"""Taking cards in: from a stream of cards to edits, in batches, so that memory stays bounded however long the file is.

What becomes of a card is decided in `contacts.importing`; here its records are made. Carrying edits out, and reading
files, is left to the caller: it applies each batch before it asks for the next.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from kith_client.book.import_circles import CirclesOfImport
from kith_client.book.issues import SET_ASIDE
from kith_client.book.layers import Layers
from kith_client.book.parts import PART_BYTES, Parts, cut
from kith_client.book.photos import PHOTO
from kith_client.book.properties import TAKEN, Places, contact_value, put_and_remember, put_units, units_of
from kith_client.contacts.groups import is_group
from kith_client.contacts.importing import ImportIndex, KnownContact, NewContact, Unchanged, UpdatedContact, uid_of
from kith_client.contacts.model import Card, SetAside, Unit
from kith_client.contacts.photos import split_photo
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.content import MAX_UNITS, Content
from kith_protocol.encoding import Value, encode_map
from kith_protocol.record import MAX_PLAINTEXT_BYTES

BATCH_CARDS: Final = 250
"""Cards in one edit: an edit is one transaction of the mirror."""
BATCH_BYTES: Final = 8 * 1024 * 1024
"""Bytes of cards after which an edit is closed before it is full."""
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_MARGIN: Final = 100_000
"""Bytes of a record that an import leaves free for what is added to the contact later."""


@dataclass(frozen=True, slots=True)
class Reported:
    """Input that an import did not take in, or not all of it."""

    file: str
    line: int
    reason: str


@dataclass(slots=True)
class Tally:
    """What an import did so far."""

    imported: int = 0
    updated: int = 0
    unchanged: int = 0
    set_aside: list[Reported] = field(default_factory=list)
    remarks: list[Reported] = field(default_factory=list)
    """What was mended while reading; nothing of it is missing."""


class Importer:
    """One import of one or more files into a book.

    `contents` are the book's own, live: what a batch changed must stand in them when the next is asked for. With
    `dry_run` nothing needs to be applied, and the tally says what would be done.
    """

    def __init__(self, contents: Contents, stamp: Stamp, *, dry_run: bool = False) -> None:
        self.tally = Tally()
        self._contents = contents
        self._stamp = stamp
        self._dry_run = dry_run
        self._index = ImportIndex(known_contacts(contents), lambda used: Places(stamp.random, used))
        self._photos: set[bytes] = set()
        self._kept_photos = Parts(contents, PHOTO, "data")
        self._aside = {_aside_hash(content) for content in of_kind(contents, SET_ASIDE).values()}
        self._circles = CirclesOfImport()
        self._edit: Edit = {}

    def batches(self, file: str, items: Iterable[Card | SetAside]) -> Iterator[Edit]:
        """Takes the cards of one file in; yields edits to apply at once, the last one maybe empty."""
        cards = size = 0
        for item in items:
            self._take(file, item)
            cards, size = cards + 1, size + len(item.source)
            if cards >= BATCH_CARDS or size >= BATCH_BYTES:
                yield self._flush()
                cards = size = 0
        yield self._flush()

    def circles(self) -> Edit:
        """The circles that the cards ask for; to be called once, after all files, when all members are known."""
        return self._circles.edit(self._contents, self._stamp, self._index.by_uid())

    def _flush(self) -> Edit:
        edit, self._edit = self._edit, {}
        return {} if self._dry_run else edit

    def _take(self, file: str, item: Card | SetAside) -> None:
        if isinstance(item, SetAside):
            self._set_aside(file, item)
            return
        for leftover in item.leftovers:
            self._set_aside(file, leftover)
        if is_group(item):
            self._circles.group(item)
            return
        plan = self._index.plan(item)
        match plan:
            case SetAside():
                self._set_aside(file, plan)
            case NewContact():
                self._new(file, item, plan)
            case UpdatedContact():
                self._update(file, item, plan)
            case Unchanged():
                self._unchanged(plan)

    def _new(self, file: str, card: Card, plan: NewContact) -> None:
        values = {key: contact_value(unit) for key, unit in plan.units.items()}
        values |= self._apart(plan.units) | {TAKEN + plan.fingerprint.hex(): True}
        content = self._stamp.content("contact", values)
        if not _fits(content):
            self._set_aside(file, _too_large(card))
            return
        record = self._stamp.record_id()
        self._edit[record] = content
        self._index.taken(plan, record)
        self._circles.join(record, plan.circles)
        self.tally.imported += 1

    def _update(self, file: str, card: Card, plan: UpdatedContact) -> None:
        values: dict[str, Value | None] = {key: contact_value(unit) for key, unit in plan.put.items()}
        values |= self._apart(plan.put)
        content = put_and_remember(self._now(plan.id), self._stamp, values)
        content = put_units(content, self._stamp, {TAKEN + plan.fingerprint.hex(): True})
        if not _fits(content):
            self._set_aside(file, _too_large(card))
            return
        self._edit[plan.id] = content
        self._index.taken(plan)
        self._circles.join(plan.id, plan.circles)
        self.tally.updated += 1

    def _unchanged(self, plan: Unchanged) -> None:
        if plan.remember is not None:
            taken = {TAKEN + plan.remember.hex(): True}
            self._edit[plan.id] = put_units(self._now(plan.id), self._stamp, dict[str, Value | None](taken))
        self._index.taken(plan)
        self.tally.unchanged += 1

    def _now(self, contact: bytes) -> Content:
        """The contact with what this batch has done to it; a dry run has stored nothing of its new ones."""
        found = self._edit.get(contact) or self._contents.get(contact)
        return found if found is not None else Content("contact", {})

    def _apart(self, units: Mapping[str, Unit]) -> dict[str, Value]:
        """Cuts large pictures off into records of their own; what stands in the contact instead."""
        values = {}
        for key, unit in units.items():
            split = split_photo(unit)
            if split is not None:
                values[key] = contact_value(split[0])
                self._keep_photo(split[1])
        return values

    def _keep_photo(self, data: bytes) -> None:
        digest = hashlib.sha256(data).digest()
        if digest not in self._photos and digest not in self._kept_photos:
            self._photos.add(digest)
            self._edit.update(cut(self._stamp, PHOTO, "data", data, {}))

    def _set_aside(self, file: str, item: SetAside) -> None:
        reported = Reported(file, item.line, item.reason)
        (self.tally.set_aside if item.source else self.tally.remarks).append(reported)
        digest = hashlib.sha256(item.source).digest()
        if item.source and digest not in self._aside:
            self._aside.add(digest)
            values: dict[str, Value] = {"reason": item.reason, "file": file, "line": item.line}
            if len(item.source) > PART_BYTES:
                self._edit.update(cut(self._stamp, SET_ASIDE, "source", item.source, values))
            else:
                whole = self._stamp.content(SET_ASIDE, {**values, "source": item.source})
                self._edit[self._stamp.record_id()] = whole


def known_contacts(contents: Contents) -> Iterator[KnownContact]:
    """The contacts of a book, as an import needs to know them."""
    layers = Layers(contents)
    for record, content in of_kind(contents, "contact").items():
        units = units_of(content)
        beside = tuple((prop,) for prop, _ in layers.theirs(record))
        yield KnownContact(record, uid_of(units.values()), units, frozenset(_taken(content)), beside)


def _taken(content: Content) -> Iterator[bytes]:
    for key in content.units:
        digits = key.removeprefix(TAKEN)
        if digits != key and _FINGERPRINT.fullmatch(digits):
            yield bytes.fromhex(digits)


def _fits(content: Content) -> bool:
    room = len(encode_map(content.to_map())) <= MAX_PLAINTEXT_BYTES - _MARGIN
    return room and len(content.units) <= MAX_UNITS // 2


def _too_large(card: Card) -> SetAside:
    return SetAside(
        f"Line {card.line}: this card is too large for one contact, even without its pictures.", card.source, card.line
    )


def _aside_hash(content: Content) -> bytes:
    digest, source = content.value("sha256"), content.value("source")
    if isinstance(digest, bytes):
        return digest
    return hashlib.sha256(source if isinstance(source, bytes) else b"").digest()
