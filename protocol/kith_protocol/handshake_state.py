"""The statements of the handshake: what travels, and what each side keeps between steps (spec: handshake.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from kith_protocol import labels
from kith_protocol.encoding import Statement
from kith_protocol.errors import BadSignature, Refused
from kith_protocol.host import check_host
from kith_protocol.invite import (
    INVITE_SECRET_BYTES,
    Invite,
    check_name,
)
from kith_protocol.mailbox import MailboxAddress, OwnMailbox
from kith_protocol.parcel import RELATIONSHIP_ID_BYTES, ParcelBody
from kith_protocol.persona import (
    PERSON_ID_BYTES,
)
from kith_protocol.relationship import Side
from kith_protocol.server_statement import FINGERPRINT_BYTES
from kith_protocol.suite import (
    HASH_BYTES,
    HYBRID_SIGNATURE_BYTES,
    KEY_BYTES,
    SEAL_KEY_BYTES,
    SEED_BYTES,
    SUITE,
    derive,
    equal,
    mac,
)


class AnswerBody(Statement, frozen=True):
    """What the accepter signs, together with both person ids."""

    SIZES: ClassVar[Mapping[str, int]] = {"seal_key": SEAL_KEY_BYTES}

    suite: int
    persona: bytes
    """The accepter's signed persona statement."""
    name: str
    seal_key: bytes
    """The accepter's key for this relationship."""
    mailbox: MailboxAddress
    """Where the inviter writes."""

    def check(self) -> None:
        super().check()
        _check_suite(self.suite)
        check_name(self.name)
        self.mailbox.check()


class FinishBody(Statement, frozen=True):
    """What the inviter signs, together with both person ids."""

    SIZES: ClassVar[Mapping[str, int]] = {"seal_key": SEAL_KEY_BYTES}

    suite: int
    seal_key: bytes
    """The inviter's key for this relationship."""
    mailbox: MailboxAddress
    """Where the accepter writes."""

    def check(self) -> None:
        super().check()
        _check_suite(self.suite)
        self.mailbox.check()


class Answer(Statement, frozen=True):
    """What the box of an answer holds."""

    SIZES: ClassVar[Mapping[str, int]] = {"signature": HYBRID_SIGNATURE_BYTES}

    body: bytes
    signature: bytes


class Finish(Statement, frozen=True):
    """What the box of a finish holds."""

    SIZES: ClassVar[Mapping[str, int]] = {"signature": HYBRID_SIGNATURE_BYTES, "mac": HASH_BYTES}

    body: bytes
    signature: bytes
    mac: bytes
    first: ParcelBody
    """The inviter's first shares: under the MAC, not the signature, so that they prove nothing to others."""

    def check(self) -> None:
        super().check()
        self.first.check()


class PendingAnswer(Statement, frozen=True):
    """All that the accepter keeps until the finish comes."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "invite_secret": INVITE_SECRET_BYTES,
        "fingerprint": FINGERPRINT_BYTES,
        "answer_hash": HASH_BYTES,
        "secret": KEY_BYTES,
        "seal_seed": SEED_BYTES,
    }

    host: str
    invite_secret: bytes
    fingerprint: bytes
    greeting: bytes
    """As encoded."""
    answer_hash: bytes
    secret: bytes
    """secret_BA."""
    seal_seed: bytes
    """Of the key in the answer."""
    inbox: OwnMailbox

    def __repr__(self) -> str:
        return "PendingAnswer(...)"

    @property
    def invite(self) -> Invite:
        return Invite(self.host, self.invite_secret, self.fingerprint)

    def check(self) -> None:
        super().check()
        check_host(self.host)
        self.inbox.check()


class Established(Statement, frozen=True):
    """A relationship as either side keeps it after the handshake."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "rs": KEY_BYTES,
        "relationship": RELATIONSHIP_ID_BYTES,
        "peer": PERSON_ID_BYTES,
        "peer_seal_key": SEAL_KEY_BYTES,
        "seal_seed": SEED_BYTES,
        "confirm": HASH_BYTES,
    }

    side: Side
    rs: bytes
    """The shared secret."""
    relationship: bytes
    """The same on both sides, known to nobody else."""
    peer: bytes
    """The peer's person id."""
    peer_persona: bytes
    """The peer's signed persona statement."""
    name: str
    """What the peer calls itself."""
    peer_seal_key: bytes
    """The peer's public X-Wing key for this relationship."""
    seal_seed: bytes
    """Of one's own key for it."""
    outbox: MailboxAddress
    """The peer's mailbox."""
    inbox: OwnMailbox
    confirm: bytes
    """What the accepter's first parcels carry, and the inviter expects."""

    def __repr__(self) -> str:
        return "Established(...)"

    def check(self) -> None:
        super().check()
        check_name(self.name)
        self.outbox.check()
        self.inbox.check()

    def check_confirm(self, confirm: bytes) -> None:
        """Raises `BadSignature` unless `confirm` shows that the peer holds the shared secret."""
        if not equal(self.confirm, confirm):
            raise BadSignature("The peer's confirmation of the handshake is wrong.")


@dataclass(frozen=True, slots=True)
class RelationshipKeys:
    """What both sides derive from the secrets of a handshake and everything that was said in it."""

    rs: bytes
    """The shared secret."""
    relationship: bytes
    """The relationship's id."""
    confirm: bytes
    """What the side that received the last message shows, to prove that it holds the shared secret."""

    def __repr__(self) -> str:
        return "RelationshipKeys(...)"


def relationship_keys(secrets: bytes, transcript: bytes) -> RelationshipKeys:
    """The keys of the relationship that `secrets` and the hash `transcript` make."""
    rs = derive(secrets, labels.RELATIONSHIP, transcript)
    return RelationshipKeys(
        rs,
        derive(rs, labels.RELATIONSHIP_ID, length=RELATIONSHIP_ID_BYTES),
        mac(derive(rs, labels.CONFIRM_MAC), labels.CONFIRM_MAC, transcript),
    )


def _check_suite(suite: int) -> None:
    if suite != SUITE:
        raise Refused("unknown-suite", f"A handshake names suite {suite}; this needs a newer Kithbook.")
