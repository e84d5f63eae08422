"""Mailboxes: the address that a peer gets, signed puts, and which put a server keeps (spec: mailbox.md).

Storage, quotas in bytes and expiry are left to the server; what is inside a parcel, to `parcel` and `handshake`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum, auto
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.encoding import Statement
from kith_protocol.errors import LimitExceeded, Refused
from kith_protocol.host import check_host, parse_host
from kith_protocol.padding import INNER_CLASSES
from kith_protocol.server_statement import FINGERPRINT_BYTES
from kith_protocol.suite import SEED_BYTES, SignKey, digest, verify

MAILBOX_BYTES: Final = 16
SLOT_BYTES: Final = 16
MAX_SEQUENCE: Final = 2**53
NEW_MAILBOX_RANDOM_BYTES: Final = 2 * MAILBOX_BYTES + SEED_BYTES


class MailboxKind(IntEnum):
    """What a mailbox is for; decides how many slots it has."""

    PARCELS = 1
    """Of one relationship."""
    ANSWERS = 2
    """Of one invite: nothing in it is ever replaced."""
    REQUESTS = 3
    """Of one reusable invite: nothing in it is ever replaced, and a slot is free again once its answer was deleted."""
    RETIRED = 4
    """Of one relationship, replaced by a newer one: takes the word of the peer's root, nothing in it is ever replaced.
    A mailbox for parcels may become one of these, never the other way round."""


MAX_SLOTS: Final = {
    MailboxKind.PARCELS: 1024,
    MailboxKind.ANSWERS: 4,
    MailboxKind.REQUESTS: 100,
    MailboxKind.RETIRED: 16,
}
"""Slots ever used: 256 items and those that came and went before the next re-keying; of answers, the first that
verifies counts, so four are enough. A retired mailbox forgets the slots it had before."""

FREED_KINDS: Final = frozenset({MailboxKind.REQUESTS})
"""Mailboxes that forget a slot once its parcel was deleted or has expired: their owner tells late copies from new
answers by herself, and whoever finds a printed invite must not be able to fill the mailbox for good."""


class MailboxAddress(Statement, frozen=True):
    """All that a peer needs to put parcels into a mailbox: a capability, so it is kept like a key."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "fingerprint": FINGERPRINT_BYTES,
        "mailbox": MAILBOX_BYTES,
        "deposit_seed": SEED_BYTES,
    }

    host: str
    fingerprint: bytes
    mailbox: bytes
    """The write id; the server knows the read id beside it, the peer does not."""
    deposit_seed: bytes

    def __repr__(self) -> str:
        return "MailboxAddress(...)"

    @property
    def deposit(self) -> SignKey:
        """The key that signs puts."""
        return SignKey(self.deposit_seed)

    def check(self) -> None:
        super().check()
        check_host(self.host)


class OwnMailbox(Statement, frozen=True):
    """A mailbox as its owner knows it."""

    SIZES: ClassVar[Mapping[str, int]] = {"read_id": MAILBOX_BYTES}

    read_id: bytes
    """Names the mailbox when its owner lists and deletes parcels."""
    address: MailboxAddress

    def __repr__(self) -> str:
        return "OwnMailbox(...)"

    def check(self) -> None:
        super().check()
        self.address.check()


class Placement(Enum):
    """What a server does with a put whose signature holds."""

    STORE = auto()
    """Keep it; a parcel in the same slot goes."""
    HAVE = auto()
    """This sequence is there already: counts as stored, changes nothing."""
    LOWER = auto()
    """A later sequence was stored before."""
    TAKEN = auto()
    """The slot holds what is not replaced: an answer, or something in a retired mailbox."""
    FULL = auto()
    """No slot is free."""


def new_mailbox(host: str, fingerprint: bytes, randomness: bytes) -> OwnMailbox:
    """A fresh mailbox on the server `host`; `randomness` is 64 random bytes."""
    if len(randomness) != NEW_MAILBOX_RANDOM_BYTES:
        raise Refused("randomness", f"A new mailbox takes {NEW_MAILBOX_RANDOM_BYTES} random bytes.")
    read_id, write_id = randomness[:MAILBOX_BYTES], randomness[MAILBOX_BYTES : 2 * MAILBOX_BYTES]
    mailbox = OwnMailbox(
        read_id, MailboxAddress(parse_host(host), fingerprint, write_id, randomness[2 * MAILBOX_BYTES :])
    )
    mailbox.check()
    return mailbox


def deposit_public(address: MailboxAddress) -> bytes:
    """The public key that the owner tells the server, 32 bytes."""
    return address.deposit.public


def may_become(kind: MailboxKind, wanted: MailboxKind) -> bool:
    """Whether a server lets the owner of a mailbox change its kind."""
    return kind is wanted or (kind is MailboxKind.PARCELS and wanted is MailboxKind.RETIRED)


def sign_put(deposit: SignKey, mailbox: bytes, slot: bytes, sequence: int, parcel: bytes) -> bytes:
    """The signature of a put, 64 bytes."""
    return deposit.sign(labels.DEPOSIT, *_put_fields(mailbox, slot, sequence, parcel))


def verify_put(
    deposit_key: bytes, mailbox: bytes, slot: bytes, sequence: int, parcel: bytes, *, signature: bytes
) -> None:
    """Raises `BadSignature` unless whoever holds the deposit key put this parcel into this slot."""
    verify(deposit_key, labels.DEPOSIT, *_put_fields(mailbox, slot, sequence, parcel), signature=signature)


def check_parcel_size(parcel: bytes) -> None:
    """Raises `LimitExceeded` for anything that is not exactly of one class."""
    if len(parcel) not in INNER_CLASSES:
        raise LimitExceeded("A parcel has exactly one of the four sizes.")


def place(
    existing: Mapping[bytes, int], slot: bytes, sequence: int, kind: MailboxKind = MailboxKind.PARCELS
) -> Placement:
    """Decides over a put; `existing` maps the mailbox's slots to the highest sequence stored there.

    A slot whose parcel was read and deleted stays in `existing`, so that a late copy is not stored again (but for
    `FREED_KINDS`). An equal
    sequence counts as the same put whatever the parcel, because the signature shows that the same peer made both.
    """
    known = existing.get(slot)
    if known is None:
        return Placement.STORE if len(existing) < MAX_SLOTS[kind] else Placement.FULL
    if sequence == known:
        return Placement.HAVE
    if kind is not MailboxKind.PARCELS:
        return Placement.TAKEN
    return Placement.STORE if sequence > known else Placement.LOWER


def _put_fields(mailbox: bytes, slot: bytes, sequence: int, parcel: bytes) -> tuple[bytes, ...]:
    return mailbox, slot, sequence.to_bytes(8, "big"), digest(parcel)
