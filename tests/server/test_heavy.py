"""The event loop stays free and memory stays bounded under the largest pushes."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import pytest

from kith_protocol.encoding import encode
from kith_protocol.wire import MAX_PUSH_BYTES
from tests.support.home_server import HomeServer, home_server
from tests.support.vaults import VaultBuilder, record_id

STEP = 0.002
TOLERATED = 0.2
"""Seconds; the aim is 0.05, and this machine is shared with client, probe and other tests."""


@asynccontextmanager
async def loop_lag() -> AsyncIterator[list[float]]:
    """How late a task wakes up that sleeps a little all the time, in seconds."""
    lags: list[float] = []

    async def probe() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(STEP)
            lags.append(time.perf_counter() - began - STEP)

    # As `serving` does: a collection over everything that the test itself has loaded would be measured otherwise.
    gc.collect()
    gc.freeze()
    task = asyncio.create_task(probe())
    try:
        yield lags
    finally:
        task.cancel()
        gc.unfreeze()


def large_push(vault: VaultBuilder, records: int = 16) -> bytes:
    """The encoding of a push of nearly 16 MiB."""
    raw = encode(vault.push({record_id(): {"photo": bytes(890_000)} for _ in range(records)}))
    assert MAX_PUSH_BYTES * 0.85 < len(raw) < MAX_PUSH_BYTES * 1.05
    return raw


async def send(server: HomeServer, vault: VaultBuilder, raw: bytes) -> int:
    url = f"{server.base}/v1/vaults/{vault.vault.hex()}/commits"
    headers = {"Authorization": f"Bearer {server.tokens[vault.vault, vault.device.id]}"}
    async with server.http.post(url, data=BytesIO(raw), headers=headers) as response:
        return response.status


async def test_a_push_of_16_mib_does_not_block_the_loop(tmp_path: Path) -> None:
    async with home_server(tmp_path / "anna") as server:
        vault = await server.begin()
        raw = large_push(vault)
        async with loop_lag() as lags:
            assert await send(server, vault, raw) == 200
        assert max(lags) < TOLERATED


async def test_a_thousand_records_on_ten_thousand_do_not_block_the_loop(tmp_path: Path) -> None:
    async with home_server(tmp_path / "anna") as server:
        vault = await server.begin()
        pushes = [encode(vault.push({record_id(): {} for _ in range(1000)})) for _ in range(10)]
        async with loop_lag() as lags:
            for raw in pushes:
                assert await send(server, vault, raw) == 200
        assert max(lags) < TOLERATED


async def test_polls_are_answered_while_large_pushes_come_in(tmp_path: Path) -> None:
    async with home_server(tmp_path / "anna") as server:
        vaults = [await server.begin() for _ in range(3)]
        polled = await server.begin()
        raws = [large_push(vault) for vault in vaults]
        pushing = [asyncio.create_task(send(server, *pair)) for pair in zip(vaults, raws, strict=True)]
        slowest = 0.0
        while not all(task.done() for task in pushing):
            began = time.perf_counter()
            await server.as_member(polled, "GET", "/head")
            slowest = max(slowest, time.perf_counter() - began)
            await asyncio.sleep(0.01)
        assert [task.result() for task in pushing] == [200] * 3
        assert slowest < 1.0


@pytest.mark.parametrize("count", [32])
async def test_many_clients_push_at_once_and_all_succeed(tmp_path: Path, count: int) -> None:
    async with home_server(tmp_path / "anna") as server:
        vaults = [await server.begin() for _ in range(count)]
        raws = [encode(vault.push({record_id(): {"n": 1} for _ in range(100)})) for vault in vaults]
        statuses = await asyncio.gather(*(send(server, *pair) for pair in zip(vaults, raws, strict=True)))
        assert statuses == [200] * count
