"""The handshake, and everybody who would like to stand in between."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol import handshake, handshake_state, labels
from kith_protocol.encoding import Statement, encode
from kith_protocol.errors import (
    BadKey,
    BadSignature,
    DecodingError,
    Refused,
    Undecryptable,
)
from kith_protocol.handshake import (
    ANSWER_BYTES,
    FINISH_CLASSES,
    open_answer,
    open_finish,
)
from kith_protocol.handshake_state import Answer, AnswerBody, Finish, FinishBody
from kith_protocol.invite import MAX_NAME_BYTES, OwnInvite, greeting_hash
from kith_protocol.padding import pad_to
from kith_protocol.parcel import ParcelBody, Rekey, Share
from kith_protocol.persona import OwnPersona
from kith_protocol.suite import SEAL_KEY_BYTES, SealKey, derive, encrypt, labelled_hash, seal
from tests.protocol.people import (
    BAD_ADDRESS,
    answer_by,
    fixed,
    flip,
    invite_by,
    mailbox_of,
    pairing,
    persona_of,
    replace_statement,
)

ANNA, BOB, MALLORY = persona_of("anna"), persona_of("bob"), persona_of("mallory")
NONCE = fixed("nonce", 24)
SUITE = b"\x01"


# Attacks on the answer


class AnswerSealer:
    """Somebody who holds Anna's link and the greeting, and can seal to her whatever they like."""

    def __init__(self, own: OwnInvite) -> None:
        self._own = own
        self._greeting = greeting_hash(own.greeting)
        context = (SUITE, own.invite.link_id, self._greeting)
        public = SealKey(own.seal_seed).public
        self._sealed = seal(public, labels.ANSWER_SEAL, *context, plaintext=fixed("evil"))

    def body(self, **fields: Any) -> bytes:
        good = {
            "suite": 1,
            "persona": BOB.raw,
            "name": "Bob",
            "seal_key": SealKey(fixed("b")).public,
            "mailbox": mailbox_of("bob").address,
        }
        return encode(AnswerBody(**{**good, **fields}))

    def signed(self, signer: OwnPersona, inviter: bytes, body: bytes) -> Answer:
        hash_ = labelled_hash(labels.ANSWER_HASH, self._greeting, self._sealed, body)
        return Answer(body, signer.sign.sign(labels.ANSWER_SIGN, signer.person, inviter, hash_))

    def seal(self, answer: Statement) -> bytes:
        invite = self._own.invite
        key = derive(fixed("evil") + invite.secret, labels.ANSWER_KEY, self._greeting, self._sealed)
        associated = handshake._associated(labels.ANSWER, invite)
        padded = pad_to(encode(answer), ANSWER_BYTES - handshake._OVERHEAD)
        return SUITE + self._sealed + encrypt(key, labels.ANSWER, associated, padded, nonce=NONCE)


def test_the_sealer_of_these_tests_seals_what_anna_accepts() -> None:
    sealer = AnswerSealer(pairing().own)
    assert open_answer(pairing().own, sealer.seal(sealer.signed(BOB, ANNA.person, sealer.body())), ANNA)


def test_an_answer_with_ones_own_root_is_refused() -> None:
    own = pairing().own
    honest = AnswerSealer(own)
    with pytest.raises(Refused) as caught:
        open_answer(own, honest.seal(honest.signed(ANNA, ANNA.person, honest.body(persona=ANNA.raw))), ANNA)
    assert caught.value.code == "self-invite"


def test_an_answer_that_bob_gave_to_somebody_else_is_refused() -> None:
    """Mallory invites Bob too, and passes his answer on to Anna as if he had answered her."""
    to_mallory = invite_by("mallory")
    answer, _ = answer_by("bob", to_mallory)
    opened = open_answer(to_mallory, answer, MALLORY)
    sealer = AnswerSealer(pairing().own)
    stolen = sealer.signed(BOB, MALLORY.person, encode(opened.body))
    with pytest.raises(BadSignature):
        open_answer(pairing().own, sealer.seal(stolen), ANNA)


def test_an_answer_in_bobs_name_by_somebody_else_is_refused() -> None:
    sealer = AnswerSealer(pairing().own)
    body = sealer.body()
    signature = sealer.signed(MALLORY, ANNA.person, body).signature
    with pytest.raises(BadSignature):
        open_answer(pairing().own, sealer.seal(Answer(body, signature)), ANNA)


def test_an_answer_with_a_substituted_mailbox_or_key_is_refused() -> None:
    sealer = AnswerSealer(pairing().own)
    signature = sealer.signed(BOB, ANNA.person, sealer.body()).signature
    for changed in ({"mailbox": mailbox_of("mallory").address}, {"seal_key": SealKey(fixed("m")).public}):
        with pytest.raises(BadSignature):
            open_answer(pairing().own, sealer.seal(Answer(sealer.body(**changed), signature)), ANNA)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"suite": 2}, Refused),
        ({"persona": b""}, DecodingError),
        ({"persona": BOB.raw + bytes(100)}, DecodingError),
        ({"name": "x" * (MAX_NAME_BYTES + 1)}, DecodingError),
        ({"seal_key": bytes(SEAL_KEY_BYTES)}, BadKey),
        ({"seal_key": b""}, DecodingError),
        ({"mailbox": BAD_ADDRESS}, DecodingError),
    ],
)
def test_an_answer_out_of_its_bounds_is_refused(fields: dict[str, Any], error: type[Exception]) -> None:
    sealer = AnswerSealer(pairing().own)
    with pytest.raises(error):
        open_answer(pairing().own, sealer.seal(sealer.signed(BOB, ANNA.person, sealer.body(**fields))), ANNA)


@given(st.integers(0, ANSWER_BYTES - 1))
def test_an_answer_with_any_bit_changed_does_not_open(position: int) -> None:
    with pytest.raises(Undecryptable):
        open_answer(pairing().own, flip(pairing().answer, position), ANNA)


@pytest.mark.parametrize("raw", [b"", bytes(ANSWER_BYTES), SUITE + bytes(ANSWER_BYTES - 1), bytes(100)])
def test_what_is_no_answer_does_not_open(raw: bytes) -> None:
    with pytest.raises(Undecryptable):
        open_answer(pairing().own, raw, ANNA)


def test_an_answer_to_another_invite_does_not_open() -> None:
    with pytest.raises(Undecryptable):
        open_answer(invite_by("mallory"), pairing().answer, MALLORY)


# Attacks on the finish


class FinishSealer:
    """Somebody who somehow knows all secrets of the handshake, but has not Anna's persona key."""

    def __init__(self) -> None:
        self._pending = pairing().pending
        public = SealKey(self._pending.seal_seed).public
        context = (SUITE, self._pending.invite.link_id, self._pending.answer_hash)
        self._sealed = seal(public, labels.FINISH_SEAL, *context, plaintext=fixed("evil"))

    @property
    def _secrets(self) -> bytes:
        return fixed("evil") + self._pending.secret + self._pending.invite_secret

    def body(self, **fields: Any) -> bytes:
        good = {"suite": 1, "seal_key": SealKey(fixed("a")).public, "mailbox": mailbox_of("anna").address}
        return encode(FinishBody(**{**good, **fields}))

    def signed(self, signer: OwnPersona, accepter: bytes, body: bytes, first: ParcelBody | None = None) -> Finish:
        greeting = greeting_hash(self._pending.greeting)
        transcript = labelled_hash(labels.TRANSCRIPT, greeting, self._pending.answer_hash, self._sealed, body)
        signature = signer.sign.sign(labels.FINISH_SIGN, signer.person, accepter, transcript)
        first = first or ParcelBody()
        rs = handshake_state.relationship_keys(self._secrets, transcript).rs
        return Finish(body, signature, handshake._finish_mac(rs, transcript, first), first)

    def seal(self, finish: Finish) -> bytes:
        key = derive(self._secrets, labels.FINISH_KEY, self._pending.answer_hash, self._sealed)
        associated = handshake._associated(labels.FINISH, self._pending.invite)
        padded = pad_to(encode(finish), FINISH_CLASSES[0] - handshake._OVERHEAD)
        return SUITE + self._sealed + encrypt(key, labels.FINISH, associated, padded, nonce=NONCE)


def refused(raw: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        open_finish(pairing().pending, raw, BOB)


def test_the_sealer_of_these_tests_seals_what_bob_accepts() -> None:
    sealer = FinishSealer()
    assert open_finish(pairing().pending, sealer.seal(sealer.signed(ANNA, BOB.person, sealer.body())), BOB)


def test_a_finish_by_anybody_but_the_person_of_the_greeting_is_refused() -> None:
    sealer = FinishSealer()
    refused(sealer.seal(sealer.signed(MALLORY, BOB.person, sealer.body())), BadSignature)


def test_a_finish_that_anna_signed_for_somebody_else_is_refused() -> None:
    sealer = FinishSealer()
    refused(sealer.seal(sealer.signed(ANNA, MALLORY.person, sealer.body())), BadSignature)


def test_a_finish_with_a_substituted_mailbox_or_key_is_refused() -> None:
    sealer = FinishSealer()
    good = sealer.signed(ANNA, BOB.person, sealer.body())
    for changed in ({"mailbox": mailbox_of("mallory").address}, {"seal_key": SealKey(fixed("m")).public}):
        forged = sealer.signed(MALLORY, BOB.person, sealer.body(**changed))
        refused(sealer.seal(Finish(forged.body, good.signature, forged.mac, forged.first)), BadSignature)


def test_first_shares_that_the_mac_does_not_cover_are_refused() -> None:
    sealer = FinishSealer()
    good = sealer.signed(ANNA, BOB.person, sealer.body())
    swapped = ParcelBody(messages=(Share(fixed("i", 16), 1, 1, b"evil"),))
    refused(sealer.seal(Finish(good.body, good.signature, good.mac, swapped)), BadSignature)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"suite": 2}, Refused),
        ({"seal_key": bytes(SEAL_KEY_BYTES)}, BadKey),
        ({"seal_key": b""}, DecodingError),
        ({"mailbox": BAD_ADDRESS}, DecodingError),
    ],
)
def test_a_finish_out_of_its_bounds_is_refused(fields: dict[str, Any], error: type[Exception]) -> None:
    sealer = FinishSealer()
    refused(sealer.seal(sealer.signed(ANNA, BOB.person, sealer.body(**fields))), error)


def test_a_finish_with_a_mac_or_signature_of_the_wrong_size_is_refused() -> None:
    sealer = FinishSealer()
    good = sealer.signed(ANNA, BOB.person, sealer.body())
    refused(sealer.seal(Finish(good.body, good.signature, good.mac[1:], good.first)), DecodingError)
    refused(sealer.seal(Finish(good.body, good.signature[1:], good.mac, good.first)), DecodingError)


def test_first_shares_out_of_their_bounds_are_refused() -> None:
    sealer = FinishSealer()
    for first, error in (
        (ParcelBody(confirm=b"short"), DecodingError),
        (ParcelBody(messages=(Rekey(bytes(SEAL_KEY_BYTES), mailbox_of("anna").address),)), BadKey),
    ):
        refused(sealer.seal(sealer.signed(ANNA, BOB.person, sealer.body(), first)), error)


@given(st.integers(0, FINISH_CLASSES[0] - 1))
def test_a_finish_with_any_bit_changed_does_not_open(position: int) -> None:
    refused(flip(pairing().finish, position), Undecryptable)


@pytest.mark.parametrize("raw", [b"", bytes(FINISH_CLASSES[0]), SUITE + bytes(FINISH_CLASSES[0] - 1), bytes(100)])
def test_what_is_no_finish_does_not_open(raw: bytes) -> None:
    refused(raw, Undecryptable)


def test_a_finish_to_another_answer_does_not_open() -> None:
    _, other = answer_by("bob", pairing().own)
    with pytest.raises(Undecryptable):
        open_finish(other, pairing().finish, BOB)


def test_whoever_finds_the_link_later_cannot_read_the_handshake() -> None:
    """The link opens the greeting only: the answer is sealed to Anna, the finish to Bob."""
    pending = pairing().pending
    stranger = replace_statement(pending, seal_seed=fixed("stranger"))
    with pytest.raises(Undecryptable):
        open_finish(stranger, pairing().finish, BOB)
    with pytest.raises(Undecryptable):
        open_answer(replace_statement(pairing().own, seal_seed=fixed("stranger")), pairing().answer, ANNA)
