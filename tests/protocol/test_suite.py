"""Our own laws for suite 1: framing, commitment, hybrid signatures, keys that are refused."""

from __future__ import annotations

import nacl.bindings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol import suite
from kith_protocol.errors import BadKey, BadSignature, Undecryptable
from kith_protocol.suite import HybridSignKey, SealKey, SignKey
from tests.protocol.people import MixedOrderKey, fixed, flip, hybrid

LABEL = "kith/1/test"
SMALL_ORDER = (
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
)

fields = st.lists(st.binary(max_size=8), max_size=4)


@given(fields, fields)
def test_two_contexts_are_framed_alike_only_if_they_are_equal(a: list[bytes], b: list[bytes]) -> None:
    assert (suite.frame(LABEL, *a) == suite.frame(LABEL, *b)) == (a == b)


def test_a_frame_is_label_and_fields_with_their_lengths() -> None:
    assert suite.frame("kith/1/x", b"ab", b"").hex() == "000000086b6974682f312f78" + "000000026162" + "00000000"


@given(st.binary(max_size=300), st.binary(max_size=20))
def test_what_is_encrypted_decrypts(plaintext: bytes, associated: bytes) -> None:
    box = suite.encrypt(fixed("key"), LABEL, associated, plaintext, nonce=fixed("n", 24))
    assert len(box) == len(plaintext) + suite.BOX_OVERHEAD
    assert suite.decrypt(fixed("key"), LABEL, associated, box) == plaintext


@given(st.integers(0, suite.BOX_OVERHEAD + 5 - 1))
def test_a_box_with_any_bit_changed_is_refused(position: int) -> None:
    box = suite.encrypt(fixed("key"), LABEL, b"", b"plain", nonce=fixed("n", 24))
    with pytest.raises(Undecryptable):
        suite.decrypt(fixed("key"), LABEL, b"", flip(box, position))


@pytest.mark.parametrize(
    ("key", "label", "associated"), [("other", LABEL, b"a"), ("key", "kith/1/else", b"a"), ("key", LABEL, b"b")]
)
def test_a_box_in_another_context_is_refused(key: str, label: str, associated: bytes) -> None:
    box = suite.encrypt(fixed("key"), LABEL, b"a", b"plain", nonce=fixed("n", 24))
    with pytest.raises(Undecryptable):
        suite.decrypt(fixed(key), label, associated, box)


def test_a_box_that_is_too_short_is_refused() -> None:
    with pytest.raises(Undecryptable):
        suite.decrypt(fixed("key"), LABEL, b"", bytes(suite.BOX_OVERHEAD - 1))


def test_a_box_made_for_two_keys_is_refused_by_its_commitment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the commitment, XChaCha20-Poly1305 would open one box under two chosen keys."""
    box = suite.encrypt(fixed("key"), LABEL, b"", b"plain", nonce=fixed("n", 24))
    opened: list[bytes] = []
    monkeypatch.setattr(nacl.bindings, "crypto_aead_xchacha20poly1305_ietf_decrypt", lambda *a: opened.append(a[0]))
    with pytest.raises(Undecryptable):
        suite.decrypt(fixed("other"), LABEL, b"", box)
    assert not opened, "the commitment is compared before decrypting"


def test_what_is_sealed_opens_in_the_same_context_only() -> None:
    key = SealKey(fixed("seal"))
    sealed = suite.seal(key.public, LABEL, b"field", plaintext=b"plain")
    assert len(sealed) == 5 + suite.SEAL_OVERHEAD
    assert key.open(LABEL, b"field", sealed=sealed) == b"plain"
    for other, label, field in ((SealKey(fixed("x")), LABEL, b"field"), (key, "kith/1/y", b"field"), (key, LABEL, b"")):
        with pytest.raises(Undecryptable):
            other.open(label, field, sealed=sealed)


@pytest.mark.parametrize("sealed", [b"", bytes(1119), bytes(1120), bytes(1136), bytes(5000)])
def test_what_was_never_sealed_is_refused(sealed: bytes) -> None:
    with pytest.raises(Undecryptable):
        SealKey(fixed("seal")).open(LABEL, sealed=sealed)


def test_a_seal_key_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(BadKey):
        suite.check_seal_key(SealKey(fixed("seal")).public[:-1])


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_a_signing_key_of_small_order_is_refused(key: bytes) -> None:
    with pytest.raises(BadKey):
        suite.check_sign_key(key)
    with pytest.raises(BadKey):
        suite.check_hybrid_key(key + hybrid("a").public[32:])


def test_one_signature_for_every_message_does_not_verify_under_a_small_order_key() -> None:
    # R = the neutral point and s = 0 satisfy the equation of any message under the neutral key.
    with pytest.raises(BadSignature):
        suite.verify(SMALL_ORDER[1], LABEL, b"anything", signature=SMALL_ORDER[1] + bytes(32))


@pytest.mark.parametrize("key", [hybrid("a").public[:-1], hybrid("a").public + b"\x00"])
def test_a_hybrid_key_of_the_wrong_size_is_refused(key: bytes) -> None:
    with pytest.raises(BadKey):
        suite.check_hybrid_key(key)


def test_a_key_of_mixed_order_is_refused() -> None:
    with pytest.raises(BadKey):
        suite.check_sign_key(MixedOrderKey(fixed("weak")).public)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_the_wrong_size_are_refused(size: int) -> None:
    with pytest.raises(BadKey):
        suite.check_sign_key(bytes(size))
    with pytest.raises(BadKey):
        suite.check_hybrid_key(bytes(size))
    with pytest.raises(BadKey):
        SignKey(bytes(size))
    with pytest.raises(BadKey):
        SealKey(bytes(size))
    with pytest.raises(BadKey):
        HybridSignKey(fixed("seed"), bytes(size))


def test_a_signature_holds_for_its_key_label_and_fields_only() -> None:
    key = SignKey(fixed("sign"))
    signature = key.sign(LABEL, b"ab")
    suite.verify(key.public, LABEL, b"ab", signature=signature)
    others = (
        (SignKey(fixed("x")).public, LABEL, (b"ab",), signature),
        (key.public, "kith/1/y", (b"ab",), signature),
        (key.public, LABEL, (b"a", b"b"), signature),
        (key.public, LABEL, (b"ab",), flip(signature, 40)),
        (key.public, LABEL, (b"ab",), signature[:-1]),
        (key.public[:-1], LABEL, (b"ab",), signature),
    )
    for public, label, parts, made in others:
        with pytest.raises(BadSignature):
            suite.verify(public, label, *parts, signature=made)


def test_a_hybrid_signature_needs_both_halves() -> None:
    key, other = hybrid("a"), hybrid("b")
    signature, foreign = key.sign(LABEL, b"m"), other.sign(LABEL, b"m")
    suite.verify_hybrid(key.public, LABEL, b"m", signature=signature)
    for mixed in (signature[:64] + foreign[64:], foreign[:64] + signature[64:], signature[:64], signature + b"\x00"):
        with pytest.raises(BadSignature):
            suite.verify_hybrid(key.public, LABEL, b"m", signature=mixed)
    with pytest.raises(BadSignature):
        suite.verify_hybrid(key.public[:-1], LABEL, b"m", signature=signature)


def test_private_keys_do_not_show_themselves() -> None:
    for key in (SignKey(fixed("k")), SealKey(fixed("k")), hybrid("k")):
        assert repr(key).endswith("(...)")


def test_the_suite_gives_the_example_values_of_the_spec() -> None:
    assert suite.labelled_hash(LABEL, b"ab").hex() == EXAMPLES["labelled_hash"]
    assert suite.derive(bytes(32), LABEL, b"ab").hex() == EXAMPLES["derive"]
    assert suite.mac(bytes(32), LABEL, b"ab").hex() == EXAMPLES["mac"]
    assert suite.encrypt(bytes(32), LABEL, b"", b"ab", nonce=bytes(24)).hex() == EXAMPLES["encrypt"]


EXAMPLES = {
    "labelled_hash": "fd2cfd657321748412cd829be6a16d661c5a3a3834f896abf6009932fbe946f0",
    "derive": "9a8717c130d31759bde908f4659eba153e68847a1266738ccc419b630ae60342",
    "mac": "157e3f67c98d299e6c7a73d6bba92c64a055ff1375bd54fb14cfe8cf5198e955",
    "encrypt": (
        "0000000000000000000000000000000000000000000000007b6afd055520327e4448554e9ee70a4a"
        "1d51c16183f85f4bc444787bbcf079dfc82b84acf931a8a4a2d7c0db237d7fb3d10c"
    ),
}
