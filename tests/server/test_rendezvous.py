"""Device linking through the server: messages under a nameplate, over real HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kith_protocol.encoding import decode
from kith_protocol.wire import MAX_RENDEZVOUS_BYTES, Nameplate, Purpose
from kith_server import rendezvous
from kith_server.errors import Busy
from tests.support.home_server import Clock, HomeServer, Refusal, home_server
from tests.support.vaults import VaultBuilder


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HomeServer]:
    async with home_server(tmp_path / "anna") as running:
        yield running


async def open_meeting(server: HomeServer, vault: VaultBuilder | None = None, purpose: str = "device") -> str:
    vault = vault or await server.begin()
    return decode(await server.as_member(vault, "POST", f"/rendezvous/{purpose}"), Nameplate).nameplate


async def gone(server: HomeServer, method: str, path: str) -> bool:
    try:
        await server.call(method, f"/v1/rendezvous/device/{path}", b"x" if method == "PUT" else None)
    except Refusal as refusal:
        return refusal.status == 404
    return False


async def test_both_sides_leave_messages_and_wait_for_them(server: HomeServer) -> None:
    name = await open_meeting(server)
    assert await server.call("GET", f"/v1/rendezvous/device/{name}/a/0") == b""
    waiting = asyncio.create_task(server.call("GET", f"/v1/rendezvous/device/{name}/a/0?wait=20"))
    await asyncio.sleep(0.1)
    await server.call("PUT", f"/v1/rendezvous/device/{name}/b/0", b"from b")
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await server.call("PUT", f"/v1/rendezvous/device/{name}/a/0", b"from a")
    assert await asyncio.wait_for(waiting, 5) == b"from a"
    assert await server.call("GET", f"/v1/rendezvous/device/{name}/b/0") == b"from b"


async def test_a_message_cannot_be_replaced(server: HomeServer) -> None:
    name = await open_meeting(server)
    for _ in range(2):
        await server.call("PUT", f"/v1/rendezvous/device/{name}/a/3", b"first")
    with pytest.raises(Refusal, match="409 taken"):
        await server.call("PUT", f"/v1/rendezvous/device/{name}/a/3", b"second")
    assert await server.call("GET", f"/v1/rendezvous/device/{name}/a/3") == b"first"


async def test_burning_ends_a_meeting_for_those_who_wait_too(server: HomeServer) -> None:
    name = await open_meeting(server)
    waiting = asyncio.create_task(server.call("GET", f"/v1/rendezvous/device/{name}/a/0?wait=20"))
    await asyncio.sleep(0.1)
    await server.call("DELETE", f"/v1/rendezvous/device/{name}")
    with pytest.raises(Refusal, match="404"):
        await asyncio.wait_for(waiting, 5)
    assert await gone(server, "PUT", f"{name}/a/0")
    assert await gone(server, "DELETE", name)


async def test_a_nameplate_lives_ten_minutes(server: HomeServer) -> None:
    name = await open_meeting(server)
    await server.call("PUT", f"/v1/rendezvous/device/{name}/a/0", b"x")
    server.clock.now += rendezvous.LIFETIME - 1
    assert await server.call("GET", f"/v1/rendezvous/device/{name}/a/0") == b"x"
    server.clock.now += 1
    assert await gone(server, "GET", f"{name}/a/0")


async def test_a_vault_has_three_nameplates_at_most(server: HomeServer) -> None:
    vault = await server.begin()
    names = [await open_meeting(server, vault) for _ in range(3)]
    with pytest.raises(Refusal) as caught:
        await open_meeting(server, vault)
    assert caught.value.status == 429
    await server.call("DELETE", f"/v1/rendezvous/device/{names[0]}")
    assert await open_meeting(server, vault) not in names


async def test_nobody_opens_one_without_a_session(server: HomeServer) -> None:
    vault = await server.begin()
    with pytest.raises(Refusal, match="401"):
        await server.call("POST", f"/v1/vaults/{vault.vault.hex()}/rendezvous/device")


@pytest.mark.parametrize("place", ["c/0", "a/6", "a/-1", "a/00", "a/x", "A/0"])
async def test_places_that_are_none_are_not_found(server: HomeServer, place: str) -> None:
    name = await open_meeting(server)
    assert await gone(server, "PUT", f"{name}/{place}")
    assert await gone(server, "GET", f"{name}/{place}")


async def test_a_message_over_its_limit_is_refused(server: HomeServer) -> None:
    name = await open_meeting(server)
    await server.call("PUT", f"/v1/rendezvous/device/{name}/a/0", bytes(MAX_RENDEZVOUS_BYTES))
    with pytest.raises(Refusal) as caught:
        await server.call("PUT", f"/v1/rendezvous/device/{name}/a/1", bytes(MAX_RENDEZVOUS_BYTES + 1))
    assert caught.value.status == 413


async def test_guessing_nameplates_is_slowed_down(server: HomeServer) -> None:
    name = await open_meeting(server)
    headers = {"X-Forwarded-For": "198.51.100.7"}
    statuses = []
    for guess in range(100_000, 100_010):
        try:
            await server.call("GET", f"/v1/rendezvous/device/{guess}/a/0", headers=headers)
        except Refusal as refusal:
            statuses.append(refusal.status)
    assert statuses.count(404) <= 6
    assert statuses.count(429) >= 3
    headers["X-Forwarded-For"] = "203.0.113.7"
    await server.call("PUT", f"/v1/rendezvous/device/{name}/a/0", b"x", headers=headers)


async def test_waiting_places_are_bounded() -> None:
    meetings = rendezvous.Rendezvous(Clock())
    name = meetings.open(b"v", Purpose.DEVICE).nameplate
    waiting = [
        asyncio.create_task(meetings.get(Purpose.DEVICE, name, "a", 0, 10))
        for _ in range(rendezvous.WAITERS_PER_NAMEPLATE)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await meetings.get(Purpose.DEVICE, name, "a", 0, 10)
    meetings.put(Purpose.DEVICE, name, "a", 0, b"x")
    assert await asyncio.gather(*waiting) == [b"x"] * len(waiting)


async def test_a_long_poll_ends_after_its_time(server: HomeServer) -> None:
    name = await open_meeting(server)
    began = time.monotonic()
    assert await server.call("GET", f"/v1/rendezvous/device/{name}/a/0?wait=1") == b""
    assert 0.9 < time.monotonic() - began < 10


async def test_a_code_for_one_purpose_is_refused_at_the_other_before_anything_is_left(server: HomeServer) -> None:
    """So that a code that is typed at the wrong command stays good."""
    name = await open_meeting(server, purpose="meet")
    for method in ("PUT", "GET"):
        body = b"x" if method == "PUT" else None
        with pytest.raises(Refusal, match="409 other-purpose"):
            await server.call(method, f"/v1/rendezvous/device/{name}/b/0", body)
    with pytest.raises(Refusal, match="409 other-purpose"):
        await server.call("DELETE", f"/v1/rendezvous/device/{name}")
    assert await server.call("GET", f"/v1/rendezvous/meet/{name}/b/0") == b""
    with pytest.raises(Refusal, match="404"):
        await server.call("GET", f"/v1/rendezvous/other/{name}/b/0")


def test_all_messages_together_have_a_bound_and_make_room_when_their_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendezvous, "MEMORY", 100)
    clock = Clock()
    places = rendezvous.Rendezvous(clock)
    first, second = (places.open(bytes([n]) * 32, Purpose.MEET).nameplate for n in (1, 2))
    places.put(Purpose.MEET, first, "a", 0, bytes(60))
    places.put(Purpose.MEET, first, "a", 0, bytes(60))
    with pytest.raises(Busy):
        places.put(Purpose.MEET, second, "a", 0, bytes(60))
    places.burn(Purpose.MEET, first)
    places.put(Purpose.MEET, second, "a", 0, bytes(60))
    with pytest.raises(Busy):
        places.put(Purpose.MEET, second, "b", 0, bytes(60))
    clock.now += rendezvous.LIFETIME + 1
    third = places.open(bytes(32), Purpose.MEET).nameplate
    places.put(Purpose.MEET, third, "a", 0, bytes(100))
