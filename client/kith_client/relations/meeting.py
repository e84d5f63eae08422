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
from kith_protocol.encoding import decode
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.handshake import OpenedAnswer, open_answer, open_finish
from kith_protocol.invite import NEW_INVITE_RANDOM_BYTES, Greeting, Invite, OpenedGreeting, OwnInvite, new_invite
from kith_protocol.linking import LinkMachine, MeetInvite, MeetReady
from kith_protocol.persona import OwnPersona, PersonaStatement, verify_persona
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


@dataclass(frozen=True, slots=True)
class Them:
    """Who somebody is, proven on the line on which they spoke."""

    persona: PersonaStatement
    name: str
    """What they call themselves."""


def myself(contents: Contents, machine: LinkMachine) -> MeetReady:
    """Who I am, for the one I meet."""
    own, name = records.own_persona(contents), display_name_of_mine(contents)
    return MeetReady(own.raw, name, machine.prove(own, name))


def invitation(own: OwnInvite, machine: LinkMachine, me: OwnPersona) -> MeetInvite:
    """Passes the invite on, with the proof that its greeting is mine."""
    name = decode(own.greeting, Greeting).name
    return MeetInvite(own.host, own.secret, own.fingerprint, machine.prove(me, name))


def proven_by_invitation(opened: OpenedGreeting, machine: LinkMachine, proof: bytes) -> Them:
    """Who shows the code. Raises `Refused` (`link-burned`)."""
    machine.check_proof(opened.persona, opened.greeting.name, proof)
    return Them(opened.persona, opened.greeting.name)


def proven(ready: MeetReady, machine: LinkMachine) -> Them:
    """Who is ready. Raises what `verify_persona` raises, and `Refused` (`link-burned`)."""
    persona = verify_persona(ready.persona)
    machine.check_proof(persona, ready.name, ready.proof)
    return Them(persona, ready.name)


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


def check_answer(contents: Contents, own: OwnInvite, raw: bytes, them: Them) -> OpenedAnswer:
    """The one who shows: the answer, if it is of those who were asked about.

    Raises what `open_answer` raises, and `Refused` (`link-burned`).
    """
    answer = open_answer(own, raw, records.own_persona(contents), known=known_persons(contents))
    if Them(answer.persona, answer.body.name) != them:
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
