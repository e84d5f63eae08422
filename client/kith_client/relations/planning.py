"""Deciding which versions of which shares a peer is to have: plans are committed first, and sent by `outgoing`.

An item is a place with an id and a version that only grows. Its place is used again for something else after a
withdrawal, so that neither side ever needs more places than a relationship may have.
"""

from __future__ import annotations

from dataclasses import dataclass

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.payloads import Wanted, payload_for, wanted
from kith_client.relations.records import ITEM, Channel, Item
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.parcel import ITEM_ID_BYTES, MAX_ITEMS
from kith_protocol.relationship import RelationshipState
from kith_protocol.share import WITHDRAWN, Payload, digest_of, make_share

SENDING = frozenset({RelationshipState.FINISHED, RelationshipState.CONNECTED})
"""States in which parcels go out: the inviter's follow its finish at once."""
_RELEVANT = frozenset({"me", "circle", "peer", "channel", "theirs", "photo", "trash"})


@dataclass(frozen=True, slots=True)
class Planned:
    """What has to be committed before anything is sent; empty where all is as it should be."""

    edit: Edit
    left_out: tuple[str, ...]
    """Plain sentences about what cannot be sent. They name contacts."""


def plan_shares(contents: Contents, stamp: Stamp) -> Planned:
    """The versions that every connected peer is to have now."""
    draft = Draft(contents, stamp)
    left_out: dict[str, None] = {}
    relevant = narrowed(contents)
    for channel in records.channels(contents):
        if channel.state in SENDING and records.has_peer(contents, channel):
            want = wanted(relevant, records.peer_at(contents, channel.peer), channel.sent)
            items = _plan(channel, want, stamp)
            changed = {key: item for key, item in items.items() if channel.items.get(key) != item}
            if changed:
                draft.change(channel.id, {ITEM + key.hex(): item.to_value() for key, item in changed.items()})
            left_out |= dict.fromkeys(want.left_out)
    return Planned(draft.edit, tuple(left_out))


def narrowed(contents: Contents) -> Contents:
    """The records that decide what peers get: without the many contacts that no share is about."""
    shared = {record for peer in records.peers(contents) for record in (*peer.shares, peer.contact)}
    about = (contents[record].value("contact") for record in shared if record in contents)
    named = shared.union(record for record in about if isinstance(record, bytes))
    return {record: c for record, c in contents.items() if c.kind in _RELEVANT or record in named}


def digest_for(item: bytes, payload: Payload) -> bytes:
    """What is committed of a payload, and compared before it leaves."""
    return digest_of(make_share(item, 1, payload))


def _plan(channel: Channel, want: Wanted, stamp: Stamp) -> dict[bytes, Item]:
    """The channel's items as they should be."""
    items = dict(channel.items)
    for key, item in items.items():
        if item.ref not in want.payloads and not item.gone and not want.is_unknown(item.ref):
            items[key] = Item(item.ref, item.version + 1, WITHDRAWN, True)
    places = _Places(items, stamp)
    for ref, wish in want.payloads.items():
        place = places.of(ref)
        payload = payload_for(wish, places.taken) if place is not None else None
        if place is None or payload is None:
            want.left_out.append(f"A peer can have {MAX_ITEMS} things from you at most; the rest is not sent.")
            places.give_up(ref)
            continue
        digest, before = digest_for(place, payload), items.get(place)
        if before is None or before.ref != ref or before.digest != digest:
            items[place] = Item(ref, 1 if before is None else before.version + 1, digest, False)
    return items


class _Places:
    """Which item carries what: the same as before, a fresh id, or the place of something withdrawn."""

    def __init__(self, items: dict[bytes, Item], stamp: Stamp) -> None:
        self.taken = {item.ref: key for key, item in sorted(items.items()) if not item.gone}
        self._own = {item.ref: key for key, item in sorted(items.items()) if item.gone}
        self._free = [key for key, item in sorted(items.items()) if item.gone]
        self._fresh = MAX_ITEMS - len(items)
        self._stamp = stamp

    def of(self, ref: str) -> bytes | None:
        """The item for `ref`, or None where all are in use."""
        if ref in self.taken:
            return self.taken[ref]
        place = self._own.get(ref)
        if place in self._free:
            self._free.remove(place)
        elif self._fresh > 0:
            self._fresh -= 1
            place = self._stamp.random(ITEM_ID_BYTES)
        else:
            place = self._free.pop(0) if self._free else None
        if place is not None:
            self.taken[ref] = place
        return place

    def give_up(self, ref: str) -> None:
        self.taken.pop(ref, None)
