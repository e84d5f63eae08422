"""Rate limits by network, and the bounds on request bodies."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from kith_server import bodies, limits
from kith_server.bodies import Budget
from kith_server.errors import Busy
from kith_server.limits import LOCAL, Buckets, network_of, network_prefix
from tests.support.home_server import HomeServer, home_server
from tests.support.vaults import VaultBuilder


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HomeServer]:
    async with home_server(tmp_path / "anna") as running:
        yield running


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Time()
    buckets = Buckets(rate=2, burst=3, now=clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b") == 0
    clock.now = 0.5
    assert [buckets.take("a") for _ in range(2)] == [0, 0.5]
    clock.now = 1000
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 5)), max_size=80))
def test_nobody_gets_more_than_burst_and_rate(steps: list[tuple[float, float]]) -> None:
    clock = Time()
    buckets = Buckets(rate=1.5, burst=10, now=clock)
    taken = 0.0
    for pause, cost in steps:
        clock.now += pause
        if buckets.take("a", cost) == 0:
            taken += cost
    assert taken <= 10 + 1.5 * clock.now + 1e-6


def test_the_table_of_networks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NETWORKS", 50)
    buckets = Buckets(rate=1, burst=1, now=Time())
    for number in range(500):
        assert buckets.take(str(number)) == 0
    assert len(buckets._levels) == 50
    assert buckets.take("499") > 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:198.51.100.7", "198.51.100.0/24"),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_prefix(ipaddress.ip_address(address)) == network


@pytest.mark.parametrize(
    ("peer", "forwarded", "network"),
    [
        ("127.0.0.1", None, LOCAL),
        ("127.0.0.1", "198.51.100.7", "198.51.100.0/24"),
        ("::1", "203.0.113.5, 198.51.100.7", "198.51.100.0/24"),
        ("127.0.0.1", "nonsense", LOCAL),
        ("127.0.0.1", "127.0.0.1", LOCAL),
        ("203.0.113.5", "198.51.100.7", "203.0.113.0/24"),
        ("203.0.113.5", None, "203.0.113.0/24"),
    ],
)
def test_only_a_proxy_on_this_machine_may_name_the_client(peer: str, forwarded: str | None, network: str) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=peer)
    assert network_of(request) == network


async def test_bodies_in_flight_share_a_budget_in_their_order() -> None:
    budget, order = Budget(100), list[str]()

    async def use(label: str, size: int, seconds: float) -> None:
        async with budget.reserve(size):
            order.append(label)
            await asyncio.sleep(seconds)

    await asyncio.gather(use("a", 60, 0.05), use("b", 60, 0.01), use("c", 40, 0.01), use("d", 100, 0))
    assert order == ["a", "b", "c", "d"]


async def test_who_gives_up_waiting_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "ROOM_SECONDS", 0.05)
    budget = Budget(100)
    async with budget.reserve(100):
        with pytest.raises(Busy):
            async with budget.reserve(1):
                pass
        cancelled = asyncio.create_task(budget._acquire(50))
        await asyncio.sleep(0.01)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    async with budget.reserve(100):
        assert budget._free == 0
    assert budget._free == 100


async def test_more_than_may_wait_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "WAITING", 3)
    budget = Budget(10)
    async with budget.reserve(10):
        waiting = [asyncio.create_task(budget._acquire(1)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await budget._acquire(1)
    await asyncio.gather(*waiting)


async def raw_request(server: HomeServer, *parts: bytes, pause: float = 0) -> bytes:
    host, port = server.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause)
    answer = await asyncio.wait_for(reader.readline(), 20)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_body_without_a_length_is_refused(server: HomeServer) -> None:
    head = b"POST /v1/vaults HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 411 " in await raw_request(server, head, b"3\r\nabc\r\n0\r\n\r\n")


async def test_a_body_that_drips_in_is_given_up(server: HomeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.3)
    head = b"POST /v1/vaults HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    assert b" 408 " in await raw_request(server, head, *[b"x"] * 10, pause=0.1)


async def test_a_register_over_64_kib_is_refused_by_its_length_alone(server: HomeServer) -> None:
    head = b"POST /v1/vaults HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n"
    assert b" 413 " in await raw_request(server, head)


async def test_a_connection_that_breaks_off_leaves_its_room(server: HomeServer) -> None:
    host, port = server.base.removeprefix("http://").split(":")
    for _ in range(300):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/vaults HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\nabc")
        await writer.drain()
        writer.close()
    await asyncio.sleep(0.2)
    vault = VaultBuilder.new()
    assert (await asyncio.wait_for(server.register(vault), 10)).number == 0
