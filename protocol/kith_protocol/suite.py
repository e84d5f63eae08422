"""Suite 1: the primitives, each behind one function with a label (spec: suite.md).

Every context is framed as `label ‖ fields`, each length-prefixed, so that no two contexts can collide.
Nothing here is a primitive of our own; the compositions are specified in the spec and have vectors.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import nacl.bindings as sodium
import nacl.exceptions
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kith_protocol.errors import BadKey, BadSignature, Undecryptable

SUITE: Final = 1
HASH_BYTES: Final = 32
KEY_BYTES: Final = 32
SEED_BYTES: Final = 32
NONCE_BYTES: Final = 24
TAG_BYTES: Final = 16
SIGN_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SEAL_KEY_BYTES: Final = 1216
"""ML-KEM-768 public key (1,184 B) ‖ X25519 public key (32 B)."""
SEAL_OVERHEAD: Final = 1136
"""Encapsulation (1,120 B) and tag (16 B) of a sealed message."""
PQ_SIGN_KEY_BYTES: Final = 1952
PQ_SIGNATURE_BYTES: Final = 3309
HYBRID_KEY_BYTES: Final = SIGN_KEY_BYTES + PQ_SIGN_KEY_BYTES
HYBRID_SIGNATURE_BYTES: Final = SIGNATURE_BYTES + PQ_SIGNATURE_BYTES
BOX_OVERHEAD: Final = NONCE_BYTES + HASH_BYTES + TAG_BYTES
"""Nonce, key commitment and tag of `encrypt`."""

_MLKEM_KEY_BYTES: Final = 1184
_HPKE: Final = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
_UNDECRYPTABLE: Final = "A sealed message does not open: it was altered, or it is meant for somebody else."


def frame(label: str, *fields: bytes) -> bytes:
    """`label` and `fields`, each preceded by its length in four bytes, big-endian."""
    parts = [label.encode("ascii"), *fields]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def digest(data: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(data).digest()


def labelled_hash(label: str, *fields: bytes) -> bytes:
    """SHA-256 over the framed label and fields, 32 bytes."""
    return digest(frame(label, *fields))


def derive(key: bytes, label: str, *fields: bytes, salt: bytes = b"", length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256 (RFC 5869) with `info = frame(label, fields)`; `length` bytes."""
    info = frame(label, *fields)
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt or None, info=info).derive(key)


def mac(key: bytes, label: str, *fields: bytes) -> bytes:
    """HMAC-SHA256 over the framed label and fields, 32 bytes."""
    return hmac.new(key, frame(label, *fields), hashlib.sha256).digest()


def equal(a: bytes, b: bytes) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(a, b)


# Encrypting under a shared key


def encrypt(key: bytes, label: str, associated: bytes, plaintext: bytes, *, nonce: bytes) -> bytes:
    """`nonce ‖ commitment ‖ XChaCha20-Poly1305`; `nonce` is 24 fresh random bytes.

    The AEAD does not commit to its key, so `commitment ‖ message key = HKDF(key, salt=nonce, label)`, 64 bytes.
    """
    commitment, message_key = _message_keys(key, label, nonce)
    sealed = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, associated, nonce, message_key)
    return nonce + commitment + sealed


def decrypt(key: bytes, label: str, associated: bytes, box: bytes) -> bytes:
    """Opens what `encrypt` made. Raises `Undecryptable`; the commitment is compared before decrypting."""
    if len(box) < BOX_OVERHEAD:
        raise Undecryptable(_UNDECRYPTABLE)
    nonce, claimed = box[:NONCE_BYTES], box[NONCE_BYTES : NONCE_BYTES + HASH_BYTES]
    commitment, message_key = _message_keys(key, label, nonce)
    if not equal(commitment, claimed):
        raise Undecryptable(_UNDECRYPTABLE)
    try:
        return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
            box[NONCE_BYTES + HASH_BYTES :], associated, nonce, message_key
        )
    except nacl.exceptions.CryptoError:
        raise Undecryptable(_UNDECRYPTABLE) from None


def _message_keys(key: bytes, label: str, nonce: bytes) -> tuple[bytes, bytes]:
    both = derive(key, label, salt=nonce, length=HASH_BYTES + KEY_BYTES)
    return both[:HASH_BYTES], both[HASH_BYTES:]


# Sealing to a public key: HPKE base mode with X-Wing


@dataclass(frozen=True, slots=True)
class SealKey:
    """A private X-Wing key, kept as its 32-byte seed: SHAKE256(seed, 96) = ML-KEM seed (64) ‖ X25519 key (32)."""

    seed: bytes

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise BadKey("A seal key's seed is 32 bytes.")

    def __repr__(self) -> str:
        return "SealKey(...)"

    @property
    def public(self) -> bytes:
        """ML-KEM-768 ‖ X25519 public key, 1,216 bytes."""
        return _public_seal_key(self.seed)

    def open(self, label: str, *fields: bytes, sealed: bytes) -> bytes:
        """Opens what was sealed to this key in the same context. Raises `Undecryptable`."""
        kem, share = _private_parts(self.seed)
        try:
            return _HPKE.decrypt(sealed, hpke.MLKEM768X25519PrivateKey(kem, share), frame(label, *fields))
        except (InvalidTag, ValueError):
            raise Undecryptable(_UNDECRYPTABLE) from None


def seal(public: bytes, label: str, *fields: bytes, plaintext: bytes) -> bytes:
    """HPKE base mode to an X-Wing public key; all context is in `info`. 1,136 bytes longer than the plaintext."""
    return _HPKE.encrypt(plaintext, _import_seal_key(public), frame(label, *fields))


def check_seal_key(public: bytes) -> None:
    """Raises `BadKey` for a public X-Wing key that could not be sealed to, or gives away what is sealed."""
    _import_seal_key(public)


def _private_parts(seed: bytes) -> tuple[mlkem.MLKEM768PrivateKey, x25519.X25519PrivateKey]:
    expanded = hashlib.shake_256(seed).digest(96)
    return (
        mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        x25519.X25519PrivateKey.from_private_bytes(expanded[64:]),
    )


@lru_cache(maxsize=256)
def _public_seal_key(seed: bytes) -> bytes:
    kem, share = _private_parts(seed)
    return kem.public_key().public_bytes_raw() + share.public_key().public_bytes_raw()


def _import_seal_key(public: bytes) -> hpke.MLKEM768X25519PublicKey:
    if len(public) != SEAL_KEY_BYTES:
        raise BadKey("A seal key is 1,216 bytes.")
    share = public[_MLKEM_KEY_BYTES:]
    try:
        # A share of small order makes every X25519 secret zero; libsodium refuses to compute it.
        sodium.crypto_scalarmult(b"\x01" * 32, share)
        kem = mlkem.MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_KEY_BYTES])
        return hpke.MLKEM768X25519PublicKey(kem, x25519.X25519PublicKey.from_public_bytes(share))
    except (ValueError, RuntimeError, nacl.exceptions.CryptoError):
        raise BadKey("A seal key is not a valid X-Wing public key.") from None


# Signing often: Ed25519


@dataclass(frozen=True, slots=True)
class SignKey:
    """A private Ed25519 key, kept as its 32-byte seed."""

    seed: bytes

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise BadKey("A signing key's seed is 32 bytes.")

    def __repr__(self) -> str:
        return "SignKey(...)"

    @property
    def public(self) -> bytes:
        """32 bytes."""
        return _sign_pair(self.seed)[0]

    def sign(self, label: str, *fields: bytes) -> bytes:
        """Ed25519 over the framed label and fields, 64 bytes."""
        message = frame(label, *fields)
        return sodium.crypto_sign(message, _sign_pair(self.seed)[1])[:SIGNATURE_BYTES]


@lru_cache(maxsize=256)
def _sign_pair(seed: bytes) -> tuple[bytes, bytes]:
    return sodium.crypto_sign_seed_keypair(seed)


def check_sign_key(public: bytes) -> None:
    """Raises `BadKey` for an Ed25519 key under which signatures prove nothing (small order, not canonical)."""
    if len(public) != SIGN_KEY_BYTES or not sodium.crypto_core_ed25519_is_valid_point(public):
        raise BadKey("A signing key is not a valid Ed25519 key.")


def verify(public: bytes, label: str, *fields: bytes, signature: bytes) -> None:
    """Raises `BadSignature` unless `signature` is `public`'s over the framed label and fields."""
    if len(public) != SIGN_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        raise BadSignature("A signature or its key has the wrong size.")
    try:
        sodium.crypto_sign_open(signature + frame(label, *fields), public)
    except nacl.exceptions.CryptoError:
        raise BadSignature("A signature does not verify.") from None


# Signing rarely: Ed25519 and ML-DSA-65, both must verify


@dataclass(frozen=True, slots=True)
class HybridSignKey:
    """A private Ed25519 key and a private ML-DSA-65 key, each kept as its 32-byte seed."""

    seed: bytes
    pq_seed: bytes

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES or len(self.pq_seed) != SEED_BYTES:
            raise BadKey("A hybrid signing key is two seeds of 32 bytes.")

    def __repr__(self) -> str:
        return "HybridSignKey(...)"

    @property
    def public(self) -> bytes:
        """Ed25519 ‖ ML-DSA-65 public key, 1,984 bytes."""
        pq_key = mldsa.MLDSA65PrivateKey.from_seed_bytes(self.pq_seed)
        return SignKey(self.seed).public + pq_key.public_key().public_bytes_raw()

    def sign(self, label: str, *fields: bytes) -> bytes:
        """Ed25519 ‖ ML-DSA-65 signature (empty context) over the framed label and fields, 3,373 bytes."""
        pq_key = mldsa.MLDSA65PrivateKey.from_seed_bytes(self.pq_seed)
        return SignKey(self.seed).sign(label, *fields) + pq_key.sign(frame(label, *fields))


def check_hybrid_key(public: bytes) -> None:
    """Raises `BadKey` for a hybrid signing key of which either half is unusable."""
    if len(public) != HYBRID_KEY_BYTES:
        raise BadKey("A hybrid signing key is 1,984 bytes.")
    check_sign_key(public[:SIGN_KEY_BYTES])


def verify_hybrid(public: bytes, label: str, *fields: bytes, signature: bytes) -> None:
    """Raises `BadSignature` unless both halves of `signature` verify under both halves of `public`."""
    if len(public) != HYBRID_KEY_BYTES or len(signature) != HYBRID_SIGNATURE_BYTES:
        raise BadSignature("A signature or its key has the wrong size.")
    verify(public[:SIGN_KEY_BYTES], label, *fields, signature=signature[:SIGNATURE_BYTES])
    try:
        pq_key = mldsa.MLDSA65PublicKey.from_public_bytes(public[SIGN_KEY_BYTES:])
        pq_key.verify(signature[SIGNATURE_BYTES:], frame(label, *fields))
    except (InvalidSignature, ValueError):
        raise BadSignature("A signature does not verify.") from None
