"""Everything about one contact: both layers, notes, circles, trust, and what it was before."""

from __future__ import annotations

from dataclasses import dataclass

from kith_client.book.layers import Layers, Shown, peer_id
from kith_client.book.names import device_name
from kith_client.book.notes import Note, list_notes
from kith_client.book.properties import past_of
from kith_client.contacts.model import lead_property, value_to_unit
from kith_client.contacts.views import text_of
from kith_client.relations.introductions.suspicion import vouched_by
from kith_client.relations.trust import trust_of
from kith_client.stamp import Contents
from kith_protocol.encoding import Value
from kith_protocol.errors import DecodingError


@dataclass(frozen=True, slots=True)
class Past:
    """A value that was replaced or taken away."""

    at: int
    """When, in milliseconds since 1970."""
    by: str
    """The device that replaced it."""
    property: str
    value: str


@dataclass(frozen=True, slots=True)
class ContactPage:
    """What `kith show` shows."""

    id: str
    name: str
    properties: tuple[Shown, ...]
    notes: tuple[Note, ...]
    circles: tuple[str, ...]
    peer: str | None
    trust: str | None
    """How sure I am of the peer; None where the contact has none."""
    introducer: str | None
    """Name of who introduced us, where that is all that vouches for the peer."""
    history: tuple[Past, ...]


def show_contact(contents: Contents, contact: bytes) -> ContactPage:
    """The page of one contact."""
    layers = Layers(contents)
    peer = layers.peers.get(contact)
    trust = "" if peer is None else str(contents[peer].value("trust"))
    return ContactPage(
        contact.hex(),
        layers.name(contact),
        tuple(layers.shown(contact)),
        tuple(list_notes(contents, contact)),
        layers.circles.get(contact, ()),
        None if peer is None else peer_id(contents, peer),
        None if peer is None else trust_of(trust).value,
        vouched_by(contents, trust),
        tuple(history(contents, contact)),
    )


def history(contents: Contents, contact: bytes) -> list[Past]:
    """What was replaced or taken away, newest first."""
    content = contents.get(contact)
    past = past_of(content) if content is not None else []
    return [
        Past(stored.at, device_name(contents, stored.by), key.partition("-")[0], value_text(value))
        for stored, key, value, _, _ in past
    ]


def value_text(value: Value) -> str:
    """A unit's value as people read it, whatever the record holds."""
    raw = value.get("unit") if isinstance(value, dict) else value
    if raw is None or isinstance(raw, str | int | bool):
        return "" if raw is None else str(raw)
    try:
        return text_of(lead_property(value_to_unit(raw)))
    except DecodingError:
        return "(unreadable)"
