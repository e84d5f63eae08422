"""Guardians: a person's share of the phrase on its way to a guardian, and what both say about it (spec: guardian.md).

Making the shares and putting them together is `splitting`'s; when something is sent, and what a guardian does with a
share, is left to the client.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.codes import CodeKind, check_kind
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import BadSignature, DecodingError, Refused
from kith_protocol.host import parse_host
from kith_protocol.persona import PERSON_ID_BYTES, PersonaStatement, person_id
from kith_protocol.splitting import PhraseShare, read_share
from kith_protocol.suite import (
    HASH_BYTES,
    HYBRID_SIGNATURE_BYTES,
    SUITE,
    HybridSignKey,
    SealKey,
    equal,
    seal,
    verify_hybrid,
)

MAX_TIME: Final = 2**53
MAX_GIVEN: Final = 2**32
MAX_SEALED_BYTES: Final = 8192
TO_GUARDIAN: Final = b"\x00"
"""Name of the slot (kind 8) in which a person's word to a guardian goes."""
TO_PERSON: Final = b"\x01"
"""Name of the slot in which the guardian's answer goes."""

_LINK: Final = re.compile(r"kith-share:([^#]*)#([^#]*)", re.ASCII | re.IGNORECASE)
_TOKEN: Final = re.compile(r"1\.([0-9a-f]{64})\.([a-z-]+)", re.ASCII)
_VERSION: Final = re.compile(r"[0-9]+\..*", re.ASCII | re.DOTALL)


class Guard(Statement, frozen=True, tag=9):
    """The receiver is a guardian of the sender, and this is the share."""

    made: int
    """When the phrase was split, in milliseconds since 1970; tells splits apart, and a later one replaces this."""
    sealed: bytes
    """A `SignedShare`, sealed to the guardian's persona key."""

    def check(self) -> None:
        _check_made(self.made)
        if len(self.sealed) > MAX_SEALED_BYTES:
            raise DecodingError("A sealed share is too long.")


class GuardState(IntEnum):
    """What became of the share of one split, as its guardian says: it only ever grows, so the highest counts."""

    UNREADABLE = 1
    """It did not open, or was not signed by the person's root: another split is needed."""
    KEPT = 2
    RELEASED = 3
    """The guardian heard that the office is over."""
    RESIGNED = 4
    """The guardian gave the office back and deleted the share."""


class GuardAnswer(Statement, frozen=True, tag=10):
    """A guardian tells how things stand. Of one split the highest state counts."""

    made: int
    """Of the split that it is about."""
    state: GuardState
    given: int
    """How often the guardian handed a share of this person out."""
    given_at: int
    """When last, in milliseconds since 1970; 0 for never."""

    def check(self) -> None:
        _check_made(self.made)
        if (
            not 0 <= self.given <= MAX_GIVEN
            or not 0 <= self.given_at <= MAX_TIME
            or (not self.given) != (not self.given_at)
        ):
            raise DecodingError("A guardian's answer is out of its bounds.")


class Release(Statement, frozen=True, tag=11):
    """The receiver is a guardian of the sender no more, of this split and all earlier ones."""

    SIZES: ClassVar[Mapping[str, int]] = {"signature": HYBRID_SIGNATURE_BYTES}

    made: int
    signature: bytes
    """By the root, over a `GuardianRelease`: who only has a device releases nobody."""

    def check(self) -> None:
        super().check()
        _check_made(self.made)


class GuardianRelease(Statement, frozen=True):
    """What the root signs to end an office."""

    SIZES: ClassVar[Mapping[str, int]] = {"guardian": PERSON_ID_BYTES}

    suite: int
    guardian: bytes
    """Person id."""
    made: int


class GuardianSplit(Statement, frozen=True):
    """What the root signs of a split, for the person's own devices: others make none up."""

    suite: int
    record: bytes
    """Under which the vault keeps it."""
    made: int
    needed: int


class GuardianShare(Statement, frozen=True):
    """What a guardian is given, signed by the root: so only who has the phrase makes shares or replaces them."""

    SIZES: ClassVar[Mapping[str, int]] = {"guardian": PERSON_ID_BYTES, "vault": HASH_BYTES}

    suite: int
    guardian: bytes
    """Person id of the guardian: what was signed for one is refused by another."""
    vault: bytes
    """Of the vault that the phrase opens."""
    made: int
    words: str

    def __repr__(self) -> str:
        return "GuardianShare(...)"

    def check(self) -> None:
        super().check()
        if self.suite != SUITE:
            raise Refused("unknown-suite", f"A share names suite {self.suite}; this needs a newer Kithbook.")
        _check_made(self.made)
        try:
            normal = read_share(self.words).words == self.words
        except Refused as refusal:
            raise DecodingError(f"A guardian's share cannot be used. {refusal}") from None
        if not normal:
            raise DecodingError("The words of a guardian's share are not written in the one allowed way.")

    @property
    def share(self) -> PhraseShare:
        """The share itself."""
        return read_share(self.words)


class SignedShare(Statement, frozen=True):
    """A guardian's share as it travels: the bytes that were signed, and the root's signature."""

    SIZES: ClassVar[Mapping[str, int]] = {"signature": HYBRID_SIGNATURE_BYTES}

    body: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class ShareLink:
    """What a guardian hands out: a share, and where the vault is that it helps to open."""

    host: str
    vault: bytes
    share: PhraseShare

    def __repr__(self) -> str:
        return "ShareLink(...)"


def seal_share(root: HybridSignKey, guardian: PersonaStatement, vault: bytes, made: int, words: str) -> bytes:
    """The share `words` for one guardian, signed by the person's root and sealed to the guardian's persona key."""
    statement = GuardianShare(SUITE, guardian.person, vault, made, words)
    statement.check()
    body = encode(statement)
    signed = encode(SignedShare(body, root.sign(labels.GUARDIAN_SHARE, body)))
    context = _context(person_id(root.public), guardian.person)
    return seal(guardian.seal_key, labels.GUARDIAN_SEAL, *context, plaintext=signed)


def open_share(key: SealKey, guardian: bytes, root: bytes, message: Guard) -> GuardianShare:
    """What a guardian got from the person whose root key it has pinned; `key` is the guardian's own persona key.

    `guardian` is the guardian's person id. Raises `Undecryptable`, `DecodingError`, `BadSignature` (also for what was
    made for somebody else, or in another split than the message says), or `Refused` (`unknown-suite`).
    """
    context = _context(person_id(root), guardian)
    signed = decode(key.open(labels.GUARDIAN_SEAL, *context, sealed=message.sealed), SignedShare)
    verify_hybrid(root, labels.GUARDIAN_SHARE, signed.body, signature=signed.signature)
    statement = decode(signed.body, GuardianShare)
    if not equal(statement.guardian, guardian) or statement.made != message.made:
        raise BadSignature("A guardian's share was signed for another guardian or another split.")
    return statement


def sign_release(root: HybridSignKey, guardian: bytes, made: int) -> Release:
    """Ends the office of a guardian (person id) in the split `made` and all earlier ones."""
    body = encode(GuardianRelease(SUITE, guardian, made))
    return Release(made, root.sign(labels.GUARDIAN_RELEASE, body))


def check_release(root: bytes, guardian: bytes, message: Release) -> None:
    """Raises `BadSignature` unless the person's root released this guardian (person id)."""
    body = encode(GuardianRelease(SUITE, guardian, message.made))
    verify_hybrid(root, labels.GUARDIAN_RELEASE, body, signature=message.signature)


def sign_split(root: HybridSignKey, record: bytes, made: int, needed: int) -> bytes:
    """The root's signature of a split that the vault keeps under `record`."""
    return root.sign(labels.GUARDIAN_SPLIT, encode(GuardianSplit(SUITE, record, made, needed)))


def check_split(root: bytes, record: bytes, made: int, needed: int, signature: bytes) -> None:
    """Raises `BadSignature` unless the root made this split."""
    body = encode(GuardianSplit(SUITE, record, made, needed))
    verify_hybrid(root, labels.GUARDIAN_SPLIT, body, signature=signature)


def format_share_link(link: ShareLink) -> str:
    """The text of a QR code for a share."""
    return f"{CodeKind.GUARDIAN_SHARE}{link.host}#1.{link.vault.hex()}.{link.share.words.replace(' ', '-')}"


def parse_share_link(text: str) -> ShareLink:
    """Reads the text of a QR code. Raises `Refused` (`wrong-code`, `share-link`, `bad-host`, `unknown-suite`, ...)."""
    check_kind(text, CodeKind.GUARDIAN_SHARE)
    found = _LINK.fullmatch(text.strip())
    if found is None:
        raise Refused("share-link", "This is not a guardian's share.")
    token = _TOKEN.fullmatch(found[2])
    if token is None:
        if _VERSION.fullmatch(found[2]) and not found[2].startswith("1."):
            raise Refused("unknown-suite", "This guardian's share needs a newer Kithbook.")
        raise Refused("share-link", "This guardian's share is damaged or cut short.")
    host = parse_host(found[1]).removesuffix(":443")
    return ShareLink(host, bytes.fromhex(token[1]), read_share(token[2].replace("-", " ")))


def _context(person: bytes, guardian: bytes) -> tuple[bytes, ...]:
    return bytes([SUITE]), person, guardian


def _check_made(made: int) -> None:
    if not 1 <= made <= MAX_TIME:
        raise DecodingError("The time of a split is out of its bounds.")
