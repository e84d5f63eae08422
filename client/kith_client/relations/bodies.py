"""Taking in what stands inside a peer's parcel: shares, withdrawals, a change of key or address, a farewell.

Introductions are taken in by `introductions`.

Newest version wins, whatever the order of arrival: of a whole batch only the newest message about each item is taken
in, so that a peer who sends very many costs little. One message that is refused does not stop the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace as replace_told
from functools import cached_property
from typing import Final

from msgspec.structs import replace

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.guardians.lines import Word, read_word
from kith_client.relations.inbox import Inbox
from kith_client.relations.introductions.exchange import Heard
from kith_client.relations.records import ANNOUNCED, FORMER, Channel, TheirItem
from kith_client.relations.rekeying import acknowledge, address_changed
from kith_client.relations.theft.reclaiming import FORMER_EVERY, MAX_FORMER
from kith_protocol import labels
from kith_protocol.commit import RECORD_ID_BYTES
from kith_protocol.encoding import Value, encode
from kith_protocol.errors import DecodingError, KithError, Refused
from kith_protocol.guardian import Guard, GuardAnswer, Release
from kith_protocol.parcel import MAX_ITEMS, Bye, Moved, ParcelBody, Rekey, Share, Versions, Withdraw
from kith_protocol.relationship import RelationshipEvent, next_state
from kith_protocol.share import Decision, ShareKind, apply_share, digest_of, payload_of
from kith_protocol.suite import labelled_hash

MAX_KEPT_ITEMS: Final = 2 * MAX_ITEMS
"""Items remembered of one peer, withdrawn ones too: as many as its mailbox has slots."""
MAX_KEPT_BYTES: Final = 32 * 1024 * 1024
"""Bytes of payloads kept of one peer: twice what 256 photos of the largest size come to."""

_THEIRS: Final = labels.PREFIX + "theirs"
_TOOK_BACK: Final = "took something back"
_SHARED: Final = {
    ShareKind.MY_CARD: "updated their card",
    ShareKind.CONTACT_CARD: "shared a contact with you",
    ShareKind.NOTE: "shared a note with you",
}


class Bodies:
    """The bodies of one batch: addresses and farewells count at once, items and guardians' words when all are read."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._items: dict[bytes, _Items] = {}
        self._introductions = Heard(inbox)
        self._words: dict[tuple[bytes, bool], tuple[int, Word]] = {}

    @cached_property
    def _known(self) -> dict[bytes, list[TheirItem]]:
        known: dict[bytes, list[TheirItem]] = {}
        for item in records.their_items(self._inbox.draft.contents):
            known.setdefault(item.channel, []).append(item)
        return known

    def read(self, channel: Channel, body: ParcelBody, sequence: int) -> None:
        """What one parcel (or a finish, `sequence` 0) says."""
        if channel.id not in self._items:
            self._items[channel.id] = _Items(self._inbox, channel, self._known.get(channel.id, []))
        items = self._items[channel.id]
        for message in body.messages:
            if isinstance(message, Share | Withdraw):
                items.read(message)
            elif isinstance(message, Guard | GuardAnswer | Release):
                # How things stand now: of many only the newest counts, on each line.
                line = channel.id, isinstance(message, GuardAnswer)
                if line not in self._words or sequence >= self._words[line][0]:
                    self._words[line] = sequence, message
            else:
                self._introductions.read(channel, message)
        items.hear(body.versions)
        acknowledge(self._inbox.draft, _fresh(self._inbox, channel.id), dict(body.acknowledged))
        # Both kinds of address count with the parcel's sequence, so that the first of a parcel is the only one.
        moved = next((message for message in body.messages if isinstance(message, Rekey | Moved)), None)
        if moved is not None:
            _change_address(self._inbox, channel.id, moved, sequence)
        if any(isinstance(message, Bye) for message in body.messages):
            _farewell(self._inbox, channel.id)

    def settle(self) -> None:
        """Takes in what was read of items."""
        for items in self._items.values():
            items.settle()
        for (channel, _), (_, word) in sorted(self._words.items(), key=lambda each: each[0]):
            read_word(self._inbox, _fresh(self._inbox, channel), word)


class _Items:
    """What is known of one peer's items, and what a batch says of them."""

    def __init__(self, inbox: Inbox, channel: Channel, known: Iterable[TheirItem]) -> None:
        self._inbox = inbox
        self._channel = channel
        self._known = {item.item: item for item in known}
        self._versions = {item.item: (item.version, item.digest) for item in self._known.values()}
        self._bytes = sum(len(item.payload or b"") for item in self._known.values())
        self._newest: dict[bytes, Share | Withdraw] = {}
        self._heard: dict[bytes, int] = {}
        self._known_already = False

    def read(self, message: Share | Withdraw) -> None:
        """Keeps a message if it is the newest about its item so far."""
        before = self._newest.get(message.item)
        if before is None:
            if len(self._newest) >= MAX_KEPT_ITEMS and message.item not in self._known:
                self._refuse(_too_many())
                return
            self._newest[message.item] = message
        elif message.version > before.version:
            self._newest[message.item] = message
        elif message.version == before.version and message != before:
            self._refuse(_two_contents())

    def hear(self, versions: Versions) -> None:
        """Which versions the peer says are current."""
        for item, version in versions:
            self._heard[item] = max(version, self._heard.get(item, 0))

    def settle(self) -> None:
        # Withdrawals first: they make room for what comes with them.
        for message in sorted(self._newest.values(), key=lambda each: (isinstance(each, Share), each.item)):
            try:
                self._take(message)
            except (Refused, DecodingError) as problem:
                self._refuse(problem)
        self._announce()
        if self._known_already:
            tell_again(self._inbox, self._channel.id)

    def _refuse(self, problem: KithError) -> None:
        text = f"A peer sent something that was not taken in. {problem}"
        self._inbox.tell("alarm", self._channel.id, text)

    def _take(self, message: Share | Withdraw) -> None:
        """Raises `Refused` or `DecodingError`; then nothing changed."""
        if isinstance(message, Share):
            payload_of(message)
        if apply_share(self._versions, message) is not Decision.TAKE:
            self._known_already |= message.version == self._version(message.item)
            return
        self._check_room(message)
        before = self._known.get(message.item)
        draft, record = self._inbox.draft, _record_id(self._channel.id, message.item)
        kind, payload = (message.kind, message.payload) if isinstance(message, Share) else (_kind(before), None)
        values: dict[str, Value] = {"version": message.version, "kind": kind, "digest": digest_of(message)}
        values |= {"channel": self._channel.id, "item": message.item}
        if payload is not None:
            values["payload"] = payload
        if record in draft.contents:
            draft.change(record, values, without=["payload"])
        else:
            draft.add("theirs", values, record)
        taken = self._known[message.item] = records.read_their_item(record, draft.contents[record])
        self._versions[message.item] = (taken.version, taken.digest)
        self._bytes += len(taken.payload or b"") - _length(before)
        self._log(before, message)

    def _announce(self) -> None:
        """Remembers which versions the peer says are current and have not come, so that a withheld one shows."""
        draft = self._inbox.draft
        now = records.read_channel(self._channel.id, draft.contents[self._channel.id]).announced
        highest = dict(now)
        for item, version in self._heard.items():
            highest[item] = max(version, highest.get(item, 0))
        missing = {item: version for item, version in highest.items() if version > self._version(item)}
        kept = dict(sorted(missing.items())[:MAX_KEPT_ITEMS])
        gone = [ANNOUNCED + item.hex() for item in now if item not in kept]
        values: dict[str, Value] = {ANNOUNCED + item.hex(): version for item, version in kept.items()}
        if gone or kept != now:
            draft.change(self._channel.id, values, without=gone)

    def _version(self, item: bytes) -> int:
        return self._known[item].version if item in self._known else 0

    def _check_room(self, message: Share | Withdraw) -> None:
        if message.item not in self._known and len(self._known) >= MAX_KEPT_ITEMS:
            raise _too_many()
        if isinstance(message, Share):
            others = self._bytes - _length(self._known.get(message.item))
            if len(message.payload) + others > MAX_KEPT_BYTES:
                raise Refused("too-many-items", "It shares more than is kept of one peer.")

    def _log(self, before: TheirItem | None, message: Share | Withdraw) -> None:
        if isinstance(message, Withdraw):
            if before is not None and before.payload is not None:
                self._inbox.event(self._channel.peer, _TOOK_BACK)
        elif message.kind in _SHARED:
            self._inbox.event(self._channel.peer, _SHARED[ShareKind(message.kind)])


def channel_items(items: Iterable[TheirItem], channel: bytes) -> dict[bytes, int]:
    """Item id → version known, of one channel."""
    return {item.item: item.version for item in items if item.channel == channel}


def _too_many() -> Refused:
    return Refused("too-many-items", f"It shares more than {MAX_KEPT_ITEMS} items, counting withdrawn ones.")


def _two_contents() -> Refused:
    return Refused("item-equivocation", "The peer sent two different things as one version of an item.")


def _length(item: TheirItem | None) -> int:
    return 0 if item is None else len(item.payload or b"")


def _kind(before: TheirItem | None) -> int:
    return before.kind if before is not None else 0


def _record_id(channel: bytes, item: bytes) -> bytes:
    """The same on every device, so that there is one record for each item."""
    return labelled_hash(_THEIRS, channel, item)[:RECORD_ID_BYTES]


def tell_again(inbox: Inbox, channel_id: bytes) -> None:
    """The peer repeats what I have: it did not hear that, so it is told once more."""
    told = _fresh(inbox, channel_id).mine.told
    inbox.draft.change(channel_id, {"told": replace_told(told, digest=b"").to_value()})


def _fresh(inbox: Inbox, channel_id: bytes) -> Channel:
    return records.read_channel(channel_id, inbox.draft.contents[channel_id])


def _change_address(inbox: Inbox, channel_id: bytes, message: Rekey | Moved, sequence: int) -> None:
    """`Rekey` and `Moved` count with one sequence, so that an old one that comes late changes nothing."""
    draft, channel = inbox.draft, _fresh(inbox, channel_id)
    old = channel.established
    if old is None or sequence <= channel.address_sequence:
        if sequence == channel.address_sequence:
            tell_again(inbox, channel_id)
        return
    seal_key = message.seal_key if isinstance(message, Rekey) else old.peer_seal_key
    new = replace(old, peer_seal_key=seal_key, outbox=message.mailbox)
    values: dict[str, Value] = {"established": encode(new), "address_sequence": sequence}
    if message.mailbox != old.outbox and _is_remembered(draft, channel_id):
        former = dict.fromkeys((old.outbox, *channel.former))
        values[FORMER] = [encode(each) for each in list(former)[:MAX_FORMER]]
    draft.change(channel_id, values)
    draft.change(channel.peer, {"host": message.mailbox.host})
    address_changed(draft, _fresh(inbox, channel_id), repeated=message.mailbox == old.outbox)


def _is_remembered(draft: Draft, channel: bytes) -> bool:
    """Whether a mailbox that is replaced now joins the former ones: one does in a week, so that a thief who announces
    very many in the peer's name does not push those out in which the peer still reads."""
    unit = draft.contents[channel].units.get(FORMER)
    return unit is None or unit.at + FORMER_EVERY <= draft.stamp.now


def _farewell(inbox: Inbox, channel_id: bytes) -> None:
    draft, channel = inbox.draft, _fresh(inbox, channel_id)
    if not channel.ended:
        ended = next_state(channel.state, RelationshipEvent.BYE)
        # It may be a thief's: should the peer's root say otherwise, my mailboxes are still there.
        draft.change(channel_id, {"state": ended.value, "parted": draft.stamp.now}, without=["step"])
        inbox.event(channel.peer, "ended the relationship")
