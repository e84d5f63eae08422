"""Persons, servers and whole handshakes for the tests, made from fixed bytes so that every run is the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import nacl.bindings as sodium

from kith_protocol.handshake import (
    Established,
    OpenedAnswer,
    OpenedFinish,
    PendingAnswer,
    make_answer,
    make_finish,
    open_answer,
    open_finish,
)
from kith_protocol.invite import OpenedGreeting, OwnInvite, new_invite, open_greeting, seal_greeting
from kith_protocol.mailbox import MailboxAddress, OwnMailbox, new_mailbox
from kith_protocol.parcel import ParcelBody
from kith_protocol.persona import OwnPersona, sign_persona
from kith_protocol.phrase import root_key
from kith_protocol.suite import HybridSignKey, SealKey, SignKey, frame

NOW = 1_800_000_000_000
DAY = 24 * 3600 * 1000
FINGERPRINT = b"fingerprint-of-a"
BAD_ADDRESS = MailboxAddress("A.example", FINGERPRINT, bytes(16), bytes(32))
"""Its host is not in the normal form."""


def fixed(name: str, length: int = 32) -> bytes:
    """Bytes that look random and are the same in every run."""
    return hashlib.shake_256(name.encode()).digest(length)


def hybrid(name: str) -> HybridSignKey:
    return HybridSignKey(fixed(name + "-ed25519"), fixed(name + "-mldsa"))


def persona_of(name: str, number: int = 1) -> OwnPersona:
    """The persona of a person whose root depends on the name only."""
    return _persona_of(name, number)


@lru_cache(maxsize=64)
def _persona_of(name: str, number: int) -> OwnPersona:
    # Kept, because ML-DSA draws randomness: signing the same statement again gives other bytes.
    sign = hybrid(f"{name}-persona-{number}")
    raw = sign_persona(root_key(fixed(name)), sign, SealKey(fixed(f"{name}-seal-{number}")).public, number)
    return OwnPersona(raw, sign)


def mailbox_of(name: str, host: str = "a.example") -> OwnMailbox:
    return new_mailbox(host, FINGERPRINT, fixed(name + "-mailbox", 64))


def invite_by(name: str, *, host: str = "a.example", label: str = "Anna", number: int = 1) -> OwnInvite:
    return new_invite(
        host,
        FINGERPRINT,
        persona_of(name, number).raw,
        label,
        NOW + 7 * DAY,
        reusable=False,
        randomness=fixed(name + "-invite", 80),
    )


def greeting_of(own: OwnInvite) -> OpenedGreeting:
    return open_greeting(own.invite, seal_greeting(own, nonce=fixed("greeting", 24)), NOW)


@dataclass(frozen=True)
class Pairing:
    """Every step of one handshake between Anna, who invites, and Bob, who accepts."""

    own: OwnInvite
    answer: bytes
    pending: PendingAnswer
    opened: OpenedAnswer
    finish: bytes
    anna: Established
    finished: OpenedFinish

    @property
    def bob(self) -> Established:
        return self.finished.established


def answer_by(name: str, own: OwnInvite, *, label: str = "Bob") -> tuple[bytes, PendingAnswer]:
    return make_answer(
        own.invite,
        greeting_of(own),
        persona_of(name),
        label,
        seal_seed=fixed(name + "-relationship"),
        inbox=mailbox_of(name, "b.example"),
        secret=fixed("secret-ba"),
        nonce=fixed("answer", 24),
    )


def finish_by(
    name: str, own: OwnInvite, opened: OpenedAnswer, first: ParcelBody | None = None
) -> tuple[bytes, Established]:
    return make_finish(
        own,
        opened,
        persona_of(name),
        seal_seed=fixed(name + "-relationship"),
        inbox=mailbox_of(name),
        secret=fixed("secret-ab"),
        nonce=fixed("finish", 24),
        first=first,
    )


@lru_cache(maxsize=1)
def pairing() -> Pairing:
    own = invite_by("anna")
    answer, pending = answer_by("bob", own)
    opened = open_answer(own, answer, persona_of("anna"))
    finish, anna = finish_by("anna", own, opened)
    return Pairing(own, answer, pending, opened, finish, anna, open_finish(pending, finish, persona_of("bob")))


def replace_statement(statement: Any, **fields: Any) -> Any:
    """A copy of a statement with some fields changed."""
    values = {name: getattr(statement, name) for name in statement.__struct_fields__}
    return type(statement)(**{**values, **fields})


def flip(data: bytes, position: int) -> bytes:
    """`data` with one bit changed."""
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


class MixedOrderKey:
    """An Ed25519 key with a part of small order: some of its signatures verify, and fit other keys too."""

    _ORDER = 2**252 + 27742317777372353535851937790883648493
    _SMALL = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")

    def __init__(self, seed: bytes) -> None:
        clamped = bytearray(hashlib.sha512(seed).digest()[:32])
        clamped[0] &= 248
        clamped[31] = clamped[31] & 127 | 64
        self._scalar = int.from_bytes(clamped, "little")
        self.public = sodium.crypto_core_ed25519_add(SignKey(seed).public, self._SMALL)

    def sign(self, label: str, *fields: bytes) -> bytes:
        """Tries nonces until the part of small order vanishes, one time in eight."""
        message = frame(label, *fields)
        for nonce in range(1, 1000):
            point = sodium.crypto_scalarmult_ed25519_base_noclamp(nonce.to_bytes(32, "little"))
            hashed = int.from_bytes(hashlib.sha512(point + self.public + message).digest(), "little") % self._ORDER
            if hashed % 8 == 0:
                return point + ((nonce + hashed * self._scalar) % self._ORDER).to_bytes(32, "little")
        raise AssertionError("no nonce fits")
