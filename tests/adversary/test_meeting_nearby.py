"""Two people meet on a local network where others take part: they are not stalled, and nobody guesses twice."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from zeroconf import NonUniqueNameException, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from kith_client.errors import NearbyUnavailable
from kith_client.nearby import meeting as nearby
from kith_client.nearby import sockets
from kith_client.nearby.discovery import Found, Network, announced
from kith_client.nearby.sockets import MAX_CONNECTIONS, Connection, Listener, connect, listening
from kith_client.relations.meeting import Wishes
from kith_client.sync import used_codes, ways
from kith_client.sync.meet import type_code
from kith_protocol.errors import Refused
from kith_protocol.link_code import CODE_RANDOM_BYTES, NEARBY_HOST, LinkCode, spoken_code
from kith_protocol.linking import LINK_LIFETIME, LinkMachine, LinkRole
from kith_protocol.wire import MAX_RENDEZVOUS_BYTES, Purpose
from tests.adversary.meetings import LOOPBACK, Meeting, codes, peers, yes
from tests.adversary.world import Device, Site, begin, lying_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with lying_site(tmp_path / "server") as running:
        yield running


@pytest.fixture
async def people(site: Site, tmp_path: Path) -> AsyncIterator[tuple[Device, Device]]:
    async with (
        await begin(site, tmp_path / "anna", "Anna Beck") as anna,
        await begin(site, tmp_path / "bob", "Bob Lund") as bob,
    ):
        yield anna, bob


def near(people: tuple[Device, Device]) -> Meeting:
    return Meeting(*people, nearby_only=True)


async def test_a_meeting_asks_no_server_and_is_there_after_the_next_sync(
    people: tuple[Device, Device], site: Site
) -> None:
    anna, bob = people
    site.proxy.seen.clear()
    assert codes(await near(people).run()) == ["ok", "ok"]
    assert not site.proxy.seen
    assert (peers(anna), peers(bob)) == (
        [("Bob Lund", "connected", "met")],
        [("Anna Beck", "connected", "met")],
    )
    for device in (anna, bob, anna, bob):
        await device.sync()
    assert (anna.names, bob.names) == (["Bob Lund"], ["Anna Beck"])
    assert anna.channel.step == bob.channel.step == b""


async def test_a_wrong_guess_burns_the_code_for_both(people: tuple[Device, Device]) -> None:
    async def guess(code: LinkCode) -> LinkCode:
        return LinkCode(code.nameplate, spoken_code("1", secrets.token_bytes(CODE_RANDOM_BYTES)).secret)

    assert codes(await near(people).run(guess)) == ["link-burned", "link-burned"]
    assert peers(people[0]) == peers(people[1]) == []


async def test_connections_that_say_nothing_do_not_stop_a_meeting(people: tuple[Device, Device]) -> None:
    strangers: list[Connection] = []

    async def crowd(code: LinkCode) -> LinkCode:
        async with nearby.looking(code, LOOPBACK) as found:
            service = await found.get()
        for _ in range(MAX_CONNECTIONS - 1):
            connection = await connect(service)
            assert connection is not None
            strangers.append(connection)
        return code

    assert codes(await near(people).run(crowd)) == ["ok", "ok"]
    for connection in strangers:
        connection.close()


async def test_somebody_who_announces_the_same_number_and_lets_one_wait_is_passed_over(
    people: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearby, "EXCHANGE_SECONDS", 0.5)
    async with AsyncExitStack() as stack:

        async def pretend(code: LinkCode) -> LinkCode:
            listener = await stack.enter_async_context(listening(LOOPBACK))
            await stack.enter_async_context(announced(nearby.MEETINGS, code.nameplate, listener.port, LOOPBACK))
            return code

        assert codes(await near(people).run(pretend)) == ["ok", "ok"]


async def test_a_code_shown_at_the_server_and_nearby_allows_one_guess_in_all(people: tuple[Device, Device]) -> None:
    """Once somebody nearby has begun, the server knows the code no more; and the other way round."""
    anna, _ = people
    pair = Meeting(*people)

    async def guess_nearby_first(code: LinkCode) -> LinkCode:
        wrong = LinkCode(code.nameplate, spoken_code("1", secrets.token_bytes(CODE_RANDOM_BYTES)).secret)
        async with nearby.looking(wrong, LOOPBACK) as found:
            with pytest.raises(Refused):
                await nearby.reach(found, wrong, 10)
        answer = await anna.server.send("GET", f"/v1/rendezvous/meet/{code.nameplate}/a/0", None, {})
        assert answer.status == 404
        return code

    assert codes(await pair.run(guess_nearby_first)) == ["link-burned", "link-burned"]


async def test_the_port_that_is_announced_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two sockets with a port each, chance would say which of them is announced."""
    servers: list[asyncio.Server] = []
    start = asyncio.start_server

    async def noted(*args: Any, **kwargs: Any) -> asyncio.Server:
        servers.append(await start(*args, **kwargs))
        return servers[0]

    monkeypatch.setattr(asyncio, "start_server", noted)
    async with listening() as listener:
        assert [socket.getsockname()[1] for socket in servers[0].sockets] == [listener.port]
        connection = await connect(Found("1", ("127.0.0.1",), listener.port))
        assert connection is not None
        connection.close()


async def test_a_frame_over_its_limit_ends_the_connection() -> None:
    async with listening(LOOPBACK) as listener:
        connection = await connect(Found("x", ("127.0.0.1",), listener.port))
        assert connection is not None
        await connection.send(b"hello")
        there = await asyncio.wait_for(listener.arrived.get(), 5)
        connection._writer.write((MAX_RENDEZVOUS_BYTES + 1).to_bytes(2, "big"))
        with pytest.raises(Refused):
            await there.receive()
        connection.close()


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.0.0.7", True),
        ("192.168.1.5", True),
        ("169.254.3.4", True),
        ("127.0.0.1", False),
        ("8.8.8.8", False),
        ("0.0.0.0", False),
        ("0.1.2.3", False),
        ("172.16.0.1", True),
        ("172.32.0.1", False),
        ("192.0.0.8", False),
        ("198.18.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("224.0.0.251", False),
        ("fe80::1", False),
        ("nonsense", False),
    ],
)
def test_an_announcement_steers_connections_to_local_addresses_only(address: str, may: bool) -> None:
    assert Network().may_reach(address) is may


async def test_a_guess_that_the_typer_may_not_have_noticed_is_the_last_one(
    people: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is found takes the confirmation and says nothing: it has had a guess, and there is no second one, though
    the time for finding somebody is over meanwhile."""
    monkeypatch.setattr(ways, "NEARBY_SECONDS", 1.0)
    monkeypatch.setattr(nearby, "EXCHANGE_SECONDS", 3.0)
    _, bob = people
    code = spoken_code("427316", secrets.token_bytes(CODE_RANDOM_BYTES))
    guesses: list[bytes] = []

    async def guess(listener: Listener) -> None:
        while True:
            connection = await listener.arrived.get()
            machine = LinkMachine(LinkRole.SHOWS, spoken_code("427316", bytes(5)), NEARBY_HOST, Purpose.MEET)
            await asyncio.sleep(1.5)
            await connection.send(machine.start(secrets.token_bytes(32)))
            machine.receive(await connection.fetch(0) or b"")
            guesses.append(await connection.fetch(1) or b"")

    async with listening(LOOPBACK) as listener, announced(nearby.MEETINGS, code.nameplate, listener.port, LOOPBACK):
        guessing = asyncio.create_task(guess(listener))
        for _ in range(2):
            with pytest.raises(Refused) as raised:
                await type_code(bob.vault, bob.server, code, yes, Wishes(), nearby_only=True, network=LOOPBACK)
            assert raised.value.code == "link-burned"
        guessing.cancel()
    assert len(guesses) == 1


async def test_a_code_is_remembered_as_used_up_for_ten_minutes_and_shows_itself_nowhere(
    people: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bob = people
    code = spoken_code("427316", secrets.token_bytes(CODE_RANDOM_BYTES))
    await used_codes.remember_used(bob.vault, code)
    kept = await bob.vault.mirror.state(used_codes.USED_CODES)
    assert kept is not None
    assert used_codes._name(code).encode() not in kept
    with pytest.raises(Refused):
        await used_codes.check_unused(bob.vault, code)
    later = bob.vault.clock() + LINK_LIFETIME + 1
    monkeypatch.setattr(bob.vault, "clock", lambda: later)
    await used_codes.check_unused(bob.vault, code)


async def test_whoever_connects_from_outside_a_local_network_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "is_local", lambda address: address != "127.0.0.1")
    async with listening(LOOPBACK) as listener:
        connection = await connect(Found("x", ("127.0.0.1",), listener.port))
        assert connection is not None
        with pytest.raises(Refused):
            await asyncio.wait_for(connection.receive(), 5)
        assert listener.arrived.empty()
        connection.close()


@pytest.mark.parametrize(("conflicts", "works"), [(1, True), (2, False)])
async def test_somebody_who_claims_the_announced_name_ends_no_meeting_at_the_server(
    people: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch, conflicts: int, works: bool
) -> None:
    """Once, other digits help; for good, the local network is no way, and the server is."""
    register, names = AsyncZeroconf.async_register_service, list[str]()

    async def claimed(self: AsyncZeroconf, info: ServiceInfo) -> Awaitable[None]:
        names.append(info.name)
        if len(names) <= conflicts:
            raise NonUniqueNameException
        return await register(self, info)

    monkeypatch.setattr(AsyncZeroconf, "async_register_service", claimed)
    if works:
        async with announced(nearby.MEETINGS, "427316", 4711, LOOPBACK) as name:
            assert [name] == names[1:]
            assert names[0] != name
    else:
        with pytest.raises(NearbyUnavailable):
            async with announced(nearby.MEETINGS, "427316", 4711, LOOPBACK):
                pass
        names.clear()
        assert codes(await Meeting(*people).run()) == ["ok", "ok"]
