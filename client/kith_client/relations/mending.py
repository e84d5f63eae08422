"""Putting right what devices did apart from each other, where no single record shows that it no longer fits.

Every device comes to the same decision; what it makes is committed with the parcels that were taken in.
"""

from __future__ import annotations

from kith_client.book.layers import Layers
from kith_client.relations import records
from kith_client.relations.inbox import Inbox
from kith_client.relations.joining import contact_for, is_connected, open_channels
from kith_client.relations.records import InviteRecord, InviteState


def mend(inbox: Inbox) -> None:
    """Gives connected peers a contact where theirs was deleted, and tells of invites revoked after they were used."""
    _mend_contacts(inbox)
    for invite in records.invites(inbox.draft.contents):
        if invite.state is InviteState.REVOKED and invite.answer is not None:
            _mend_invite(inbox, invite)


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
