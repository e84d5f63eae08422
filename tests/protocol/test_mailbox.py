"""Mailboxes: who may put, and what stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.encoding import decode, encode
from kith_protocol.errors import BadSignature, DecodingError, LimitExceeded, Refused
from kith_protocol.mailbox import (
    MAX_SLOTS,
    MailboxAddress,
    MailboxKind,
    OwnMailbox,
    Placement,
    check_parcel_size,
    deposit_public,
    may_become,
    new_mailbox,
    place,
    sign_put,
    verify_put,
)
from kith_protocol.padding import INNER_CLASSES
from kith_protocol.suite import SignKey
from tests.protocol.people import FINGERPRINT, fixed, mailbox_of

OWN = mailbox_of("anna")
ADDRESS = OWN.address
SLOT = fixed("slot", 16)
PARCEL = bytes(INNER_CLASSES[0])


def test_a_put_by_whoever_has_the_address_is_accepted() -> None:
    signature = sign_put(ADDRESS.deposit, ADDRESS.mailbox, SLOT, 1, PARCEL)
    verify_put(deposit_public(ADDRESS), ADDRESS.mailbox, SLOT, 1, PARCEL, signature=signature)


def test_a_put_by_a_stranger_is_refused() -> None:
    signature = sign_put(SignKey(fixed("stranger")), ADDRESS.mailbox, SLOT, 1, PARCEL)
    with pytest.raises(BadSignature):
        verify_put(deposit_public(ADDRESS), ADDRESS.mailbox, SLOT, 1, PARCEL, signature=signature)


@pytest.mark.parametrize(
    ("mailbox", "slot", "sequence", "parcel"),
    [
        (bytes(16), SLOT, 1, PARCEL),
        (ADDRESS.mailbox, bytes(16), 1, PARCEL),
        (ADDRESS.mailbox, SLOT, 2, PARCEL),
        (ADDRESS.mailbox, SLOT, 1, PARCEL[:-1] + b"\x01"),
    ],
)
def test_a_put_moved_renumbered_or_changed_on_its_way_is_refused(
    mailbox: bytes, slot: bytes, sequence: int, parcel: bytes
) -> None:
    signature = sign_put(ADDRESS.deposit, ADDRESS.mailbox, SLOT, 1, PARCEL)
    with pytest.raises(BadSignature):
        verify_put(deposit_public(ADDRESS), mailbox, slot, sequence, parcel, signature=signature)


def test_a_lower_sequence_is_refused_and_an_equal_one_is_had() -> None:
    slots = {SLOT: 5}
    assert place(slots, SLOT, 4) is Placement.LOWER
    assert place(slots, SLOT, 5) is Placement.HAVE
    assert place(slots, SLOT, 6) is Placement.STORE
    assert place(slots, bytes(16), 0) is Placement.STORE


@pytest.mark.parametrize("kind", [MailboxKind.ANSWERS, MailboxKind.REQUESTS, MailboxKind.RETIRED])
def test_an_answer_or_a_statement_in_a_retired_mailbox_is_never_replaced(kind: MailboxKind) -> None:
    assert place({SLOT: 0}, SLOT, 0, kind) is Placement.HAVE
    assert place({SLOT: 0}, SLOT, 1, kind) is Placement.TAKEN


@pytest.mark.parametrize("kind", list(MailboxKind))
def test_a_full_mailbox_takes_newer_parcels_only_where_one_lies_already(kind: MailboxKind) -> None:
    slots = {bytes([n % 256, n // 256]) * 8: 0 for n in range(MAX_SLOTS[kind])}
    assert place(slots, SLOT, 0, kind) is Placement.FULL
    assert place(slots, bytes(16), 0, kind) is Placement.HAVE


def test_only_a_mailbox_for_parcels_may_be_retired_and_none_comes_back() -> None:
    changes = {(kind, wanted) for kind in MailboxKind for wanted in MailboxKind if may_become(kind, wanted)}
    same = {(kind, kind) for kind in MailboxKind}
    assert changes == {*same, (MailboxKind.PARCELS, MailboxKind.RETIRED)}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=40))
def test_the_highest_sequence_stands_in_whatever_order_parcels_come(
    puts: list[tuple[int, int]],
) -> None:
    def final(order: list[tuple[int, int]]) -> dict[bytes, int]:
        slots: dict[bytes, int] = {}
        for slot, sequence in order:
            if place(slots, bytes([slot]) * 16, sequence) is Placement.STORE:
                slots[bytes([slot]) * 16] = sequence
        return slots

    assert final(puts) == final(sorted(puts)) == final(sorted(puts, reverse=True))


@pytest.mark.parametrize("size", [0, 100, INNER_CLASSES[0] - 1, INNER_CLASSES[0] + 1, INNER_CLASSES[3] + 1])
def test_a_parcel_of_no_class_is_refused(size: int) -> None:
    with pytest.raises(LimitExceeded):
        check_parcel_size(bytes(size))


@pytest.mark.parametrize("size", INNER_CLASSES)
def test_a_parcel_of_each_class_is_taken(size: int) -> None:
    check_parcel_size(bytes(size))


def test_a_mailbox_comes_back_as_it_was_kept() -> None:
    assert decode(encode(OWN), OwnMailbox) == OWN
    assert OWN.read_id != ADDRESS.mailbox
    assert ADDRESS.host == "a.example"


@pytest.mark.parametrize(
    "address",
    [
        MailboxAddress("A.example", FINGERPRINT, bytes(16), bytes(32)),
        MailboxAddress("a.example/x", FINGERPRINT, bytes(16), bytes(32)),
        MailboxAddress("a.example", FINGERPRINT[1:], bytes(16), bytes(32)),
        MailboxAddress("a.example", FINGERPRINT, bytes(17), bytes(32)),
        MailboxAddress("a.example", FINGERPRINT, bytes(16), bytes(31)),
    ],
)
def test_an_address_that_is_not_well_formed_is_refused(address: MailboxAddress) -> None:
    with pytest.raises(DecodingError):
        decode(encode(OwnMailbox(bytes(16), address)), OwnMailbox)


def test_a_read_id_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(DecodingError):
        decode(encode(OwnMailbox(bytes(15), ADDRESS)), OwnMailbox)


def test_a_mailbox_from_too_little_randomness_is_refused() -> None:
    with pytest.raises(Refused):
        new_mailbox("a.example", FINGERPRINT, bytes(63))


def test_a_mailbox_with_a_fingerprint_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(DecodingError):
        new_mailbox("a.example", FINGERPRINT[1:], bytes(64))


def test_an_address_does_not_show_itself() -> None:
    assert repr(OWN) == "OwnMailbox(...)"
    assert repr(ADDRESS) == "MailboxAddress(...)"
