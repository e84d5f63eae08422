"""What a peer is to have from me, as payloads: my card's view, cards and notes that I share, their photos.

The same contents give the same bytes on every device, because a version is committed with a digest of its payload and
only bytes with that digest leave. What of my card a peer sees is decided in `book.views`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from kith_client.book.layers import Layers
from kith_client.book.parts import Parts
from kith_client.book.problems import NotFound
from kith_client.book.properties import units_of
from kith_client.book.views import view_units
from kith_client.contacts.model import Property, Unit, lead_property
from kith_client.contacts.photos import photo_reference
from kith_client.relations.images import media_type
from kith_client.relations.joining import shortened
from kith_client.relations.records import PeerRecord, is_unreadable
from kith_client.stamp import Contents, the_one
from kith_protocol.content import Content
from kith_protocol.encoding import encode
from kith_protocol.errors import DecodingError
from kith_protocol.introduction import MAX_LABEL_BYTES
from kith_protocol.share import (
    MAX_PAYLOAD_BYTES,
    MAX_PHOTO_BYTES,
    MAX_PROPERTIES,
    CardView,
    ContactCard,
    NoteKind,
    Payload,
    SharedNote,
    SharedPhoto,
    SharedProperty,
)

CARD: Final = "card"
"""`ref` of the item that carries my card's view."""
PHOTO: Final = "photo/"
"""Prefix of the `ref` of a photo: `photo/<sha256 in hex>/<ref of the card it belongs to>`."""
WITHHELD: Final = frozenset({"UID", "REV", "PRODID", "NOTE", "CATEGORIES"})
"""Properties of a contact that are about my address book and my circles, not about the person: never shared."""

_NOTE_KINDS: Final = {"note": NoteKind.NOTE, "met": NoteKind.MET, "call": NoteKind.CALL, "promise": NoteKind.PROMISE}
_ROOM: Final = 64
"""Bytes of a card's payload beside its properties and label."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo before it is known which item carries its card."""

    card: str
    """`ref` of the card."""
    media_type: str
    data: bytes


@dataclass(slots=True)
class Wanted:
    """What one peer is to have."""

    payloads: dict[str, Payload | Photo] = field(default_factory=dict)
    """By `ref`; cards and notes before photos."""
    left_out: list[str] = field(default_factory=list)
    """Plain sentences about what cannot be sent. They name contacts."""
    unknown: set[str] = field(default_factory=set)
    """`ref`s that rest on a record which cannot be read here: nothing is decided about them, nor about their photos."""

    def is_unknown(self, ref: str) -> bool:
        """Whether the item that carries `ref` stays as it is."""
        return ref in self.unknown or (ref.startswith(PHOTO) and ref.split("/", 2)[-1] in self.unknown)


def wanted(contents: Contents, peer: PeerRecord, sent: Container[str] = frozenset()) -> Wanted:
    """All that the peer is to have now; `sent` are the `ref`s that it has or is about to get."""
    result = Wanted()
    cards: dict[str, tuple[str, Iterable[Unit], Callable[[tuple[SharedProperty, ...]], Payload]]] = {}
    if the_one(contents, "me") is None:
        # Nobody is ever without a card: it cannot be read here, and an empty one would take everything back.
        result.unknown.add(CARD)
    else:
        cards[CARD] = ("your card", view_units(contents, peer.id).values(), CardView)
    layers = Layers(contents)
    for record in peer.shares:
        content = contents.get(record)
        if is_unreadable(contents, record) or (
            content is not None and is_unreadable(contents, content.value("contact"))
        ):
            result.unknown.add(record.hex())
        elif content is not None and content.kind == "note":
            _add_note(result, record, content, layers)
        elif content is not None and content.kind == "contact":
            name = layers.name(record)
            known = [unit for unit in units_of(content).values() if lead_property(unit).key not in WITHHELD]
            cards[record.hex()] = (f"the card of {name}", known, _labelled(name))
    photos = _Photos(Parts(contents, "photo", "data"), result, sent)
    for ref, (what, units, make) in cards.items():
        _add_card(result, ref, what, units, make, photos)
    result.payloads |= photos.found
    return result


def payload_for(want: Payload | Photo, items: Mapping[str, bytes]) -> Payload | None:
    """The payload itself; `items` maps refs to item ids. None for a photo whose card has no item."""
    if not isinstance(want, Photo):
        return want
    card = items.get(want.card)
    return None if card is None else SharedPhoto(card, want.media_type, want.data)


class _Photos:
    """The photos of cards, as items of their own."""

    def __init__(self, parts: Parts, result: Wanted, sent: Container[str]) -> None:
        self.found: dict[str, Payload | Photo] = {}
        self._parts = parts
        self._result = result
        self._sent = sent

    def take(self, unit: Unit, ref: str, what: str) -> bool:
        """Whether a unit can be sent: it refers to no photo, or to one that was taken along."""
        digest = photo_reference(unit)
        if digest is None:
            return True
        own = f"{PHOTO}{digest.hex()}/{ref}"
        data = self._data(digest)
        if data is None and own in self._sent:
            self._result.unknown.add(own)  # the peer has it, and my card still names it
            return True
        photo = "it, or a part of it, is not here" if data is None else self._photo(data, ref)
        if isinstance(photo, str):
            self._result.left_out.append(f"A picture of {what} is not sent: {photo}.")
            return False
        self.found[own] = photo
        return True

    def _data(self, digest: bytes) -> bytes | None:
        try:
            return self._parts.joined(digest) if digest in self._parts else None
        except NotFound:
            return None

    def _photo(self, data: bytes, ref: str) -> Photo | str:
        if len(data) > MAX_PHOTO_BYTES:
            return f"it has {len(data) // 1024 + 1} KiB, and {MAX_PHOTO_BYTES // 1024} KiB can be sent"
        kind = media_type(data)
        return "it is not a JPEG, PNG, GIF or WebP picture" if kind is None else Photo(ref, kind, data)


def _labelled(name: str) -> Callable[[tuple[SharedProperty, ...]], Payload]:
    label = shortened(name, MAX_LABEL_BYTES)
    return lambda properties: ContactCard(label, properties)


def _add_card(
    result: Wanted,
    ref: str,
    what: str,
    units: Iterable[Unit],
    make: Callable[[tuple[SharedProperty, ...]], Payload],
    photos: _Photos,
) -> None:
    """As much of a card as can be sent; the rest is said."""
    properties: list[SharedProperty] = []
    room = MAX_PAYLOAD_BYTES - MAX_LABEL_BYTES - _ROOM
    for unit in units:
        shared = [_shared(prop) for prop in unit]
        size = sum(len(encode(prop)) for prop in shared)
        if not _sendable(shared) or size > room or len(properties) + len(shared) > MAX_PROPERTIES:
            result.left_out.append(f"{lead_property(unit).name} of {what} is not sent: it is too long.")
        elif photos.take(unit, ref, what):
            properties += shared
            room -= size
    result.payloads[ref] = make(tuple(properties))


def _shared(prop: Property) -> SharedProperty:
    return SharedProperty(prop.group, prop.name, prop.params, prop.value)


def _sendable(properties: Iterable[SharedProperty]) -> bool:
    try:
        for prop in properties:
            prop.check()
    except DecodingError:
        return False
    return True


def _add_note(result: Wanted, record: bytes, content: Content, layers: Layers) -> None:
    text, kind, at = (str(content.value(key)) for key in ("text", "kind", "at"))
    name = layers.name(content.value("contact"))
    try:
        day = datetime.fromisoformat(at).replace(tzinfo=UTC)
        subject = shortened(name, MAX_LABEL_BYTES)
        note = SharedNote(_NOTE_KINDS.get(kind, NoteKind.NOTE), int(day.timestamp()) * 1000, subject, text)
        note.check()
    except (ValueError, DecodingError):
        result.left_out.append(f"A note on {name} is not sent: it is too long, or its date is damaged.")
        return
    result.payloads[record.hex()] = note
