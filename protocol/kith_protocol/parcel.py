"""Parcels: sealed messages between peers, each with a secret of its own (spec: parcel.md).

Which parcel is due, and what becomes of its messages, is left to `share` and the client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import DecodingError, LimitExceeded, Refused, Undecryptable
from kith_protocol.guardian import Guard, GuardAnswer, Release
from kith_protocol.introduction import Introduce, IntroduceAnswer, IntroduceInvite
from kith_protocol.mailbox import MailboxAddress
from kith_protocol.padding import INNER_CLASSES, pad_to, smallest_class, unpad
from kith_protocol.relationship import Direction
from kith_protocol.suite import (
    BOX_OVERHEAD,
    HASH_BYTES,
    KEY_BYTES,
    SEAL_KEY_BYTES,
    SEAL_OVERHEAD,
    SUITE,
    SealKey,
    check_seal_key,
    decrypt,
    derive,
    encrypt,
    frame,
    seal,
)

ITEM_ID_BYTES: Final = 16
RELATIONSHIP_ID_BYTES: Final = 16
MAX_ITEMS: Final = 256
"""Items that one person shares in one relationship."""
MAX_MESSAGES: Final = 256
MAX_VERSION: Final = 2**53
MAX_RECEIVER_KEYS: Final = 4
"""Private keys that a receiver tries, newest first."""
PARCEL_OVERHEAD: Final = 1 + KEY_BYTES + SEAL_OVERHEAD + BOX_OVERHEAD
MAX_BODY_BYTES: Final = INNER_CLASSES[-1] - PARCEL_OVERHEAD - 1

_SEALED_SECRET_BYTES: Final = KEY_BYTES + SEAL_OVERHEAD
_UNDECRYPTABLE: Final = "A parcel does not open."


class Share(Statement, frozen=True, tag=1):
    """An item in its present version; replaces every earlier one."""

    SIZES: ClassVar[Mapping[str, int]] = {"item": ITEM_ID_BYTES}

    item: bytes
    version: int
    kind: int
    """A `share.ShareKind`; kinds of a later version are kept, not shown."""
    payload: bytes

    def check(self) -> None:
        super().check()
        _check_version(self.version)


class Withdraw(Statement, frozen=True, tag=2):
    """An item is taken back; takes the item's next version."""

    SIZES: ClassVar[Mapping[str, int]] = {"item": ITEM_ID_BYTES}

    item: bytes
    version: int

    def check(self) -> None:
        super().check()
        _check_version(self.version)


class Rekey(Statement, frozen=True, tag=3):
    """The sender's next relationship key and mailbox."""

    SIZES: ClassVar[Mapping[str, int]] = {"seal_key": SEAL_KEY_BYTES}

    seal_key: bytes
    mailbox: MailboxAddress

    def check(self) -> None:
        super().check()
        self.mailbox.check()


class Moved(Statement, frozen=True, tag=4):
    """The sender's mailbox is now on another server."""

    mailbox: MailboxAddress

    def check(self) -> None:
        self.mailbox.check()


class Bye(Statement, frozen=True, tag=6):
    """The sender ends the relationship."""


Message = (
    Share
    | Withdraw
    | Rekey
    | Moved
    | Bye
    | Introduce
    | IntroduceAnswer
    | IntroduceInvite
    | Guard
    | GuardAnswer
    | Release
)
Versions = tuple[tuple[bytes, int], ...]
"""Pairs of item id and version, sorted by item."""


class ParcelBody(Statement, frozen=True):
    """What a parcel says."""

    versions: Versions = ()
    """Of all items that the sender shares now, so that a withheld parcel shows."""
    acknowledged: Versions = ()
    """Of the receiver's items, as the sender has them."""
    confirm: bytes = b""
    """The accepter's MAC over the handshake, in its first parcels; otherwise empty."""
    messages: tuple[Message, ...] = ()

    def check(self) -> None:
        for versions in (self.versions, self.acknowledged):
            _check_versions(versions)
        if len(self.confirm) not in (0, HASH_BYTES):
            raise DecodingError("A confirmation has 32 bytes.")
        if len(self.messages) > MAX_MESSAGES:
            raise DecodingError("A parcel holds too many messages.")
        for message in self.messages:
            message.check()

    def check_keys(self) -> None:
        """Raises `BadKey` where a message announces a key that is unusable."""
        for message in self.messages:
            if isinstance(message, Rekey):
                check_seal_key(message.seal_key)


@dataclass(frozen=True, slots=True)
class ParcelContext:
    """All that a parcel is bound to. Taken from one place to another, it does not open."""

    rs: bytes
    """The shared secret of the relationship."""
    relationship: bytes
    direction: Direction
    mailbox: bytes
    """The write id of the mailbox that it goes to."""
    slot: bytes
    sequence: int

    def __repr__(self) -> str:
        return "ParcelContext(...)"

    @property
    def fields(self) -> tuple[bytes, ...]:
        """What labels are framed with: suite, relationship, direction, mailbox, slot, sequence."""
        return (
            bytes([SUITE]),
            self.relationship,
            bytes([self.direction]),
            self.mailbox,
            self.slot,
            self.sequence.to_bytes(8, "big"),
        )


def versions_of(items: Mapping[bytes, int]) -> Versions:
    """Item ids and versions in the order in which a body lists them."""
    return tuple(sorted(items.items()))


def seal_parcel(context: ParcelContext, receiver: bytes, body: ParcelBody, *, secret: bytes, nonce: bytes) -> bytes:
    """`suite ‖ HPKE(secret) ‖ box`, exactly of one inner class; `receiver` is the peer's newest public X-Wing key.

    `secret` is 32 and `nonce` 24 fresh random bytes. Raises `LimitExceeded` where the body is too long.
    """
    body.check()
    plaintext = encode(body)
    size = smallest_class(len(plaintext), INNER_CLASSES, PARCEL_OVERHEAD)
    padded = pad_to(plaintext, size - PARCEL_OVERHEAD)
    sealed = seal(receiver, labels.PARCEL_SEAL, *context.fields, plaintext=secret)
    box = encrypt(_key(context, secret), labels.PARCEL, _associated(context), padded, nonce=nonce)
    return bytes([SUITE]) + sealed + box


def open_parcel(context: ParcelContext, keys: Sequence[SealKey], raw: bytes) -> ParcelBody:
    """What a peer put into this person's mailbox; `keys` are one's own of this relationship, newest first.

    Raises `Undecryptable` for whatever does not open, `DecodingError` for what opens and says nothing sensible,
    `BadKey` for an unusable announced key, and `Refused` (`unknown-suite`).
    """
    if len(raw) not in INNER_CLASSES:
        raise Undecryptable(_UNDECRYPTABLE)
    if raw[0] != SUITE:
        raise Refused("unknown-suite", f"A parcel names suite {raw[0]}; this needs a newer Kithbook.")
    if len(keys) > MAX_RECEIVER_KEYS:
        raise LimitExceeded(f"At most {MAX_RECEIVER_KEYS} keys of a relationship are kept.")
    body = decode(unpad(_open(context, keys, raw)), ParcelBody)
    body.check_keys()
    return body


def _open(context: ParcelContext, keys: Sequence[SealKey], raw: bytes) -> bytes:
    sealed, box = raw[1 : 1 + _SEALED_SECRET_BYTES], raw[1 + _SEALED_SECRET_BYTES :]
    for key in keys:
        try:
            secret = key.open(labels.PARCEL_SEAL, *context.fields, sealed=sealed)
        except Undecryptable:
            continue
        return decrypt(_key(context, secret), labels.PARCEL, _associated(context), box)
    raise Undecryptable(_UNDECRYPTABLE)


def _key(context: ParcelContext, secret: bytes) -> bytes:
    return derive(secret + context.rs, labels.PARCEL_KEY, *context.fields)


def _associated(context: ParcelContext) -> bytes:
    return frame(labels.PARCEL, *context.fields)


def _check_version(version: int) -> None:
    if not 1 <= version <= MAX_VERSION:
        raise DecodingError("The version of an item is out of its bounds.")


def _check_versions(versions: Versions) -> None:
    if len(versions) > MAX_ITEMS:
        raise DecodingError(f"A relationship has at most {MAX_ITEMS} items each way.")
    items = [item for item, _ in versions]
    if items != sorted(set(items)) or any(len(item) != ITEM_ID_BYTES for item in items):
        raise DecodingError("A list of versions is not sorted, names an item twice, or holds a wrong id.")
    for _, version in versions:
        _check_version(version)
