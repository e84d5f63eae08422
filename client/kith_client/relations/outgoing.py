"""What is committed and has no receipt yet: answers, finishes, and versions of shares, ready to be put.

Sealing and signing happen here; carrying a put to its server, keeping it while that is down, and opening the receipt
are left to the shell.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Final

from kith_client.relations import records
from kith_client.relations.bodies import channel_items
from kith_client.relations.draft import Draft
from kith_client.relations.payloads import payload_for, wanted
from kith_client.relations.planning import SENDING, digest_for, narrowed
from kith_client.relations.records import RECEIPT, Channel, Item
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.gateway import Put, PutStatus
from kith_protocol.handshake import Established, answer_slot
from kith_protocol.mailbox import MailboxAddress, sign_put
from kith_protocol.parcel import MAX_ITEMS, Message, ParcelBody, ParcelContext, Withdraw, seal_parcel, versions_of
from kith_protocol.relationship import RelationshipEvent, RelationshipState, Side, SlotKind, next_state, slot_of
from kith_protocol.share import make_share
from kith_protocol.suite import KEY_BYTES, NONCE_BYTES

ANSWER: Final = "answer"
FINISH: Final = "finish"
HANDSHAKE_SEQUENCE: Final = 1

Key = tuple[bytes, str, int]
"""Names one thing to send: channel id; `ANSWER`, `FINISH` or an item's id in hex; version."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One put for one server."""

    host: str
    fingerprint: bytes
    """Of the server at `host`."""
    channel: bytes
    what: str
    """`ANSWER`, `FINISH`, or an item's id in hex."""
    version: int
    put: Put

    @property
    def key(self) -> Key:
        """What a receipt is about."""
        return self.channel, self.what, self.version

    def __repr__(self) -> str:
        return f"Outgoing({self.channel.hex()}, {self.what}, {self.version})"


def outgoing(contents: Contents, stamp: Stamp, skip: Container[Key] = frozenset()) -> list[Outgoing]:
    """Everything that waits, but for what is in `skip` (queued at the relay, say). `contents` must be committed.

    A share whose payload is no longer what was committed is left out: plan again, then ask again.
    """
    relevant = narrowed(contents)
    theirs = records.their_items(contents)
    found: list[Outgoing] = []
    for channel in records.channels(contents):
        found += [step for step in _steps(channel) if step.key not in skip]
        due = {key: item for key, item in channel.items.items() if item.version > channel.receipts.get(key, 0)}
        due = {key: item for key, item in due.items() if (channel.id, key.hex(), item.version) not in skip}
        if due and channel.state in SENDING and channel.established and records.has_peer(contents, channel):
            sender = _Sender(channel, channel.established, channel_items(theirs, channel.id), stamp)
            found += sender.parcels(relevant, due)
    return found


def receipted(contents: Contents, stamp: Stamp, key: Key, status: PutStatus) -> Edit:
    """What a sealed receipt changes. A put that did not get through changes nothing and is to be tried again.

    An answer that finds no mailbox is different: the invite was used or revoked, and the person learns it.
    """
    record, what, version = key
    channel = records.channel_at(contents, record)
    if channel is None:
        return {}
    draft = Draft(contents, stamp)
    if status in (PutStatus.STORED, PutStatus.HAVE):
        _note_receipt(draft, channel, what, version)
    elif what == ANSWER and status is PutStatus.NO_MAILBOX and channel.state is RelationshipState.ANSWERED:
        ended = next_state(channel.state, RelationshipEvent.EXPIRED)
        draft.change(record, {"state": ended.value}, without=["step"])
        draft.tell("invite", record, "An invite that you accepted can no longer be used. Ask for a new one.")
    return draft.edit


def _note_receipt(draft: Draft, channel: Channel, what: str, version: int) -> None:
    if what in (ANSWER, FINISH):
        if what == _step_name(channel):
            draft.change(channel.id, {}, without=["step"])
        return
    item = bytes.fromhex(what)
    if item in channel.items and version > channel.receipts.get(item, 0):
        draft.change(channel.id, {RECEIPT + what: version})


def _step_name(channel: Channel) -> str:
    return FINISH if channel.established is not None else ANSWER


def _steps(channel: Channel) -> Iterator[Outgoing]:
    """The answer or the finish that has not arrived."""
    if not channel.step or channel.ended:
        return
    if channel.established is not None:
        rs, side = channel.established.rs, Side(channel.established.side)
        slot = slot_of(rs, side.sends, SlotKind.FINISH)
        yield _put(channel, channel.established.outbox, FINISH, HANDSHAKE_SEQUENCE, slot, channel.step)
    elif channel.pending is not None:
        mailbox = channel.pending.invite.mailbox
        yield _put(channel, mailbox, ANSWER, HANDSHAKE_SEQUENCE, answer_slot(channel.step), channel.step)


def _put(channel: Channel, to: MailboxAddress, what: str, version: int, slot: bytes, parcel: bytes) -> Outgoing:
    signature = sign_put(to.deposit, to.mailbox, slot, version, parcel)
    put = Put(to.mailbox, slot, version, parcel, signature)
    return Outgoing(to.host, to.fingerprint, channel.id, what, version, put)


class _Sender:
    """Seals the items of one channel."""

    def __init__(self, channel: Channel, established: Established, known: dict[bytes, int], stamp: Stamp) -> None:
        self._channel = channel
        self._established = established
        self._side = Side(established.side)
        self._stamp = stamp
        self._versions = versions_of({key: item.version for key, item in channel.items.items()})
        self._acknowledged = versions_of(dict(sorted(known.items())[:MAX_ITEMS]))

    def parcels(self, contents: Contents, due: dict[bytes, Item]) -> Iterator[Outgoing]:
        """The parcels that are due, each with one message."""
        want = wanted(contents, records.peer_at(contents, self._channel.peer), self._channel.sent).payloads
        items = {item.ref: key for key, item in self._channel.items.items() if not item.gone}
        for key, item in sorted(due.items()):
            message: Message | None = Withdraw(key, item.version) if item.gone else None
            if not item.gone and item.ref in want:
                payload = payload_for(want[item.ref], items)
                if payload is not None and digest_for(key, payload) == item.digest:
                    message = make_share(key, item.version, payload)
            if message is not None:
                yield self._seal(key, item, message)

    def _seal(self, key: bytes, item: Item, message: Message) -> Outgoing:
        established, to = self._established, self._established.outbox
        # Every parcel of the accepter confirms: whichever comes first, the inviter can trust it.
        confirm = established.confirm if self._side is Side.ACCEPTER else b""
        body = ParcelBody(self._versions, self._acknowledged, confirm, (message,))
        slot = slot_of(established.rs, self._side.sends, SlotKind.ITEM, key)
        context = ParcelContext(
            established.rs, established.relationship, self._side.sends, to.mailbox, slot, item.version
        )
        secret, nonce = self._stamp.random(KEY_BYTES), self._stamp.random(NONCE_BYTES)
        parcel = seal_parcel(context, established.peer_seal_key, body, secret=secret, nonce=nonce)
        return _put(self._channel, to, key.hex(), item.version, slot, parcel)
