"""What was replaced or deleted: kept for 30 days, for the paper key alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kith_protocol.encoding import decode
from kith_protocol.member import MemberKeys
from kith_protocol.wire import ReplacedPage, ReplacedRecord
from kith_server.config import Config, Quotas, Registration
from kith_server.keys import DATABASE, VAULTS
from kith_server.maintenance import DAY, forget_expired
from kith_server.storage.sessions import SqliteSessions
from tests.support.home_server import URL, HomeServer, Refusal, home_server
from tests.support.vaults import VaultBuilder, record_id


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HomeServer]:
    async with home_server(tmp_path / "anna") as running:
        yield running


async def replaced(
    server: HomeServer, vault: VaultBuilder, place: str = "", member: MemberKeys | None = None
) -> tuple[ReplacedRecord, ...]:
    raw = await server.as_member(vault, "GET", f"/replaced{place}", member=member or vault.paper)
    return decode(raw, ReplacedPage).records


async def edited(server: HomeServer) -> tuple[VaultBuilder, list[ReplacedRecord]]:
    """A vault in which one record was replaced and then deleted, and another one replaced; and what is gone."""
    vault, first, second = await server.begin(), record_id(), record_id()
    gone = []
    await server.push(vault, vault.push({first: {"n": 1}, second: {"n": 1}}))
    gone.append(ReplacedRecord(2, first, 1, vault.sealed[first]))
    await server.push(vault, vault.push({first: {"n": 2}}))
    gone.append(ReplacedRecord(3, first, 2, vault.sealed[first]))
    gone.append(ReplacedRecord(3, second, 1, vault.sealed[second]))
    await server.push(vault, vault.push({first: None, second: {"n": 3}}))
    return vault, sorted(gone, key=lambda each: (each.number, each.record))


async def test_the_paper_key_gets_what_was_replaced_or_deleted(server: HomeServer) -> None:
    vault, gone = await edited(server)
    assert list(await replaced(server, vault)) == gone
    after = gone[1]
    assert list(await replaced(server, vault, f"?after={after.number}&record={after.record.hex()}")) == gone[2:]
    last = gone[-1]
    assert await replaced(server, vault, f"?after={last.number}&record={last.record.hex()}") == ()


async def test_a_device_cannot_read_what_was_deleted(server: HomeServer) -> None:
    vault, _ = await edited(server)
    with pytest.raises(Refusal, match="paper-key-only"):
        await replaced(server, vault, member=vault.device)


async def test_the_paper_key_of_another_vault_reads_nothing_of_this_one(server: HomeServer) -> None:
    vault, _ = await edited(server)
    other = await server.begin()
    token = await server.open_session(other, other.paper)
    headers = {"Authorization": f"Bearer {token}"}
    with pytest.raises(Refusal, match="session"):
        await server.call("GET", f"/v1/vaults/{vault.vault.hex()}/replaced", headers=headers)


async def test_a_place_that_is_none_is_refused(server: HomeServer) -> None:
    vault, _ = await edited(server)
    for place in ("?record=zz", "?record=00", "?after=x"):
        with pytest.raises(Refusal, match="bad-request"):
            await replaced(server, vault, place)


async def test_after_thirty_days_it_is_gone(server: HomeServer) -> None:
    vault, gone = await edited(server)
    app = server.app
    store, sessions = app[VAULTS].store, SqliteSessions(app[DATABASE])
    server.clock.now += 30 * DAY - 1000
    await forget_expired(store, sessions, app[VAULTS].chains, server.clock())
    assert len(await replaced(server, vault)) == len(gone)
    server.clock.now += 2000
    await forget_expired(store, sessions, app[VAULTS].chains, server.clock())
    assert await replaced(server, vault) == ()


async def test_editing_much_locks_nobody_out_of_a_small_vault(tmp_path: Path) -> None:
    """What is kept does not count towards the quota, and never grows beyond it."""
    quota = 64 * 1024
    config = Config(URL, registration=Registration.OPEN, quotas=Quotas(vault_bytes=quota))
    async with home_server(tmp_path / "small", config=config) as server:
        vault, record = await server.begin(), record_id()
        for number in range(60):
            await server.push(vault, vault.push({record: {"text": "x" * 3000, "n": number}}))
        kept = await replaced(server, vault)
        assert 0 < sum(len(each.sealed) for each in kept) <= quota
        assert kept[-1].number == 60
