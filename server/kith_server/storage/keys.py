"""The gateway keys in SQLite (interface: `GatewayKeyStore`). When they change is decided in `server_keys`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kith_protocol.server_statement import KEY_RETENTION
from kith_protocol.suite import SealKey
from kith_server.server_keys import GatewayKey, new_gateway_key, offered
from kith_server.storage.database import Database

if TYPE_CHECKING:
    from sqlite3 import Connection


class SqliteGatewayKeys:
    """Implements `GatewayKeyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self, seed: bytes, now: int) -> list[GatewayKey]:
        def work(connection: Connection) -> list[GatewayKey]:
            connection.execute("DELETE FROM gateway_keys WHERE valid_until <= ?", (now - KEY_RETENTION,))
            rows = connection.execute("SELECT seed, valid_from, valid_until FROM gateway_keys").fetchall()
            keys = [GatewayKey(SealKey(seed), start, end) for seed, start, end in rows]
            if offered(keys, now) is None:
                key = new_gateway_key(seed, now)
                values = (key.key.seed, key.valid_from, key.valid_until)
                connection.execute("INSERT INTO gateway_keys VALUES (?, ?, ?)", values)
                keys.append(key)
            return keys

        return await self._database.write(work)
