"""Putting right what devices did apart from each other, where no single record shows that it no longer fits.

Every device comes to the same decision; what it makes is committed with the parcels that were taken in.
"""

from __future__ import annotations

from kith_client.book.layers import Layers
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.inbox import Inbox
from kith_client.relations.joining import contact_for, is_connected, open_channels
from kith_client.relations.records import Channel, InviteRecord, InviteState, PeerRecord
from kith_protocol.encoding import Value
from kith_protocol.relationship import RelationshipEvent, next_state


def mend(inbox: Inbox) -> None:
    """Gives connected peers a contact where theirs was deleted, leaves one relationship with each person, and tells of
    invites revoked after they were used."""
    _mend_doubles(inbox)
    _mend_contacts(inbox)
    for invite in records.invites(inbox.draft.contents):
        if invite.state is InviteState.REVOKED and invite.answer is not None:
            _mend_invite(inbox, invite)


def _mend_doubles(inbox: Inbox) -> None:
    """Two devices met one person offline: both sides keep the relationship with the smaller id, which both know."""
    draft = inbox.draft
    persons: dict[bytes, list[PeerRecord]] = {}
    for peer in records.peers(draft.contents):
        persons.setdefault(peer.person, []).append(peer)
    for peers in persons.values():
        channels = [channel for peer in peers for channel in open_channels(draft.contents, peer.id)]
        standing = {each.established.relationship: each for each in channels if each.established is not None}
        if len(standing) > 1:
            _join(draft, peers, [standing[relationship] for relationship in sorted(standing)])


def _join(draft: Draft, peers: list[PeerRecord], standing: list[Channel]) -> None:
    """The first of `standing` is left, with the first of `peers`, which gets what all of them were granted."""
    keeps, best = peers[0], standing[0]
    for channel in standing[1:]:
        ended = next_state(channel.state, RelationshipEvent.REPLACED)
        draft.change(channel.id, {"state": ended.value}, without=["step"])
    draft.change(best.id, {"peer": keeps.id})
    granted: dict[str, Value] = {records.FACET + facet: True for peer in peers for facet in peer.facets}
    shared: dict[str, Value] = {records.SHARE + record.hex(): True for peer in peers for record in peer.shares}
    draft.change(keeps.id, {**granted, **shared, "channel": best.id})
    for peer in peers[1:]:
        draft.change(peer.id, {"channel": standing[1].id})


def _mend_contacts(inbox: Inbox) -> None:
    """One device deleted a contact while another connected it: what the peer shares would be seen nowhere."""
    contents = inbox.draft.contents
    for peer in records.peers(contents):
        if peer.contact not in contents and is_connected(open_channels(contents, peer.id)):
            inbox.draft.change(peer.id, {"contact": contact_for(inbox.draft, None)})


def _mend_invite(inbox: Inbox, invite: InviteRecord) -> None:
    """A use is a fact that a revocation cannot undo: the record says again that it was used."""
    draft = inbox.draft
    draft.change(invite.id, {"state": InviteState.USED.value})
    is_here = invite.peer is not None and invite.peer in draft.contents
    if invite.peer is None or not is_here:
        text = "You revoked an invite that somebody had used before. 'kith peers' shows with whom you are connected."
    else:
        name = Layers(draft.contents).peer_names(invite.peer)[0]
        text = (
            f"You revoked an invite that {name} had used before: you are connected. 'kith preview' shows what they see."
        )
    inbox.tell("invite", invite.id, text)
