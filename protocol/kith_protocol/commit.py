"""Commits: the signed steps of a vault's history (spec: vault.md, Commits)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import Alarm, AlarmCode, DecodingError
from kith_protocol.member import Member
from kith_protocol.suite import HASH_BYTES, SIGNATURE_BYTES, SUITE, SignKey, digest, verify

RECORD_ID_BYTES: Final = 16
MAX_MEMBERS: Final = 64
MAX_CHANGES: Final = 1000
"""Records in one push."""
MAX_ABANDONED: Final = 2000
"""Commits that a repair gives up."""
MAX_COMMIT_BYTES: Final = 160_000
"""A commit that adds, removes and gives up as much as it may stays below it."""
MAX_NUMBER: Final = 2**53
"""Bound of commit numbers and times, so that every language can hold them."""

DELETED: Final = b""
"""Stands in a change list where a record was deleted."""


class CommitBody(Statement, frozen=True):
    """What the author signs. Hashes are SHA-256."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "vault": HASH_BYTES,
        "parent": HASH_BYTES,
        "author": HASH_BYTES,
        "keys": HASH_BYTES,
        "changes": HASH_BYTES,
        "tree": HASH_BYTES,
    }

    suite: int
    vault: bytes
    """SHA-256 of the genesis commit; zeros in genesis itself."""
    number: int
    """Counts from 0, the genesis."""
    parent: bytes
    """Hash of the commit before; zeros in genesis."""
    author: bytes
    """Member id."""
    time: int
    """Milliseconds since 1970, by the author's clock."""
    epoch: int
    """In force after this commit; records pushed with it carry it."""
    added: tuple[Member, ...]
    removed: tuple[bytes, ...]
    """Member ids, sorted."""
    abandoned: tuple[bytes, ...]
    """Hashes of commits that the server lost and this one gives up, sorted; empty but in a repair (repair.md)."""
    epoch_commitment: bytes
    """Commitment of the new epoch's key; empty where no epoch begins."""
    keys: bytes
    """Hash of the sealed keys that travel beside the commit."""
    changes: bytes
    """Hash of the change list."""
    tree: bytes
    """Hash over all records that stand after this commit."""

    def check(self) -> None:
        super().check()
        if self.suite != SUITE:
            raise Alarm(AlarmCode.DOWNGRADE, f"A commit names suite {self.suite}; this program knows suite 1.")
        for count in (self.number, self.time, self.epoch):
            if not 0 <= count <= MAX_NUMBER:
                raise DecodingError("A commit holds a number out of its bounds.")
        if len(self.epoch_commitment) not in (0, HASH_BYTES):
            raise DecodingError("An epoch's commitment has 32 bytes.")
        if len(self.added) > MAX_MEMBERS or len(self.removed) > MAX_MEMBERS:
            raise DecodingError("A commit changes more members than a vault can have.")
        if len(self.abandoned) > MAX_ABANDONED:
            raise DecodingError(f"A commit gives up at most {MAX_ABANDONED} others.")
        _check_hashes(self.removed, "A member id has 32 bytes.", "removed members")
        _check_hashes(self.abandoned, "The hash of a commit has 32 bytes.", "abandoned commits")
        for member in self.added:
            member.check()


def _check_hashes(hashes: tuple[bytes, ...], size: str, what: str) -> None:
    if any(len(each) != HASH_BYTES for each in hashes):
        raise DecodingError(size)
    if list(hashes) != sorted(set(hashes)):
        raise DecodingError(f"The {what} are not sorted, or one stands twice.")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as it travels, decoded. `raw` is `body ‖ signature`."""

    raw: bytes
    body: CommitBody

    @property
    def hash(self) -> bytes:
        return digest(self.raw)

    @property
    def vault(self) -> bytes:
        """The vault's id, also for genesis, whose own field is zero."""
        return self.body.vault if self.body.number else self.hash

    def verify(self, sign_key: bytes) -> None:
        """Raises `BadSignature` unless the member with `sign_key` signed this commit."""
        verify(sign_key, labels.COMMIT, self.raw[:-SIGNATURE_BYTES], signature=self.raw[-SIGNATURE_BYTES:])


def sign_commit(body: CommitBody, key: SignKey) -> Commit:
    """Signs `body` with its author's key."""
    raw = encode(body)
    return Commit(raw + key.sign(labels.COMMIT, raw), body)


def parse_commit(raw: bytes) -> Commit:
    """Decodes without verifying. Raises `DecodingError`, or the alarm `downgrade`."""
    if not SIGNATURE_BYTES < len(raw) <= MAX_COMMIT_BYTES:
        raise DecodingError("A commit is too short or too long.")
    return Commit(raw, decode(raw[:-SIGNATURE_BYTES], CommitBody))


class ChangeList(Statement, frozen=True):
    """What one commit changed: record ids, sorted, with the SHA-256 of the sealed record or `DELETED`."""

    changes: tuple[tuple[bytes, bytes], ...]

    def check(self) -> None:
        if len(self.changes) > MAX_CHANGES:
            raise DecodingError(f"A commit changes at most {MAX_CHANGES} records.")
        ids = [record for record, _ in self.changes]
        if ids != sorted(set(ids)):
            raise DecodingError("A change list is not sorted, or names a record twice.")
        if any(len(record) != RECORD_ID_BYTES or len(hash_) not in (0, HASH_BYTES) for record, hash_ in self.changes):
            raise DecodingError("A change list holds an id or a hash of the wrong size.")


def change_list(changes: Iterable[tuple[bytes, bytes]]) -> ChangeList:
    """Sorts `(record id, hash or DELETED)` pairs into the list that a commit names by hash."""
    return ChangeList(tuple(sorted(changes)))
