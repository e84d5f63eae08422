"""Taking in what stands inside a peer's parcel: shares, withdrawals, a change of key or address, a farewell.

Newest version wins, whatever the order of arrival. One message that is refused does not stop the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from kith_client.relations import records
from kith_client.relations.inbox import Inbox
from kith_client.relations.records import ANNOUNCED, Channel, TheirItem
from kith_protocol import labels
from kith_protocol.commit import RECORD_ID_BYTES
from kith_protocol.encoding import Value, encode
from kith_protocol.errors import DecodingError, Refused
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


def take_body(inbox: Inbox, channel: Channel, body: ParcelBody, sequence: int) -> None:
    """Everything that one parcel (or a finish, `sequence` 0) says, into the draft."""
    items = _Items(inbox, channel)
    for message in body.messages:
        try:
            match message:
                case Share() | Withdraw():
                    items.take(message)
                case Rekey() | Moved():
                    _change_address(inbox, channel.id, message, sequence)
                case Bye():
                    _farewell(inbox, channel.id)
                case _:
                    pass  # an introduction: `take_in` leaves parcels with one for a later version
        except (Refused, DecodingError) as problem:
            inbox.tell("alarm", channel.id, f"A peer sent something that was not taken in. {problem}")
    items.announce(body.versions)


class _Items:
    """What is known of one peer's items."""

    def __init__(self, inbox: Inbox, channel: Channel) -> None:
        self._inbox = inbox
        self._channel = channel
        mine = (item for item in records.their_items(inbox.draft.contents) if item.channel == channel.id)
        self._known = {item.item: item for item in mine}

    def take(self, message: Share | Withdraw) -> None:
        """Raises `Refused` or `DecodingError`; then nothing changed."""
        if isinstance(message, Share):
            payload_of(message)
        versions = {key: (item.version, item.digest) for key, item in self._known.items()}
        if apply_share(versions, message) is not Decision.TAKE:
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
        self._known[message.item] = records.read_their_item(record, draft.contents[record])
        self._log(before, message)

    def announce(self, versions: Versions) -> None:
        """Remembers which versions the peer says are current and have not come, so that a withheld one shows."""
        draft = self._inbox.draft
        now = records.read_channel(self._channel.id, draft.contents[self._channel.id]).announced
        highest = dict(now)
        for item, version in versions:
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
            raise Refused("too-many-items", f"It shares more than {MAX_KEPT_ITEMS} items, counting withdrawn ones.")
        if isinstance(message, Share):
            others = (item.payload for item in self._known.values() if item.item != message.item)
            if len(message.payload) + sum(len(payload or b"") for payload in others) > MAX_KEPT_BYTES:
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


def _kind(before: TheirItem | None) -> int:
    return before.kind if before is not None else 0


def _record_id(channel: bytes, item: bytes) -> bytes:
    """The same on every device, so that there is one record for each item."""
    return labelled_hash(_THEIRS, channel, item)[:RECORD_ID_BYTES]


def _change_address(inbox: Inbox, channel_id: bytes, message: Rekey | Moved, sequence: int) -> None:
    """`Rekey` and `Moved` count with one sequence, so that an old one that comes late changes nothing."""
    draft = inbox.draft
    channel = records.read_channel(channel_id, draft.contents[channel_id])
    old = channel.established
    if old is None or sequence <= channel.address_sequence:
        return
    seal_key = message.seal_key if isinstance(message, Rekey) else old.peer_seal_key
    new = replace(old, peer_seal_key=seal_key, outbox=message.mailbox)
    draft.change(channel_id, {"established": encode(new), "address_sequence": sequence})
    draft.change(channel.peer, {"host": message.mailbox.host})


def _farewell(inbox: Inbox, channel_id: bytes) -> None:
    draft = inbox.draft
    channel = records.read_channel(channel_id, draft.contents[channel_id])
    if not channel.ended:
        ended = next_state(channel.state, RelationshipEvent.BYE)
        draft.change(channel_id, {"state": ended.value}, without=["step"])
        inbox.event(channel.peer, "ended the relationship")
