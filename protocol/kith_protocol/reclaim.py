"""Taking a relationship back after a theft, by the word of the root key (spec: reclaim.md).

Whoever held a device knows all that its vault knew: shared secrets, relationship keys, mailboxes, the persona's private
keys. The root it never held. So the root names a new persona, and that persona makes each relationship anew, in one
message that rests on nothing the thief knows. What becomes of the old relationship is left to the client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import DecodingError, Refused, Undecryptable
from kith_protocol.handshake_state import Established, relationship_keys
from kith_protocol.mailbox import SLOT_BYTES, MailboxAddress, OwnMailbox
from kith_protocol.padding import INNER_CLASSES, pad_to, unpad
from kith_protocol.persona import OwnPersona, PersonaStatement, check_expected, verify_persona
from kith_protocol.relationship import Side
from kith_protocol.suite import (
    BOX_OVERHEAD,
    HYBRID_SIGNATURE_BYTES,
    KEY_BYTES,
    SEAL_KEY_BYTES,
    SEAL_OVERHEAD,
    SUITE,
    SealKey,
    check_seal_key,
    decrypt,
    derive,
    digest,
    encrypt,
    frame,
    labelled_hash,
    seal,
    verify_hybrid,
)

RECLAIM_BYTES: Final = INNER_CLASSES[1]
RECLAIM_SEQUENCE: Final = 1
MAX_PERSONA_KEYS: Final = 4
"""Private persona keys that a receiver tries, newest first."""

_SUITE: Final = bytes([SUITE])
_SEALED_BYTES: Final = KEY_BYTES + SEAL_OVERHEAD
_OVERHEAD: Final = 1 + _SEALED_BYTES + BOX_OVERHEAD


class ReclaimBody(Statement, frozen=True):
    """What the new persona signs, together with both person ids."""

    SIZES: ClassVar[Mapping[str, int]] = {"seal_key": SEAL_KEY_BYTES}

    suite: int
    persona: bytes
    """The sender's signed persona statement, with a higher number than before."""
    seal_key: bytes
    """The sender's key for this relationship."""
    mailbox: MailboxAddress
    """Where the receiver writes from now on."""

    def check(self) -> None:
        super().check()
        if self.suite != SUITE:
            raise Refused("unknown-suite", f"A reclaim names suite {self.suite}; this needs a newer Kithbook.")
        self.mailbox.check()


class Reclaim(Statement, frozen=True):
    """What the box holds."""

    SIZES: ClassVar[Mapping[str, int]] = {"signature": HYBRID_SIGNATURE_BYTES}

    body: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class OpenedReclaim:
    """A reclaim that was verified."""

    established: Established
    """The relationship in its new form; one's own key in it is that of one's persona, until one announces another."""
    persona: PersonaStatement
    """The peer's new persona, whose number voids the lower ones."""
    is_current: bool
    """Whether it was sealed to the newest of one's own persona keys. If not, a thief of one's own may have read it: the
    new persona counts, the relationship does not."""


def make_reclaim(
    me: OwnPersona,
    peer_persona: bytes,
    name: str,
    *,
    seal_seed: bytes,
    inbox: OwnMailbox,
    outbox: MailboxAddress,
    secret: bytes,
    nonce: bytes,
) -> tuple[bytes, Established]:
    """The message for one peer (14,848 bytes) and the relationship to keep; `me` is the new persona.

    `peer_persona` is the peer's signed statement and `name` what it calls itself; `outbox` one of its mailboxes;
    `seal_seed` and `secret` are 32, `nonce` 24 fresh random bytes; `inbox` a fresh mailbox. Raises what
    `verify_persona` raises, and `Refused` (`self-invite`).
    """
    peer = verify_persona(peer_persona)
    if peer.person == me.person:
        raise Refused("self-invite", "A person has no relationship with themself.")
    body = ReclaimBody(SUITE, me.raw, SealKey(seal_seed).public, inbox.address)
    body.check()
    raw = encode(body)
    persons = (_SUITE, me.person, peer.person)
    sealed = seal(peer.seal_key, labels.RECLAIM_SEAL, *persons, plaintext=secret)
    transcript = _transcript(persons, sealed, raw)
    payload = encode(Reclaim(raw, me.sign.sign(labels.RECLAIM_SIGN, me.person, peer.person, transcript)))
    key = derive(secret, labels.RECLAIM_KEY, *persons, sealed)
    padded = pad_to(payload, RECLAIM_BYTES - _OVERHEAD)
    box = encrypt(key, labels.RECLAIM, frame(labels.RECLAIM, *persons), padded, nonce=nonce)
    keys = relationship_keys(secret, transcript)
    return _SUITE + sealed + box, Established(
        side=Side.INVITER,
        rs=keys.rs,
        relationship=keys.relationship,
        peer=peer.person,
        peer_persona=peer_persona,
        name=name,
        # The persona's key: every other one that the vault knows, a thief may have put there.
        peer_seal_key=peer.seal_key,
        seal_seed=seal_seed,
        outbox=outbox,
        inbox=inbox,
        confirm=keys.confirm,
    )


def open_reclaim(
    raw: bytes, known: Established, keys: Sequence[SealKey], me: OwnPersona, *, crossing: bool = False
) -> OpenedReclaim:
    """Opens and verifies what came into a mailbox of the relationship `known`.

    `keys` are the private keys of one's own personas, newest first. With `crossing`, a reclaim of one's own is on its
    way to the persona of `known`, and the peer's counts as well if it comes from that same persona and was sealed to
    the newest of `keys`.

    Raises `Undecryptable` for whatever does not open, `DecodingError`, `BadSignature`, `BadKey`, `Refused`
    (`unknown-suite`, `persona-outdated` for a number that is not above the one of `known`), or the alarm
    `person-changed` for another root.
    """
    if len(raw) != RECLAIM_BYTES or raw[:1] != _SUITE:
        raise Undecryptable("A reclaim does not open.")
    persons = (_SUITE, known.peer, me.person)
    sealed, box = raw[1 : 1 + _SEALED_BYTES], raw[1 + _SEALED_BYTES :]
    place, secret = _open(keys, persons, sealed)
    key = derive(secret, labels.RECLAIM_KEY, *persons, sealed)
    reclaim = decode(unpad(decrypt(key, labels.RECLAIM, frame(labels.RECLAIM, *persons), box)), Reclaim)
    body = decode(reclaim.body, ReclaimBody)
    persona = verify_persona(body.persona)
    number = verify_persona(known.peer_persona).number
    lowest = number if crossing and place == 0 else number + 1
    check_expected(persona, expect=known.peer, known={known.peer: lowest})
    transcript = _transcript(persons, sealed, reclaim.body)
    verify_hybrid(persona.sign_key, labels.RECLAIM_SIGN, known.peer, me.person, transcript, signature=reclaim.signature)
    check_seal_key(body.seal_key)
    relationship = relationship_keys(secret, transcript)
    established = Established(
        side=Side.ACCEPTER,
        rs=relationship.rs,
        relationship=relationship.relationship,
        peer=known.peer,
        peer_persona=body.persona,
        name=known.name,
        peer_seal_key=body.seal_key,
        seal_seed=keys[place].seed,
        outbox=body.mailbox,
        inbox=known.inbox,
        confirm=relationship.confirm,
    )
    return OpenedReclaim(established, persona, place == 0)


def reclaim_slot(raw: bytes) -> bytes:
    """The slot for a reclaim, 16 bytes: the same for every repetition."""
    return labelled_hash(labels.RECLAIM_SLOT, digest(raw))[:SLOT_BYTES]


def _open(keys: Sequence[SealKey], persons: tuple[bytes, ...], sealed: bytes) -> tuple[int, bytes]:
    for place, key in enumerate(keys[:MAX_PERSONA_KEYS]):
        try:
            secret = key.open(labels.RECLAIM_SEAL, *persons, sealed=sealed)
        except Undecryptable:
            continue
        if len(secret) != KEY_BYTES:
            raise DecodingError("The secret of a reclaim must have 32 bytes.")
        return place, secret
    raise Undecryptable("A reclaim does not open.")


def _transcript(persons: tuple[bytes, ...], sealed: bytes, body: bytes) -> bytes:
    return labelled_hash(labels.RECLAIM_TRANSCRIPT, *persons, sealed, body)
