"""Vaults on their way in, in SQLite (interface: `FillStore`).

Their rows stand in the tables of all vaults from the beginning, hidden by the state of the vault's own row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kith_protocol.chain import freeze_chain, thaw_chain
from kith_server.errors import HttpRefusal, no_session, vault_exists
from kith_server.filling_rules import Part, Place
from kith_server.storage.database import Database
from kith_server.storage.fill_interface import Filler, StoredFill
from kith_server.storage.interface import RecordRow, StoredCommit, StoredVault
from kith_server.storage.vaults import insert_commit, insert_vault, use_token

if TYPE_CHECKING:
    from sqlite3 import Connection

FILLING: Final = 2
"""Value of `closed` in the row of a vault that is being filled."""


class SqliteFills:
    """Implements `FillStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, vault: bytes) -> StoredFill | None:
        return await self._database.read(lambda connection: _find(connection, vault))

    async def begin(self, vault: StoredVault, genesis: StoredCommit, filler: Filler, *, room: int) -> None:
        def work(connection: Connection) -> None:
            if connection.execute("SELECT 1 FROM vaults WHERE vault = ?", (vault.vault,)).fetchone():
                raise vault_exists()
            if filler.admission:
                use_token(connection, filler.admission)
            insert_vault(connection, vault, genesis, room)
            connection.execute("UPDATE vaults SET closed = ? WHERE vault = ?", (FILLING, vault.vault))
            row = (vault.vault, filler.member, filler.token, filler.admission, filler.touched, filler.begun)
            connection.execute("INSERT INTO fills VALUES (?, ?, ?, ?, ?, x'', 0, 0, ?)", row)

        await self._database.write(work)

    async def token(self, vault: bytes) -> bytes | None:
        def work(connection: Connection) -> bytes | None:
            row = connection.execute("SELECT token FROM fills WHERE vault = ?", (vault,)).fetchone()
            return row[0] if row else None

        return await self._database.read(work)

    async def go_on(self, vault: bytes, token: bytes) -> None:
        def work(connection: Connection) -> None:
            connection.execute("UPDATE fills SET token = ? WHERE vault = ?", (token, vault))

        await self._database.write(work)

    async def add(self, vault: bytes, part: Part, *, quota: int, now: int) -> None:
        await self._database.write(lambda connection: _add(connection, vault, part, quota, now))

    async def finish(self, vault: bytes, buckets: bytes) -> None:
        def work(connection: Connection) -> None:
            _require(connection, vault)
            connection.execute("DELETE FROM fills WHERE vault = ?", (vault,))
            connection.execute("UPDATE vaults SET closed = 0, buckets = ? WHERE vault = ?", (buckets, vault))

        await self._database.write(work)

    async def drop(self, vault: bytes, touched: int) -> bool:
        def work(connection: Connection) -> bool:
            closing = (
                "UPDATE vaults SET closed = 1 WHERE vault = ?1 AND closed = ?2"
                " AND EXISTS (SELECT 1 FROM fills WHERE vault = ?1 AND touched = ?3)"
            )
            if connection.execute(closing, (vault, FILLING, touched)).rowcount != 1:
                return False
            giving_back = (
                "INSERT OR IGNORE INTO tokens (token, created)"
                " SELECT admission, begun FROM fills WHERE vault = ? AND length(admission) > 0"
            )
            connection.execute(giving_back, (vault,))
            connection.execute("DELETE FROM fills WHERE vault = ?", (vault,))
            return True

        return await self._database.write(work)

    async def idle(self) -> list[tuple[bytes, int, int]]:
        def work(connection: Connection) -> list[tuple[bytes, int, int]]:
            return connection.execute("SELECT vault, touched, begun FROM fills ORDER BY touched").fetchall()

        return await self._database.read(work)


def _find(connection: Connection, vault: bytes) -> StoredFill | None:
    row = connection.execute(
        "SELECT f.member, f.token, f.admission, f.touched, f.begun, f.record, f.written, f.weight, v.chain, v.horizon,"
        " c.changes"
        " FROM fills f JOIN vaults v ON v.vault = f.vault JOIN commits c ON c.vault = f.vault AND c.number = v.number"
        " WHERE f.vault = ? AND v.closed = ?",
        (vault, FILLING),
    ).fetchone()
    if row is None:
        return None
    record, written, weight, chain, horizon, changes = row[5:]
    place = Place(thaw_chain(chain), horizon, changes, record or bytes(16), written, weight)
    return StoredFill(Filler(*row[:5]), place)


def _require(connection: Connection, vault: bytes) -> None:
    """A fill that is still one. Raises `HttpRefusal` 401."""
    if connection.execute("SELECT 1 FROM vaults WHERE vault = ? AND closed = ?", (vault, FILLING)).fetchone() is None:
        raise no_session()


def _add(connection: Connection, vault: bytes, part: Part, quota: int, now: int) -> None:
    _require(connection, vault)
    if not part.commits and not part.records:
        return  # what brings nothing does not hold the place
    for commit in part.commits:
        insert_commit(connection, vault, commit)
    written = {row.record: number for number, row, _ in part.records}
    freed = sum(_remove(connection, vault, record, number) for number, record in part.deleted)
    for number, row, sealed in part.records:
        freed += _remove(connection, vault, row.record, number)
        if written[row.record] == number:  # a later commit of the same part replaces it
            _insert(connection, vault, number, row, sealed)
        else:
            freed += row.size
    grown = sum(len(c.raw) + len(c.keys) + len(c.changes) for c in part.commits)
    grown += sum(row.size for _, row, _ in part.records) - freed
    place = part.after
    state = (place.chain.number, place.chain.head, freeze_chain(place.chain), place.horizon, grown)
    connection.execute(
        "UPDATE vaults SET number = ?, head = ?, chain = ?, horizon = ?, bytes = bytes + ?,"
        " records = (SELECT count(*) FROM records WHERE vault = ?6) WHERE vault = ?6",
        (*state, vault),
    )
    size = connection.execute("SELECT bytes FROM vaults WHERE vault = ?", (vault,)).fetchone()[0]
    if size > quota:
        raise HttpRefusal(413, "quota-exceeded", f"The vault is too large: it may have {quota} bytes on this server.")
    connection.execute(
        "UPDATE fills SET touched = ?, record = ?, written = ?, weight = ? WHERE vault = ?",
        (now, place.record if place.written else b"", place.written, place.weight, vault),
    )


def _remove(connection: Connection, vault: bytes, record: bytes, number: int) -> int:
    """What an earlier commit wrote goes; its bytes."""
    query = "SELECT number, size FROM records WHERE vault = ? AND record = ?"
    row = connection.execute(query, (vault, record)).fetchone()
    if row is None or row[0] >= number:
        return 0
    connection.execute("DELETE FROM records WHERE vault = ? AND record = ?", (vault, record))
    connection.execute("DELETE FROM blobs WHERE vault = ? AND number = ? AND record = ?", (vault, row[0], record))
    return int(row[1])


def _insert(connection: Connection, vault: bytes, number: int, row: RecordRow, sealed: bytes) -> None:
    connection.execute(
        "INSERT INTO records (vault, record, hash, number, size) VALUES (?, ?, ?, ?, ?)",
        (vault, row.record, row.hash, number, row.size),
    )
    connection.execute(
        "INSERT INTO blobs (vault, number, record, sealed) VALUES (?, ?, ?, ?)", (vault, number, row.record, sealed)
    )
