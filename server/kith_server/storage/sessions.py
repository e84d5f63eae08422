"""Sessions, nonces and registration tokens in SQLite (interfaces: `SessionStore`, `TokenStore`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pysqlite3.dbapi2 as driver

from kith_server.errors import HttpRefusal
from kith_server.storage.database import Database
from kith_server.storage.interface import StoredSession

if TYPE_CHECKING:
    from sqlite3 import Connection

SESSIONS_OF_A_MEMBER: Final = 32
"""The one that expires first makes room for a new one."""


class SqliteSessions:
    """Implements `SessionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, session: StoredSession, nonce: bytes, nonce_expires: int) -> None:
        def work(connection: Connection) -> None:
            try:
                connection.execute("INSERT INTO nonces VALUES (?, ?, ?)", (session.vault, nonce, nonce_expires))
            except driver.IntegrityError:
                raise HttpRefusal(401, "session-replayed", "This request for a session was used already.") from None
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?)",
                (session.vault, session.token, session.member, session.expires),
            )
            connection.execute(
                "DELETE FROM sessions WHERE vault = ?1 AND token IN (SELECT token FROM sessions WHERE vault = ?1"
                " AND member = ?2 ORDER BY expires DESC, token LIMIT -1 OFFSET ?3)",
                (session.vault, session.member, SESSIONS_OF_A_MEMBER),
            )

        await self._database.write(work)

    async def find(self, vault: bytes, token: bytes) -> StoredSession | None:
        def work(connection: Connection) -> StoredSession | None:
            query = "SELECT vault, token, member, expires FROM sessions WHERE vault = ? AND token = ?"
            row = connection.execute(query, (vault, token)).fetchone()
            return StoredSession(*row) if row else None

        return await self._database.read(work)

    async def newest(self, vault: bytes, member: bytes) -> int | None:
        def work(connection: Connection) -> int | None:
            query = "SELECT max(expires) FROM sessions WHERE vault = ? AND member = ?"
            found: int | None = connection.execute(query, (vault, member)).fetchone()[0]
            return found

        return await self._database.read(work)

    async def close(self, vault: bytes, token: bytes) -> None:
        query = "DELETE FROM sessions WHERE vault = ? AND token = ?"
        await self._database.write(lambda connection: connection.execute(query, (vault, token)))

    async def drop_expired(self, now: int, limit: int) -> int:
        def work(connection: Connection) -> int:
            sessions = connection.execute(
                "DELETE FROM sessions WHERE (vault, token) IN"
                " (SELECT vault, token FROM sessions WHERE expires <= ? LIMIT ?)",
                (now, limit),
            )
            nonces = connection.execute(
                "DELETE FROM nonces WHERE (vault, nonce) IN"
                " (SELECT vault, nonce FROM nonces WHERE expires <= ? LIMIT ?)",
                (now, limit - sessions.rowcount),
            )
            return sessions.rowcount + nonces.rowcount

        return await self._database.write(work)


class SqliteTokens:
    """Implements `TokenStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, hashes: list[bytes], now: int) -> None:
        def work(connection: Connection) -> None:
            connection.executemany("INSERT INTO tokens VALUES (?, ?)", [(hash_, now) for hash_ in hashes])

        await self._database.write(work)

    async def waiting(self) -> int:
        def work(connection: Connection) -> int:
            return int(connection.execute("SELECT count(*) FROM tokens").fetchone()[0])

        return await self._database.read(work)
