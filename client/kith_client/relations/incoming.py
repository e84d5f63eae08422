"""Taking in what lies in my mailboxes: answers to invites, finishes, parcels (spec: handshake.md, parcel.md).

The order inside a batch does not matter: handshakes come first, and a parcel that could not be read yet is tried again
once something changed. What does not open stays in its mailbox and does not stop the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kith_client.relations import records
from kith_client.relations.answers import take_answer, take_finish
from kith_client.relations.bodies import Bodies
from kith_client.relations.draft import Draft
from kith_client.relations.inbox import Inbox, TakenIn
from kith_client.relations.joining import end_others
from kith_client.relations.mending import mend
from kith_client.relations.own_keys import OwnKey
from kith_client.relations.records import Channel
from kith_client.relations.rekeying import mark_used
from kith_client.relations.requests.asking import carry_out_decisions, take_requests
from kith_client.relations.server_side import takes_answers
from kith_client.relations.theft.reclaimed import take_reclaims
from kith_client.relations.theft.reclaiming import note_heard
from kith_client.stamp import Contents, Stamp, the_one
from kith_protocol.errors import BadKey, BadSignature, DecodingError, Refused, Undecryptable
from kith_protocol.guardian import Guard
from kith_protocol.handshake import Established
from kith_protocol.parcel import ParcelBody, ParcelContext, open_parcel
from kith_protocol.relationship import RelationshipEvent, RelationshipState, Side, SlotKind, next_state, slot_of
from kith_protocol.wire import StoredParcel


def take_in(contents: Contents, stamp: Stamp, parcels: Sequence[StoredParcel]) -> TakenIn:
    """What `parcels`, fetched from my home server, change.

    Raises `DecodingError` only where my own records are damaged. The edit holds together: commit all of it at once
    on the contents that were given, or drop it and ask again.
    """
    inbox = Inbox(Draft(contents, stamp))
    bodies = Bodies(inbox)
    if the_one(contents, "persona") is not None:
        # Handshakes wait for a persona that cannot be read; the parcels of relationships that stand do not need it.
        take_reclaims(inbox, parcels)
        _take_answers(inbox, parcels)
        _take_finishes(inbox, bodies, parcels)
    # A parcel may need what another one brings: the inviter reads none before one confirmed the handshake.
    while _take_bodies(inbox, bodies, parcels):
        pass
    bodies.settle()
    if the_one(contents, "persona") is not None:
        # Behind the parcels: one of them may say that a relationship has ended, so that the person may ask anew.
        take_requests(inbox, parcels)
        carry_out_decisions(inbox)
    mend(inbox)
    return inbox.outcome


def _take_answers(inbox: Inbox, parcels: Sequence[StoredParcel]) -> None:
    contents, now = inbox.draft.contents, inbox.draft.stamp.now
    invites = {i.own.read_id: i.id for i in records.invites(contents) if takes_answers(i, now) and not i.reusable}
    waiting = [stored for stored in parcels if stored.mailbox in invites]
    if waiting:
        me = records.own_persona(contents)
        for stored in waiting:
            take_answer(inbox, invites[stored.mailbox], stored, me)


def _take_finishes(inbox: Inbox, bodies: Bodies, parcels: Sequence[StoredParcel]) -> None:
    contents = inbox.draft.contents
    for channel in records.channels(contents):
        if channel.state is RelationshipState.ANSWERED and records.has_peer(contents, channel):
            mine = [stored for stored in parcels if stored.mailbox == channel.inbox.read_id]
            _take_finish(inbox, bodies, channel.id, mine)


def _take_finish(inbox: Inbox, bodies: Bodies, record: bytes, parcels: Iterable[StoredParcel]) -> None:
    contents = inbox.draft.contents
    for stored in parcels:
        channel = records.read_channel(record, contents[record])
        if channel.state is not RelationshipState.ANSWERED:
            return  # opened, or given up for another handshake with the same peer
        opened = take_finish(inbox, channel, stored, records.own_persona(contents))
        if opened is not None:
            bodies.read(records.read_channel(record, contents[record]), opened.first, 0)


def _take_bodies(inbox: Inbox, bodies: Bodies, parcels: Sequence[StoredParcel]) -> bool:
    """Whether a parcel was taken in, so that others may be readable now."""
    contents = inbox.draft.contents
    standing = [c for c in records.channels(contents) if c.established is not None and not c.ended]
    boxes = {key.inbox.read_id: c.id for c in standing if records.has_peer(contents, c) for key in c.mine.keys}
    before = len(inbox.handled)
    for stored in parcels:
        record = boxes.get(stored.mailbox)
        if record is not None and not inbox.is_handled(stored):
            _take_parcel(inbox, bodies, records.read_channel(record, contents[record]), stored)
    return len(inbox.handled) > before


def _take_parcel(inbox: Inbox, bodies: Bodies, channel: Channel, stored: StoredParcel) -> None:
    established = channel.established
    if established is None or channel.ended:
        return
    if stored.slot == _finish_slot(established):
        inbox.handle(stored)  # opened before, and not yet deleted; nothing else is ever put there
        return
    own = next((key for key in channel.mine.keys if key.inbox.read_id == stored.mailbox), None)
    if own is None:
        return  # the mailbox was retired by what another parcel of the same batch showed
    try:
        body = open_parcel(_context(established, own, stored), channel.mine.seal_keys, stored.parcel)
    except (Undecryptable, Refused, DecodingError, BadKey):
        return  # also what a later version sends: it stays for a program that understands it
    if not _confirmed(inbox, channel, established, body) or _is_for_later(inbox, body):
        return
    inbox.handle(stored)
    mark_used(inbox.draft, records.read_channel(channel.id, inbox.draft.contents[channel.id]), own)
    bodies.read(records.read_channel(channel.id, inbox.draft.contents[channel.id]), body, stored.sequence)


def _confirmed(inbox: Inbox, channel: Channel, established: Established, body: ParcelBody) -> bool:
    """Whether the peer showed that it holds the shared secret; the inviter trusts nothing before."""
    if channel.state is RelationshipState.CONNECTED:
        return True
    try:
        established.check_confirm(body.confirm)
    except BadSignature:
        return False
    state = next_state(channel.state, RelationshipEvent.CONFIRMED)
    inbox.draft.change(channel.id, {"state": state.value})
    inbox.draft.change(channel.peer, {"channel": channel.id})
    end_others(inbox.draft, channel.peer, channel.id)
    note_heard(inbox.draft, channel)
    return True


def _is_for_later(inbox: Inbox, body: ParcelBody) -> bool:
    """Whether only the persona's key opens what is in it, and the persona cannot be read now."""
    has_share = any(isinstance(message, Guard) for message in body.messages)
    return has_share and the_one(inbox.draft.contents, "persona") is None


def _finish_slot(established: Established) -> bytes:
    """Where the peer put its finish, or would have."""
    return slot_of(established.rs, Side(established.side).receives, SlotKind.FINISH)


def _context(established: Established, own: OwnKey, stored: StoredParcel) -> ParcelContext:
    return ParcelContext(
        established.rs,
        established.relationship,
        Side(established.side).receives,
        own.inbox.address.mailbox,
        stored.slot,
        stored.sequence,
    )
