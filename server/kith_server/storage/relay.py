"""The relay's requests and their answers in SQLite (interface: `RelayStore`).

When they are sent is decided in `relay.queue`, and done by `relay.worker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kith_protocol.errors import LimitExceeded
from kith_protocol.wire import RelayAnswer, RelayState
from kith_server.config import Quotas
from kith_server.errors import HttpRefusal, not_found
from kith_server.storage.database import Database
from kith_server.storage.mail_interface import ANSWER_LIFETIME, Waiting

if TYPE_CHECKING:
    from sqlite3 import Connection

EXPIRE_AT_ONCE: Final = 200
"""Rows that one transaction of the clean-up removes."""


class SqliteRelay:
    """Implements `RelayStore`."""

    def __init__(self, database: Database, quotas: Quotas) -> None:
        self._database = database
        self._quotas = quotas

    async def waiting(self) -> list[Waiting]:
        def work(connection: Connection) -> list[Waiting]:
            query = (
                "SELECT vault, request, host, created, due, attempts FROM relay_requests"
                " WHERE state = ? ORDER BY created"
            )
            return [Waiting(*row) for row in connection.execute(query, (RelayState.QUEUED,))]

        return await self._database.read(work)

    async def put(self, vault: bytes, request: bytes, host: str, body: bytes, now: int) -> Waiting | None:
        def work(connection: Connection) -> Waiting | None:
            query = "SELECT host, created, due, attempts, state FROM relay_requests WHERE vault = ? AND request = ?"
            row = connection.execute(query, (vault, request)).fetchone()
            if row is not None and row[0] != host:
                raise HttpRefusal(409, "relay-host", "This request was handed over for another host.")
            if row is not None and row[4] == RelayState.QUEUED:
                return Waiting(vault, request, *row[:4])
            if row is not None and row[4] == RelayState.ANSWERED:
                return None
            connection.execute("DELETE FROM relay_requests WHERE vault = ? AND request = ?", (vault, request))
            self._check_room(connection, vault, len(body))
            values = (vault, request, host, RelayState.QUEUED, len(body), now, now, 0, None, "")
            connection.execute("INSERT INTO relay_requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            connection.execute("INSERT INTO relay_bodies VALUES (?, ?, ?)", (vault, request, body))
            return Waiting(vault, request, host, now, now, 0)

        return await self._database.write(work)

    async def body(self, vault: bytes, request: bytes) -> bytes | None:
        def work(connection: Connection) -> bytes | None:
            query = (
                "SELECT body FROM relay_bodies JOIN relay_requests USING (vault, request)"
                " WHERE vault = ? AND request = ? AND state = ?"
            )
            row = connection.execute(query, (vault, request, RelayState.QUEUED)).fetchone()
            return None if row is None else bytes(row[0])

        return await self._database.read(work)

    async def look_up(self, vault: bytes, request: bytes) -> RelayAnswer:
        def work(connection: Connection) -> RelayAnswer:
            query = "SELECT state, reason FROM relay_requests WHERE vault = ? AND request = ?"
            row = connection.execute(query, (vault, request)).fetchone()
            if row is None:
                raise not_found("request")
            state, answer = RelayState(row[0]), b""
            if state is RelayState.ANSWERED:
                query = "SELECT body FROM relay_bodies WHERE vault = ? AND request = ?"
                answer = bytes(connection.execute(query, (vault, request)).fetchone()[0])
            return RelayAnswer(state, answer, row[1])

        return await self._database.read(work)

    async def answered(self, vault: bytes, request: bytes, answer: bytes, now: int) -> None:
        def work(connection: Connection) -> None:
            query = (
                "UPDATE relay_requests SET state = ?, size = ?, settled = ?, reason = ''"
                " WHERE vault = ? AND request = ? AND state = ?"
            )
            values = (RelayState.ANSWERED, len(answer), now, vault, request, RelayState.QUEUED)
            if connection.execute(query, values).rowcount:
                query = "UPDATE relay_bodies SET body = ? WHERE vault = ? AND request = ?"
                connection.execute(query, (answer, vault, request))

        await self._database.write(work)

    async def failed(self, vault: bytes, request: bytes, attempts: int, due: int, reason: str) -> None:
        def work(connection: Connection) -> None:
            query = "UPDATE relay_requests SET attempts = ?, due = ?, reason = ? WHERE vault = ? AND request = ?"
            connection.execute(query, (attempts, due, reason, vault, request))

        await self._database.write(work)

    async def given_up(self, vault: bytes, request: bytes, reason: str, now: int) -> None:
        def work(connection: Connection) -> None:
            query = (
                "UPDATE relay_requests SET state = ?, size = 0, settled = ?, reason = ? WHERE vault = ? AND request = ?"
            )
            connection.execute(query, (RelayState.GIVEN_UP, now, reason, vault, request))
            connection.execute("DELETE FROM relay_bodies WHERE vault = ? AND request = ?", (vault, request))

        await self._database.write(work)

    async def forget(self, vault: bytes, request: bytes) -> None:
        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM relay_requests WHERE vault = ? AND request = ?", (vault, request))

        await self._database.write(work)

    async def expire(self, now: int) -> bool:
        def work(connection: Connection) -> bool:
            query = "SELECT vault, request FROM relay_requests WHERE settled <= ? LIMIT ?"
            old = connection.execute(query, (now - ANSWER_LIFETIME, EXPIRE_AT_ONCE)).fetchall()
            connection.executemany("DELETE FROM relay_requests WHERE vault = ? AND request = ?", old)
            return len(old) == EXPIRE_AT_ONCE

        return await self._database.write(work)

    def _check_room(self, connection: Connection, vault: bytes, size: int) -> None:
        query = "SELECT count(*), total(size) FROM relay_requests WHERE vault = ?"
        count, used = connection.execute(query, (vault,)).fetchone()
        if count >= self._quotas.waiting_requests or used + size > self._quotas.waiting_bytes:
            raise LimitExceeded(
                "Too many requests to other servers wait here already; try again when some are through."
            )
