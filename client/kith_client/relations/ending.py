"""Ending a relationship: with a farewell, or without one and for good. What the peer shared disappears with it.

What the person decides stands on the `peer` record and may be edited offline; `carry_out` does it with the next sync,
because channels are kept by the programs.
"""

from __future__ import annotations

from typing import Final

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.joining import open_channels
from kith_client.relations.records import ENDED, FACET, SHARE, Channel
from kith_client.relations.rekeying import STANDING
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.encoding import Value, decode
from kith_protocol.errors import Refused
from kith_protocol.invite import Greeting
from kith_protocol.relationship import RelationshipEvent, RelationshipState, next_state

FINISH_GRACE: Final = 28 * 24 * 3600 * 1000
"""Milliseconds after a greeting's end in which a finish may come: 14 days in which the answer is on its way, and 14 in
which the finish is."""


def end_relationship(contents: Contents, stamp: Stamp, peer: bytes) -> Edit:
    """Ends what there is with a peer; a farewell goes out until its server has it.

    The contact stays with what I know myself; a new invite can begin anew. Raises `Refused` (`no-such-peer`,
    `not-connected`).
    """
    records.peer_at(contents, peer)
    channels = open_channels(contents, peer)
    if not channels:
        raise Refused("not-connected", "You are not connected with this peer any more.")
    ended: dict[str, Value] = {ENDED + channel.id.hex(): True for channel in channels}
    return _decided(contents, stamp, peer, ended)


def block_peer(contents: Contents, stamp: Stamp, peer: bytes) -> Edit:
    """Ends what there is with a peer without a word, and refuses every handshake with that person from now on.

    Raises `Refused` (`no-such-peer`).
    """
    records.peer_at(contents, peer)
    return _decided(contents, stamp, peer, {"blocked": True})


def unblock_peer(contents: Contents, stamp: Stamp, peer: bytes) -> Edit:
    """Lets this person begin anew with an invite; what was ended stays ended.

    Raises `Refused` (`no-such-peer`, `not-blocked`).
    """
    if not records.peer_at(contents, peer).blocked:
        raise Refused("not-blocked", "This peer is not blocked.")
    draft = Draft(contents, stamp)
    # Otherwise one that no sync ended yet would go on, and what is taken back after a theft would bring all of them.
    over: dict[str, Value] = {
        ENDED + channel.id.hex(): True for channel in records.channels(contents) if channel.peer == peer
    }
    draft.change(peer, over, without=["blocked"])
    return draft.edit


def carry_out(contents: Contents, stamp: Stamp) -> Edit:
    """Ends the channels of which the person decided so, and clears what came through ended ones."""
    draft = Draft(contents, stamp)
    peers = {peer.id: peer for peer in records.peers(contents)}
    ended: set[bytes] = set()
    for channel in records.channels(contents):
        peer = peers.get(channel.peer)
        if peer is not None and not channel.ended and peer.is_over(channel.id):
            _end(draft, channel, silent=peer.blocked)
            ended.add(channel.id)
        elif channel.ended:
            ended.add(channel.id)
            if peer is not None and peer.blocked and channel.mine.bye:
                draft.change(channel.id, {}, without=["bye"])
    for item in records.their_items(contents):
        if item.channel in ended and item.payload is not None:
            draft.change(item.id, {}, without=["payload"])
    return draft.edit


def expire_waiting(contents: Contents, stamp: Stamp) -> Edit:
    """Ends channels that wait for a finish which cannot come any more."""
    draft = Draft(contents, stamp)
    for channel in records.channels(contents):
        if channel.state is RelationshipState.ANSWERED and channel.pending is not None:
            expires = decode(channel.pending.greeting, Greeting).expires
            if stamp.now > expires + FINISH_GRACE:
                ended = next_state(channel.state, RelationshipEvent.EXPIRED)
                draft.change(channel.id, {"state": ended.value}, without=["step"])
                draft.tell("invite", channel.id, "Somebody never finished what you accepted. Ask for a new invite.")
    return draft.edit


def _end(draft: Draft, channel: Channel, *, silent: bool) -> None:
    values: dict[str, Value] = {"state": next_state(channel.state, RelationshipEvent.BYE).value}
    if channel.state in STANDING and not silent:
        values["bye"] = draft.stamp.now
    draft.change(channel.id, values, without=["step"])


def _decided(contents: Contents, stamp: Stamp, peer: bytes, values: dict[str, Value]) -> Edit:
    draft = Draft(contents, stamp)
    draft.change(peer, values, without=[key for key in contents[peer].units if key.startswith((FACET, SHARE))])
    return draft.edit
