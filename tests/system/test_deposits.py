"""Many parcels to servers that are down, and a home server that answers badly: nothing is lost, doubled or late."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from kith_client.book import contacts, notes, shares
from kith_client.errors import ServerRefused, ServerUnreachable
from kith_client.lifecycle.setup import create_vault
from kith_client.online import home_server
from kith_client.relations import records
from kith_client.store.home import Home
from kith_client.store.mirror import Request
from kith_client.sync import knock
from kith_client.sync.befriend import accept_invite, make_invite
from kith_client.sync.run import Report, sync
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.errors import DecodingError
from kith_protocol.wire import RelayAnswer, RelayRequest, RelayState
from tests.support.mail_world import Site, sites

DAY = date(2026, 11, 20)


@dataclass
class Person:
    """Somebody with one device."""

    vault: Vault
    server: HomeServer

    async def sync(self, patience: float = 5.0) -> Report:
        return await sync(self.vault, self.server, patience=patience)

    async def share(self, count: int = 1) -> list[bytes]:
        """Shares so many new notes with every peer."""
        edit, contact = contacts.add_contact(self.vault.stamp(), "Dora Falk")
        await self.vault.apply(edit)
        made = []
        for number in range(count):
            edit, note = notes.add_note(self.vault.stamp(), contact, f"note {number}", at=DAY)
            await self.vault.apply(edit)
            for peer in records.peers(self.vault.contents):
                await self.vault.apply(shares.share(self.vault.contents, self.vault.stamp(), note, peer.id))
            made.append(note)
        return made

    async def unshare(self, note: bytes) -> None:
        """Takes a note back from every peer."""
        for peer in records.peers(self.vault.contents):
            await self.vault.apply(shares.unshare(self.vault.contents, self.vault.stamp(), note, peer.id))

    @property
    def receipts(self) -> int:
        """Receipts that are committed, of all relationships."""
        return sum(len(channel.receipts) for channel in records.channels(self.vault.contents))


@asynccontextmanager
async def anna_and_peers(folder: Path, *peers: str) -> AsyncIterator[tuple[Person, list[Person], list[Site]]]:
    """Anna, connected with peers that are on a server of their own each; and these servers."""
    async with AsyncExitStack() as stack:
        all_sites = await stack.enter_async_context(sites(folder, "anna", *peers))
        people = []
        for name, site in zip(("anna", *peers), all_sites, strict=True):
            home, clock = Home(folder / f"{name}-device"), all_sites[0].clock
            await create_vault(home, site.url, name.title(), "laptop", clock=clock)
            vault = await stack.enter_async_context(await Vault.open(home, clock=clock))
            people.append(Person(vault, await stack.enter_async_context(home_server(vault))))
        anna, *others = people
        for other in others:
            await accept_invite(other.vault, other.server, (await make_invite(anna.vault, anna.server)).link)
            for person in (anna, other, anna, other, anna):
                await person.sync()
        yield anna, others, all_sites[1:]


def lose(monkeypatch: pytest.MonkeyPatch, losses: int) -> None:
    """The first `losses` requests to take something back from the relay do not arrive."""
    genuine, left = HomeServer.forget_relayed, [None] * losses

    async def forget(server: HomeServer, vault: bytes, request: bytes) -> None:
        if left:
            left.pop()
            raise ServerUnreachable("The request was lost.")
        await genuine(server, vault, request)

    monkeypatch.setattr(HomeServer, "forget_relayed", forget)


async def at_the_relay(person: Person, request: Request) -> bool:
    """Whether the home server still has a sealed request."""
    try:
        return (await person.server.relayed(person.vault.id, request.hash)).state is RelayState.QUEUED
    except ServerRefused:
        return False


async def test_withdrawn_content_is_taken_back_although_a_request_for_it_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with anna_and_peers(tmp_path, "bob") as (anna, _, (bob_site,)):
        await bob_site.stop()
        (note,) = await anna.share()
        await anna.sync(patience=0)
        (sharing,) = await anna.vault.mirror.requests()
        assert await at_the_relay(anna, sharing)
        await anna.unshare(note)
        lose(monkeypatch, 1)
        assert (await anna.sync(patience=0)).waiting == 1
        assert not await at_the_relay(anna, sharing)
        (withdrawing,) = await anna.vault.mirror.requests()
        assert await at_the_relay(anna, withdrawing)


async def test_nothing_newer_is_handed_over_before_what_it_replaces_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with anna_and_peers(tmp_path, "bob") as (anna, (bob,), (bob_site,)):
        await bob_site.stop()
        (note,) = await anna.share()
        await anna.sync(patience=0)
        sharing = await anna.vault.mirror.requests()
        await anna.unshare(note)
        lose(monkeypatch, knock.TAKE_BACK_TRIES)
        assert (await anna.sync(patience=0)).waiting == 1
        assert await anna.vault.mirror.requests() == sharing

        assert (await anna.sync(patience=0)).waiting == 1
        assert not await at_the_relay(anna, sharing[0])
        await bob_site.start()
        assert (await anna.sync()).waiting == 0
        await bob.sync()
        assert [item.payload for item in records.their_items(bob.vault.contents) if item.version == 2] == [None]


async def test_one_malformed_answer_of_the_relay_costs_no_receipt_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with anna_and_peers(tmp_path, "bob") as (anna, _, _):
        await anna.share(4)
        before, genuine, bad = anna.receipts, HomeServer.relay, list[bytes]()

        async def relay(server: HomeServer, vault: bytes, request: RelayRequest) -> RelayAnswer:
            bad[:] = bad or [request.request]
            if request.request == bad[0]:
                raise DecodingError("This is not a RelayAnswer.")
            return await genuine(server, vault, request)

        monkeypatch.setattr(HomeServer, "relay", relay)
        report = await anna.sync()
        assert (report.parcels_out, report.waiting, len(report.alarms)) == (3, 1, 1)
        assert anna.receipts == before + 3
        monkeypatch.undo()
        assert (await anna.sync()).waiting == 0
        assert anna.receipts == before + 4


async def test_patience_is_for_all_requests_and_each_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with anna_and_peers(tmp_path, "bob") as (anna, _, _):
        handed: Counter[bytes] = Counter()
        handed_at: list[float] = []
        asked_at: list[float] = []

        async def relay(_server: HomeServer, _vault: bytes, request: RelayRequest) -> RelayAnswer:
            handed[request.request] += 1
            handed_at.append(time.monotonic())
            return RelayAnswer(RelayState.QUEUED, b"", "")

        async def relayed(_server: HomeServer, _vault: bytes, _request: bytes) -> RelayAnswer:
            asked_at.append(time.monotonic())
            return RelayAnswer(RelayState.QUEUED, b"", "")

        await anna.share(3 * knock.AT_ONCE)
        monkeypatch.setattr(HomeServer, "relay", relay)
        monkeypatch.setattr(HomeServer, "relayed", relayed)
        before = time.monotonic()
        report = await anna.sync(patience=1.0)
        took = time.monotonic() - before
        assert report.waiting == 3 * knock.AT_ONCE
        assert sorted(handed.values()) == [1] * 3 * knock.AT_ONCE
        assert took < 2.5, "patience counted for each batch of requests"
        assert 0 < asked_at[-1] - handed_at[0] < 1.05, "somebody asked after the deadline"

        handed.clear()
        asked_at.clear()
        await anna.sync(patience=0)
        assert sorted(handed.values()) == [1] * 3 * knock.AT_ONCE
        assert not asked_at


async def test_servers_that_are_down_are_asked_for_their_statements_together_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with anna_and_peers(tmp_path, "bob", "carla", "dora") as (anna, _, others):
        for site in others:
            await site.stop()
        await anna.share(2)
        asked: Counter[str] = Counter()
        at_once = [0, 0]

        async def statement(_server: HomeServer, _vault: bytes, host: str) -> bytes:
            asked[host] += 1
            at_once[:] = at_once[0] + 1, max(at_once[1], at_once[0] + 1)
            await asyncio.sleep(0.2)
            at_once[0] -= 1
            raise ServerRefused("destination-unreachable", "It cannot be reached.")

        monkeypatch.setattr(HomeServer, "server_statement", statement)
        report = await anna.sync(patience=0)
        assert (report.waiting, report.alarms) == (6, [])
        assert asked == {site.host: 1 for site in others}
        assert at_once[1] == len(others)
