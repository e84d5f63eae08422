"""Meeting in person: the handshake whose messages pass from hand to hand (spec: linking.md, Meeting).

Its messages are those of an invite, but no server holds anything of it, and the peer is *met*. All that is kept are new
records, and what the person may change on a `peer` anyway: so they may stand as unsent edits while no server can be
reached, and no other device can have changed them (decision 0011).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kith_client.book.events import entry
from kith_client.book.facets import facet_name
from kith_client.relations import records
from kith_client.relations.accepting import begin_channel, check_person
from kith_client.relations.answers import connect, establish
from kith_client.relations.draft import Draft
from kith_client.relations.homes import Place
from kith_client.relations.inbox import Inbox
from kith_client.relations.invites import display_name_of_mine
from kith_client.relations.joining import attach, end_others, known_persons, open_peer_of_contact
from kith_client.relations.trust import introducer_of
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.handshake import OpenedAnswer, open_answer, open_finish
from kith_protocol.invite import NEW_INVITE_RANDOM_BYTES, Invite, OpenedGreeting, OwnInvite, new_invite
from kith_protocol.linking import MeetReady
from kith_protocol.persona import OwnPersona, PersonaStatement
from kith_protocol.relationship import RelationshipEvent, RelationshipState, Trust, next_state

GREETING_LIFETIME = 24 * 3600 * 1000
"""Milliseconds: much longer than a code lives, because the clocks of the two differ."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person said beforehand about whoever comes."""

    facets: tuple[str, ...] = ()
    contact: bytes | None = None

    @classmethod
    def of(cls, contents: Contents, facets: Iterable[str], contact: bytes | None) -> Wishes:
        """Raises `Refused` (`already-connected` where `contact` is a peer's), `BadValue` for a facet that cannot be.

        A peer who was introduced may be somebody else than the person whom one meets: that shows when they meet.
        """
        peer = open_peer_of_contact(contents, contact) if contact is not None else None
        if peer is not None and introducer_of(peer.trust) is None:
            raise Refused("already-connected", "This contact is a peer's already; 'kith peers' shows how far it is.")
        return cls(tuple(sorted({facet_name(facet) for facet in facets})), contact)


@dataclass(frozen=True, slots=True)
class Met:
    """What one step of a meeting keeps; only once it is kept may `send` leave."""

    edit: Edit
    peer: bytes
    """Id of the `peer` record."""
    channel: bytes
    event: str
    send: bytes = field(default=b"", repr=False)


def myself(contents: Contents) -> MeetReady:
    """Who I am, for the one I meet."""
    own = records.own_persona(contents)
    return ready_of(records.persona_of(own.raw), display_name_of_mine(contents))


def ready_of(persona: PersonaStatement, name: str) -> MeetReady:
    """What somebody with this persona and name has to say."""
    return MeetReady(persona.person, persona.number, name)


def new_offer(contents: Contents, stamp: Stamp, place: Place) -> OwnInvite:
    """The invite of one meeting; nothing of it is kept."""
    persona, name = records.own_persona(contents), display_name_of_mine(contents)
    randomness, expires = stamp.random(NEW_INVITE_RANDOM_BYTES), stamp.now + GREETING_LIFETIME
    return new_invite(place.host, place.fingerprint, persona.raw, name, expires, reusable=False, randomness=randomness)


def answer_offer(
    contents: Contents, stamp: Stamp, invite: Invite, opened: OpenedGreeting, place: Place, wishes: Wishes
) -> Met:
    """The one who types: a waiting channel with a mailbox of mine, and the answer.

    Raises what `check_person` raises, and `Refused` (`self-invite`, `persona-outdated`).
    """
    persona, name = opened.persona, opened.greeting.name
    check_person(contents, stamp, persona.person, persona.number, wishes.contact)
    draft = Draft(contents, stamp)
    channel = begin_channel(draft, invite, opened, place.host, place.fingerprint)
    answer = draft.contents[channel].value("step")
    if not isinstance(answer, bytes):
        raise DecodingError("A handshake was begun without an answer.")
    peer = attach(draft, channel, persona.person, name, invite.host, wishes.contact, wishes.facets, trust=Trust.MET)
    # Without a step: the answer goes from hand to hand only, and there is no mailbox that would take it.
    draft.change(channel, {"peer": peer}, without=["step"])
    return _met(draft, channel, peer, name, answer)


def check_answer(contents: Contents, own: OwnInvite, raw: bytes, ready: MeetReady) -> OpenedAnswer:
    """The one who shows: the answer, if it is of the person who said `ready`.

    Raises what `open_answer` raises, and `Refused` (`link-burned`).
    """
    answer = open_answer(own, raw, records.own_persona(contents), known=known_persons(contents))
    if ready_of(answer.persona, answer.body.name) != ready:
        raise Refused("link-burned", "The other side answered as somebody else than it said. Nothing was kept.")
    return answer


def finish_offer(
    contents: Contents, stamp: Stamp, own: OwnInvite, answer: OpenedAnswer, place: Place, wishes: Wishes
) -> Met:
    """The one who shows: a relationship that stands, and the finish. Raises what `check_person` raises."""
    persona = answer.persona
    check_person(contents, stamp, persona.person, persona.number, wishes.contact)
    inbox, me = Inbox(Draft(contents, stamp)), records.own_persona(contents)
    channel, peer = connect(inbox, own, answer, me, wishes.contact, wishes.facets, trust=Trust.MET)
    draft = inbox.draft
    end_others(draft, peer, channel)
    finish = draft.contents[channel].value("step")
    if not isinstance(finish, bytes):
        raise DecodingError("A relationship was made without a finish.")
    return _met(draft, channel, peer, answer.body.name, finish)


def take_finish(contents: Contents, stamp: Stamp, met: Met, raw: bytes, me: OwnPersona) -> Edit:
    """The one who types: the relationship stands. Nothing changes where the finish came by mail before.

    Raises what `open_finish` raises.
    """
    channel = records.channel_at(contents, met.channel)
    if channel is None or channel.pending is None or channel.ended:
        return {}
    inbox = Inbox(Draft(contents, stamp))
    establish(inbox, channel, open_finish(channel.pending, raw, me))
    return inbox.draft.edit


def give_up(contents: Contents, stamp: Stamp, met: Met) -> Edit:
    """The one who types: the other side said after the answer that it goes no further."""
    channel = records.channel_at(contents, met.channel)
    if channel is None or channel.state is not RelationshipState.ANSWERED:
        return {}
    draft = Draft(contents, stamp)
    draft.change(channel.id, {"state": next_state(channel.state, RelationshipEvent.EXPIRED).value})
    return draft.edit


def _met(draft: Draft, channel: bytes, peer: bytes, name: str, send: bytes) -> Met:
    about = records.peer_at(draft.contents, peer).contact
    return Met(draft.edit, peer, channel, entry(f"met {name}", about), send)
