"""Epoch keys: who opens them, and that nobody can slip in another (spec: vault.md, Epochs)."""

from __future__ import annotations

import msgspec
import pytest

from kith_protocol.chain import ZERO
from kith_protocol.commit import MAX_MEMBERS
from kith_protocol.encoding import encode
from kith_protocol.epoch import (
    NO_KEYS,
    SealedKey,
    SealedKeys,
    encode_keys,
    epoch_commitment,
    key_names,
    mirror_key,
    open_epoch_key,
    open_previous_key,
    parse_keys,
    seal_epoch_key,
)
from kith_protocol.errors import Alarm, AlarmCode, DecodingError
from kith_protocol.record import record_key
from kith_protocol.suite import BOX_OVERHEAD, KEY_BYTES, SEAL_OVERHEAD
from tests.protocol.people import fixed
from tests.protocol.vaults import keys_of

VAULT, KEY, BEFORE = fixed("vault"), fixed("epoch-key"), fixed("epoch-key-before")
LAPTOP, PHONE, STRANGER = keys_of("laptop"), keys_of("phone"), keys_of("stranger")
COMMITMENT, COMMITMENT_BEFORE = epoch_commitment(5, KEY), epoch_commitment(4, BEFORE)
SEALED = seal_epoch_key(
    KEY, VAULT, 5, [LAPTOP.public, PHONE.public], previous=BEFORE, nonce=fixed("nonce", 24)
)  # fmt: skip


def alarm_of(caught: pytest.ExceptionInfo[Alarm]) -> AlarmCode:
    return caught.value.alarm


def test_every_member_opens_the_key_and_from_it_the_one_before() -> None:
    assert key_names(SEALED) == {LAPTOP.id, PHONE.id}
    for member in (LAPTOP, PHONE):
        assert open_epoch_key(SEALED, VAULT, 5, member, COMMITMENT) == KEY
    assert open_previous_key(SEALED, VAULT, 5, KEY, 4, COMMITMENT_BEFORE) == BEFORE


def test_sealed_keys_survive_the_trip() -> None:
    assert parse_keys(encode_keys(SEALED)) == SEALED
    assert parse_keys(encode_keys(NO_KEYS)) == NO_KEYS
    assert encode_keys(NO_KEYS) == bytes.fromhex("9290c400")


def test_a_key_that_was_not_sealed_to_me_raises_the_alarm() -> None:
    with pytest.raises(Alarm, match="not sealed to this device") as caught:
        open_epoch_key(SEALED, VAULT, 5, STRANGER, COMMITMENT)
    assert alarm_of(caught) is AlarmCode.WRONG_EPOCH


def test_a_key_sealed_for_another_vault_or_epoch_does_not_open() -> None:
    for vault, epoch in ((ZERO, 5), (VAULT, 6)):
        with pytest.raises(Alarm, match="does not open") as caught:
            open_epoch_key(SEALED, vault, epoch, LAPTOP, epoch_commitment(epoch, KEY))
        assert alarm_of(caught) is AlarmCode.WRONG_EPOCH


def test_a_key_sealed_to_another_member_does_not_open_under_my_name() -> None:
    theirs = next(item for item in SEALED.keys if item.member == PHONE.id)
    forged = SealedKeys((SealedKey(LAPTOP.id, theirs.sealed),), SEALED.previous)
    with pytest.raises(Alarm, match="does not open"):
        open_epoch_key(forged, VAULT, 5, LAPTOP, COMMITMENT)


def test_a_key_that_the_chain_does_not_name_is_refused() -> None:
    slipped_in = seal_epoch_key(fixed("servers-key"), VAULT, 5, [LAPTOP.public])
    with pytest.raises(Alarm, match="not the one that the chain names") as caught:
        open_epoch_key(slipped_in, VAULT, 5, LAPTOP, COMMITMENT)
    assert alarm_of(caught) is AlarmCode.WRONG_EPOCH


def test_a_key_of_another_size_is_refused_even_if_it_is_committed_to() -> None:
    short = seal_epoch_key(KEY[:16], VAULT, 5, [LAPTOP.public])
    with pytest.raises(Alarm, match="not the one that the chain names"):
        open_epoch_key(short, VAULT, 5, LAPTOP, epoch_commitment(5, KEY[:16]))


def test_a_previous_key_does_not_open_from_another_epoch_vault_or_key() -> None:
    for vault, epoch, key in ((ZERO, 5, KEY), (VAULT, 6, KEY), (VAULT, 5, BEFORE)):
        with pytest.raises(Alarm, match="does not open from epoch") as caught:
            open_previous_key(SEALED, vault, epoch, key, 4, COMMITMENT_BEFORE)
        assert alarm_of(caught) is AlarmCode.WRONG_EPOCH


def test_a_previous_key_that_the_chain_does_not_name_is_refused() -> None:
    slipped_in = seal_epoch_key(KEY, VAULT, 5, [], previous=fixed("servers-key"), nonce=bytes(24))
    with pytest.raises(Alarm, match="key of epoch 4 is not the one"):
        open_previous_key(slipped_in, VAULT, 5, KEY, 4, COMMITMENT_BEFORE)


def test_a_commitment_is_bound_to_its_epoch_and_gives_the_key_away_to_nobody() -> None:
    assert epoch_commitment(5, KEY) != epoch_commitment(6, KEY)
    made = {KEY, epoch_commitment(5, KEY), record_key(KEY, VAULT), record_key(KEY, ZERO), mirror_key(KEY)}
    assert len(made) == 5, "two purposes share a key"


SIZE = KEY_BYTES + SEAL_OVERHEAD


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (SealedKeys((SealedKey(b"\x02" * 32, bytes(SIZE)), SealedKey(b"\x01" * 32, bytes(SIZE)))), "not sorted"),
        (SealedKeys((SealedKey(b"\x01" * 32, bytes(SIZE)),) * 2), "stands twice"),
        (SealedKeys((SealedKey(b"\x01" * 31, bytes(SIZE)),)), "member"),
        (SealedKeys((SealedKey(b"\x01" * 32, bytes(SIZE - 1)),)), "sealed"),
        (SealedKeys((), bytes(KEY_BYTES + BOX_OVERHEAD - 1)), "wrong size"),
        (SealedKeys(tuple(SealedKey(bytes([n]) * 32, bytes(SIZE)) for n in range(MAX_MEMBERS + 1))), "more sealed"),
    ],
)
def test_sealed_keys_out_of_their_bounds_are_refused(keys: SealedKeys, why: str) -> None:
    with pytest.raises(DecodingError, match=why):
        parse_keys(encode(keys))


def test_sealed_keys_with_a_field_too_many_are_refused() -> None:
    with pytest.raises(DecodingError):
        parse_keys(msgspec.msgpack.encode([[], b"", b""]))
