"""When something does not fit what an introducer said: who that was, and what becomes of the trust.

An introducer can name a key of their own in place of somebody's, to both. Wherever that shows, the person is told who
introduced them, and the peer counts as unverified again.
"""

from __future__ import annotations

from kith_client.book.layers import Layers
from kith_client.contacts.text import search_key
from kith_client.relations import records
from kith_client.relations.draft import Draft
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
    peer = next((each for each in records.peers(contents) if each.person == person), None)
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


def tell_of_namesakes(draft: Draft, newcomer: bytes) -> None:
    """Leaves an issue where another peer has the name of the peer `newcomer`, and one of the two was introduced.

    They may well be two persons; but somebody who was put in the place of a friend shows in no other way when the
    friend comes as well.
    """
    me = records.peer_at(draft.contents, newcomer)
    layers: Layers | None = None
    for other in records.peers(draft.contents):
        by = introducer_of(me.trust) or introducer_of(other.trust)
        if by is None or other.person == me.person or _has_ended(draft.contents, other):
            continue
        layers = layers or Layers(draft.contents)
        if _names(layers, me.id) & _names(layers, other.id):
            name, said = layers.peer_names(other.id)[0], introducer_name(draft.contents, by)
            text = (
                f"Two of your peers are called {name}, and they are two persons. One of them was introduced to you by "
                f"{said}. If you know only one of that name, somebody sits in between: compare numbers with "
                "both, and ask on another way."
            )
            draft.tell("alarm", newcomer, text)


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


def _names(layers: Layers, peer: bytes) -> set[str]:
    """What a peer is called by me and by itself, as one searches for it."""
    called = layers.peer_called(peer)
    return {key for name in (*called.own, *called.said) if (key := search_key(name))}


def _has_ended(contents: Contents, peer: PeerRecord) -> bool:
    channel = records.channel_at(contents, peer.channel)
    return channel is None or channel.ended or peer.is_over(channel.id)
