"""The key file: what makes this device a member, under the person's passphrase (spec: key-file.md).

The passphrase goes through Argon2id; the derived key can be kept in the system's keyring, so that the passphrase is
asked for once. Without a passphrase the key lies beside the vault in a file that only its owner reads.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from kith_client.errors import WrongPassphrase
from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import DecodingError, Refused, Undecryptable
from kith_protocol.member import MemberKeys, MemberKind
from kith_protocol.suite import (
    HASH_BYTES,
    KEY_BYTES,
    NONCE_BYTES,
    SEED_BYTES,
    SUITE,
    SealKey,
    SignKey,
    decrypt,
    encrypt,
)

ARGON_MEMORY: Final = 64 * 1024 * 1024
"""Bytes that one guess at the passphrase costs, at least."""
ARGON_PASSES: Final = 3
ARGON_MEMORY_LIMIT: Final = 1024 * 1024 * 1024
ARGON_PASSES_LIMIT: Final = 20
"""A key file that asks for more is damaged, or meant to stop the program."""
SALT_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 16


class DeviceKeys(Statement, frozen=True):
    """The content of the key file."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "vault": HASH_BYTES,
        "fingerprint": FINGERPRINT_BYTES,
        "sign_seed": SEED_BYTES,
        "seal_seed": SEED_BYTES,
    }

    server: str
    """The home server's URL."""
    fingerprint: bytes
    """Of the home server's key."""
    vault: bytes
    sign_seed: bytes
    seal_seed: bytes

    @property
    def member(self) -> MemberKeys:
        return MemberKeys(MemberKind.DEVICE, SignKey(self.sign_seed), SealKey(self.seal_seed))


class _KeyFile(Statement, frozen=True):
    suite: int
    memory: int
    """Argon2id parameters; zero where there is no passphrase."""
    passes: int
    salt: bytes
    """16 bytes; without a passphrase the 32-byte key itself."""
    box: bytes


def derive_key(passphrase: str, salt: bytes, memory: int = ARGON_MEMORY, passes: int = ARGON_PASSES) -> bytes:
    """Argon2id, 32 bytes. Takes about 0.15 s by intention: call it in a thread."""
    from nacl.pwhash import argon2id

    # One spelling for what looks the same; bytes that are no text (from the environment) stay what they are.
    typed = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogateescape")
    return argon2id.kdf(KEY_BYTES, typed, salt, opslimit=passes, memlimit=memory)


def seal_key_file(keys: DeviceKeys, passphrase: str | None) -> tuple[bytes, bytes]:
    """The file's bytes, and the key that opens it. `passphrase` None leaves the key in the file."""
    salt, memory, passes = os.urandom(KEY_BYTES), 0, 0
    key = salt
    if passphrase is not None:
        salt, memory, passes = os.urandom(SALT_BYTES), ARGON_MEMORY, ARGON_PASSES
        key = derive_key(passphrase, salt)
    associated = _associated(memory, passes, salt)
    box = encrypt(key, labels.KEY_FILE, associated, encode(keys), nonce=os.urandom(NONCE_BYTES))
    return encode(_KeyFile(SUITE, memory, passes, salt, box)), key


def needs_passphrase(raw: bytes) -> bool:
    """Whether the key file is under a passphrase."""
    return _parse(raw).memory > 0


def passphrase_key(raw: bytes, passphrase: str) -> bytes:
    """The key for `open_key_file`. Refuses weaker parameters before anything is derived."""
    parsed = _parse(raw)
    return derive_key(passphrase, parsed.salt, parsed.memory, parsed.passes)


def open_key_file(raw: bytes, key: bytes | None) -> DeviceKeys:
    """Opens the key file with the derived key, or with the key that it holds. Raises `WrongPassphrase`."""
    parsed = _parse(raw)
    if key is None:
        if parsed.memory:
            raise WrongPassphrase("This address book is under a passphrase.")
        key = parsed.salt
    try:
        plain = decrypt(key, labels.KEY_FILE, _associated(parsed.memory, parsed.passes, parsed.salt), parsed.box)
    except Undecryptable:
        raise WrongPassphrase("The passphrase is not right, or the key file is damaged.") from None
    return decode(plain, DeviceKeys)


def with_other_server(raw: bytes, key: bytes | None, server: str, fingerprint: bytes) -> bytes:
    """The same key file for the home server at `server`; opened and sealed as before. Raises `WrongPassphrase`."""
    parsed, keys = _parse(raw), open_key_file(raw, key)
    moved = DeviceKeys(server, fingerprint, keys.vault, keys.sign_seed, keys.seal_seed)
    associated = _associated(parsed.memory, parsed.passes, parsed.salt)
    sealing = parsed.salt if key is None else key
    box = encrypt(sealing, labels.KEY_FILE, associated, encode(moved), nonce=os.urandom(NONCE_BYTES))
    return encode(_KeyFile(SUITE, parsed.memory, parsed.passes, parsed.salt, box))


def write_key_file(path: Path, raw: bytes, *, replace: bool = False) -> None:
    """Writes a key file of mode 0600, whole or not at all. Raises `FileExistsError` where there is one, unless
    `replace`."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)  # of an attempt that broke off: its mode may be another
    descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _parse(raw: bytes) -> _KeyFile:
    try:
        parsed = decode(raw, _KeyFile)
    except DecodingError:
        raise DecodingError(
            "The key file is damaged. Take it from a backup, or join again from another device."
        ) from None
    if parsed.suite != SUITE:
        raise Refused("downgrade", "The key file was written by a program that this one does not know.")
    if (parsed.memory, parsed.passes) == (0, 0):
        if len(parsed.salt) != KEY_BYTES:
            raise DecodingError("The key file is damaged.")
        return parsed
    strong = ARGON_MEMORY <= parsed.memory <= ARGON_MEMORY_LIMIT and ARGON_PASSES <= parsed.passes <= ARGON_PASSES_LIMIT
    if not strong or len(parsed.salt) != SALT_BYTES:
        raise Refused(
            "weak-key-file", "The key file asks for a weaker protection than Kithbook allows; somebody changed it."
        )
    return parsed


def _associated(memory: int, passes: int, salt: bytes) -> bytes:
    return SUITE.to_bytes(1, "big") + memory.to_bytes(8, "big") + passes.to_bytes(4, "big") + salt
