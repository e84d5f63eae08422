"""What commits replaced or deleted, kept for a while so that the paper key can bring it back (spec: home-server.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kith_server.storage.interface import Cursor, Step, StoredReplaced

if TYPE_CHECKING:
    from sqlite3 import Connection


def keep_replaced(connection: Connection, step: Step) -> None:
    """Copies what `step` is about to replace or delete; what there is no more room for goes, the oldest first."""
    vault, commit = step.after.vault, step.commit
    touched = [row.record for row, _ in step.written] + list(step.deleted)
    copy = (
        "INSERT INTO replaced (vault, number, record, written, hash, received, sealed)"
        " SELECT r.vault, ?3, r.record, r.number, r.hash, ?4, b.sealed FROM records r JOIN blobs b"
        " ON b.vault = r.vault AND b.number = r.number AND b.record = r.record WHERE r.vault = ?1 AND r.record = ?2"
    )
    connection.executemany(copy, [(vault, record, commit.number, commit.received) for record in touched])
    grown = "SELECT coalesce(sum(length(sealed)), 0) FROM replaced WHERE vault = ? AND number = ?"
    size = connection.execute(grown, (vault, commit.number)).fetchone()[0]
    if size:
        connection.execute("UPDATE vaults SET replaced = replaced + ? WHERE vault = ?", (size, vault))
    held = connection.execute("SELECT replaced FROM vaults WHERE vault = ?", (vault,)).fetchone()[0]
    if held > step.room:
        _drop_oldest(connection, vault, held - step.room)


def replaced_after(connection: Connection, vault: bytes, after: Cursor, budget: int) -> list[StoredReplaced]:
    """What was replaced or deleted after the place `after`, oldest first."""
    query = (
        "SELECT number, record, written, sealed FROM replaced WHERE vault = ? AND (number, record) > (?, ?)"
        " ORDER BY number, record"
    )
    found: list[StoredReplaced] = []
    size = 0
    for row in connection.execute(query, (vault, after.number, after.record)):
        if found and size + len(row[3]) > budget:
            break
        found.append(StoredReplaced(*row))
        size += len(row[3])
    return found


def drop_replaced(connection: Connection, before: int, limit: int) -> int:
    """Removes up to `limit` records that were replaced or deleted before `before` (ms); how many."""
    query = "SELECT vault, number, record, length(sealed) FROM replaced WHERE received < ? ORDER BY received LIMIT ?"
    rows = connection.execute(query, (before, limit)).fetchall()
    _delete(connection, rows)
    return len(rows)


def _drop_oldest(connection: Connection, vault: bytes, excess: int) -> None:
    query = "SELECT vault, number, record, length(sealed) FROM replaced WHERE vault = ? ORDER BY number, record"
    rows: list[tuple[bytes, int, bytes, int]] = []
    for row in connection.execute(query, (vault,)):
        if excess <= 0:
            break
        rows.append(row)
        excess -= row[3]
    _delete(connection, rows)


def _delete(connection: Connection, rows: list[tuple[bytes, int, bytes, int]]) -> None:
    delete = "DELETE FROM replaced WHERE vault = ? AND number = ? AND record = ?"
    connection.executemany(delete, [row[:3] for row in rows])
    shrink = "UPDATE vaults SET replaced = replaced - ? WHERE vault = ?"
    connection.executemany(shrink, [(size, vault) for vault, _, _, size in rows])
