"""What is committed and has no receipt yet, ready to be put: answers, finishes, shares, new keys, farewells.

Sealing and signing happen here; carrying a put to its server, keeping it while that is down, and opening the receipt
are left to the shell.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kith_client.relations import records
from kith_client.relations.bodies import channel_items
from kith_client.relations.draft import Draft
from kith_client.relations.guardians.lines import GUARD, GUARD_ANSWER, Word, Words, digest_of_word
from kith_client.relations.introductions.exchange import INTRODUCE, Said, said
from kith_client.relations.own_keys import PUT
from kith_client.relations.payloads import payload_for, wanted
from kith_client.relations.planning import SENDING, digest_for, narrowed
from kith_client.relations.records import RECEIPT, RECLAIM, Channel, Item
from kith_client.relations.rekeying import REKEY
from kith_client.relations.theft.reclaiming import UNREACHED, put_name, waiting_for
from kith_client.relations.upkeep import acknowledged_versions
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.encoding import encode
from kith_protocol.gateway import Put, PutStatus
from kith_protocol.guardian import TO_GUARDIAN, TO_PERSON
from kith_protocol.handshake import Established, answer_slot
from kith_protocol.mailbox import MailboxAddress, sign_put
from kith_protocol.parcel import Bye, Message, ParcelBody, ParcelContext, Rekey, Withdraw, seal_parcel, versions_of
from kith_protocol.reclaim import RECLAIM_SEQUENCE, reclaim_slot
from kith_protocol.relationship import RelationshipEvent, RelationshipState, Side, SlotKind, next_state, slot_of
from kith_protocol.share import make_share
from kith_protocol.suite import KEY_BYTES, NONCE_BYTES, SealKey

ANSWER: Final = "answer"
FINISH: Final = "finish"
HANDSHAKE_SEQUENCE: Final = 1

STATE: Final = "state"
BYE: Final = "bye"
BYE_SEQUENCE: Final = 1
_SLOTS: Final = {
    REKEY: (SlotKind.REKEY, b""),
    STATE: (SlotKind.STATE, b""),
    BYE: (SlotKind.BYE, b""),
    GUARD: (SlotKind.GUARDIAN, TO_GUARDIAN),
    GUARD_ANSWER: (SlotKind.GUARDIAN, TO_PERSON),
}

Key = tuple[bytes, str, int, bytes]
"""Names one thing to send: channel id; `ANSWER`, `FINISH`, `RECLAIM`, `REKEY`, `STATE`, `BYE`, `GUARD`, `GUARD_ANSWER`,
an item's id in hex, or `INTRODUCE` and an introduction's; version or sequence; write id of the mailbox, because a
receipt counts only while the peer reads there."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One put for one server."""

    host: str
    fingerprint: bytes
    """Of the server at `host`."""
    channel: bytes
    what: str
    """As in `Key`."""
    version: int
    put: Put

    @property
    def key(self) -> Key:
        """What a receipt is about."""
        return self.channel, self.what, self.version, self.put.mailbox

    def __repr__(self) -> str:
        return f"Outgoing({self.channel.hex()}, {self.what}, {self.version})"


def outgoing(contents: Contents, stamp: Stamp, skip: Container[Key] = frozenset()) -> list[Outgoing]:
    """Everything that waits, but for what is in `skip` (queued at the relay, say). `contents` must be committed.

    A share whose payload is no longer what was committed is left out: plan again, then ask again.
    """
    relevant = narrowed(contents)
    theirs, words = records.their_items(contents), Words(contents)
    talk = said(contents, stamp.now)
    found: list[Outgoing] = []
    for channel in records.channels(contents):
        found += [step for step in _steps(channel) if step.key not in skip]
        due = {key: item for key, item in channel.items.items() if item.version > channel.receipts.get(key, 0)}
        established = channel.established
        if established is None or channel.is_reclaiming or not records.has_peer(contents, channel):
            continue
        to = established.outbox.mailbox
        due = {key: item for key, item in due.items() if (channel.id, key.hex(), item.version, to) not in skip}
        sender = _Sender(channel, established, channel_items(theirs, channel.id), stamp)
        told = announcements(channel).items()
        new = [(what, n) for what, n in told if (channel.id, what, n, to) not in skip]
        found += [out for what, n in new if (out := sender.announcement(what, n, words.of(channel))) is not None]
        introducing = due_introductions(channel, talk).items()
        found += [
            sender.introduction(what, *each)
            for what, each in introducing
            if (channel.id, what, each[1], to) not in skip
        ]
        if due and channel.state in SENDING:
            found += sender.parcels(relevant, due)
    return found


def announcements(channel: Channel) -> dict[str, int]:
    """What beside items has to reach the peer: `REKEY`, `STATE`, `BYE` or the name of a line → its sequence."""
    mine = channel.mine
    if channel.ended:
        return {BYE: BYE_SEQUENCE} if mine.bye else {}
    if channel.state not in SENDING:
        return {}
    told = {REKEY: mine.keys[0].sequence if mine.under_way else 0, STATE: mine.told.sequence}
    told |= {name: line.sequence for name, line in mine.lines.items() if line.digest and name in _SLOTS}
    return {what: sequence for what, sequence in told.items() if sequence > mine.put.get(what, 0)}


def due_introductions(channel: Channel, talk: Said) -> dict[str, tuple[bytes, int, Message]]:
    """What of all that is said about introductions the peer has yet to hear."""
    if channel.state not in SENDING:
        return {}
    mine = talk.get(channel.id, {})
    return {what: each for what, each in mine.items() if each[1] > channel.mine.put.get(what, 0)}


def is_outdated(channel: Channel | None, key: Key, talk: Said) -> bool:
    """Whether what was sealed for `key` must not arrive any more, because something else holds by now."""
    _, what, version, mailbox = key
    if channel is None or (channel.ended and what != BYE):
        return True
    if what == ANSWER:
        return False
    if what == RECLAIM:
        return mailbox not in {to.mailbox for to in channel.reclaim or ()}
    if channel.established is None or mailbox != channel.established.outbox.mailbox:
        return True
    if what in _SLOTS:
        return announcements(channel).get(what) != version
    if what.startswith(INTRODUCE):
        return talk.get(channel.id, {}).get(what, (b"", 0))[1] != version
    return any(key.hex() == what and item.version > version for key, item in channel.items.items())


def receipted(contents: Contents, stamp: Stamp, key: Key, status: PutStatus) -> Edit:
    """What a sealed receipt changes. A put that did not get through changes nothing and is to be tried again.

    An answer that finds no mailbox is different: the invite was used or revoked, and the person learns it.
    """
    record, what, version, mailbox = key
    channel = records.channel_at(contents, record)
    if channel is None or not _counts(channel, what, mailbox):
        return {}
    draft = Draft(contents, stamp)
    if status in (PutStatus.STORED, PutStatus.HAVE):
        _note_receipt(draft, channel, what, version, mailbox)
    elif what == BYE and status is PutStatus.NO_MAILBOX:
        draft.change(record, {}, without=["bye"])  # the peer ended it as well
    elif what == ANSWER and status is PutStatus.NO_MAILBOX and channel.state is RelationshipState.ANSWERED:
        ended = next_state(channel.state, RelationshipEvent.EXPIRED)
        draft.change(record, {"state": ended.value}, without=["step"])
        draft.tell("invite", record, "An invite that you accepted can no longer be used. Ask for a new one.")
    elif what == RECLAIM and status is PutStatus.NO_MAILBOX:
        _no_way(draft, channel, mailbox)
    return draft.edit


def _counts(channel: Channel, what: str, mailbox: bytes) -> bool:
    """A receipt for a mailbox that the peer has replaced since says nothing."""
    if what == RECLAIM:
        return mailbox in {to.mailbox for to in channel.reclaim or ()}
    return what == ANSWER or (channel.established is not None and channel.established.outbox.mailbox == mailbox)


def _no_way(draft: Draft, channel: Channel, mailbox: bytes) -> None:
    """One of the peer's mailboxes is gone, so no reclaim can get there; without any, the relationship is over."""
    left = [to for to in channel.reclaim or () if to.mailbox != mailbox]
    draft.change(channel.id, {RECLAIM: [encode(to) for to in left]})
    if not left:
        ended = next_state(channel.state, RelationshipEvent.REPLACED)
        draft.change(channel.id, {"state": ended.value}, without=["step", RECLAIM])
        draft.tell("alarm", channel.peer, UNREACHED)


def _note_receipt(draft: Draft, channel: Channel, what: str, version: int, mailbox: bytes) -> None:
    if what in (ANSWER, FINISH):
        if what == _step_name(channel):
            draft.change(channel.id, {}, without=["step"])
        return
    if what == BYE:
        draft.change(channel.id, {}, without=["bye"])
        return
    if what == RECLAIM:
        draft.change(channel.id, {PUT + put_name(mailbox): version})
        return
    if what in _SLOTS or what.startswith(INTRODUCE):
        if version > channel.mine.put.get(what, 0):
            draft.change(channel.id, {PUT + what: version})
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
    if channel.is_reclaiming:
        for to in waiting_for(channel):
            yield _put(channel, to, RECLAIM, RECLAIM_SEQUENCE, reclaim_slot(channel.step), channel.step)
    elif channel.established is not None:
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
        self._acknowledged = acknowledged_versions(known)

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
                slot = self._slot(SlotKind.ITEM, key)
                yield self._seal(key.hex(), item.version, slot, (message,))

    def announcement(self, what: str, sequence: int, words: Mapping[str, Word]) -> Outgoing | None:
        """The parcel that tells a new key, an acknowledgement, the end, or the word of a line; None where the word is
        no longer what was committed."""
        messages: dict[str, tuple[Message, ...]] = {STATE: (), BYE: (Bye(),)}
        if what == REKEY:
            newest = self._channel.mine.keys[0]
            messages[REKEY] = (Rekey(SealKey(newest.seed).public, newest.inbox.address),)
        if what in (GUARD, GUARD_ANSWER):
            word = words.get(what)
            if word is None or digest_of_word(word) != self._channel.mine.lines[what].digest:
                return None
            messages[what] = (word,)
        return self._seal(what, sequence, self._slot(*_SLOTS[what]), messages[what])

    def introduction(self, what: str, introduction: bytes, sequence: int, message: Message) -> Outgoing:
        """The parcel that says something about an introduction."""
        return self._seal(what, sequence, self._slot(SlotKind.INTRODUCE, introduction), (message,))

    def _slot(self, kind: SlotKind, name: bytes = b"") -> bytes:
        return slot_of(self._established.rs, self._side.sends, kind, name)

    def _seal(self, what: str, sequence: int, slot: bytes, messages: tuple[Message, ...]) -> Outgoing:
        established, to = self._established, self._established.outbox
        # Every parcel of the accepter confirms: whichever comes first, the inviter can trust it.
        confirm = established.confirm if self._side is Side.ACCEPTER else b""
        body = ParcelBody(self._versions, self._acknowledged, confirm, messages)
        context = ParcelContext(established.rs, established.relationship, self._side.sends, to.mailbox, slot, sequence)
        secret, nonce = self._stamp.random(KEY_BYTES), self._stamp.random(NONCE_BYTES)
        parcel = seal_parcel(context, established.peer_seal_key, body, secret=secret, nonce=nonce)
        return _put(self._channel, to, what, sequence, slot, parcel)
