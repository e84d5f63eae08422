"""Servers as maps: mailboxes with slots that replace, and greetings. Just enough for people to exchange parcels."""

from __future__ import annotations

from dataclasses import dataclass, field

from kith_client.relations.server_side import MailboxToOpen, ServerSide
from kith_protocol.errors import BadSignature
from kith_protocol.gateway import Put, PutStatus
from kith_protocol.mailbox import FREED_KINDS, Placement, check_parcel_size, may_become, place, verify_put
from kith_protocol.suite import digest
from kith_protocol.wire import StoredParcel

_STATUS = {
    Placement.STORE: PutStatus.STORED,
    Placement.HAVE: PutStatus.HAVE,
    Placement.LOWER: PutStatus.LOWER_SEQUENCE,
    Placement.TAKEN: PutStatus.TAKEN,
    Placement.FULL: PutStatus.FULL,
}


@dataclass
class Box:
    owner: MailboxToOpen
    highest: dict[bytes, int] = field(default_factory=dict)
    waiting: dict[bytes, StoredParcel] = field(default_factory=dict)
    arrived: dict[bytes, int] = field(default_factory=dict)


@dataclass
class SimServer:
    """One server; several people may share it."""

    boxes: dict[bytes, Box] = field(default_factory=dict)
    greetings: dict[bytes, bytes] = field(default_factory=dict)
    seen: list[StoredParcel] = field(default_factory=list)
    """Everything that ever lay here: what a dishonest server can replay."""
    now: int = 0

    def hold(self, side: ServerSide) -> None:
        for mailbox in side.mailboxes:
            box = self.boxes.setdefault(mailbox.mailbox, Box(mailbox))
            if mailbox.kind is not box.owner.kind:
                assert may_become(box.owner.kind, mailbox.kind)
                box = self.boxes[mailbox.mailbox] = Box(mailbox)
            assert box.owner == mailbox, "nothing else of a mailbox ever changes"
        for greeting in side.greetings:
            assert self.greetings.setdefault(greeting.link_id, greeting.sealed) == greeting.sealed
        for link_id in side.closed_greetings:
            self.greetings.pop(link_id, None)
        for read_id in side.closed_mailboxes:
            for write_id in [w for w, box in self.boxes.items() if box.owner.read_id == read_id]:
                del self.boxes[write_id]

    def put(self, put: Put) -> PutStatus:
        put.check()
        check_parcel_size(put.parcel)
        box = self.boxes.get(put.mailbox)
        if box is None:
            return PutStatus.NO_MAILBOX
        key = box.owner.deposit_key
        try:
            verify_put(key, put.mailbox, put.slot, put.sequence, put.parcel, signature=put.signature)
        except BadSignature:
            return PutStatus.NO_MAILBOX
        decision = place(box.highest, put.slot, put.sequence, box.owner.kind)
        if decision is Placement.STORE:
            stored = StoredParcel(box.owner.read_id, put.slot, put.sequence, put.parcel)
            box.highest[put.slot] = put.sequence
            box.waiting[put.slot] = stored
            box.arrived[put.slot] = self.now
            self.seen.append(stored)
        return _STATUS[decision]

    def fetch(self, read_ids: set[bytes]) -> list[StoredParcel]:
        return [p for box in self.boxes.values() if box.owner.read_id in read_ids for p in box.waiting.values()]

    def expire(self, lifetime: int) -> bool:
        """Drops what nobody read in time; the same sequence may come again. Whether there was any."""
        before = sum(len(box.waiting) for box in self.boxes.values())
        for box in self.boxes.values():
            for slot in [slot for slot in box.waiting if box.arrived[slot] + lifetime <= self.now]:
                del box.waiting[slot]
                box.highest[slot] -= 1
        return before > sum(len(box.waiting) for box in self.boxes.values())

    def delete(self, read_ids: set[bytes], hashes: list[bytes]) -> None:
        for box in self.boxes.values():
            if box.owner.read_id in read_ids:
                gone = [slot for slot, p in box.waiting.items() if digest(p.parcel) in hashes]
                if box.owner.kind in FREED_KINDS:
                    box.highest = {slot: n for slot, n in box.highest.items() if slot not in gone}
                box.waiting = {slot: p for slot, p in box.waiting.items() if digest(p.parcel) not in hashes}
