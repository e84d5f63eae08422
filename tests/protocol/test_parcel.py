"""Parcels between peers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol import labels
from kith_protocol.encoding import encode
from kith_protocol.errors import BadKey, DecodingError, LimitExceeded, Refused, Undecryptable
from kith_protocol.introduction import Introduce, IntroduceAnswer, IntroduceInvite
from kith_protocol.mailbox import MailboxAddress
from kith_protocol.padding import INNER_CLASSES, pad_to
from kith_protocol.parcel import (
    MAX_BODY_BYTES,
    MAX_ITEMS,
    MAX_MESSAGES,
    MAX_RECEIVER_KEYS,
    PARCEL_OVERHEAD,
    Bye,
    Message,
    Moved,
    ParcelBody,
    ParcelContext,
    Rekey,
    Share,
    Withdraw,
    open_parcel,
    seal_parcel,
    versions_of,
)
from kith_protocol.relationship import Direction
from kith_protocol.share import MAX_PAYLOAD_BYTES
from kith_protocol.suite import SEAL_KEY_BYTES, SealKey, derive, encrypt, frame, seal
from tests.protocol.people import NOW, fixed, mailbox_of

KEY = SealKey(fixed("receiver"))
ITEM = fixed("item", 16)
CONTEXT = ParcelContext(
    fixed("rs"), fixed("relationship", 16), Direction.TO_ACCEPTER, fixed("mailbox", 16), fixed("slot", 16), 7
)
ADDRESS = mailbox_of("anna").address
EACH: tuple[Message, ...] = (
    Share(ITEM, 1, 3, b"payload"),
    Withdraw(ITEM, 2),
    Rekey(SealKey(fixed("next")).public, ADDRESS),
    Moved(ADDRESS),
    Introduce(ITEM, "Carla", fixed("carla"), "You both fence.", NOW),
    Bye(),
    IntroduceAnswer(ITEM, True),
    IntroduceInvite(ITEM, "b.example", fixed("secret"), fixed("fingerprint", 16)),
)
BODY = ParcelBody(versions_of({ITEM: 1, bytes(16): 9}), versions_of({ITEM: 3}), fixed("confirm"), EACH)


def sealed(body: ParcelBody = BODY, context: ParcelContext = CONTEXT) -> bytes:
    return seal_parcel(context, KEY.public, body, secret=fixed("secret"), nonce=fixed("nonce", 24))


def sealed_by_hand(plaintext: bytes) -> bytes:
    """Seals what `seal_parcel` would never seal, as a hostile peer can."""
    inner = seal(KEY.public, labels.PARCEL_SEAL, *CONTEXT.fields, plaintext=fixed("secret"))
    key = derive(fixed("secret") + CONTEXT.rs, labels.PARCEL_KEY, *CONTEXT.fields)
    padded = pad_to(plaintext, INNER_CLASSES[1] - PARCEL_OVERHEAD)
    box = encrypt(key, labels.PARCEL, frame(labels.PARCEL, *CONTEXT.fields), padded, nonce=fixed("n", 24))
    return b"\x01" + inner + box


def test_a_parcel_with_every_kind_of_message_comes_back() -> None:
    raw = sealed()
    assert open_parcel(CONTEXT, [KEY], raw) == BODY
    assert len(raw) in INNER_CLASSES


@given(st.integers(0, MAX_PAYLOAD_BYTES))
def test_a_parcel_has_one_of_four_sizes(length: int) -> None:
    assert len(sealed(ParcelBody(messages=(Share(ITEM, 1, 3, bytes(length)),)))) in INNER_CLASSES


def test_the_largest_share_fits_beside_full_lists() -> None:
    full = versions_of({n.to_bytes(16, "big"): 2**53 for n in range(MAX_ITEMS)})
    body = ParcelBody(full, full, fixed("confirm"), (Share(ITEM, 2**53, 3, bytes(MAX_PAYLOAD_BYTES)),))
    assert len(sealed(body)) == INNER_CLASSES[3]


def test_a_body_that_fits_no_class_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        sealed(ParcelBody(messages=(Share(ITEM, 1, 3, bytes(MAX_BODY_BYTES)),)))


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTEXT, rs=fixed("x")),
        replace(CONTEXT, relationship=fixed("x", 16)),
        replace(CONTEXT, direction=Direction.TO_INVITER),
        replace(CONTEXT, mailbox=fixed("x", 16)),
        replace(CONTEXT, slot=fixed("x", 16)),
        replace(CONTEXT, sequence=8),
    ],
)
def test_a_parcel_moved_to_another_place_does_not_open(other: ParcelContext) -> None:
    with pytest.raises(Undecryptable):
        open_parcel(other, [KEY], sealed())


def test_a_parcel_by_somebody_without_the_shared_secret_does_not_open() -> None:
    """The receiver's public key alone is not enough to write in the peer's name."""
    forged = sealed(context=replace(CONTEXT, rs=bytes(32)))
    with pytest.raises(Undecryptable):
        open_parcel(CONTEXT, [KEY], forged)


RAW = sealed(ParcelBody())


@given(st.integers(0, len(RAW) - 1))
def test_a_parcel_with_any_bit_changed_does_not_open(position: int) -> None:
    raw = bytearray(RAW)
    raw[position] ^= 1
    with pytest.raises((Undecryptable, Refused)):
        open_parcel(CONTEXT, [KEY], bytes(raw))


@pytest.mark.parametrize("raw", [b"", RAW[:-1], RAW + b"\x00", b"\x01" + bytes(INNER_CLASSES[0] - 1)])
def test_what_is_no_parcel_does_not_open(raw: bytes) -> None:
    with pytest.raises(Undecryptable):
        open_parcel(CONTEXT, [KEY], raw)


def test_a_parcel_of_another_suite_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        open_parcel(CONTEXT, [KEY], b"\x02" + RAW[1:])
    assert caught.value.code == "unknown-suite"


def test_a_parcel_to_an_older_key_opens_while_that_key_is_kept() -> None:
    newer = [SealKey(fixed(f"newer-{n}")) for n in range(MAX_RECEIVER_KEYS)]
    assert open_parcel(CONTEXT, [*newer[1:], KEY], RAW) == ParcelBody()
    with pytest.raises(Undecryptable):
        open_parcel(CONTEXT, newer, RAW)
    with pytest.raises(Undecryptable):
        open_parcel(CONTEXT, [], RAW)
    with pytest.raises(LimitExceeded):
        open_parcel(CONTEXT, [*newer, KEY], RAW)


BAD_ADDRESS = MailboxAddress("A.example", ADDRESS.fingerprint, ADDRESS.mailbox, ADDRESS.deposit_seed)


@pytest.mark.parametrize(
    "body",
    [
        ParcelBody(confirm=bytes(31)),
        ParcelBody(versions=((ITEM, 1), (ITEM, 2))),
        ParcelBody(versions=((ITEM, 1), (bytes(16), 1))),
        ParcelBody(versions=((b"short", 1),)),
        ParcelBody(versions=((ITEM, 0),)),
        ParcelBody(acknowledged=((ITEM, 2**53 + 1),)),
        ParcelBody(versions=tuple((n.to_bytes(16, "big"), 1) for n in range(MAX_ITEMS + 1))),
        ParcelBody(messages=(Bye(),) * (MAX_MESSAGES + 1)),
        ParcelBody(messages=(Share(b"short", 1, 3, b""),)),
        ParcelBody(messages=(Share(ITEM, 0, 3, b""),)),
        ParcelBody(messages=(Withdraw(ITEM, 2**53 + 1),)),
        ParcelBody(messages=(Withdraw(b"", 1),)),
        ParcelBody(messages=(Rekey(bytes(3), ADDRESS),)),
        ParcelBody(messages=(Rekey(KEY.public, BAD_ADDRESS),)),
        ParcelBody(messages=(Moved(BAD_ADDRESS),)),
        ParcelBody(messages=(Introduce(ITEM, "x" * 257, bytes(32), "", NOW),)),
        ParcelBody(messages=(Introduce(ITEM, "", bytes(32), "x" * 4097, NOW),)),
        ParcelBody(messages=(Introduce(ITEM, "", bytes(31), "", NOW),)),
        ParcelBody(messages=(Introduce(ITEM, "", bytes(32), "", -1),)),
        ParcelBody(messages=(Introduce(ITEM, "", bytes(32), "", 2**53 + 1),)),
        ParcelBody(messages=(IntroduceAnswer(bytes(15), True),)),
        ParcelBody(messages=(IntroduceInvite(ITEM, "B.example", bytes(32), bytes(16)),)),
        ParcelBody(messages=(IntroduceInvite(ITEM, "b.example", bytes(31), bytes(16)),)),
        ParcelBody(messages=(IntroduceInvite(ITEM, "b.example", bytes(32), bytes(17)),)),
    ],
)
def test_a_body_out_of_its_bounds_is_neither_sent_nor_taken(body: ParcelBody) -> None:
    with pytest.raises(DecodingError):
        sealed(body)
    with pytest.raises(DecodingError):
        open_parcel(CONTEXT, [KEY], sealed_by_hand(encode(body)))


@pytest.mark.parametrize("plaintext", [b"", b"\x94\x90\x90\xc4\x00\x91\x92\x63\x00", b"\x94\x90\x90\xc4\x00", b"\xc0"])
def test_a_body_that_is_not_understood_is_refused(plaintext: bytes) -> None:
    with pytest.raises(DecodingError):
        open_parcel(CONTEXT, [KEY], sealed_by_hand(plaintext))


def test_an_announced_key_that_cannot_be_sealed_to_is_refused() -> None:
    body = ParcelBody(messages=(Rekey(bytes(SEAL_KEY_BYTES), ADDRESS),))
    with pytest.raises(BadKey):
        open_parcel(CONTEXT, [KEY], sealed_by_hand(encode(body)))


def test_a_context_does_not_show_the_secret() -> None:
    assert repr(CONTEXT) == "ParcelContext(...)"
