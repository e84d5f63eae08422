"""Ending a relationship: with a farewell, or without one and for good. What the peer shared disappears with it."""

from __future__ import annotations

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.joining import open_channels
from kith_client.relations.records import FACET, SHARE, Channel
from kith_client.relations.rekeying import STANDING
from kith_client.relations.upkeep import clear_ended
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.encoding import Value
from kith_protocol.errors import Refused
from kith_protocol.relationship import RelationshipEvent, next_state


def end_relationship(contents: Contents, stamp: Stamp, peer: bytes) -> Edit:
    """Ends what there is with a peer; a farewell goes out until its server has it.

    The contact stays with what I know myself; a new invite can begin anew. Raises `Refused` (`no-such-peer`,
    `not-connected`).
    """
    records.peer_at(contents, peer)
    channels = open_channels(contents, peer)
    if not channels:
        raise Refused("not-connected", "You are not connected with this peer any more.")
    draft = Draft(contents, stamp)
    for channel in channels:
        farewell: dict[str, Value] = {"bye": stamp.now} if channel.state in STANDING else {}
        _end(draft, channel, farewell)
    _take_back(draft, peer)
    return draft.edit


def block_peer(contents: Contents, stamp: Stamp, peer: bytes) -> Edit:
    """Ends what there is with a peer without a word, and refuses every handshake with that person from now on.

    Raises `Refused` (`no-such-peer`).
    """
    records.peer_at(contents, peer)
    draft = Draft(contents, stamp)
    for channel in records.channels(contents):
        if channel.peer == peer and channel.ended:
            draft.change(channel.id, {}, without=["bye"])
        elif channel.peer == peer:
            _end(draft, channel, {})
    _take_back(draft, peer)
    draft.change(peer, {"blocked": True})
    return draft.edit


def unblock_peer(contents: Contents, stamp: Stamp, peer: bytes) -> Edit:
    """Lets this person begin anew with an invite; what was ended stays ended.

    Raises `Refused` (`no-such-peer`, `not-blocked`).
    """
    if not records.peer_at(contents, peer).blocked:
        raise Refused("not-blocked", "This peer is not blocked.")
    draft = Draft(contents, stamp)
    draft.change(peer, {}, without=["blocked"])
    return draft.edit


def _end(draft: Draft, channel: Channel, farewell: dict[str, Value]) -> None:
    state = next_state(channel.state, RelationshipEvent.BYE)
    draft.change(channel.id, {"state": state.value, **farewell}, without=["step"])


def _take_back(draft: Draft, peer: bytes) -> None:
    granted = [key for key in draft.contents[peer].units if key.startswith((FACET, SHARE))]
    draft.change(peer, {}, without=granted)
    for record, content in clear_ended(draft.contents, draft.stamp).items():
        if content is not None:
            draft.change(record, {}, without=["payload"])
