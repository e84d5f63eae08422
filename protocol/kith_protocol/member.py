"""Members: the key sets that may write to a vault, a device or the paper key (spec: vault.md, Members)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from kith_protocol import labels
from kith_protocol.encoding import Statement
from kith_protocol.errors import DecodingError
from kith_protocol.suite import (
    SEAL_KEY_BYTES,
    SIGN_KEY_BYTES,
    SealKey,
    SignKey,
    check_seal_key,
    check_sign_key,
    labelled_hash,
)


class MemberKind(IntEnum):
    DEVICE = 1
    PAPER = 2


class Member(Statement, frozen=True):
    """A member's public side, as it stands in the commit that adds it."""

    SIZES: ClassVar[Mapping[str, int]] = {"sign_key": SIGN_KEY_BYTES, "seal_key": SEAL_KEY_BYTES}

    kind: MemberKind
    sign_key: bytes
    seal_key: bytes

    @property
    def id(self) -> bytes:
        """32 bytes: the hash of both keys."""
        return labelled_hash(labels.MEMBER_ID, self.sign_key, self.seal_key)

    def check(self) -> None:
        super().check()
        if not isinstance(self.kind, MemberKind):
            raise DecodingError("A member is a device or a paper key.")

    def check_keys(self) -> None:
        """Raises `BadKey` where a key is unusable. Costs a curve operation, so it is not part of decoding."""
        check_sign_key(self.sign_key)
        check_seal_key(self.seal_key)


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """A member's private side."""

    kind: MemberKind
    sign: SignKey
    seal: SealKey

    @property
    def public(self) -> Member:
        return Member(self.kind, self.sign.public, self.seal.public)

    @property
    def id(self) -> bytes:
        return self.public.id
