"""Members: keys, ids, and what is no member (spec: vault.md, Members)."""

from __future__ import annotations

import msgspec
import pytest

from kith_protocol.encoding import decode, encode
from kith_protocol.errors import BadKey, DecodingError
from kith_protocol.member import Member, MemberKind
from kith_protocol.suite import SEAL_KEY_BYTES, labelled_hash
from tests.protocol.vaults import keys_of, paper_of

SMALL_ORDER = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")


def test_a_member_survives_the_trip() -> None:
    for keys in (keys_of("laptop"), paper_of("anna")):
        assert decode(encode(keys.public), Member) == keys.public
        keys.public.check_keys()


def test_the_id_is_the_hash_of_both_keys_and_changes_with_either() -> None:
    laptop, phone = keys_of("laptop").public, keys_of("phone").public
    assert laptop.id == labelled_hash("kith/1/member-id", laptop.sign_key, laptop.seal_key)
    assert keys_of("laptop").id == laptop.id
    mixed = Member(MemberKind.DEVICE, laptop.sign_key, phone.seal_key)
    assert len({laptop.id, phone.id, mixed.id}) == 3


def test_private_keys_do_not_show_in_a_representation() -> None:
    keys = keys_of("laptop")
    assert keys.sign.seed.hex() not in repr(keys)
    assert repr(keys.sign.seed) not in repr(keys)
    assert repr(keys.seal.seed) not in repr(keys)


@pytest.mark.parametrize("key", ["sign_key", "seal_key"])
def test_a_key_of_the_wrong_size_is_refused(key: str) -> None:
    laptop = keys_of("laptop").public
    short = msgspec.structs.replace(laptop, **{key: getattr(laptop, key)[:-1]})
    with pytest.raises(DecodingError, match=key):
        decode(encode(short), Member)


def test_a_kind_that_is_neither_device_nor_paper_is_refused() -> None:
    laptop = keys_of("laptop").public
    with pytest.raises(DecodingError):
        decode(msgspec.msgpack.encode([3, laptop.sign_key, laptop.seal_key]), Member)
    made_by_hand = Member(3, laptop.sign_key, laptop.seal_key)  # type: ignore[arg-type] # a caller's mistake is the test
    with pytest.raises(DecodingError, match="device or a paper key"):
        made_by_hand.check()


def test_a_signing_key_of_small_order_is_refused() -> None:
    weak = msgspec.structs.replace(keys_of("laptop").public, sign_key=SMALL_ORDER)
    with pytest.raises(BadKey):
        weak.check_keys()


def test_a_seal_key_whose_curve_half_is_zero_is_refused() -> None:
    laptop = keys_of("laptop").public
    weak = msgspec.structs.replace(laptop, seal_key=laptop.seal_key[: SEAL_KEY_BYTES - 32] + bytes(32))
    with pytest.raises(BadKey):
        weak.check_keys()


def test_a_seal_key_whose_lattice_half_is_not_reduced_is_refused() -> None:
    weak = msgspec.structs.replace(keys_of("laptop").public, seal_key=b"\xff" * (SEAL_KEY_BYTES - 32) + b"\x09" * 32)
    with pytest.raises(BadKey):
        weak.check_keys()
