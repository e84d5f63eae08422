"""The handshake: greeting, answer, finish, confirmation; at its end two persons share a secret (spec: handshake.md).

Each step gives the bytes to send and a statement to commit to the vault before they leave. Sending, and asking the
person, is left to the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import BadSignature, Refused, Undecryptable
from kith_protocol.handshake_state import (
    Answer,
    AnswerBody,
    Established,
    Finish,
    FinishBody,
    PendingAnswer,
    relationship_keys,
)
from kith_protocol.invite import (
    Greeting,
    Invite,
    OpenedGreeting,
    OwnInvite,
    bound_name,
    greeting_hash,
)
from kith_protocol.mailbox import SLOT_BYTES, OwnMailbox
from kith_protocol.padding import INNER_CLASSES, pad_to, smallest_class, unpad
from kith_protocol.parcel import ParcelBody
from kith_protocol.persona import (
    OwnPersona,
    PersonaStatement,
    check_expected,
    verify_persona,
)
from kith_protocol.relationship import Side
from kith_protocol.suite import (
    BOX_OVERHEAD,
    KEY_BYTES,
    SEAL_OVERHEAD,
    SUITE,
    SealKey,
    check_seal_key,
    decrypt,
    derive,
    digest,
    encrypt,
    equal,
    frame,
    labelled_hash,
    mac,
    seal,
    verify_hybrid,
)

__all__ = [
    "ANSWER_BYTES",
    "FINISH_CLASSES",
    "Established",
    "OpenedAnswer",
    "OpenedFinish",
    "PendingAnswer",
    "answer_slot",
    "make_answer",
    "make_finish",
    "open_answer",
    "open_finish",
]

ANSWER_BYTES: Final = INNER_CLASSES[1]
FINISH_CLASSES: Final = INNER_CLASSES[1:]
_SEALED_BYTES: Final = KEY_BYTES + SEAL_OVERHEAD
_OVERHEAD: Final = 1 + _SEALED_BYTES + BOX_OVERHEAD
_SUITE: Final = bytes([SUITE])


@dataclass(frozen=True, slots=True)
class OpenedAnswer:
    """An answer that was verified."""

    body: AnswerBody
    persona: PersonaStatement
    secret: bytes
    """secret_BA."""
    hash: bytes

    def __repr__(self) -> str:
        return "OpenedAnswer(...)"


@dataclass(frozen=True, slots=True)
class OpenedFinish:
    """A finish that was verified."""

    established: Established
    first: ParcelBody


def make_answer(
    invite: Invite,
    opened: OpenedGreeting,
    me: OwnPersona,
    name: str,
    *,
    seal_seed: bytes,
    inbox: OwnMailbox,
    secret: bytes,
    nonce: bytes,
    expect: bytes | None = None,
    known: Mapping[bytes, int] | None = None,
) -> tuple[bytes, PendingAnswer]:
    """The accepter's answer (14,848 bytes) and what to keep.

    `seal_seed` and `secret` are 32, `nonce` 24 fresh random bytes; `inbox` a fresh mailbox. `expect` and `known` are
    those of `check_expected`. Raises `Refused` (`self-invite`, `persona-outdated`, `name-too-long`), or the alarm
    `person-changed`.
    """
    bound_name(name)
    _check_other(opened.persona, me)
    check_expected(opened.persona, expect=expect, known=known)
    body = _checked(AnswerBody(SUITE, me.raw, name, SealKey(seal_seed).public, inbox.address))
    greeting = greeting_hash(opened.raw)
    sealed = seal(opened.greeting.seal_key, labels.ANSWER_SEAL, _SUITE, invite.link_id, greeting, plaintext=secret)
    hash_ = _answer_hash(greeting, sealed, body)
    payload = encode(Answer(body, me.sign.sign(labels.ANSWER_SIGN, me.person, opened.persona.person, hash_)))
    key = derive(secret + invite.secret, labels.ANSWER_KEY, greeting, sealed)
    padded = pad_to(payload, ANSWER_BYTES - _OVERHEAD)
    box = encrypt(key, labels.ANSWER, _associated(labels.ANSWER, invite), padded, nonce=nonce)
    pending = PendingAnswer(invite.host, invite.secret, invite.fingerprint, opened.raw, hash_, secret, seal_seed, inbox)
    return _SUITE + sealed + box, pending


def open_answer(
    own: OwnInvite,
    raw: bytes,
    me: OwnPersona,
    *,
    expect: bytes | None = None,
    known: Mapping[bytes, int] | None = None,
) -> OpenedAnswer:
    """Opens and verifies an answer to one's own invite; `expect` and `known` are those of `check_expected`.

    Raises `Undecryptable`, `DecodingError`, `BadSignature`, `BadKey`, `Refused` (`self-invite`, `persona-outdated`,
    `unknown-suite`), or the alarm `person-changed`.
    """
    if len(raw) != ANSWER_BYTES or raw[:1] != _SUITE:
        raise Undecryptable("An answer does not open.")
    invite, greeting = own.invite, greeting_hash(own.greeting)
    sealed, box = _split(raw)
    context = (_SUITE, invite.link_id, greeting)
    secret = SealKey(own.seal_seed).open(labels.ANSWER_SEAL, *context, sealed=sealed)
    key = derive(secret + invite.secret, labels.ANSWER_KEY, greeting, sealed)
    answer = decode(unpad(decrypt(key, labels.ANSWER, _associated(labels.ANSWER, invite), box)), Answer)
    body = decode(answer.body, AnswerBody)
    persona = verify_persona(body.persona)
    hash_ = _answer_hash(greeting, sealed, answer.body)
    verify_hybrid(persona.sign_key, labels.ANSWER_SIGN, persona.person, me.person, hash_, signature=answer.signature)
    check_seal_key(body.seal_key)
    _check_other(persona, me)
    check_expected(persona, expect=expect, known=known)
    return OpenedAnswer(body, persona, secret, hash_)


def make_finish(
    own: OwnInvite,
    answer: OpenedAnswer,
    me: OwnPersona,
    *,
    seal_seed: bytes,
    inbox: OwnMailbox,
    secret: bytes,
    nonce: bytes,
    first: ParcelBody | None = None,
) -> tuple[bytes, Established]:
    """The inviter's finish (14,848 bytes, more only if `first` is large) and the relationship to keep.

    `seal_seed` and `secret` are 32, `nonce` 24 fresh random bytes; `inbox` a fresh mailbox. Raises `LimitExceeded`.
    """
    invite, greeting = own.invite, greeting_hash(own.greeting)
    body = _checked(FinishBody(SUITE, SealKey(seal_seed).public, inbox.address))
    sealed = seal(answer.body.seal_key, labels.FINISH_SEAL, _SUITE, invite.link_id, answer.hash, plaintext=secret)
    transcript = labelled_hash(labels.TRANSCRIPT, greeting, answer.hash, sealed, body)
    secrets = secret + answer.secret + invite.secret
    keys = relationship_keys(secrets, transcript)
    first = first or ParcelBody()
    signature = me.sign.sign(labels.FINISH_SIGN, me.person, answer.persona.person, transcript)
    payload = _checked(Finish(body, signature, _finish_mac(keys.rs, transcript, first), first))
    padded = pad_to(payload, smallest_class(len(payload), FINISH_CLASSES, _OVERHEAD) - _OVERHEAD)
    key = derive(secrets, labels.FINISH_KEY, answer.hash, sealed)
    box = encrypt(key, labels.FINISH, _associated(labels.FINISH, invite), padded, nonce=nonce)
    return _SUITE + sealed + box, Established(
        side=Side.INVITER,
        rs=keys.rs,
        relationship=keys.relationship,
        peer=answer.persona.person,
        peer_persona=answer.body.persona,
        name=answer.body.name,
        peer_seal_key=answer.body.seal_key,
        seal_seed=seal_seed,
        outbox=answer.body.mailbox,
        inbox=inbox,
        confirm=keys.confirm,
    )


def open_finish(pending: PendingAnswer, raw: bytes, me: OwnPersona) -> OpenedFinish:
    """Opens and verifies what may be the finish to one's own answer.

    Raises `Undecryptable`, `DecodingError`, `BadSignature`, `BadKey` or `Refused` (`unknown-suite`).
    """
    if len(raw) not in FINISH_CLASSES or raw[:1] != _SUITE:
        raise Undecryptable("A finish does not open.")
    invite, (sealed, box) = pending.invite, _split(raw)
    context = (_SUITE, invite.link_id, pending.answer_hash)
    secret = SealKey(pending.seal_seed).open(labels.FINISH_SEAL, *context, sealed=sealed)
    secrets = secret + pending.secret + invite.secret
    key = derive(secrets, labels.FINISH_KEY, pending.answer_hash, sealed)
    finish = decode(unpad(decrypt(key, labels.FINISH, _associated(labels.FINISH, invite), box)), Finish)
    body = decode(finish.body, FinishBody)
    greeting = decode(pending.greeting, Greeting)
    persona = verify_persona(greeting.persona)
    transcript = labelled_hash(
        labels.TRANSCRIPT, greeting_hash(pending.greeting), pending.answer_hash, sealed, finish.body
    )
    verify_hybrid(
        persona.sign_key, labels.FINISH_SIGN, persona.person, me.person, transcript, signature=finish.signature
    )
    keys = relationship_keys(secrets, transcript)
    if not equal(finish.mac, _finish_mac(keys.rs, transcript, finish.first)):
        raise BadSignature("The MAC of a finish is wrong.")
    check_seal_key(body.seal_key)
    finish.first.check_keys()
    established = Established(
        side=Side.ACCEPTER,
        rs=keys.rs,
        relationship=keys.relationship,
        peer=persona.person,
        peer_persona=greeting.persona,
        name=greeting.name,
        peer_seal_key=body.seal_key,
        seal_seed=pending.seal_seed,
        outbox=body.mailbox,
        inbox=pending.inbox,
        confirm=keys.confirm,
    )
    return OpenedFinish(established, finish.first)


def answer_slot(answer: bytes) -> bytes:
    """The slot for an answer in the invite's mailbox, 16 bytes: the same for every repetition."""
    return labelled_hash(labels.ANSWER_SLOT, digest(answer))[:SLOT_BYTES]


def _finish_mac(rs: bytes, transcript: bytes, first: ParcelBody) -> bytes:
    return mac(derive(rs, labels.FINISH_MAC), labels.FINISH_MAC, transcript, encode(first))


def _answer_hash(greeting: bytes, sealed: bytes, body: bytes) -> bytes:
    return labelled_hash(labels.ANSWER_HASH, greeting, sealed, body)


def _associated(label: str, invite: Invite) -> bytes:
    return frame(label, _SUITE, invite.link_id)


def _checked(statement: Statement) -> bytes:
    statement.check()
    return encode(statement)


def _split(raw: bytes) -> tuple[bytes, bytes]:
    return raw[1 : 1 + _SEALED_BYTES], raw[1 + _SEALED_BYTES :]


def _check_other(persona: PersonaStatement, me: OwnPersona) -> None:
    if persona.person == me.person:
        raise Refused("self-invite", "This invite is your own; give it to somebody else.")
