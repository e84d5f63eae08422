"""Taking in a peer's reclaim: its devices were stolen, and the word of its root makes the relationship anew.

Whatever was learned under its older persona is void; contact, trust and what is granted stay, as the root is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from kith_client.book.layers import Layers
from kith_client.relations import records
from kith_client.relations.draft import MAX_TOLD, Draft
from kith_client.relations.inbox import Inbox
from kith_client.relations.own_keys import OwnKey
from kith_client.relations.records import RECLAIM, Channel
from kith_client.relations.rekeying import fresh_inbox
from kith_client.relations.server_side import all_read_ids
from kith_client.relations.theft.reclaiming import reclaim, replace_channel
from kith_protocol.encoding import Value, encode
from kith_protocol.errors import Alarm, BadKey, BadSignature, DecodingError, Refused, Undecryptable
from kith_protocol.reclaim import RECLAIM_BYTES, RECLAIM_SEQUENCE, OpenedReclaim, open_reclaim, reclaim_slot
from kith_protocol.relationship import RelationshipState
from kith_protocol.suite import SEED_BYTES
from kith_protocol.wire import StoredParcel


def take_reclaims(inbox: Inbox, parcels: Sequence[StoredParcel]) -> None:
    """Takes in what looks like a reclaim and lies in any mailbox that is or was mine for a peer."""
    for stored in parcels:
        if not _looks_like_one(stored) or inbox.is_handled(stored):
            continue
        channel = _channel_at(inbox.draft, stored.mailbox)
        if channel is not None:
            _take(inbox, channel, stored)


def has_new_persona(inbox: Inbox, peer: bytes) -> None:
    """Says that a peer replaced its persona: never silent, though the person is proved to be the same."""
    name = Layers(inbox.draft.contents).peer_names(peer)[0]
    inbox.event(peer, "replaced all keys, as after the theft of a device; the safety number is unchanged")
    text = (
        f"{name} replaced all keys, as one does after a device was stolen. It is the same person: the safety number is "
        "unchanged. What came from them shortly before may have been the thief's."
    )
    # Once for the peer, however often; and room for it whatever else there is about that peer.
    inbox.tell("alarm", peer, text, at_most=MAX_TOLD + 1)


def _looks_like_one(stored: StoredParcel) -> bool:
    """Cheaply, because everything that lies in a mailbox is asked."""
    if len(stored.parcel) != RECLAIM_BYTES or stored.sequence != RECLAIM_SEQUENCE:
        return False
    return stored.slot == reclaim_slot(stored.parcel)


def _channel_at(draft: Draft, mailbox: bytes) -> Channel | None:
    for channel in records.channels(draft.contents):
        counts = channel.established is not None and (not channel.ended or channel.parted)
        if counts and mailbox in all_read_ids(channel) and records.has_peer(draft.contents, channel):
            return channel
    return None


def _take(inbox: Inbox, channel: Channel, stored: StoredParcel) -> None:
    draft, known = inbox.draft, channel.established
    peer = records.peer_at(draft.contents, channel.peer)
    if known is None or peer.is_over(channel.id):
        return
    me = records.own_persona(draft.contents)
    # Of two that cross, the one of the smaller person id stands.
    crossing = channel.is_reclaiming and known.peer < me.person
    try:
        opened = open_reclaim(stored.parcel, known, records.persona_seals(draft.contents), me, crossing=crossing)
    except Undecryptable:
        return
    except (Alarm, BadSignature, BadKey, DecodingError) as problem:
        inbox.handle(stored)
        inbox.tell("alarm", channel.peer, _forged(draft, channel.peer, problem))
        return
    except Refused as refusal:
        if refusal.code == "persona-outdated":
            # The same from another of my mailboxes, or a thief's with the old persona.
            inbox.handle(stored)
        return
    inbox.handle(stored)
    if opened.is_current:
        _begin_anew(draft, channel, opened)
    else:
        # A thief of mine may have read it: the persona counts, and I make the relationship.
        reclaim(draft, channel, opened.established.peer_persona, opened.established.outbox)
    if opened.persona.number > records.persona_of(known.peer_persona).number:
        has_new_persona(inbox, channel.peer)


def _begin_anew(draft: Draft, channel: Channel, opened: OpenedReclaim) -> None:
    """With a new key of mine in a new mailbox at once, since the thief knows where I was to be reached."""
    inbox = fresh_inbox(draft, channel)
    key = OwnKey(draft.stamp.random(SEED_BYTES), inbox, 1, draft.stamp.now, False)
    established = replace(opened.established, seal_seed=key.seed, inbox=inbox)
    values: dict[str, Value] = {"state": RelationshipState.CONNECTED.value, "own": [key.to_value()]}
    if channel.reclaim is not None:
        values[RECLAIM] = []  # what I took back as well is done with this
    replace_channel(draft, channel, {**values, "established": encode(established)})
    draft.change(channel.peer, {"host": established.outbox.host})


def _forged(draft: Draft, peer: bytes, problem: Exception) -> str:
    name = Layers(draft.contents).peer_names(peer)[0]
    return f"Somebody tried to replace the keys of {name} and could not show to be {name}. Nothing changed. {problem}"
