"""What a server says of itself: its versions and its gateway key, under a key that others pin (spec: server.md).

Fetching, caching and pinning are left to client and server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import Alarm, AlarmCode, BadKey, BadSignature, DecodingError, Refused
from kith_protocol.host import check_host
from kith_protocol.suite import (
    SEAL_KEY_BYTES,
    SIGN_KEY_BYTES,
    SIGNATURE_BYTES,
    SUITE,
    SignKey,
    check_seal_key,
    check_sign_key,
    labelled_hash,
    verify,
)

VERSION: Final = 1
FINGERPRINT_BYTES: Final = 16
MAX_VALIDITY: Final = 7 * 24 * 3600 * 1000
"""Milliseconds that a gateway key is offered at most."""
KEY_RETENTION: Final = 21 * 24 * 3600 * 1000
"""Milliseconds that a server keeps a gateway key after `valid_until`, for requests that were queued."""
CLOCK_SKEW: Final = 10 * 60 * 1000
"""Milliseconds by which a statement may seem to come from the future."""
MAX_SUCCESSIONS: Final = 16
MAX_VERSIONS: Final = 16
MAX_STATEMENT_BYTES: Final = 50 * 1024
MAX_TIME: Final = 2**53


class ServerStatement(Statement, frozen=True):
    """What the server key signs."""

    SIZES: ClassVar[Mapping[str, int]] = {"server_key": SIGN_KEY_BYTES, "gateway_key": SEAL_KEY_BYTES}

    suite: int
    host: str
    server_key: bytes
    versions: tuple[int, ...]
    """Protocol versions that the server speaks, ascending."""
    gateway_key: bytes
    valid_from: int
    valid_until: int
    """Milliseconds since 1970; at most seven days after `valid_from`."""

    @property
    def fingerprint(self) -> bytes:
        return server_fingerprint(self.server_key)

    def check(self) -> None:
        super().check()
        if self.suite != SUITE:
            raise Alarm(AlarmCode.DOWNGRADE, f"A server names suite {self.suite}; this program knows suite 1.")
        check_host(self.host)
        if not 0 < len(self.versions) <= MAX_VERSIONS or list(self.versions) != sorted(set(self.versions)):
            raise DecodingError("The versions of a server are not an ascending list.")
        if not 0 <= self.valid_from < self.valid_until <= MAX_TIME:
            raise DecodingError("A server's statement ends before it begins.")
        if self.valid_until - self.valid_from > MAX_VALIDITY:
            raise DecodingError("A server's statement is valid for more than seven days.")


class Succession(Statement, frozen=True):
    """A server key hands over to the next; signed by both."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "old_key": SIGN_KEY_BYTES,
        "new_key": SIGN_KEY_BYTES,
        "old_signature": SIGNATURE_BYTES,
        "new_signature": SIGNATURE_BYTES,
    }

    old_key: bytes
    new_key: bytes
    old_signature: bytes
    new_signature: bytes

    def verify(self) -> None:
        """Raises `BadKey` or `BadSignature` unless both keys agree to the succession."""
        for key, signature in ((self.old_key, self.old_signature), (self.new_key, self.new_signature)):
            check_sign_key(key)
            verify(key, labels.SERVER_SUCCESSION, self.old_key, self.new_key, signature=signature)


class SignedServerStatement(Statement, frozen=True):
    """What stands at `/.well-known/kith`: the signed bytes, and how older keys led to the present one."""

    SIZES: ClassVar[Mapping[str, int]] = {"signature": SIGNATURE_BYTES}

    body: bytes
    signature: bytes
    successions: tuple[Succession, ...] = ()
    """Oldest first; the last one names the key that signs."""

    def check(self) -> None:
        super().check()
        if len(self.successions) > MAX_SUCCESSIONS:
            raise DecodingError(f"A server's statement names more than {MAX_SUCCESSIONS} successions.")
        for succession in self.successions:
            succession.check()


def server_fingerprint(server_key: bytes) -> bytes:
    """What invites and mailbox addresses pin of a server, 16 bytes."""
    return labelled_hash(labels.SERVER_FINGERPRINT, server_key)[:FINGERPRINT_BYTES]


def claimed_fingerprint(raw: bytes) -> bytes:
    """The fingerprint that a statement claims, for a host of which nobody has told us one: to be pinned from then on.

    Proves nothing: verify the statement against it all the same. Raises `DecodingError`, the alarm `downgrade`.
    """
    if len(raw) > MAX_STATEMENT_BYTES:
        raise DecodingError("A server's statement is too long.")
    return decode(decode(raw, SignedServerStatement).body, ServerStatement).fingerprint


def sign_server_statement(
    key: SignKey,
    host: str,
    gateway_key: bytes,
    valid_from: int,
    valid_until: int,
    *,
    versions: tuple[int, ...] = (VERSION,),
    successions: tuple[Succession, ...] = (),
) -> bytes:
    """The bytes to publish; times in milliseconds. Raises `DecodingError` for a statement nobody would accept."""
    statement = ServerStatement(SUITE, host, key.public, versions, gateway_key, valid_from, valid_until)
    statement.check()
    body = encode(statement)
    signed = SignedServerStatement(body, key.sign(labels.SERVER_STATEMENT, body), successions)
    signed.check()
    return encode(signed)


def sign_succession(old: SignKey, new: SignKey) -> Succession:
    """The statement by which `old` hands over to `new`."""
    fields = (old.public, new.public)
    return Succession(*fields, old.sign(labels.SERVER_SUCCESSION, *fields), new.sign(labels.SERVER_SUCCESSION, *fields))


def verify_server_statement(raw: bytes, fingerprint: bytes, host: str, now: int) -> ServerStatement:
    """The statement of the server at `host` that is pinned by `fingerprint`; `now` in milliseconds.

    A succession is followed: compare `fingerprint` of the result with the pinned one, and pin the new one.
    Raises the alarm `server-key-changed` where the pinned key does not stand behind the statement, the alarm
    `downgrade`, `DecodingError`, `BadKey`, or `Refused` with `statement-host`, `statement-expired`,
    `statement-not-yet-valid` or `no-common-version`.
    """
    if len(raw) > MAX_STATEMENT_BYTES:
        raise DecodingError("A server's statement is too long.")
    signed = decode(raw, SignedServerStatement)
    statement = decode(signed.body, ServerStatement)
    _check_authority(signed, statement, fingerprint)
    check_seal_key(statement.gateway_key)
    if statement.host != host:
        raise Refused("statement-host", "The server's statement is for another host name.")
    if statement.valid_until < now:
        raise Refused("statement-expired", "The server's statement has expired; either clock may be wrong.")
    if statement.valid_from > now + CLOCK_SKEW:
        raise Refused(
            "statement-not-yet-valid", "The server's statement is from the future; either clock may be wrong."
        )
    if VERSION not in statement.versions:
        raise Refused("no-common-version", "The server does not speak version 1 of the protocol.")
    return statement


def _check_authority(signed: SignedServerStatement, statement: ServerStatement, fingerprint: bytes) -> None:
    try:
        _follow(signed.successions, fingerprint, statement.server_key)
        check_sign_key(statement.server_key)
        verify(statement.server_key, labels.SERVER_STATEMENT, signed.body, signature=signed.signature)
    except (BadKey, BadSignature):
        raise Alarm(
            AlarmCode.SERVER_KEY_CHANGED, "A server's statement is not signed by the key that is known for it."
        ) from None


def _follow(successions: tuple[Succession, ...], fingerprint: bytes, key: bytes) -> None:
    """Walks backwards from `key` until the pinned one is reached."""
    for succession in reversed(successions):
        if server_fingerprint(key) == fingerprint:
            return
        if succession.new_key != key:
            raise BadSignature("The successions of a server key are not a chain.")
        succession.verify()
        key = succession.old_key
    if server_fingerprint(key) != fingerprint:
        raise BadSignature("No succession leads from the known server key to the present one.")
