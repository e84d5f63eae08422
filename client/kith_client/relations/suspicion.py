"""When something does not fit what an introducer said: who that was, and what becomes of the trust.

An introducer can name a key of their own in place of somebody's, to both. Wherever that shows, the person is told who
introduced them, and the peer counts as unverified again.
"""

from __future__ import annotations

from kith_client.book.layers import Layers
from kith_client.relations.draft import Draft
from kith_client.relations.joining import open_peer_of_contact, peer_of_person
from kith_client.relations.records import PeerRecord
from kith_client.relations.trust import introducer_of
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.relationship import Trust

SOMEBODY = "somebody who is no peer of yours any more"


def introducer_name(contents: Contents, person: bytes) -> str:
    """What I call the peer with this person id."""
    peer = peer_of_person(contents, person)
    return SOMEBODY if peer is None else Layers(contents).peer_names(peer.id)[0]


def doubted(draft: Draft, peer: PeerRecord) -> str:
    """The peer may not be who it was said to be: it is unverified again.

    Returns the sentence on who introduced it; empty where nobody did.
    """
    by = introducer_of(peer.trust)
    if by is None:
        return ""
    draft.change(peer.id, {"trust": Trust.UNVERIFIED.value})
    name = introducer_name(draft.contents, by)
    return f"It was {name} who introduced the two of you, and {name} may sit in between."


def contradiction(contents: Contents, stamp: Stamp, contact: bytes, person: bytes) -> Edit:
    """What is left for the person where somebody with the root `person` says to be `contact`, a peer with another root.

    Empty where nobody introduced that peer: then the alarm that was raised says all.
    """
    draft = Draft(contents, stamp)
    known = open_peer_of_contact(contents, contact)
    if known is None or known.person == person:
        return {}
    blame = doubted(draft, known)
    if blame:
        draft.tell("alarm", known.id, f"{_two_persons(draft.contents, known)} {blame}")
    return draft.edit


def _two_persons(contents: Contents, known: PeerRecord) -> str:
    name = Layers(contents).peer_names(known.id)[0]
    return f"Somebody else than the peer whom you know as {name} says to be the same contact. Ask them both."
