"""Who somebody is to me: the peer, contact and channels of a person, and making them when a relationship begins."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from kith_client.contacts.model import Property, unit_to_value
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.introductions.suspicion import tell_of_namesakes
from kith_client.relations.records import Channel, PeerRecord
from kith_client.relations.requests.records import all_asked, requests
from kith_client.relations.trust import raised
from kith_client.stamp import Contents
from kith_protocol.encoding import Value, decode
from kith_protocol.invite import MAX_NAME_BYTES, Greeting
from kith_protocol.persona import PersonaStatement
from kith_protocol.relationship import RelationshipEvent, RelationshipState, Trust, next_state


def open_channels(contents: Contents, peer: bytes) -> list[Channel]:
    """The channels of a peer that have not ended: several while more than one handshake with it is under way."""
    record = contents.get(peer)
    known = records.read_peer(peer, record) if record is not None and record.kind == "peer" else None
    mine = (channel for channel in records.channels(contents) if channel.peer == peer and not channel.ended)
    return [channel for channel in mine if known is None or not known.is_over(channel.id)]


def peer_of_person(contents: Contents, person: bytes) -> PeerRecord | None:
    """The peer with this person id; of two, the one with the smaller record id."""
    return next((peer for peer in records.peers(contents) if peer.person == person), None)


def open_peer_of_contact(contents: Contents, contact: bytes) -> PeerRecord | None:
    """The peer whose contact this is and with whom a relationship stands or is waiting."""
    mine = (peer for peer in records.peers(contents) if peer.contact == contact)
    return next((peer for peer in mine if open_channels(contents, peer.id)), None)


def host_of_peer(contents: Contents, peer: bytes) -> str:
    """Where a peer (the id of its record) is, as it said itself; while it never said so, as its link did.

    Raises `Refused` (`no-such-peer`).
    """
    known = records.peer_at(contents, peer)
    said = [channel for channel in records.channels(contents) if channel.peer == peer and channel.established]
    said.sort(key=lambda channel: (channel.id == known.channel, not channel.ended))
    established = said[-1].established if said else None
    return known.host if established is None else established.outbox.host


def shows_newer(channels: Iterable[Channel], persona: PersonaStatement) -> bool:
    """Whether a handshake shows a higher number of the peer's persona than all of these channels: after a theft, only
    its root can sign that, and the relationship begins anew."""
    return has_older(channels, persona.number)


def has_older(channels: Iterable[Channel], number: int) -> bool:
    """Whether the peer's persona had a lower number in all of these channels."""
    return all(records.persona_of(persona_in(channel)).number < number for channel in channels)


def is_connected(channels: Iterable[Channel]) -> bool:
    """Whether one of these channels carries parcels."""
    return any(channel.state in (RelationshipState.FINISHED, RelationshipState.CONNECTED) for channel in channels)


def has_ended(contents: Contents, peer: PeerRecord) -> bool:
    """Whether a record says so: nothing follows from one that is missing, or cannot be read here."""
    known = records.channel_at(contents, peer.channel) is not None
    return known and not is_connected(open_channels(contents, peer.id))


def known_persons(contents: Contents) -> dict[bytes, int]:
    """Person id → the highest persona number seen: of peers, and of those who ask or asked to become one."""
    personas = (records.persona_of(persona_in(channel)) for channel in records.channels(contents))
    seen = [(persona.person, persona.number) for persona in personas]
    seen += [(request.person, request.number) for request in requests(contents)]
    seen += [(each.person, each.number) for each in all_asked(contents)]
    known: dict[bytes, int] = {}
    for person, number in seen:
        known[person] = max(number, known.get(person, 0))
    return known


def persona_in(channel: Channel) -> bytes:
    """The peer's signed persona statement."""
    if channel.established is not None:
        return channel.established.peer_persona
    return decode(channel.pending.greeting, Greeting).persona if channel.pending else b""


def attach(
    draft: Draft,
    channel: bytes,
    person: bytes,
    name: str,
    host: str,
    contact: bytes | None,
    facets: Iterable[str],
    via: str | None = None,
    trust: Trust = Trust.UNVERIFIED,
) -> bytes:
    """The `peer` record for a new channel, with `facets` granted; returns its id.

    A person who was a peer before keeps contact and trust, because the root is the same, but not what was granted.
    `via` is `records.DIRECTORY` where servers handed the key out: once a person did, it does not count any more.
    `trust` is what this handshake shows; it raises what was known.
    """
    granted: dict[str, Value] = {records.FACET + facet: True for facet in facets}
    said: dict[str, Value] = {"name": name, "host": host, "channel": channel}
    peer = peer_of_person(draft.contents, person)
    if peer is None:
        values: dict[str, Value] = {"person": person, "trust": trust.value, **said, **granted}
        made = draft.add("peer", {**values, "via": via, "contact": contact_for(draft, contact)})
        tell_of_namesakes(draft, made)
        return made
    if contact is not None or not _is_contact(draft.contents, peer.contact):
        said["contact"] = contact_for(draft, contact)
    if trust is not Trust.UNVERIFIED:
        said["trust"] = raised(peer.trust, trust.value)
    former = not open_channels(draft.contents, peer.id)
    units = draft.contents[peer.id].units
    old = [key for key in units if former and key.startswith((records.FACET, records.SHARE))]
    dropped = set(old) - set(granted) if via else {*old, "via"} - set(granted)
    draft.change(peer.id, {**said, **granted}, without=dropped)
    return peer.id


def contact_for(draft: Draft, contact: bytes | None) -> bytes:
    """The contact that the person named, or a new one: empty, because its layer is the peer's."""
    if contact is not None and _is_contact(draft.contents, contact):
        return contact
    record = draft.stamp.record_id()
    uid = Property("UID", uuid.UUID(bytes=record).urn)
    return draft.add("contact", {"uid": unit_to_value((uid,))}, record)


def end_others(draft: Draft, peer: bytes, kept: bytes, *, but_waiting: bool = False) -> None:
    """One handshake with a peer came to its end: the others are given up; with `but_waiting`, not my own answers."""
    for channel in open_channels(draft.contents, peer):
        if channel.id != kept and not (but_waiting and channel.state is RelationshipState.ANSWERED):
            ended = next_state(channel.state, RelationshipEvent.REPLACED)
            draft.change(channel.id, {"state": ended.value}, without=["step"])


def shortened(text: str, limit: int = MAX_NAME_BYTES) -> str:
    """`text` cut to at most `limit` bytes of UTF-8, between characters."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore").rstrip() + "…"


def _is_contact(contents: Contents, record: bytes) -> bool:
    return record in contents and contents[record].kind == "contact"
