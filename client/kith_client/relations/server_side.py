"""What my home server has to hold for my invites and relationships: mailboxes and greetings (spec: mailbox.md).

Pure: says what should be there. Doing it, before anything is sent that tells a peer of it, is left to the shell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.handles import HandleToPut, given_up, handles_to_delete, handles_to_put
from kith_client.relations.homes import Place
from kith_client.relations.invites import greeting_for
from kith_client.relations.records import Channel, InviteRecord, InviteState
from kith_client.relations.rekeying import RETIRED_FOR
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.encoding import Value
from kith_protocol.mailbox import MailboxAddress, MailboxKind, OwnMailbox, deposit_public

ANSWER_GRACE: Final = 14 * 24 * 3600 * 1000
"""Milliseconds after an invite's expiry during which its answers are still taken: a relay keeps trying that long."""


@dataclass(frozen=True, slots=True)
class MailboxToOpen:
    """A mailbox that must be there; opening it again changes nothing."""

    read_id: bytes
    mailbox: bytes
    """The write id."""
    deposit_key: bytes
    kind: MailboxKind


@dataclass(frozen=True, slots=True)
class GreetingToPut:
    """A greeting that must be there."""

    link_id: bytes
    sealed: bytes
    expires: int
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class ServerSide:
    """All of it. Two equal values ask for the same, so a shell may skip what it did before."""

    mailboxes: tuple[MailboxToOpen, ...] = ()
    greetings: tuple[GreetingToPut, ...] = ()
    handles: tuple[HandleToPut, ...] = ()
    closed_mailboxes: tuple[bytes, ...] = ()
    """Read ids to delete, after what waits in them was fetched."""
    closed_greetings: tuple[bytes, ...] = ()
    """Link ids to delete."""
    closed_handles: tuple[bytes, ...] = ()
    """Ids of handles to give up."""


def server_side(contents: Contents, now: int, at: Place | None = None) -> ServerSide:
    """What the home server has to hold now, `now` in milliseconds, and what it has to delete.

    `at`: what is held at this server, of several where the vault lives or lived.
    """
    mailboxes: list[MailboxToOpen] = []
    greetings: list[GreetingToPut] = []
    closed_mailboxes: list[bytes] = []
    closed_greetings: list[bytes] = []
    for invite in records.invites(contents):
        if _is_cleared(contents, invite.id):
            continue
        answers = invite.own.invite.mailbox
        if takes_answers(invite, now) and at is not None and not at.has(answers):
            continue
        if takes_answers(invite, now):
            mailboxes.append(_answers_mailbox(invite))
        else:
            closed_mailboxes.append(invite.own.read_id)
        if invite.state is InviteState.OPEN and now < invite.expires:
            greetings.append(GreetingToPut(*greeting_for(invite)))
        else:
            closed_greetings.append(invite.own.invite.link_id)
    for channel in records.channels(contents):
        if not channel.ended:
            mailboxes += _mailboxes(channel, at)
            closed_mailboxes += channel.mine.closing
        elif _waits_for_root(channel, now):
            mailboxes += [_to_open(inbox, MailboxKind.RETIRED) for inbox in all_inboxes(channel)]
        elif not _is_cleared(contents, channel.id):
            closed_mailboxes += all_read_ids(channel)
    return ServerSide(
        tuple(mailboxes),
        tuple(greetings),
        tuple(handles_to_put(contents, now, at)),
        tuple(closed_mailboxes),
        tuple(closed_greetings),
        tuple(handles_to_delete(contents)),
    )


def cleared(contents: Contents, stamp: Stamp, done: ServerSide) -> Edit:
    """Once the server deleted what `done` closes: remembers it, so that it is not asked for again and again."""
    draft = Draft(contents, stamp)
    closed = set(done.closed_mailboxes)
    for invite in records.invites(contents):
        if invite.own.read_id in closed:
            draft.change(invite.id, {"cleared": True})
    for channel in records.channels(contents):
        if channel.ended and closed.issuperset(all_read_ids(channel)):
            draft.change(channel.id, {"cleared": True})
        elif not channel.ended and closed.intersection(channel.mine.closing):
            left: list[Value] = [read_id for read_id in channel.mine.closing if read_id not in closed]
            draft.change(channel.id, {"closing": left})
    return {**draft.edit, **given_up(contents, done.closed_handles)}


def all_inboxes(channel: Channel) -> list[OwnMailbox]:
    """Every mailbox of mine that is or was used for a channel."""
    mine = channel.mine
    inboxes = [channel.inbox, *(key.inbox for key in mine.keys), *(each.inbox for each in mine.retired)]
    return list(dict.fromkeys(inboxes))


def all_read_ids(channel: Channel) -> list[bytes]:
    """Of every mailbox of mine that there is for a channel."""
    return list(dict.fromkeys([*(inbox.read_id for inbox in all_inboxes(channel)), *channel.mine.closing]))


def _waits_for_root(channel: Channel, now: int) -> bool:
    """Whether the peer's farewell is young: if it was a thief's, the peer's root says so in one of my mailboxes."""
    return channel.parted > 0 and now < channel.parted + RETIRED_FOR


def addresses(contents: Contents, now: int) -> list[MailboxAddress]:
    """Of all mailboxes in which something may still come at `now` (ms)."""
    invites = [each.own.invite.mailbox for each in records.invites(contents) if takes_answers(each, now)]
    channels = [channel for channel in records.channels(contents) if not channel.ended]
    return [*invites, *(inbox.address for each in channels for inbox in (*_live(each), *_retired(each)))]


def _mailboxes(channel: Channel, at: Place | None) -> list[MailboxToOpen]:
    """The one of a waiting handshake, or those of all my keys and of what they replaced."""
    kinds = [(inbox, MailboxKind.PARCELS) for inbox in _live(channel)]
    kinds += [(inbox, MailboxKind.RETIRED) for inbox in _retired(channel)]
    return [_to_open(inbox, kind) for inbox, kind in kinds if at is None or at.has(inbox.address)]


def _live(channel: Channel) -> list[OwnMailbox]:
    return [key.inbox for key in channel.mine.keys] or [channel.inbox]


def _retired(channel: Channel) -> list[OwnMailbox]:
    return [each.inbox for each in channel.mine.retired]


def takes_answers(invite: InviteRecord, now: int) -> bool:
    """Whether answers to an invite are still read. A used one's are, so that the person sees a second answer."""
    return invite.state is not InviteState.REVOKED and now < invite.expires + ANSWER_GRACE


def _answers_mailbox(invite: InviteRecord) -> MailboxToOpen:
    kind = MailboxKind.REQUESTS if invite.reusable else MailboxKind.ANSWERS
    return _to_open(OwnMailbox(invite.own.read_id, invite.own.invite.mailbox), kind)


def _to_open(mailbox: OwnMailbox, kind: MailboxKind) -> MailboxToOpen:
    return MailboxToOpen(mailbox.read_id, mailbox.address.mailbox, deposit_public(mailbox.address), kind)


def _is_cleared(contents: Contents, record: bytes) -> bool:
    return contents[record].value("cleared") is True
