"""Suite 1 against the published vectors: Wycheproof, X-Wing, HPKE."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from kith_protocol import suite
from kith_protocol.errors import BadKey, BadSignature, Undecryptable
from kith_protocol.suite import SealKey, SignKey, check_seal_key, frame
from tests.protocol.people import fixed

SUITE_ID = bytes.fromhex("48504b45647a00010003")


def cases(shared: Path, name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Groups and tests of one Wycheproof file; fails where it holds none."""
    found = json.loads((shared / "vectors" / f"wycheproof_{name}_test.json").read_text())["testGroups"]
    assert found
    for group in found:
        for test in group["tests"]:
            yield group, test


@pytest.fixture
def unframed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors know nothing of our labels: the context is the one field itself."""
    monkeypatch.setattr(suite, "frame", lambda _label, *fields: fields[0])


def holds(check: Any, *arguments: Any, **named: Any) -> bool:
    try:
        check(*arguments, **named)
    except (BadSignature, BadKey, Undecryptable):
        return False
    return True


@pytest.mark.usefixtures("unframed")
def test_ed25519_signatures_are_judged_as_wycheproof_does(shared: Path) -> None:
    for group, test in cases(shared, "ed25519"):
        public, signature = bytes.fromhex(group["publicKey"]["pk"]), bytes.fromhex(test["sig"])
        verdict = holds(suite.verify, public, "", bytes.fromhex(test["msg"]), signature=signature)
        assert verdict == (test["result"] == "valid"), test["tcId"]


@pytest.mark.usefixtures("unframed")
def test_mldsa_signatures_are_judged_as_wycheproof_does(shared: Path) -> None:
    ours, judged = SignKey(fixed("ed25519")), 0
    for group, test in cases(shared, "mldsa_65_verify"):
        if test.get("ctx"):
            continue
        message = bytes.fromhex(test["msg"])
        both = ours.sign("", message) + bytes.fromhex(test["sig"])
        public = ours.public + bytes.fromhex(group["publicKey"])
        assert holds(suite.verify_hybrid, public, "", message, signature=both) == (test["result"] == "valid"), test
        judged += 1
    assert judged > 100


@pytest.mark.usefixtures("unframed")
def test_hkdf_gives_what_wycheproof_expects(shared: Path) -> None:
    for _, test in cases(shared, "hkdf_sha256"):
        key, salt, info = (bytes.fromhex(test[name]) for name in ("ikm", "salt", "info"))
        if test["result"] == "valid":
            assert suite.derive(key, "", info, salt=salt, length=test["size"]) == bytes.fromhex(test["okm"])


@pytest.mark.usefixtures("unframed")
def test_hmac_gives_what_wycheproof_expects(shared: Path) -> None:
    for group, test in cases(shared, "hmac_sha256"):
        tag = suite.mac(bytes.fromhex(test["key"]), "", bytes.fromhex(test["msg"]))[: group["tagSize"] // 8]
        assert suite.equal(tag, bytes.fromhex(test["tag"])) == (test["result"] == "valid"), test["tcId"]


def test_xchacha20_poly1305_opens_what_wycheproof_says(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The commitment is ours; here it is zero on both sides, and the vector's key is the message key.
    monkeypatch.setattr(suite, "_message_keys", lambda key, _label, _nonce: (bytes(32), key))
    judged = 0
    for group, test in cases(shared, "xchacha20_poly1305"):
        if group["ivSize"] != 192:
            continue
        key, nonce, associated, text, sealed, tag = (
            bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        box = nonce + bytes(32) + sealed + tag
        if test["result"] == "valid":
            assert suite.decrypt(key, "", associated, box) == text
            assert suite.encrypt(key, "", associated, text, nonce=nonce) == box
        else:
            assert not holds(suite.decrypt, key, "", associated, box)
        judged += 1
    assert judged > 200


def test_a_seal_key_with_an_invalid_mlkem_half_is_refused(shared: Path) -> None:
    share, refused = SealKey(fixed("share")).public[-32:], 0
    for _, test in cases(shared, "mlkem_768_encaps"):
        good = holds(check_seal_key, bytes.fromhex(test["ek"]) + share)
        assert good == (test["result"] == "valid"), test["tcId"]
        refused += not good
    assert refused > 100


def test_a_seal_key_whose_share_makes_the_secret_zero_is_refused(shared: Path) -> None:
    half, refused = SealKey(fixed("share")).public[:-32], 0
    for _, test in cases(shared, "x25519"):
        if test["shared"] == "00" * 32:
            with pytest.raises(BadKey):
                check_seal_key(half + bytes.fromhex(test["public"]))
            refused += 1
    assert refused > 10


def test_mlkem_keys_and_secrets_are_those_of_the_vectors(shared: Path) -> None:
    for _, test in cases(shared, "mlkem_768_keygen_seed"):
        key = mlkem.MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(test["seed"]))
        assert key.public_key().public_bytes_raw().hex() == test["ek"]
    for _, test in cases(shared, "mlkem_768"):
        if test["result"] == "valid":
            key = mlkem.MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(test["seed"]))
            assert key.decapsulate(bytes.fromhex(test["c"])).hex() == test["K"]


def hpke_keys(shared_secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and base nonce of RFC 9180, base mode, written for the tests from §4 and §5.1 alone."""

    def extract(salt: bytes, label: bytes, material: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + SUITE_ID + label + material, "sha256")

    def expand(secret: bytes, label: bytes, context: bytes, length: int) -> bytes:
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + SUITE_ID + label + context
        return hmac.digest(secret, labelled + b"\x01", "sha256")[:length]

    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared_secret, b"secret", b"")
    return expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)


def test_sealing_is_hpke_with_xwing(shared: Path) -> None:
    vectors = json.loads((shared / "vectors" / "hpke_pq_xwing.json").read_text())
    checked = 0
    for vector in vectors:
        if (vector["mode"], vector["kdf_id"], vector["aead_id"]) != (0, 1, 3):
            continue
        secret = bytes.fromhex(vector["shared_secret"])
        key, nonce = hpke_keys(secret, bytes.fromhex(vector["info"]))
        assert (key.hex(), nonce.hex()) == (vector["key"], vector["base_nonce"])
        mine = SealKey(bytes.fromhex(vector["skRm"]))
        assert mine.public.hex() == vector["pkRm"]
        key, nonce = hpke_keys(secret, frame("kith/1/test", b"field"))
        sealed = bytes.fromhex(vector["enc"]) + ChaCha20Poly1305(key).encrypt(nonce, b"plain", None)
        assert mine.open("kith/1/test", b"field", sealed=sealed) == b"plain"
        checked += 1
    assert checked


def test_xwing_keys_and_secrets_are_those_of_the_draft(shared: Path) -> None:
    for vector in json.loads((shared / "vectors" / "xwing.json").read_text()):
        mine = SealKey(bytes.fromhex(vector["sk"]))
        assert mine.public.hex() == vector["pk"]
        key, nonce = hpke_keys(bytes.fromhex(vector["ss"]), frame("kith/1/test"))
        sealed = bytes.fromhex(vector["ct"]) + ChaCha20Poly1305(key).encrypt(nonce, b"plain", None)
        assert mine.open("kith/1/test", sealed=sealed) == b"plain"
