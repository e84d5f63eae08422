"""When something does not fit what an introducer said: who that was, and what becomes of the trust.

An introducer can name a key of their own in place of somebody's, to both. Wherever that shows, the person is told who
introduced them, and the peer counts as unverified again.
"""

from __future__ import annotations

from kith_client.book.layers import Layers
from kith_client.relations.draft import Draft
from kith_client.relations.joining import peer_of_person
from kith_client.relations.records import PeerRecord
from kith_client.relations.trust import introducer_of
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.relationship import Trust

SOMEBODY = "somebody who is no peer of yours any more"


class PersonChanged(Alarm):
    """The alarm `person-changed`, with what has to be remembered of it."""

    def __init__(self, text: str, edit: Edit, blame: str) -> None:
        super().__init__(AlarmCode.PERSON_CHANGED, text)
        self.edit = edit
        """To be applied: who was introduced is unverified again, and an issue is left. May be empty."""
        self.shown = f"{text} {blame}".rstrip()
        """The sentence for the person, with names. Never logged."""


def introducer_name(contents: Contents, person: bytes) -> str:
    """What I call the peer with this person id."""
    peer = peer_of_person(contents, person)
    return SOMEBODY if peer is None else Layers(contents).peer_names(peer.id)[0]


def vouched_by(contents: Contents, trust: str) -> str | None:
    """Name of who introduced a peer whose record says `trust`; None where nobody did, or more is known by now."""
    by = introducer_of(trust)
    return None if by is None else introducer_name(contents, by)


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


def person_changed(
    contents: Contents, stamp: Stamp, known: PeerRecord, text: str, by: bytes | None = None
) -> PersonChanged:
    """The alarm where somebody with another root than `known` is said to be the same contact.

    `text` says what happened, without names; `by` is the person id of who said so, where that was an introducer.
    """
    draft = Draft(contents, stamp)
    blame = doubted(draft, known)
    if by is not None:
        name = introducer_name(contents, by)
        blame = f"It is {name} who names the other one. {blame}".rstrip()
    if blame:
        name = Layers(contents).peer_names(known.id)[0]
        told = (
            f"Somebody else than the peer whom you know as {name} is said to be the same contact. {blame} Ask them all."
        )
        draft.tell("alarm", known.id, told)
    return PersonChanged(text, draft.edit, blame)
