"""Sessions: how a member shows a server that it is one (spec: session.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import Refused
from kith_protocol.suite import HASH_BYTES, SUITE, SignKey, verify

SESSION_LIFETIME: Final = 24 * 3600 * 1000
"""Milliseconds that a token lives at most."""
PAPER_SESSION: Final = 15 * 60 * 1000
"""Milliseconds after the paper key opened a session in which no other member commits."""
SESSION_SKEW: Final = 10 * 60 * 1000
"""Milliseconds by which the clocks may differ; nonces are kept for twice as long."""
SESSION_NONCE_BYTES: Final = 16


class SessionStatement(Statement, frozen=True):
    """What a member signs to open a session."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "vault": HASH_BYTES,
        "member": HASH_BYTES,
        "nonce": SESSION_NONCE_BYTES,
    }

    suite: int
    vault: bytes
    member: bytes
    origin: str
    """The host of the server that it is meant for."""
    time: int
    nonce: bytes


def sign_session(vault: bytes, member: bytes, origin: str, now: int, nonce: bytes, key: SignKey) -> tuple[bytes, bytes]:
    """The statement's bytes and its signature."""
    raw = encode(SessionStatement(SUITE, vault, member, origin, now, nonce))
    return raw, key.sign(labels.SESSION, raw)


def read_session(raw: bytes, origin: str, now: int) -> SessionStatement:
    """Decodes a statement and refuses one for another server or from another time; the signature is checked next."""
    statement = decode(raw, SessionStatement)
    if statement.suite != SUITE:
        raise Refused("downgrade", "The session names a suite that this server does not know.")
    if statement.origin != origin:
        raise Refused("session-origin", f"The session is meant for another server; this one is {origin}.")
    if abs(statement.time - now) > SESSION_SKEW:
        raise Refused("session-time", "The clocks of device and server differ by more than ten minutes; set them.")
    return statement


def check_session(raw: bytes, signature: bytes, sign_key: bytes) -> None:
    """Raises `BadSignature` unless the member with `sign_key` signed the statement."""
    verify(sign_key, labels.SESSION, raw, signature=signature)
