"""The SQLite stores of mailboxes and relayed requests keep their contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kith_server.storage.database import Database
from kith_server.storage.handles import SqliteHandles
from kith_server.storage.mailboxes import SqliteMailboxes
from kith_server.storage.relay import SqliteRelay
from kith_server.storage.vaults import SqliteVaults
from kith_server.vault_rules import check_genesis
from tests.support.mail_contract import NOW, QUOTAS, MailContract, Stores
from tests.support.vaults import VaultBuilder


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    database = await Database.open(tmp_path / "kith.db")
    vaults = SqliteVaults(database)
    ids = []
    for _ in range(2):
        vault, genesis = check_genesis(VaultBuilder.new().register, NOW)
        await vaults.create(vault, genesis, token=None, room=10)
        ids.append(vault.vault)
    mail = SqliteMailboxes(database, QUOTAS), SqliteRelay(database, QUOTAS), SqliteHandles(database)
    yield Stores(vaults, *mail, *ids)
    await database.close()


class TestSqlite(MailContract):
    """See `MailContract`."""
