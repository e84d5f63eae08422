"""All that is decided before anything leaves: new keys, versions of shares, acknowledgements, and what an end clears.

The edit is committed first; `outgoing` then says what to put where.
"""

from __future__ import annotations

from typing import Final

from kith_client.relations import records
from kith_client.relations.bodies import channel_items
from kith_client.relations.draft import Draft
from kith_client.relations.ending import carry_out, expire_waiting
from kith_client.relations.guardians.lines import plan_guardians
from kith_client.relations.handles import plan_handles
from kith_client.relations.introductions.exchange import plan as plan_introductions
from kith_client.relations.own_keys import Told
from kith_client.relations.planning import Planned, plan_shares
from kith_client.relations.records import Channel
from kith_client.relations.rekeying import DAY, STANDING, plan_rekeys
from kith_client.relations.theft.reclaiming import plan_reclaims
from kith_client.stamp import Contents, Edit, Stamp, overlay
from kith_protocol import labels
from kith_protocol.parcel import MAX_ITEMS, Versions, versions_of
from kith_protocol.suite import labelled_hash

TELL_AFTER: Final = DAY
"""Milliseconds between two parcels that only acknowledge."""
_TOLD: Final = labels.PREFIX + "told"


def plan(contents: Contents, stamp: Stamp) -> Planned:
    """What has to be committed before anything is sent; empty where all is as it should be."""
    edit = plan_reclaims(contents, stamp)
    edit |= carry_out(overlay(contents, edit), stamp)
    edit |= plan_handles(overlay(contents, edit), stamp)
    edit |= expire_waiting(overlay(contents, edit), stamp)
    edit |= plan_rekeys(overlay(contents, edit), stamp)
    edit |= plan_introductions(overlay(contents, edit), stamp)
    edit |= plan_guardians(overlay(contents, edit), stamp)
    shares = plan_shares(overlay(contents, edit), stamp)
    edit |= shares.edit
    edit |= plan_acknowledgements(contents, overlay(contents, edit), stamp)
    return Planned(edit, shares.left_out)


def plan_acknowledgements(before: Contents, contents: Contents, stamp: Stamp) -> Edit:
    """Notes what each peer is told of its items; a parcel that only tells goes out at most once a day.

    `before` is how things stood before this planning: whatever is new since goes out now and tells it as well. A peer
    that has a new mailbox is told at once, because it waits for the first parcel there.
    """
    draft = Draft(contents, stamp)
    theirs = records.their_items(contents)
    for channel in records.channels(contents):
        if channel.state in STANDING and channel.established and records.has_peer(contents, channel):
            known = acknowledged_versions(channel_items(theirs, channel.id))
            told = _told(records.channel_at(before, channel.id), channel, known, stamp.now)
            if told != channel.mine.told:
                draft.change(channel.id, {"told": told.to_value()})
    return draft.edit


def acknowledged_versions(known: dict[bytes, int]) -> Versions:
    """What a parcel lists of the peer's items."""
    return versions_of(dict(sorted(known.items())[:MAX_ITEMS]))


def _told(before: Channel | None, channel: Channel, known: Versions, now: int) -> Told:
    told = channel.mine.told
    if channel.established is None:
        return told
    mailbox = channel.established.outbox.mailbox
    digest = labelled_hash(_TOLD, *(item + version.to_bytes(8, "big") for item, version in known))
    if (told.mailbox, told.digest) == (mailbox, digest):
        return told
    if _goes_anyway(before, channel, is_new_place=told.mailbox != mailbox):
        return Told(told.sequence, now, mailbox, digest)
    if told.mailbox == mailbox and now < told.at + TELL_AFTER:
        return told
    return Told(told.sequence + 1, now, mailbox, digest)


def _goes_anyway(before: Channel | None, channel: Channel, *, is_new_place: bool) -> bool:
    """Whether another parcel is sealed now, and not one that waits at the relay since before."""
    if before is None or before.items != channel.items or before.mine.keys != channel.mine.keys:
        return True
    due = any(item.version > channel.receipts.get(key, 0) for key, item in channel.items.items())
    return is_new_place and due
