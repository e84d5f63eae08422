"""What takes a vault to another server: the right to fill one, and a server's word that it forgot (spec: move.md).

A server that is filled does not know the vault yet. Who fills it signs for one server and one moment; whether the
signer is a member shows when the whole chain is there, and nothing is visible before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.commit import MAX_NUMBER
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import Alarm, AlarmCode, BadSignature, DecodingError, Refused
from kith_protocol.host import check_host
from kith_protocol.member import Member, MemberKeys
from kith_protocol.session import SESSION_SKEW
from kith_protocol.suite import HASH_BYTES, SIGNATURE_BYTES, SUITE, SignKey, verify

FILL_SKEW: Final = SESSION_SKEW
"""Milliseconds by which the clocks of a filler and a server may differ."""


class FillStatement(Statement, frozen=True):
    """What a member signs to fill a server with its vault."""

    SIZES: ClassVar[Mapping[str, int]] = {"vault": HASH_BYTES, "member": HASH_BYTES}

    suite: int
    vault: bytes
    member: bytes
    origin: str
    """The host of the server that it is meant for."""
    time: int
    """Milliseconds since 1970."""


class ForgottenStatement(Statement, frozen=True):
    """A server's word that it keeps nothing of a vault."""

    SIZES: ClassVar[Mapping[str, int]] = {"vault": HASH_BYTES}

    suite: int
    host: str
    vault: bytes
    time: int
    """When it deleted the last of it, in milliseconds since 1970."""

    def check(self) -> None:
        super().check()
        if self.suite != SUITE:
            raise Alarm(AlarmCode.DOWNGRADE, f"A server names suite {self.suite}; this program knows suite 1.")
        check_host(self.host)
        if not 0 <= self.time <= MAX_NUMBER:
            raise DecodingError("A server's statement holds a time out of its bounds.")


def sign_fill(vault: bytes, member: MemberKeys, origin: str, now: int) -> tuple[bytes, bytes]:
    """The statement's bytes and its signature."""
    raw = encode(FillStatement(SUITE, vault, member.id, origin, now))
    return raw, member.sign.sign(labels.FILL, raw)


def check_fill(raw: bytes, signature: bytes, member: Member, vault: bytes, origin: str, now: int) -> None:
    """Whether `member` asks this server, now, to be filled with `vault`.

    Raises `DecodingError`, `BadKey`, or `Refused` (`downgrade`, `fill-origin`, `fill-time`, `fill-refused`).
    """
    statement = decode(raw, FillStatement)
    if statement.suite != SUITE:
        raise Refused("downgrade", "The statement names a suite that this server does not know.")
    if statement.origin != origin:
        raise Refused("fill-origin", f"The statement is meant for another server; this one is {origin}.")
    if abs(statement.time - now) > FILL_SKEW:
        raise Refused("fill-time", "The clocks of device and server differ by more than ten minutes; set them.")
    if (statement.vault, statement.member) != (vault, member.id):
        raise Refused("fill-refused", "The statement is about another vault or member.")
    member.check_keys()
    try:
        verify(member.sign_key, labels.FILL, raw, signature=signature)
    except BadSignature:
        raise Refused("fill-refused", "The statement is not signed by the member that it names.") from None


class SignedForgotten(Statement, frozen=True):
    """The statement as it travels."""

    SIZES: ClassVar[Mapping[str, int]] = {"signature": SIGNATURE_BYTES}

    body: bytes
    signature: bytes


def sign_forgotten(key: SignKey, host: str, vault: bytes, now: int) -> SignedForgotten:
    """By the server key."""
    body = encode(ForgottenStatement(SUITE, host, vault, now))
    return SignedForgotten(body, key.sign(labels.SERVER_FORGOTTEN, body))


def check_forgotten(signed: SignedForgotten, server_key: bytes, host: str, vault: bytes) -> ForgottenStatement:
    """What the server at `host` says of `vault`. Raises `DecodingError`, the alarm `downgrade`, or `Refused`
    (`not-forgotten`)."""
    statement = decode(signed.body, ForgottenStatement)
    if (statement.host, statement.vault) != (host, vault):
        raise Refused("not-forgotten", "The server's word is about another server or another address book.")
    try:
        verify(server_key, labels.SERVER_FORGOTTEN, signed.body, signature=signed.signature)
    except BadSignature:
        raise Refused("not-forgotten", "The server's word is not signed by its key.") from None
    return statement
