"""Being introduced to somebody: what a peer offers, what the person decides, and what follows once both agreed.

A decline sends nothing, so nobody can tell it from silence. What follows by itself: the one with the smaller person id
makes an invite for the other alone, which travels through the introducer, and the other accepts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from kith_client.book.facets import facet_name
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.homes import here
from kith_client.relations.introductions.records import (
    Decision,
    Introduction,
    introductions,
    read_introduction,
)
from kith_client.relations.introductions.suspicion import introducer_name, person_changed
from kith_client.relations.invites import add_invite
from kith_client.relations.joining import is_connected, open_channels, open_peer_of_contact, peer_of_person
from kith_client.relations.records import Expected, InviteState
from kith_client.stamp import Contents, Edit, Stamp, the_one
from kith_protocol.errors import Refused
from kith_protocol.introduction import IntroduceAnswer, IntroduceInvite, IntroductionSequence, makes_invite
from kith_protocol.parcel import Message


class IntroductionState(StrEnum):
    """Where an introduction of mine to somebody stands; it follows from what is known (spec: introduction.md)."""

    RESTING = "resting"
    """Something that it rests on cannot be read here: nothing follows from it."""
    OVER = "over"
    CONNECTED = "connected"
    OPEN = "open"
    AGREED = "agreed"
    INVITED = "invited"
    ANSWERED = "answered"

    @property
    def waits(self) -> bool:
        """Whether I agreed and it goes on."""
        return self in (IntroductionState.AGREED, IntroductionState.INVITED, IntroductionState.ANSWERED)


@dataclass(frozen=True, slots=True)
class IntroductionRow:
    """One introduction for the list of requests."""

    id: bytes
    by: bytes
    """Person id of the introducer."""
    by_name: str
    label: str
    """What the introducer calls the other."""
    text: str
    person: bytes
    expires: int
    """Milliseconds since 1970."""
    state: str
    """`open`, or `waiting` where I agreed."""


def state_of(contents: Contents, each: Introduction, now: int) -> IntroductionState:
    """The state at `now`, in milliseconds."""
    channel = records.channel_at(contents, each.channel)
    persona = the_one(contents, "persona")
    if channel is None or persona is None or not records.has_peer(contents, channel):
        return IntroductionState.RESTING
    introducer = records.peer_at(contents, channel.peer)
    known = peer_of_person(contents, each.person)
    is_declined = each.decision is not None and not each.accepted
    has_lapsed = each.forgotten_at <= now or (each.decision is None and each.expires <= now)
    if each.taken_back or is_declined or has_lapsed or channel.ended or introducer.is_over(channel.id):
        return IntroductionState.OVER
    if each.person == my_person(contents) or (known is not None and known.blocked):
        return IntroductionState.OVER
    if known is not None and is_connected(open_channels(contents, known.id)):
        return IntroductionState.CONNECTED
    if not each.accepted:
        return IntroductionState.OPEN
    if each.used:
        return IntroductionState.ANSWERED
    return IntroductionState.AGREED if each.invite is None else IntroductionState.INVITED


def list_introductions(contents: Contents, now: int) -> list[IntroductionRow]:
    """What waits for the person, and what the person agreed to and is under way."""
    rows = []
    for each in introductions(contents):
        state = state_of(contents, each, now)
        if state is IntroductionState.OPEN or state.waits:
            by = introducer_of_introduction(contents, each)
            name = introducer_name(contents, by)
            shown = "waiting" if state.waits else state.value
            rows.append(IntroductionRow(each.id, by, name, each.label, each.text, each.person, each.expires, shown))
    return rows


def agree(
    contents: Contents, stamp: Stamp, record: bytes, facets: Iterable[str] = (), contact: bytes | None = None
) -> Edit:
    """I want to know this person; from then on the programs go on by themselves.

    Raises `Refused` (`no-such-request`, `already-connected`), `BadValue` for a facet that cannot be, and
    `PersonChanged` where `contact` is a peer with another root than the introducer names.
    """
    each = _open(contents, record, stamp.now)
    known = open_peer_of_contact(contents, contact) if contact is not None else None
    if known is not None and known.person != each.person:
        text = (
            "Who introduces you names another person than the peer whom the contact belongs to. Ask both before you go "
            "on; accept without a contact to keep the two apart."
        )
        raise person_changed(contents, stamp, known, text, introducer_of_introduction(contents, each))
    draft = Draft(contents, stamp)
    granted = tuple(sorted({facet_name(facet) for facet in facets}))
    draft.change(record, {"decision": Decision(True, granted, contact).to_value()})
    return draft.edit


def decline_introduction(contents: Contents, stamp: Stamp, record: bytes) -> Edit:
    """I do not, or not any more; nothing is ever sent about it. Raises `Refused` (`no-such-request`)."""
    content = contents.get(record)
    if content is None or content.kind != "introduction":
        raise _no_request()
    if not state_of(contents, read_introduction(record, content), stamp.now).waits:
        _open(contents, record, stamp.now)
    draft = Draft(contents, stamp)
    draft.change(record, {"decision": Decision(False).to_value()})
    return draft.edit


def plan_introductions(draft: Draft) -> list[bytes]:
    """Makes the invites that are due and revokes those that are not needed; returns the records to be forgotten."""
    forgotten = []
    for each in introductions(draft.contents):
        if each.forgotten_at <= draft.stamp.now:
            forgotten.append(each.id)
        if each.decision is None:
            continue  # nothing follows; so what nobody asked for costs no look at who is a peer
        state = state_of(draft.contents, each, draft.stamp.now)
        if state in (IntroductionState.OVER, IntroductionState.CONNECTED):
            _revoke(draft, each)
            _tell_of_late_no(draft, each)
        elif state is IntroductionState.AGREED and each.agreed and _is_mine_to_invite(draft.contents, each):
            _invite(draft, each)
    return forgotten


def links_to_use(contents: Contents, now: int) -> list[Introduction]:
    """Introductions whose invite came and waits to be accepted; not while a handshake with the person is under way."""
    return [each for each in introductions(contents) if each.link is not None and _may_use(contents, each, now)]


def said_by_introduced(
    contents: Contents, each: Introduction, now: int
) -> Iterator[tuple[bytes, bytes, IntroductionSequence, Message]]:
    """What the introducer has to hear now: id of the channel, the introduction, sequence and message."""
    if not each.accepted:
        return
    state = state_of(contents, each, now)
    if state is IntroductionState.AGREED and not each.agreed and each.link is None:
        answer = IntroduceAnswer(each.introduction, True)
        yield each.channel, each.introduction, IntroductionSequence.OFFER, answer
    if state is IntroductionState.INVITED and each.invite is not None:
        content = contents.get(each.invite)
        invite = records.read_invite(each.invite, content) if content and content.kind == "invite" else None
        if invite is not None and invite.state is InviteState.OPEN:
            own = invite.own
            message = IntroduceInvite(each.introduction, own.host, own.secret, own.fingerprint)
            yield each.channel, each.introduction, IntroductionSequence.INVITE, message


def my_person(contents: Contents) -> bytes | None:
    """My person id; None where my persona cannot be read here."""
    return None if the_one(contents, "persona") is None else records.own_persona(contents).person


def introducer_of_introduction(contents: Contents, each: Introduction) -> bytes:
    """Person id of who introduces."""
    channel = records.channel_at(contents, each.channel)
    return b"" if channel is None else records.peer_at(contents, channel.peer).person


def _open(contents: Contents, record: bytes, now: int) -> Introduction:
    content = contents.get(record)
    if content is None or content.kind != "introduction":
        raise _no_request()
    each = read_introduction(record, content)
    state = state_of(contents, each, now)
    if state is IntroductionState.CONNECTED:
        raise Refused("already-connected", "You are connected with this person already; 'kith peers' shows it.")
    if state is not IntroductionState.OPEN:
        raise _no_request()
    return each


def _no_request() -> Refused:
    return Refused("no-such-request", "There is no such request any more. 'kith requests' shows what waits.")


def _may_use(contents: Contents, each: Introduction, now: int) -> bool:
    if state_of(contents, each, now) is not IntroductionState.AGREED or _is_mine_to_invite(contents, each):
        return False
    known = peer_of_person(contents, each.person)
    return known is None or not open_channels(contents, known.id)


def _is_mine_to_invite(contents: Contents, each: Introduction) -> bool:
    me = my_person(contents)
    return me is not None and makes_invite(me, each.person)


def _invite(draft: Draft, each: Introduction) -> None:
    """An invite that counts for this person alone, at my home server."""
    channel = records.channel_at(draft.contents, each.channel)
    if channel is None or not channel.mine.keys or each.decision is None:
        return
    last = channel.mine.keys[0].inbox.address
    home = here(draft.contents) or last
    expected = Expected(each.person, introducer_of_introduction(draft.contents, each))
    try:
        record = add_invite(
            draft, home.host, home.fingerprint, each.decision.facets, each.decision.contact, each.forgotten_at, expected
        )
    except Refused:
        return  # my card has no name just now; it goes on once it has one
    draft.change(each.id, {"invite": record})


def _tell_of_late_no(draft: Draft, each: Introduction) -> None:
    """I declined what I had agreed to, on another device maybe, and the two of us are connected by then."""
    known = peer_of_person(draft.contents, each.person)
    if each.accepted or known is None or not is_connected(open_channels(draft.contents, known.id)):
        return
    invite = draft.contents.get(each.invite) if each.invite is not None else None
    if each.used or (invite is not None and invite.value("state") == InviteState.USED.value):
        text = (
            f"You declined to be introduced to {each.label}, but you had agreed before, and that was carried out: you "
            "are connected. 'kith forget' ends it."
        )
        draft.tell("invite", known.id, text)
        draft.change(each.id, {}, without=["used", "invite"])  # so that it is told once


def _revoke(draft: Draft, each: Introduction) -> None:
    content = draft.contents.get(each.invite) if each.invite is not None else None
    if each.invite is not None and content is not None and content.value("state") == InviteState.OPEN.value:
        draft.change(each.invite, {"state": InviteState.REVOKED.value})
