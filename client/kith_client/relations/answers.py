"""Taking in the handshake: answers to my one-use invites, and finishes of invites that I accepted. What comes through a
reusable invite is `asking`'s.

What opens and verifies changes the draft; what does not open is left where it lies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.homes import here
from kith_client.relations.inbox import Inbox
from kith_client.relations.introductions.suspicion import doubted
from kith_client.relations.introductions.vouching import tell_of_stranger, vouch
from kith_client.relations.joining import (
    attach,
    end_others,
    is_connected,
    known_persons,
    open_channels,
    open_peer_of_contact,
    peer_of_person,
    shows_newer,
)
from kith_client.relations.records import Channel, InviteRecord, InviteState
from kith_client.relations.theft.reclaimed import has_new_persona
from kith_protocol.encoding import Value, encode
from kith_protocol.errors import Alarm, BadKey, BadSignature, DecodingError, Refused, Undecryptable
from kith_protocol.handshake import OpenedAnswer, OpenedFinish, make_finish, open_answer, open_finish
from kith_protocol.invite import OwnInvite
from kith_protocol.mailbox import NEW_MAILBOX_RANDOM_BYTES, new_mailbox
from kith_protocol.persona import OwnPersona
from kith_protocol.relationship import RelationshipEvent, RelationshipState, Trust, next_state
from kith_protocol.suite import KEY_BYTES, NONCE_BYTES, SEED_BYTES, digest
from kith_protocol.wire import StoredParcel

_UNTOUCHED: Final = "They were not connected, and nothing changed."

DOES_NOT_OPEN: Final = (Undecryptable, DecodingError, BadSignature, BadKey)
"""Not meant for me, altered, or forged: left in the mailbox, where it expires."""


def take_answer(inbox: Inbox, invite_id: bytes, stored: StoredParcel, me: OwnPersona) -> None:
    """One parcel from the mailbox of a one-use invite. The first answer that verifies counts."""
    draft = inbox.draft
    invite = records.read_invite(invite_id, draft.contents[invite_id])
    if digest(stored.parcel) == invite.answer:
        inbox.handle(stored)  # taken in before, and not yet deleted
        return
    expected = invite.expected
    expect = None if expected is None else expected.person
    try:
        answer = open_answer(invite.own, stored.parcel, me, expect=expect, known=known_persons(draft.contents))
    except BadSignature:
        # It was sealed by somebody who has the link, and speaks for another.
        inbox.handle(stored)
        inbox.tell("alarm", invite.id, f"Somebody answered an invite of yours in another person's name. {_UNTOUCHED}")
        return
    except DOES_NOT_OPEN:
        return
    except Alarm:
        inbox.handle(stored)
        if expected is not None:
            tell_of_stranger(inbox, invite, expected)
        return
    except Refused as refusal:
        inbox.handle(stored)
        inbox.tell("invite", invite.id, f"Somebody's answer to your invite was refused. {refusal}")
        return
    inbox.handle(stored)
    peer = peer_of_person(inbox.draft.contents, answer.persona.person)
    if peer is not None and peer.blocked:
        inbox.tell("invite", invite.id, "Somebody whom you blocked answered your invite; they were not connected.")
        return
    if invite.state is InviteState.USED:
        inbox.tell("invite", invite.id, _second(answer))
        return
    draft.change(invite.id, {"state": InviteState.USED.value, "answer": digest(stored.parcel)})
    if _may_connect(inbox, invite, answer, me):
        channel, peer_id = connect(inbox, invite.own, answer, me, invite.contact, invite.facets)
        draft.change(invite.id, {"peer": peer_id})
        if expected is not None:
            vouch(draft, peer_id, expected.by)
        end_others(draft, peer_id, channel)
        inbox.event(peer_id, "accepted your invite" if expected is None else "was introduced to you")


def take_finish(inbox: Inbox, channel: Channel, stored: StoredParcel, me: OwnPersona) -> OpenedFinish | None:
    """One parcel from the mailbox of a waiting channel; None where it is not the finish."""
    if channel.pending is None:
        return None
    try:
        opened = open_finish(channel.pending, stored.parcel, me)
    except BadSignature:
        inbox.handle(stored)
        inbox.tell("alarm", channel.id, f"Somebody tried to take the place of a person who invited you. {_UNTOUCHED}")
        return None
    except (*DOES_NOT_OPEN, Refused):
        return None
    inbox.handle(stored)
    establish(inbox, channel, opened)
    return opened


def establish(inbox: Inbox, channel: Channel, opened: OpenedFinish) -> None:
    """The finish to my answer is here: the relationship stands."""
    draft = inbox.draft
    is_renewed = _is_renewed(draft, channel, opened)
    state = next_state(channel.state, RelationshipEvent.FINISH_OPENED)
    values = {"state": state.value, "established": encode(opened.established)}
    draft.change(channel.id, values, without=["pending", "step"])
    end_others(draft, channel.peer, channel.id)
    # A link names some host that led to its greeting; only the finish says where the peer is.
    draft.change(channel.peer, {"channel": channel.id, "host": opened.established.outbox.host})
    inbox.event(channel.peer, "is connected with you now")
    if is_renewed:
        has_new_persona(inbox, channel.peer)


def _is_renewed(draft: Draft, channel: Channel, opened: OpenedFinish) -> bool:
    """Whether a relationship stood that this handshake replaces, because it shows a newer persona."""
    before = open_channels(draft.contents, channel.peer)
    return is_connected(before) and shows_newer(
        (each for each in before if each.id != channel.id), records.persona_of(opened.established.peer_persona)
    )


def _may_connect(inbox: Inbox, invite: InviteRecord, answer: OpenedAnswer, me: OwnPersona) -> bool:
    contents, person = inbox.draft.contents, answer.persona.person
    peer = peer_of_person(contents, person)
    channels = open_channels(contents, peer.id) if peer is not None else []
    if is_connected(channels) and not shows_newer(channels, answer.persona):
        if invite.expected is not None:
            return False  # introduced twice, or connected in another way meanwhile
        text = "Somebody with whom you are connected already answered another invite of yours; nothing changed."
        inbox.tell("invite", invite.id, text)
        return False
    if channels and not is_connected(channels) and me.person > person:
        # Both accepted each other's invite: both sides keep the one made by the smaller person id.
        return False
    other = open_peer_of_contact(contents, invite.contact) if invite.contact is not None else None
    if other is not None and other.person != person:
        text = (
            f"{answer.body.name} answered an invite that you made for a contact, but the contact belongs to another "
            "person. They were not connected. Ask them whether they began anew."
        )
        inbox.tell("alarm", invite.id, f"{text} {doubted(inbox.draft, other)}".rstrip())
        return False
    return True


def connect(
    inbox: Inbox,
    own: OwnInvite,
    answer: OpenedAnswer,
    me: OwnPersona,
    contact: bytes | None,
    facets: Iterable[str],
    via: str | None = None,
    trust: Trust = Trust.UNVERIFIED,
) -> tuple[bytes, bytes]:
    """Makes the finish to an answer that is taken: the ids of the new channel and of its peer.

    What else is under way with this person is left to the caller.
    """
    draft, stamp = inbox.draft, inbox.draft.stamp
    home = here(draft.contents)
    place = (own.host, own.fingerprint) if home is None else (home.host, home.fingerprint)
    finish, established = make_finish(
        own,
        answer,
        me,
        seal_seed=stamp.random(SEED_BYTES),
        inbox=new_mailbox(*place, stamp.random(NEW_MAILBOX_RANDOM_BYTES)),
        secret=stamp.random(KEY_BYTES),
        nonce=stamp.random(NONCE_BYTES),
    )
    state = RelationshipState.FINISHED.value
    values: dict[str, Value] = {"state": state, "established": encode(established), "step": finish, "peer": b""}
    values["persona"] = records.persona_of(me.raw).number
    channel = draft.add("channel", values)
    host, name = answer.body.mailbox.host, answer.body.name
    peer = attach(draft, channel, answer.persona.person, name, host, contact, facets, via, trust)
    draft.change(channel, {"peer": peer})
    others = [each for each in open_channels(draft.contents, peer) if each.id != channel]
    if is_connected(others) and shows_newer(others, answer.persona):
        has_new_persona(inbox, peer)
    return channel, peer


def _second(answer: OpenedAnswer) -> str:
    return (
        f"{answer.body.name} also answered an invite that somebody had used before. They were not connected. If you do "
        "not know them, the link was seen by others; if you do, make a new invite for them."
    )
