"""Comparing heads on the local network: two devices of one vault say where they stand (spec: nearby.md, Heads).

Pure: what is announced, what is said, and what follows. Finding and connecting are left to the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.commit import MAX_NUMBER
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import BadSignature, DecodingError, Undecryptable
from kith_protocol.padding import pad_to, unpad
from kith_protocol.suite import (
    BOX_OVERHEAD,
    HASH_BYTES,
    SIGNATURE_BYTES,
    SignKey,
    decrypt,
    derive,
    encrypt,
    frame,
    mac,
    verify,
)

NEARBY_NONCE_BYTES: Final = 16
TAG_BYTES: Final = 8
TAG_LIFETIME: Final = 3600 * 1000
"""Milliseconds for which an announced name is the same."""
HEAD_NOTE_BYTES: Final = 512
"""Of every sealed note."""


class Knows(IntEnum):
    """Where the head that another device names is in my history."""

    NOT = 0
    STANDS = 1
    GIVEN_UP = 2
    """A repair in my history names it among those that it gave up."""


class HeadNote(Statement, frozen=True):
    """One device to the other: where I stand, and whether your head is in my history."""

    SIZES: ClassVar[Mapping[str, int]] = {"member": HASH_BYTES, "head": HASH_BYTES, "signature": SIGNATURE_BYTES}

    member: bytes
    number: int
    head: bytes
    knows: Knows
    """Of the head that the other named; `NOT` in the first note, which knows of none."""
    signature: bytes

    def check(self) -> None:
        super().check()
        if not 0 <= self.number <= MAX_NUMBER:
            raise DecodingError("A note about a head is out of its bounds.")


@dataclass(frozen=True, slots=True)
class Talk:
    """One exchange: the vault, the key that its members of an epoch have, and the nonces of both sides."""

    vault: bytes
    key: bytes
    asks: bytes
    """Nonce of the side that connected."""
    answers: bytes
    """Nonce of the side that was found."""

    def __repr__(self) -> str:
        return "Talk(...)"

    def seal(self, place: int, note: HeadNote, *, nonce: bytes) -> bytes:
        """The note with this place in the exchange, counted from 1; `nonce` is 24 fresh random bytes."""
        padded = pad_to(encode(note), HEAD_NOTE_BYTES - BOX_OVERHEAD)
        return encrypt(self.key, labels.NEARBY_NOTE, self._context(place), padded, nonce=nonce)

    def sign(self, place: int, member: bytes, key: SignKey, number: int, head: bytes, *, knows: Knows) -> HeadNote:
        """A note by the member whose key signs."""
        signature = key.sign(labels.NEARBY_HEAD, *self._fields(place, number, head, knows))
        return HeadNote(member, number, head, knows, signature)

    def open(self, place: int, raw: bytes, members: Mapping[bytes, bytes]) -> HeadNote:
        """A note by one of `members` (id → signing key), made for this exchange and place.

        Raises `Undecryptable` for whatever a stranger can have made, and `BadSignature` for who is no member.
        """
        if len(raw) != HEAD_NOTE_BYTES:
            raise Undecryptable("A note about a head does not open.")
        try:
            note = decode(unpad(decrypt(self.key, labels.NEARBY_NOTE, self._context(place), raw)), HeadNote)
        except DecodingError:
            raise Undecryptable("A note about a head does not open.") from None
        key = members.get(note.member)
        if key is None:
            raise BadSignature("A note about a head is by nobody who is a member.")
        fields = self._fields(place, note.number, note.head, note.knows)
        verify(key, labels.NEARBY_HEAD, *fields, signature=note.signature)
        return note

    def _context(self, place: int) -> bytes:
        return frame(labels.NEARBY_NOTE, self.vault, self.asks, self.answers, bytes([place]))

    def _fields(self, place: int, number: int, head: bytes, knows: Knows) -> tuple[bytes, ...]:
        return self.vault, self.asks, self.answers, bytes([place]), number.to_bytes(8, "big"), head, bytes([knows])


class Verdict(Enum):
    """How two heads of one vault stand to each other."""

    IN_STEP = auto()
    BEHIND = auto()
    """The other device has this one's head in its history: a sync brings this one there."""
    AHEAD = auto()
    """The other way round."""
    REPAIRED = auto()
    """One has a repair in its history that gives the other's head up. Any member can write such a commit; whether the
    other device follows it shows only its sync."""
    FORK = auto()
    """Neither lies in the other's history: a server showed two histories."""


def nearby_key(epoch_key: bytes, vault: bytes) -> bytes:
    """What the members of an epoch have in common on the local network, 32 bytes."""
    return derive(epoch_key, labels.NEARBY_KEY, vault)


def tag_at(key: bytes, now: int) -> str:
    """What a device announces at `now` (ms): 16 hex digits that only members of the epoch can foresee."""
    return mac(key, labels.NEARBY_TAG, (now // TAG_LIFETIME).to_bytes(8, "big"))[:TAG_BYTES].hex()


def tags_around(key: bytes, now: int) -> frozenset[str]:
    """What a device whose clock differs by less than an hour may announce at `now`."""
    return frozenset(tag_at(key, now + shift) for shift in (-TAG_LIFETIME, 0, TAG_LIFETIME))


def verdict(mine: tuple[int, bytes], knows: Knows, theirs: HeadNote) -> Verdict:
    """`mine` is (number, hash) of my head, `knows` where theirs is in my history; `theirs` is their last note."""
    if mine == (theirs.number, theirs.head):
        return Verdict.IN_STEP
    known = {(Knows.STANDS, Knows.NOT): Verdict.AHEAD, (Knows.NOT, Knows.STANDS): Verdict.BEHIND}
    repaired = dict.fromkeys([(Knows.GIVEN_UP, Knows.NOT), (Knows.NOT, Knows.GIVEN_UP)], Verdict.REPAIRED)
    return {**known, **repaired}.get((knows, theirs.knows), Verdict.FORK)
