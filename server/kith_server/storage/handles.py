"""The directory in SQLite (interface: `HandleStore`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kith_protocol.errors import LimitExceeded
from kith_server.errors import HttpRefusal
from kith_server.storage.database import Database
from kith_server.storage.mail_interface import MAX_HANDLES

if TYPE_CHECKING:
    from sqlite3 import Connection

FIND: Final = "SELECT secret FROM handles INDEXED BY handles_to_find WHERE handle = ? AND secret IS NOT NULL"
"""The index holds public handles alone and answers by itself: private and unknown ones are both not in it."""


class SqliteHandles:
    """Implements `HandleStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, vault: bytes, handle: bytes, secret: bytes | None) -> None:
        def work(connection: Connection) -> None:
            owner = connection.execute("SELECT vault FROM handles WHERE handle = ?", (handle,)).fetchone()
            if owner is not None and owner[0] != vault:
                raise HttpRefusal(409, "handle-taken", "Somebody else has this handle here.")
            count = connection.execute("SELECT count(*) FROM handles WHERE vault = ?", (vault,)).fetchone()[0]
            if owner is None and count >= MAX_HANDLES:
                raise LimitExceeded(f"A vault has at most {MAX_HANDLES} handles here; remove one.")
            connection.execute("INSERT OR REPLACE INTO handles VALUES (?, ?, ?)", (handle, vault, secret))

        await self._database.write(work)

    async def delete(self, vault: bytes, handle: bytes) -> None:
        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM handles WHERE handle = ? AND vault = ?", (handle, vault))

        await self._database.write(work)

    async def find(self, handle: bytes) -> bytes | None:
        def work(connection: Connection) -> bytes | None:
            row = connection.execute(FIND, (handle,)).fetchone()
            return None if row is None else bytes(row[0])

        return await self._database.read(work)
