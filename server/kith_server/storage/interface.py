"""What the service asks of a store, in its own words. `tests/support/storage_contract.py` is what a store must pass.

A store keeps bytes that were verified before; it decides only what must be decided in one transaction: that the head
has not moved, that a registration token and a nonce are used once, that there is room for one more vault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

BEGINNING: Final = -1
"""In a feed: nothing is known, so the whole vault is wanted."""
AFTER_ALL: Final = b"\xff" * 16
"""In a cursor: all records of that commit were sent."""


@dataclass(frozen=True, slots=True)
class StoredVault:
    """A vault at its head. `size` counts bytes of records, commits, keys and change lists; `quota` is in bytes."""

    vault: bytes
    number: int
    head: bytes
    chain: bytes
    """The frozen chain."""
    buckets: bytes
    """The 256 bucket hashes of the tree, one after the other."""
    records: int
    size: int
    quota: int | None = None
    """Where it differs from the server's setting."""
    horizon: int = BEGINNING
    """Change lists up to this commit were dropped."""
    followed: bytes = b""
    """The frozen chain that the vault has at the server to which it moved; empty where it lives here."""
    denied: bytes = b""
    """Ids of members whom what was told of it before had removed, one after the other."""


@dataclass(frozen=True, slots=True)
class StoredCommit:
    """A commit with what travels beside it; `changes` is empty once older than the horizon."""

    number: int
    hash: bytes
    received: int
    """Milliseconds, by the server's clock."""
    raw: bytes
    keys: bytes
    changes: bytes


@dataclass(frozen=True, slots=True)
class RecordRow:
    """What is known of a record without its ciphertext; `size` in bytes."""

    record: bytes
    hash: bytes
    size: int


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A sealed record and the commit that wrote it."""

    number: int
    record: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class StoredReplaced:
    """A sealed record that does not stand any more."""

    number: int
    """Of the commit that replaced or deleted it."""
    record: bytes
    written: int
    """Of the commit that had written it."""
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """One verified commit on top of the head `parent`, and what the vault is after it."""

    parent: bytes
    after: StoredVault
    grown: int
    """Bytes by which the vault grows; negative where it shrinks."""
    commit: StoredCommit
    written: tuple[tuple[RecordRow, bytes], ...]
    """Each with its ciphertext."""
    deleted: tuple[bytes, ...]
    room: int
    """Bytes of replaced and deleted ciphertext that may be kept; beyond them the oldest goes."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a feed: commit `number` was sent, and its records up to `record`."""

    number: int
    record: bytes = AFTER_ALL


@dataclass(frozen=True, slots=True)
class FeedBatch:
    """A part of a feed, in order: each commit, then the records that it wrote and that still stand."""

    items: tuple[StoredCommit | StoredRecord, ...]
    cursor: Cursor
    head: int
    """Of the state that this batch was read from."""
    horizon: int
    """Likewise."""
    complete: bool
    """Nothing followed in that state."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session; `token` is the SHA-256 of the bearer token, `expires` in milliseconds."""

    vault: bytes
    token: bytes
    member: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class VaultFigures:
    """What an operator may know of a vault: numbers only."""

    vault: bytes
    chain: bytes
    records: int
    size: int
    quota: int | None
    last: int
    """When the last commit came, in milliseconds."""
    handles: int


class VaultStore(Protocol):
    """Vaults, their history and records."""

    async def create(self, vault: StoredVault, genesis: StoredCommit, *, token: bytes | None, room: int) -> None:
        """Begins a vault; one that exists already is left as it is.

        `token` is the hash of a registration token, used up by this; `room` the number of vaults there may be.
        Raises `Refused` (`registration-token`, `registration-full`).
        """

    async def load(self, vault: bytes) -> StoredVault | None:
        """The vault at its head; None where there is none, or it is being deleted."""

    async def has_commit(self, vault: bytes, number: int, hash_: bytes) -> bool:
        """Whether the commit with this number is this very commit."""

    async def genesis(self, vault: bytes) -> StoredCommit:
        """The first commit of a vault that is there."""

    async def bucket_rows(self, vault: bytes, buckets: frozenset[int]) -> list[RecordRow]:
        """All records that stand in these buckets of the tree (first byte of the record id)."""

    async def append(self, step: Step) -> None:
        """Stores one commit with its records, whole or not at all, durable when this returns.

        Raises `Refused` (`head-moved`) unless the head is `step.parent`.
        """

    async def follow(self, vault: StoredVault) -> None:
        """Keeps what was told of a vault's chain at its new home (`followed`, `denied`)."""

    async def count_after(self, vault: bytes, after: int) -> int:
        """How many standing records were written by commits after number `after`."""

    async def feed(self, vault: bytes, cursor: Cursor, budget: int) -> FeedBatch:
        """What follows `cursor`, about `budget` bytes and at least one item where there is one."""

    async def drop_changes(self, before: int, limit: int) -> int:
        """Empties up to `limit` change lists received before `before` (ms); how many. Moves horizons."""

    async def replaced(self, vault: bytes, after: Cursor, budget: int) -> list[StoredReplaced]:
        """What was replaced or deleted after the place `after`, oldest first; about `budget` bytes, and at least one
        where there is one."""

    async def drop_replaced(self, before: int, limit: int) -> int:
        """Removes up to `limit` records that were replaced or deleted before `before` (ms); how many."""

    async def figures(self) -> list[VaultFigures]:
        """All vaults, by id."""

    async def set_quota(self, vault: bytes, quota: int | None) -> bool:
        """False where there is no such vault."""

    async def delete(self, vault: bytes) -> bool:
        """Closes the vault at once and removes everything of it, mailboxes too. False where there is none."""

    async def sweep(self) -> bool:
        """Removes some of what an interrupted `delete` left; False where nothing is left."""


class SessionStore(Protocol):
    """Open sessions and the nonces of those who opened them."""

    async def open(self, session: StoredSession, nonce: bytes, nonce_expires: int) -> None:
        """Keeps a session, and the nonce until `nonce_expires` (ms). Raises `Refused` (`session-replayed`)."""

    async def find(self, vault: bytes, token: bytes) -> StoredSession | None:
        """The session with this token hash, expired or not."""

    async def newest(self, vault: bytes, member: bytes) -> int | None:
        """When the session of `member` that lasts longest expires (ms), expired or not; None where there is none."""

    async def close(self, vault: bytes, token: bytes) -> None:
        """Ends the session with this token hash, if there is one."""

    async def drop_expired(self, now: int, limit: int) -> int:
        """Forgets up to `limit` sessions and nonces that expired; how many."""


class TokenStore(Protocol):
    """Registration tokens, each good for one vault. `VaultStore.create` uses them up."""

    async def add(self, hashes: list[bytes], now: int) -> None:
        """Keeps the SHA-256 of new tokens."""

    async def waiting(self) -> int:
        """How many are not used yet."""
