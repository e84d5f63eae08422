"""The form in which epoch keys travel, sealed, beside the commit that names their hash (spec: vault.md, Epochs).

Chain rules need it on both sides; sealing and opening is `epoch`, which a server does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from kith_protocol.commit import MAX_MEMBERS
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import DecodingError
from kith_protocol.suite import BOX_OVERHEAD, HASH_BYTES, KEY_BYTES, SEAL_OVERHEAD

FIRST_EPOCH: Final = 1


class SealedKey(Statement, frozen=True):
    """An epoch key, sealed to one member."""

    SIZES: ClassVar[Mapping[str, int]] = {"member": HASH_BYTES, "sealed": KEY_BYTES + SEAL_OVERHEAD}

    member: bytes
    sealed: bytes


class SealedKeys(Statement, frozen=True):
    """The keys that travel beside a commit, which names their hash. Empty for an ordinary commit."""

    keys: tuple[SealedKey, ...] = ()
    previous: bytes = b""
    """The epoch key before, encrypted under the new one; empty where no epoch begins, and in genesis."""

    def check(self) -> None:
        if len(self.keys) > MAX_MEMBERS:
            raise DecodingError("There are more sealed keys than a vault can have members.")
        if len(self.previous) not in (0, KEY_BYTES + BOX_OVERHEAD):
            raise DecodingError("The previous epoch's key has the wrong size.")
        ids = [key.member for key in self.keys]
        if ids != sorted(set(ids)):
            raise DecodingError("The sealed keys are not sorted by member, or one stands twice.")
        for key in self.keys:
            key.check()


NO_KEYS: Final = SealedKeys()


def parse_keys(raw: bytes) -> SealedKeys:
    """Decodes sealed keys. Raises `DecodingError`."""
    return decode(raw, SealedKeys)


def encode_keys(keys: SealedKeys) -> bytes:
    return encode(keys)


def key_names(keys: SealedKeys) -> frozenset[bytes]:
    """The ids of the members that `keys` are sealed to."""
    return frozenset(key.member for key in keys.keys)
