"""Accepting an invite: from a link and the greeting that its server gave, to an answer on its way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kith_client.book.events import entry
from kith_client.book.facets import facet_name
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.introductions.suspicion import person_changed
from kith_client.relations.invites import display_name_of_mine
from kith_client.relations.joining import (
    attach,
    has_older,
    is_connected,
    known_persons,
    open_channels,
    open_peer_of_contact,
)
from kith_client.relations.joining import peer_of_person as find_peer
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.encoding import Value, encode
from kith_protocol.errors import Refused
from kith_protocol.handshake import make_answer
from kith_protocol.invite import Invite, OpenedGreeting, open_greeting, parse_link
from kith_protocol.mailbox import NEW_MAILBOX_RANDOM_BYTES, new_mailbox
from kith_protocol.relationship import RelationshipState
from kith_protocol.suite import KEY_BYTES, NONCE_BYTES, SEED_BYTES


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted invite. Once the edit is committed, `outgoing.outgoing` gives the answer to send."""

    edit: Edit
    peer: bytes
    """Id of the `peer` record."""
    person: bytes
    name: str
    """What the peer calls itself; unproven."""
    channel: bytes
    event: str
    reusable: bool
    """Whether the other decides first."""


def check_link(contents: Contents, link: str) -> Invite:
    """Reads a link before anything is fetched: `link_id` and `host` of what comes back say where the greeting is.

    Raises `Refused` with `invite-link`, `invite-version`, `bad-host`, `self-invite` or `already-accepted`.
    """
    invite = parse_link(link)
    if any(own.own.secret == invite.secret for own in records.invites(contents)):
        raise Refused("self-invite", "This invite is your own; give it to somebody else.")
    for channel in records.channels(contents):
        pending = channel.pending
        if pending is None or pending.invite_secret != invite.secret:
            continue
        if channel in open_channels(contents, channel.peer):
            raise Refused(
                "already-accepted",
                "You accepted this invite already. It waits for the other's next sync, or, where the invite is for "
                "several people, for the other to say yes.",
            )
    return invite


def accept(
    contents: Contents,
    stamp: Stamp,
    link: str,
    greeting: bytes,
    host: str,
    fingerprint: bytes,
    facets: Iterable[str] = (),
    contact: bytes | None = None,
    via: str | None = None,
) -> Accepted:
    """Accepts: makes the peer, a waiting channel with a mailbox at my home server, and the answer.

    `greeting` is what the inviter's server gave, `host` and `fingerprint` are my home server's, `via` is how I came to
    the link (`records.DIRECTORY`, or by a person). Raises what
    `check_link` raises, `Refused` (`already-connected`, `invite-expired`, `persona-outdated`), and the alarms
    `greeting-forged`, `person-changed` (`PersonChanged`, where `contact` is somebody else's already) and `downgrade`.
    """
    invite = check_link(contents, link)
    opened = open_greeting(invite, greeting, stamp.now)
    person = opened.persona.person
    check_person(contents, stamp, person, opened.persona.number, contact)
    draft = Draft(contents, stamp)
    pending = begin_channel(draft, invite, opened, host, fingerprint)
    name = opened.greeting.name
    granted = [facet_name(facet) for facet in facets]
    peer = attach(draft, pending, person, name, invite.host, contact, granted, via)
    draft.change(pending, {"peer": peer})
    about = records.peer_at(draft.contents, peer).contact
    return Accepted(
        draft.edit,
        peer,
        person,
        name,
        pending,
        entry(f"accepted an invite from {name}", about),
        opened.greeting.reusable,
    )


def check_person(contents: Contents, stamp: Stamp, person: bytes, number: int, contact: bytes | None) -> None:
    """Whether a relationship with this person, whose persona has that number, may begin, for `contact` where the person
    named one.

    Raises `Refused` (`blocked`, `already-connected`) or the alarm `person-changed`.
    """
    peer = find_peer(contents, person)
    if peer is not None and peer.blocked:
        raise Refused("blocked", "You blocked this person. 'kith block PEER --undo' lets you connect with them.")
    channels = open_channels(contents, peer.id) if peer is not None else []
    if is_connected(channels) and not has_older(channels, number):
        raise Refused("already-connected", "You are connected with this person already; 'kith peers' shows it.")
    other = open_peer_of_contact(contents, contact) if contact is not None else None
    if other is not None and other.person != person:
        text = (
            "The contact you named belongs to another person than this one. Ask them before you go on; leave the "
            "contact out to keep the two apart."
        )
        raise person_changed(contents, stamp, other, text)


def begin_channel(
    draft: Draft, invite: Invite, opened: OpenedGreeting, host: str, fingerprint: bytes, expect: bytes | None = None
) -> bytes:
    """A waiting channel with its answer; `peer` is still to be filled in.

    `expect` is the person id of who must have made the invite. Raises what `make_answer` raises.
    """
    stamp, contents = draft.stamp, draft.contents
    me = records.own_persona(contents)
    answer, pending = make_answer(
        invite,
        opened,
        me,
        display_name_of_mine(contents),
        seal_seed=stamp.random(SEED_BYTES),
        inbox=new_mailbox(host, fingerprint, stamp.random(NEW_MAILBOX_RANDOM_BYTES)),
        secret=stamp.random(KEY_BYTES),
        nonce=stamp.random(NONCE_BYTES),
        expect=expect,
        known=known_persons(contents),
    )
    values: dict[str, Value] = {"state": RelationshipState.ANSWERED.value, "peer": b"", "step": answer}
    values["persona"] = records.persona_of(me.raw).number
    return draft.add("channel", {**values, "pending": encode(pending)})
