"""Persons: the root key names one, the persona statement names the keys in daily use (spec: persona.md).

What a peer does when a statement changes is decided in `handshake`; where keys are kept is left to the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import Alarm, AlarmCode, DecodingError, Refused
from kith_protocol.suite import (
    HASH_BYTES,
    HYBRID_KEY_BYTES,
    HYBRID_SIGNATURE_BYTES,
    SEAL_KEY_BYTES,
    SUITE,
    HybridSignKey,
    check_hybrid_key,
    check_seal_key,
    derive,
    labelled_hash,
    verify_hybrid,
)

PERSON_ID_BYTES: Final = HASH_BYTES
FIRST_NUMBER: Final = 1
"""Number of a person's first persona statement."""
MAX_NUMBER: Final = 2**53
MAX_PERSONA_BYTES: Final = 8_584
"""Of a signed statement whose number is as large as it may be."""

_SAFETY_DIGITS: Final = 60
_SAFETY_GROUP: Final = 5


class PersonaStatement(Statement, frozen=True):
    """What the root key says: these are the keys that speak for me now."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "root": HYBRID_KEY_BYTES,
        "sign_key": HYBRID_KEY_BYTES,
        "seal_key": SEAL_KEY_BYTES,
    }

    suite: int
    root: bytes
    sign_key: bytes
    seal_key: bytes
    number: int
    """Counts from 1; a higher one voids every lower one."""

    @property
    def person(self) -> bytes:
        """The person id, 32 bytes."""
        return person_id(self.root)

    def check(self) -> None:
        super().check()
        if self.suite != SUITE:
            raise Refused("unknown-suite", f"A persona names suite {self.suite}; this needs a newer Kithbook.")
        if not FIRST_NUMBER <= self.number <= MAX_NUMBER:
            raise DecodingError("The number of a persona is out of its bounds.")


class SignedPersona(Statement, frozen=True):
    """A persona statement as it travels: the bytes that were signed, and the root's signature."""

    SIZES: ClassVar[Mapping[str, int]] = {"signature": HYBRID_SIGNATURE_BYTES}

    body: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class OwnPersona:
    """One's own persona: the signed statement, and the private signing key that it names."""

    raw: bytes
    sign: HybridSignKey

    @property
    def person(self) -> bytes:
        """One's own person id, 32 bytes."""
        return decode(decode(self.raw, SignedPersona).body, PersonaStatement).person


def person_id(root: bytes) -> bytes:
    """The id of the person with this public root key, 32 bytes."""
    return labelled_hash(labels.PERSON_ID, root)


def sign_persona(root: HybridSignKey, sign: HybridSignKey, seal_key: bytes, number: int) -> bytes:
    """A signed persona statement; `seal_key` is the public X-Wing key."""
    statement = PersonaStatement(SUITE, root.public, sign.public, seal_key, number)
    statement.check()
    body = encode(statement)
    return encode(SignedPersona(body, root.sign(labels.PERSONA, body)))


def verify_persona(raw: bytes) -> PersonaStatement:
    """Decodes and verifies a statement and each of its keys.

    Raises `DecodingError`, `BadSignature`, `BadKey`, or `Refused` (`unknown-suite`).
    """
    if len(raw) > MAX_PERSONA_BYTES:
        raise DecodingError("A persona statement is too long.")
    signed = decode(raw, SignedPersona)
    statement = decode(signed.body, PersonaStatement)
    check_hybrid_key(statement.root)
    verify_hybrid(statement.root, labels.PERSONA, signed.body, signature=signed.signature)
    check_hybrid_key(statement.sign_key)
    check_seal_key(statement.seal_key)
    return statement


def check_expected(
    statement: PersonaStatement, *, expect: bytes | None = None, known: Mapping[bytes, int] | None = None
) -> None:
    """Compares a verified statement with what one remembers.

    `expect` is the person id that it must be, if there is one; `known` maps person ids to the highest number seen.
    Raises the alarm `person-changed` for another person, and `Refused` (`persona-outdated`) for a lower number.
    """
    if expect is not None and statement.person != expect:
        raise Alarm(AlarmCode.PERSON_CHANGED, "This is another person than the one known, or somebody in between.")
    if known is not None and statement.number < known.get(statement.person, FIRST_NUMBER):
        raise Refused("persona-outdated", "These keys were replaced by newer ones of the same person.")


def safety_number(root_a: bytes, root_b: bytes) -> str:
    """60 digits in 12 groups of 5, the same on both sides.

    512 bits are taken modulo 10^60 (199 bits), so the bias is below 2^-312. To find two roots that give the numbers of
    two victims the same value costs about 2^99 hashes.
    """
    first, second = sorted((root_a, root_b))
    wide = derive(labelled_hash(labels.SAFETY_NUMBER, first, second), labels.SAFETY_NUMBER, length=64)
    digits = str(int.from_bytes(wide, "big") % 10**_SAFETY_DIGITS).zfill(_SAFETY_DIGITS)
    return " ".join(digits[start : start + _SAFETY_GROUP] for start in range(0, _SAFETY_DIGITS, _SAFETY_GROUP))
