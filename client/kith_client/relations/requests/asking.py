"""Taking in those who ask through a reusable invite, and carrying out what was decided about them (spec: content.md).

Whoever holds such an invite can send as many answers as they like, so everything here is bounded: what does not open is
done with at once and frees its place, one person has one request, and of each invite at most 100 wait. An issue is made
for nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from kith_client.relations import records
from kith_client.relations.answers import DOES_NOT_OPEN, connect
from kith_client.relations.draft import Draft
from kith_client.relations.inbox import Inbox
from kith_client.relations.introductions.suspicion import doubted
from kith_client.relations.joining import end_others, known_persons, open_channels, open_peer_of_contact
from kith_client.relations.records import InviteRecord
from kith_client.relations.requests.records import (
    ASKED,
    REQUEST,
    Asked,
    Decision,
    Request,
    all_asked,
    asked,
    asked_values,
    is_full,
    requests,
)
from kith_client.relations.requests.rules import Persons, is_void, reusable_invites
from kith_client.relations.server_side import takes_answers
from kith_protocol.encoding import Value, decode
from kith_protocol.errors import Refused
from kith_protocol.handshake import OpenedAnswer, open_answer
from kith_protocol.invite import Greeting
from kith_protocol.suite import digest
from kith_protocol.wire import StoredParcel

MAX_WAITING: Final = 100
"""Requests of one invite that wait in the vault; as many again wait in its mailbox (`mailbox.MAX_SLOTS`)."""
ASK_AGAIN: Final = 30 * 24 * 3600 * 1000
"""Milliseconds during which a person who was declined cannot ask again."""


def take_requests(inbox: Inbox, parcels: Sequence[StoredParcel]) -> None:
    """The answers to reusable invites become requests, as far as there is room; the others wait in the mailbox."""
    contents, now = inbox.draft.contents, inbox.draft.stamp.now
    invites = {each.own.read_id: each for each in reusable_invites(contents) if takes_answers(each, now)}
    arrived = [stored for stored in parcels if stored.mailbox in invites]
    if not arrived:
        return
    me, known, waiting = records.own_persona(contents), known_persons(contents), _Waiting(inbox.draft)
    for stored in arrived:
        invite = invites[stored.mailbox]
        try:
            answer = open_answer(invite.own, stored.parcel, me, known=known)
        except (*DOES_NOT_OPEN, Refused):
            inbox.handle(stored)  # nothing will ever come of it: its place is for somebody else
            continue
        if waiting.take(invite, answer, stored.parcel):
            inbox.handle(stored)


def carry_out_decisions(inbox: Inbox) -> None:
    """Makes the finish for whom I accepted, and drops what was declined or has become void."""
    draft = inbox.draft
    standing = [each for each in requests(draft.contents) if not records.is_unreadable(draft.contents, each.invite)]
    persons = Persons(draft.contents) if standing else None
    for request in standing:
        if persons is not None and is_void(draft.contents, request, persons, draft.stamp.now):
            _settle_void(inbox, request, persons)
        elif request.decision is None:
            continue
        elif request.decision.accept:
            _let_in(inbox, request, request.decision)
        else:
            _remember(inbox, request, accepted=False)
        draft.remove(request.id)


class _Waiting:
    """The requests that wait, and who may join them."""

    def __init__(self, draft: Draft) -> None:
        contents, now = draft.contents, draft.stamp.now
        self._draft = draft
        waiting = requests(contents)
        self._of = {request.person: request.id for request in waiting}
        self._numbers = {request.person: request.number for request in waiting}
        self._frozen = {request.person for request in waiting if request.decision is not None}
        self._through = Counter(request.invite for request in waiting)
        before = all_asked(contents)
        self._decided = {each.answer for each in before}
        declined = [each for each in before if not each.accepted and now < each.at + ASK_AGAIN]
        self._declined = {each.person: each.number for each in sorted(declined, key=lambda each: each.number)}
        self._persons = Persons(contents)

    def take(self, invite: InviteRecord, answer: OpenedAnswer, raw: bytes) -> bool:
        """Whether an answer is done with; not where there is no room, or while a decision about them is under way.

        Who asks again has one request, the newest.
        """
        person, number, body = answer.persona.person, answer.persona.number, answer.body
        if self._is_declined(person, number) or digest(raw) in self._decided:
            return True
        if self._persons.is_shut_out(person, number) or number < self._numbers.get(person, 0):
            return True
        values: dict[str, Value] = {"name": body.name, "host": body.mailbox.host, "answer": raw, "invite": invite.id}
        values["number"] = number
        if person in self._frozen and number == self._numbers[person]:
            return False  # what I decided was about the answer that waits, and is carried out at once
        if person in self._of:
            self._draft.change(self._of[person], values)
            self._numbers[person] = number
            return True
        if self._through[invite.id] >= MAX_WAITING or is_full(self._draft.contents[invite.id]):
            return False
        self._of[person] = self._draft.add(REQUEST, {**values, "person": person, "at": self._draft.stamp.now})
        self._numbers[person] = number
        self._through[invite.id] += 1
        return True

    def _is_declined(self, person: bytes, number: int) -> bool:
        """Whoever was declined may have been a thief: the number that replaces theirs may ask."""
        return number <= self._declined.get(person, -1)


def _let_in(inbox: Inbox, request: Request, decision: Decision) -> None:
    """Makes the finish, or says why it cannot be made."""
    draft, contents = inbox.draft, inbox.draft.contents
    me = records.own_persona(contents)
    invite = records.read_invite(request.invite, contents[request.invite])
    if decode(invite.own.greeting, Greeting).persona != me.raw:
        text = "A request could not be accepted: your keys were renewed since its invite was made. Make a new invite."
        return inbox.tell("invite", invite.id, text)
    try:
        answer = open_answer(invite.own, request.answer, me, known=known_persons(contents))
    except (*DOES_NOT_OPEN, Refused):
        text = "A request could not be accepted: the person's keys were renewed since. Let them ask again."
        return inbox.tell("invite", invite.id, text)
    contact = _contact_for(inbox, request, decision)
    via = None if invite.handle is None else records.DIRECTORY
    channel, peer = connect(inbox, invite.own, answer, me, contact, {*invite.facets, *decision.facets}, via)
    # Both may have asked and both accept: the finish of the smaller person id counts, and the other still waits for it.
    end_others(draft, peer, channel, but_waiting=me.person > request.person)
    _remember(inbox, request, accepted=True)
    inbox.event(peer, "asked to be connected, and you accepted")
    return None


def _contact_for(inbox: Inbox, request: Request, decision: Decision) -> bytes | None:
    """The contact that the person named; none where it became another peer's since: the two are kept apart."""
    contents, contact = inbox.draft.contents, decision.contact
    other = open_peer_of_contact(contents, contact) if contact is not None else None
    if other is None or other.person == request.person:
        return contact
    text = (
        f"You accepted {request.name} for a contact that belongs to another person by now. The two are kept apart. Ask "
        "them whether they are one."
    )
    inbox.tell("alarm", other.id, f"{text} {doubted(inbox.draft, other)}".rstrip())
    return None


def _remember(inbox: Inbox, request: Request, *, accepted: bool) -> None:
    """On the invite, so that a late copy of the answer, or a person who was declined, does not ask at once again."""
    draft = inbox.draft
    before = asked(draft.contents[request.invite])
    decided = Asked(request.person, request.number, digest(request.answer), draft.stamp.now, accepted)
    draft.change(request.invite, {ASKED: asked_values([*before, decided])})
    if is_full(draft.contents[request.invite]):
        text = "So many people asked through one of your invites that it takes no more. Make another."
        inbox.tell("invite", request.invite, text)


def _settle_void(inbox: Inbox, request: Request, persons: Persons) -> None:
    """What the person decided here still counts where another device let the person in by this very answer before; by
    nothing else, or a record that a thief left behind would grant what she likes to whom she likes."""
    peer = persons.peers.get(request.person)
    if request.decision is None or peer is None or not open_channels(inbox.draft.contents, peer.id):
        return
    if request.decision.accept and persons.has_accepted(request.person, request.decision):
        inbox.draft.change(peer.id, {records.FACET + facet: True for facet in request.decision.facets})
    elif not request.decision.accept:
        text = "You declined a request that was accepted on another device: you are connected. 'kith forget' ends it."
        inbox.tell("invite", peer.id, text)
