"""The SQLite store passes the contract of stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kith_server.storage.database import Database
from kith_server.storage.sessions import SqliteSessions, SqliteTokens
from kith_server.storage.vaults import SqliteVaults
from tests.support.storage_contract import StorageContract, Stores


class TestSqlite(StorageContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Stores]:
        database = await Database.open(self.folder / "kith.db")
        try:
            yield Stores(SqliteVaults(database), SqliteSessions(database), SqliteTokens(database))
        finally:
            await database.close()
