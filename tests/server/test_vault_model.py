"""Any sequence of honest pushes: what is stored verifies from genesis, and devices end equal, however they read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kith_protocol.encoding import Value
from kith_server.chains import Chains
from kith_server.config import Config, Registration
from kith_server.sessions import Sessions
from kith_server.storage.check import check_vault
from kith_server.storage.database import Database
from kith_server.storage.interface import Cursor, StoredCommit, StoredRecord
from kith_server.storage.sessions import SqliteSessions
from kith_server.storage.vaults import SqliteVaults
from kith_server.vaults import Vaults
from tests.support.home_server import URL
from tests.support.vaults import VaultBuilder, new_member

# Ids that share buckets at both ends of the tree, so that neighbours are easily mixed up.
IDS = [bytes([bucket]) + bytes(14) + bytes([n]) for bucket in (0, 1, 255) for n in (0, 1, 255)]

edits = st.dictionaries(st.sampled_from(IDS), st.one_of(st.none(), st.integers(0, 3)), max_size=6)
steps = st.lists(st.one_of(edits, st.sampled_from(["add", "remove"])), max_size=8)


def changes_of(vault: VaultBuilder, edit: dict[bytes, int | None]) -> dict[bytes, dict[str, Value] | None]:
    found: dict[bytes, dict[str, Value] | None] = {}
    for id_, size in edit.items():
        if size is not None:
            found[id_] = {"b": bytes(size * 400)}
        elif id_ in vault.hashes:
            found[id_] = None
    return found


async def perform(vaults: Vaults, vault: VaultBuilder, script: list[object]) -> None:
    """Pushes the script; each device that was added is removed again by "remove"."""
    added: list[bytes] = []
    for entry in script:
        if isinstance(entry, dict):
            push = vault.push(changes_of(vault, entry))
        elif entry == "add":
            member = new_member()
            added.append(member.id)
            push = vault.add_device(member.public)
        elif added:
            push = vault.remove_member(added.pop())
        else:
            continue
        assert (await vaults.push(vault.vault, push)).hash == vault.chain.head


async def mirror(store: SqliteVaults, vault: bytes, budget: int) -> dict[bytes, bytes]:
    """What a device has after reading everything in batches of `budget` bytes."""
    cursor, known, complete = Cursor(-1), dict[bytes, bytes](), False
    while not complete:
        batch = await store.feed(vault, cursor, budget)
        cursor, complete = batch.cursor, batch.complete
        for item in batch.items:
            if isinstance(item, StoredRecord):
                known[item.record] = item.sealed
            else:
                assert isinstance(item, StoredCommit)
    return known


@settings(max_examples=20)
@given(script=steps, budget=st.sampled_from([1, 700, 5000]))
def test_whatever_is_pushed_verifies_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory, script: list[object], budget: int
) -> None:
    async def run(path: Path) -> None:
        database = await Database.open(path)
        store = SqliteVaults(database)
        chains, config = Chains(store), Config(URL, registration=Registration.OPEN)
        sessions = Sessions(SqliteSessions(database), chains, config.host, lambda: 1)
        vaults = Vaults(store, chains, config, lambda: 1, sessions)
        vault = VaultBuilder.new()
        await vaults.register(vault.register)
        await perform(vaults, vault, script)
        assert await mirror(store, vault.vault, budget) == vault.sealed
        assert await database.read(lambda connection: list(check_vault(connection, vault.vault))) == []
        stored = await store.load(vault.vault)
        assert stored is not None
        assert stored.records == len(vault.sealed)
        vaults.chains.clear()
        assert (await vaults.state(vault.vault)).chain == vault.chain
        await database.close()

    asyncio.run(run(tmp_path_factory.mktemp("model") / "kith.db"))
