"""What peers let me have, and the list of peers. Read-only for the person: it updates itself.

Everything here comes from others: it is checked for form, and whoever shows it makes it safe for the terminal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeVar

from kith_client.contacts.model import Property, value_to_unit
from kith_client.relations import records
from kith_client.relations.images import media_type
from kith_client.relations.records import Channel, PeerRecord, TheirItem
from kith_client.relations.trust import introducer_of, trust_of
from kith_client.stamp import Contents
from kith_protocol.encoding import decode
from kith_protocol.errors import DecodingError
from kith_protocol.relationship import RelationshipState
from kith_protocol.share import (
    CardView,
    ContactCard,
    NoteKind,
    SharedNote,
    SharedPhoto,
    SharedProperty,
    ShareKind,
)

_P = TypeVar("_P", CardView, ContactCard, SharedNote, SharedPhoto)
_NOTE_KINDS = {NoteKind.NOTE: "note", NoteKind.MET: "met", NoteKind.CALL: "call", NoteKind.PROMISE: "promise"}


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One peer of the list."""

    id: str
    """The person id in hex."""
    record: bytes
    contact: bytes
    name: str
    """What the peer calls itself; the contact may have another name."""
    host: str
    state: str
    """`waiting` or `connected`."""
    trust: str
    """`unverified`, `introduced`, `verified` or `met`."""
    introducer: str
    """Person id in hex of who introduced us, where that is all that vouches for the peer; else empty."""
    via: str | None
    """`directory` where servers handed the key out."""
    facets: tuple[str, ...]
    """Granted to the peer itself; its circles may add some."""
    updated: int | None
    """When something of it last changed here, in milliseconds since 1970."""
    missing: int
    """Items of which the peer says that there is a newer version than arrived here."""


@dataclass(frozen=True, slots=True)
class TheirNote:
    """A note that a peer shared with me."""

    id: str
    peer: str
    """Person id of the peer, in hex."""
    contact: bytes
    """The peer's contact."""
    kind: str
    at: str
    """ISO date."""
    subject: str
    """The name of the person that it is about."""
    text: str


@dataclass(frozen=True, slots=True)
class TheirCard:
    """Somebody's card that a peer shared with me: shown as a contact of its own, gone when it is withdrawn."""

    id: str
    peer: str
    """Person id of the peer, in hex."""
    contact: bytes
    """The peer's contact."""
    label: str
    properties: tuple[Property, ...]


class TheirLayer:
    """What all peers share, read once; for lists of many contacts."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    def properties(self, contact: bytes) -> list[tuple[Property, str]]:
        """The properties of the card that the peer of this contact shares, with the peer's person id in hex."""
        found = []
        for peer in self._peers:
            if peer.contact == contact:
                for _, card in self._payloads(peer, ShareKind.MY_CARD, CardView):
                    found += [(prop, peer.person.hex()) for prop in shared_properties(card.properties)]
        return found

    def notes(self) -> list[TheirNote]:
        """The notes that peers share, newest first."""
        notes = [
            TheirNote(
                item.id.hex(),
                peer.person.hex(),
                peer.contact,
                _NOTE_KINDS[note.kind],
                datetime.fromtimestamp(note.at / 1000, UTC).date().isoformat(),
                note.subject,
                note.text,
            )
            for peer in self._peers
            for item, note in self._payloads(peer, ShareKind.NOTE, SharedNote)
            if _has_date(note)
        ]
        return sorted(notes, key=lambda note: (note.at, note.id), reverse=True)

    def cards(self) -> list[TheirCard]:
        """The cards of others that peers share."""
        return [
            TheirCard(
                item.id.hex(), peer.person.hex(), peer.contact, card.label, tuple(shared_properties(card.properties))
            )
            for peer in self._peers
            for item, card in self._payloads(peer, ShareKind.CONTACT_CARD, ContactCard)
        ]

    def photo(self, digest: bytes) -> SharedPhoto | None:
        """The photo with this SHA-256, to which `kith:photo:<sha256>` refers; None for what is no picture."""
        for peer in self._peers:
            for _, photo in self._payloads(peer, ShareKind.PHOTO, SharedPhoto):
                if hashlib.sha256(photo.data).digest() == digest and media_type(photo.data) == photo.media_type:
                    return photo
        return None

    @cached_property
    def _peers(self) -> list[PeerRecord]:
        return records.peers(self._contents)

    @cached_property
    def _items(self) -> dict[bytes, list[TheirItem]]:
        found: dict[bytes, list[TheirItem]] = {}
        for item in records.their_items(self._contents):
            if item.payload is not None:
                found.setdefault(item.channel, []).append(item)
        return found

    def _payloads(self, peer: PeerRecord, kind: ShareKind, payload: type[_P]) -> Iterator[tuple[TheirItem, _P]]:
        for item in self._items.get(peer.channel, ()):
            if item.kind == kind and not self._is_over(peer) and item.payload is not None:
                yield item, decode(item.payload, payload)

    def _is_over(self, peer: PeerRecord) -> bool:
        """What came from somebody with whom the relationship ended is not shown, also where it was not cleared yet."""
        channel = self._contents.get(peer.channel)
        return peer.is_over(peer.channel) or (
            channel is not None and channel.value("state") == RelationshipState.ENDED.value
        )


def their_properties(contents: Contents, contact: bytes) -> list[tuple[Property, str]]:
    """What the contact's peer shares about itself: each property with the peer's person id in hex."""
    return TheirLayer(contents).properties(contact)


def list_peers(contents: Contents) -> list[PeerRow]:
    """Everybody with whom a relationship stands or is waiting."""
    channels = {channel.id: channel for channel in records.channels(contents)}
    latest: dict[bytes, int] = {}
    for item in records.their_items(contents):
        latest[item.channel] = max(item.at, latest.get(item.channel, 0))
    rows = [(peer, channels.get(peer.channel)) for peer in records.peers(contents)]
    return [
        _row(peer, channel, latest.get(channel.id)) for peer, channel in rows if channel and not _ended(peer, channel)
    ]


def state_of(contents: Contents, peer: bytes) -> str:
    """`waiting`, `connected` or `ended`."""
    found = records.peer_at(contents, peer)
    channel = records.channel_at(contents, found.channel)
    return RelationshipState.ENDED.value if channel is None or _ended(found, channel) else _state(channel)


def _ended(peer: PeerRecord, channel: Channel) -> bool:
    return channel.ended or peer.is_over(channel.id)


def _state(channel: Channel) -> str:
    return "waiting" if channel.state.waiting else "connected"


def _row(peer: PeerRecord, channel: Channel, updated: int | None) -> PeerRow:
    return PeerRow(
        peer.person.hex(),
        peer.id,
        peer.contact,
        peer.name,
        peer.host,
        _state(channel),
        trust_of(peer.trust).value,
        (introducer_of(peer.trust) or b"").hex(),
        peer.via,
        peer.facets,
        updated,
        len(channel.announced),
    )


def shared_properties(shared: tuple[SharedProperty, ...]) -> Iterator[Property]:
    """Those that are properties at all: a peer may send any text as a name."""
    for item in shared:
        params = [[name, list(values)] for name, values in item.params]
        try:
            yield value_to_unit([[item.group, item.name, item.value, params]])[0]
        except DecodingError:
            continue


def _has_date(note: SharedNote) -> bool:
    try:
        datetime.fromtimestamp(note.at / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return False
    return True
