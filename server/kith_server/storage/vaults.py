"""Vaults, history and records in SQLite (interface: `VaultStore`)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kith_server.errors import HttpRefusal, head_moved, not_found
from kith_server.storage.database import Database
from kith_server.storage.interface import (
    BEGINNING,
    Cursor,
    FeedBatch,
    RecordRow,
    Step,
    StoredCommit,
    StoredRecord,
    StoredReplaced,
    StoredVault,
    VaultFigures,
)
from kith_server.storage.replaced import drop_replaced, keep_replaced, replaced_after

if TYPE_CHECKING:
    from sqlite3 import Connection

DELETE_ROWS: Final = 500
"""Rows of a deleted vault removed in one transaction."""

_VAULT: Final = (
    "SELECT vault, number, head, chain, buckets, records, bytes, quota, horizon, followed, denied FROM vaults"
)


class SqliteVaults:
    """Implements `VaultStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, vault: StoredVault, genesis: StoredCommit, *, token: bytes | None, room: int) -> None:
        def work(connection: Connection) -> None:
            if _exists(connection, vault.vault):
                return
            if token is not None:
                use_token(connection, token)
            insert_vault(connection, vault, genesis, room)

        await self._database.write(work)

    async def load(self, vault: bytes) -> StoredVault | None:
        def work(connection: Connection) -> StoredVault | None:
            row = connection.execute(f"{_VAULT} WHERE vault = ? AND closed = 0", (vault,)).fetchone()
            return StoredVault(*row) if row else None

        return await self._database.read(work)

    async def has_commit(self, vault: bytes, number: int, hash_: bytes) -> bool:
        def work(connection: Connection) -> bool:
            query = "SELECT 1 FROM commits WHERE vault = ? AND number = ? AND hash = ?"
            return connection.execute(query, (vault, number, hash_)).fetchone() is not None

        return await self._database.read(work)

    async def genesis(self, vault: bytes) -> StoredCommit:
        def work(connection: Connection) -> StoredCommit:
            query = "SELECT number, hash, received, raw, keys, changes FROM commits WHERE vault = ? AND number = 0"
            return StoredCommit(*connection.execute(query, (vault,)).fetchone())

        return await self._database.read(work)

    async def bucket_rows(self, vault: bytes, buckets: frozenset[int]) -> list[RecordRow]:
        def work(connection: Connection) -> list[RecordRow]:
            return [row for bucket in sorted(buckets) for row in _bucket(connection, vault, bucket)]

        return await self._database.read(work)

    async def append(self, step: Step) -> None:
        def work(connection: Connection) -> None:
            after = step.after
            moved = connection.execute(
                "UPDATE vaults SET number = ?, head = ?, chain = ?, buckets = ?, records = ?, bytes = bytes + ?,"
                " followed = ?, denied = ? WHERE vault = ? AND head = ? AND closed = 0",
                (
                    *(after.number, after.head, after.chain, after.buckets),
                    *(after.records, step.grown, after.followed, after.denied, after.vault, step.parent),
                ),
            )
            if moved.rowcount != 1:
                raise head_moved()
            insert_commit(connection, after.vault, step.commit)
            keep_replaced(connection, step)
            _change_records(connection, step)

        await self._database.write(work)

    async def follow(self, vault: StoredVault) -> None:
        def work(connection: Connection) -> None:
            update = "UPDATE vaults SET followed = ?, denied = ? WHERE vault = ? AND closed = 0"
            connection.execute(update, (vault.followed, vault.denied, vault.vault))

        await self._database.write(work)

    async def count_after(self, vault: bytes, after: int) -> int:
        def work(connection: Connection) -> int:
            query = "SELECT count(*) FROM blobs WHERE vault = ? AND number > ?"
            if after == BEGINNING:
                return int(connection.execute("SELECT records FROM vaults WHERE vault = ?", (vault,)).fetchone()[0])
            return int(connection.execute(query, (vault, after)).fetchone()[0])

        return await self._database.read(work)

    async def feed(self, vault: bytes, cursor: Cursor, budget: int) -> FeedBatch:
        return await self._database.read(lambda connection: _feed(connection, vault, cursor, budget))

    async def drop_changes(self, before: int, limit: int) -> int:
        return await self._database.write(lambda connection: _drop_changes(connection, before, limit))

    async def replaced(self, vault: bytes, after: Cursor, budget: int) -> list[StoredReplaced]:
        return await self._database.read(lambda connection: replaced_after(connection, vault, after, budget))

    async def drop_replaced(self, before: int, limit: int) -> int:
        return await self._database.write(lambda connection: drop_replaced(connection, before, limit))

    async def figures(self) -> list[VaultFigures]:
        def work(connection: Connection) -> list[VaultFigures]:
            query = (
                "SELECT v.vault, v.chain, v.records, v.bytes, v.quota, c.received,"
                " (SELECT count(*) FROM handles h WHERE h.vault = v.vault) FROM vaults v"
                " JOIN commits c ON c.vault = v.vault AND c.number = v.number WHERE v.closed = 0 ORDER BY v.vault"
            )
            return [VaultFigures(*row) for row in connection.execute(query)]

        return await self._database.read(work)

    async def set_quota(self, vault: bytes, quota: int | None) -> bool:
        def work(connection: Connection) -> bool:
            done = connection.execute("UPDATE vaults SET quota = ? WHERE vault = ? AND closed = 0", (quota, vault))
            return done.rowcount == 1

        return await self._database.write(work)

    async def delete(self, vault: bytes) -> bool:
        def close(connection: Connection) -> bool:
            return connection.execute("UPDATE vaults SET closed = 1 WHERE vault = ?", (vault,)).rowcount == 1

        if not await self._database.write(close):
            return False
        while await self.sweep():
            pass
        return True

    async def sweep(self) -> bool:
        def work(connection: Connection) -> bool:
            closed = connection.execute("SELECT vault FROM vaults WHERE closed = 1 LIMIT 1").fetchone()
            if closed is not None:
                _delete_some(connection, closed[0])
            return closed is not None

        return await self._database.write(work)


def _exists(connection: Connection, vault: bytes) -> bool:
    return connection.execute("SELECT 1 FROM vaults WHERE vault = ?", (vault,)).fetchone() is not None


def insert_vault(connection: Connection, vault: StoredVault, genesis: StoredCommit, room: int) -> None:
    """A new vault with its first commit, where there is room for one more."""
    if connection.execute("SELECT count(*) FROM vaults").fetchone()[0] >= room:
        raise HttpRefusal(403, "registration-full", "This server takes no more vaults.")
    connection.execute(
        "INSERT INTO vaults (vault, number, head, chain, buckets, records, bytes, horizon, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(vault.vault, vault.number, vault.head, vault.chain, vault.buckets),
            *(vault.records, vault.size, vault.horizon, genesis.received),
        ),
    )
    insert_commit(connection, vault.vault, genesis)


def use_token(connection: Connection, token: bytes) -> None:
    """Uses up a registration token, given by its hash."""
    if connection.execute("DELETE FROM tokens WHERE token = ?", (token,)).rowcount != 1:
        raise HttpRefusal(403, "registration-token", "This registration token is not known, or was used already.")


def insert_commit(connection: Connection, vault: bytes, commit: StoredCommit) -> None:
    """One more commit, without its records."""
    connection.execute(
        "INSERT INTO commits (vault, number, hash, received, raw, keys, changes) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (vault, commit.number, commit.hash, commit.received, commit.raw, commit.keys, commit.changes),
    )


def _change_records(connection: Connection, step: Step) -> None:
    vault, number = step.after.vault, step.commit.number
    touched = [row.record for row, _ in step.written] + list(step.deleted)
    connection.executemany(
        "DELETE FROM blobs WHERE vault = ?1 AND record = ?2"
        " AND number = (SELECT number FROM records WHERE vault = ?1 AND record = ?2)",
        [(vault, record) for record in touched],
    )
    connection.executemany(
        "DELETE FROM records WHERE vault = ? AND record = ?", [(vault, record) for record in step.deleted]
    )
    connection.executemany(
        "INSERT OR REPLACE INTO records (vault, record, hash, number, size) VALUES (?, ?, ?, ?, ?)",
        [(vault, row.record, row.hash, number, row.size) for row, _ in step.written],
    )
    connection.executemany(
        "INSERT INTO blobs (vault, number, record, sealed) VALUES (?, ?, ?, ?)",
        [(vault, number, row.record, sealed) for row, sealed in step.written],
    )


def _bucket(connection: Connection, vault: bytes, bucket: int) -> Iterator[RecordRow]:
    query = "SELECT record, hash, size FROM records WHERE vault = ? AND record >= ? AND record <= ?"
    first, last = bytes([bucket]), bytes([bucket]) + b"\xff" * 15
    return (RecordRow(*row) for row in connection.execute(query, (vault, first, last)))


def _feed(connection: Connection, vault: bytes, cursor: Cursor, budget: int) -> FeedBatch:
    row = connection.execute("SELECT number, horizon FROM vaults WHERE vault = ? AND closed = 0", (vault,)).fetchone()
    if row is None:
        raise not_found("vault")
    sources: list[Iterator[StoredCommit | StoredRecord]] = [
        _commits(connection, vault, cursor),
        _records(connection, vault, cursor),
    ]
    items: list[StoredCommit | StoredRecord] = []
    size, complete = 0, True
    for item in heapq.merge(*sources, key=_place):
        if size >= budget:
            complete = False
            break
        items.append(item)
        size += _weight(item)
    if items:
        last = items[-1]
        cursor = Cursor(last.number, last.record if isinstance(last, StoredRecord) else b"")
    return FeedBatch(tuple(items), cursor, int(row[0]), int(row[1]), complete)


def _commits(connection: Connection, vault: bytes, cursor: Cursor) -> Iterator[StoredCommit | StoredRecord]:
    query = "SELECT number, hash, received, raw, keys, changes FROM commits WHERE vault = ? AND number > ?"
    return (StoredCommit(*row) for row in connection.execute(f"{query} ORDER BY number", (vault, cursor.number)))


def _records(connection: Connection, vault: bytes, cursor: Cursor) -> Iterator[StoredCommit | StoredRecord]:
    query = "SELECT number, record, sealed FROM blobs WHERE vault = ? AND (number, record) > (?, ?)"
    place = (vault, cursor.number, cursor.record)
    return (StoredRecord(*row) for row in connection.execute(f"{query} ORDER BY number, record", place))


def _place(item: StoredCommit | StoredRecord) -> tuple[int, bytes]:
    return item.number, item.record if isinstance(item, StoredRecord) else b""


def _weight(item: StoredCommit | StoredRecord) -> int:
    if isinstance(item, StoredRecord):
        return len(item.sealed)
    return len(item.raw) + len(item.keys) + len(item.changes)


def _drop_changes(connection: Connection, before: int, limit: int) -> int:
    """Oldest first in each vault and without gaps, so that one number tells which change lists are gone."""
    dropped = 0
    for vault, horizon in connection.execute("SELECT vault, horizon FROM vaults ORDER BY vault").fetchall():
        query = "SELECT number, received, length(changes) FROM commits WHERE vault = ? AND number > ? ORDER BY number"
        old: list[tuple[int, int]] = []
        for number, received, length in connection.execute(f"{query} LIMIT ?", (vault, horizon, limit - dropped)):
            if received >= before:
                break
            old.append((number, length))
        if old:
            last, freed = old[-1][0], sum(length for _, length in old)
            span = (vault, horizon, last)
            connection.execute("UPDATE commits SET changes = x'' WHERE vault = ? AND number > ? AND number <= ?", span)
            connection.execute("UPDATE vaults SET horizon = ?, bytes = bytes - ? WHERE vault = ?", (last, freed, vault))
            dropped += len(old)
        if dropped >= limit:
            break
    return dropped


def _delete_some(connection: Connection, vault: bytes) -> None:
    """Removes some rows of a closed vault, whatever table they are in; at last the vault's own."""
    tables = connection.execute(
        "SELECT m.name FROM sqlite_schema m, pragma_table_info(m.name) c"
        " WHERE m.type = 'table' AND c.name = 'vault' AND m.name <> 'vaults' ORDER BY m.name"
    ).fetchall()
    for (table,) in tables:
        keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
        columns = ", ".join(keys)
        some = f"SELECT {columns} FROM {table} WHERE vault = ? LIMIT ?"  # noqa: S608 (names from the schema)
        delete = f"DELETE FROM {table} WHERE ({columns}) IN ({some})"  # noqa: S608 (likewise)
        done = connection.execute(delete, (vault, DELETE_ROWS))
        if done.rowcount:
            return
    connection.execute("DELETE FROM vaults WHERE vault = ?", (vault,))
