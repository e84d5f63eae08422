"""Pushes that end badly: refused for good, overtaken, or cut short. Nothing gets stuck, and nothing is half done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kith_client.book import contacts
from kith_client.errors import HeadMoved, ServerRefused, VaultExists
from kith_client.lifecycle.setup import create_vault, new_home
from kith_client.online import home_server
from kith_client.store.home import Home
from kith_client.store.keyfile import DeviceKeys
from kith_client.store.mirror import PENDING
from kith_client.sync.push import push_all
from kith_client.sync.run import sync
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.commit import ChangeList
from kith_protocol.content import Content
from kith_protocol.encoding import decode
from kith_protocol.wire import FeedCommit
from kith_server.config import Quotas
from tests.support.mail_world import Site, sites


@asynccontextmanager
async def anna(folder: Path, quotas: Quotas | None = None) -> AsyncIterator[tuple[Vault, HomeServer, Site]]:
    """Anna's vault on a server of its own."""
    async with sites(folder, "server", quotas=quotas) as (site,):
        await create_vault(Home(folder / "home"), site.url, "Anna Beck", "laptop", clock=site.clock)
        async with await Vault.open(Home(folder / "home"), clock=site.clock) as vault, home_server(vault) as server:
            yield vault, server, site


async def test_after_a_push_that_the_server_refused_for_good_other_edits_go_out(tmp_path: Path) -> None:
    async with anna(tmp_path, Quotas(vault_bytes=400_000)) as (vault, server, _):
        stamp = vault.stamp()
        large = stamp.record_id()
        await vault.apply({large: stamp.content("photo", {"data": stamp.random(500_000)})})
        with pytest.raises(ServerRefused, match="full"):
            await sync(vault, server)
        assert await vault.mirror.state(PENDING) is None
        assert large in await vault.mirror.drafts()  # refused, and not lost
        edit, small = contacts.add_contact(vault.stamp(), "Carla Ruiz")
        await vault.apply({large: None, **edit})
        await sync(vault, server)
        assert small in vault.index
        assert large not in vault.index


async def test_what_the_program_changed_does_not_stay_behind_when_another_device_was_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with anna(tmp_path) as (vault, server, _):
        edit, contact = contacts.add_contact(vault.stamp(), "Carla Ruiz")
        await vault.apply(edit)
        mine = vault.contents[contact]
        changed = Content(mine.kind, {**mine.units, "machine": vault.stamp().unit(True)})

        async def overtaken(*_: object) -> None:
            raise HeadMoved("Another device wrote first.")

        with monkeypatch.context() as patched:
            patched.setattr(server, "push", overtaken)
            with pytest.raises(HeadMoved):
                await push_all(vault, server, {contact: changed})
        assert vault.contents[contact] == mine
        assert (await vault.open_drafts(await vault.mirror.drafts()))[contact] == mine


async def test_an_edit_made_after_a_crash_stays_one_when_the_push_before_it_turns_out_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with anna(tmp_path) as (vault, server, _):
        edit, contact = contacts.add_contact(vault.stamp(), "Carla Ruiz")
        await vault.apply(edit)
        arrived = server.push

        async def lost(vault_id: bytes, push: bytes) -> None:
            await arrived(vault_id, push)
            raise ConnectionAbortedError  # the power goes before the answer is taken in

        with monkeypatch.context() as patched:
            patched.setattr(server, "push", lost)
            with pytest.raises(ConnectionAbortedError):
                await push_all(vault, server, {})
        await vault.apply(contacts.set_property(vault.contents, vault.stamp(), contact, "nickname", "Cat")[0])
        later = vault.contents[contact]
        await sync(vault, server)
        assert vault.contents[contact] == later
        assert await vault.mirror.drafts() == {}


async def test_handshakes_are_never_cut_and_items_are(tmp_path: Path) -> None:
    async with anna(tmp_path) as (vault, server, _):
        stamp, before = vault.stamp(), vault.chain.number
        whole = {stamp.record_id(): stamp.content("channel", {"step": bytes(40_000)}) for _ in range(100)}
        loose = {stamp.record_id(): stamp.content("theirs", {"payload": bytes(40_000)}) for _ in range(100)}
        assert await push_all(vault, server, dict(whole), dict(loose)) == 200
        numbers = range(before + 1, vault.chain.number + 1)
        changes = []
        async for frame in server.feed(vault.id, before):
            if isinstance(frame, FeedCommit):
                changes.append({record for record, _ in decode(frame.changes, ChangeList).changes})
        assert len(changes) == len(numbers) > 1
        assert changes[0] >= whole.keys()
        assert {*whole, *loose} <= vault.index.ids()


async def test_two_that_begin_in_one_folder_do_not_destroy_each_other(tmp_path: Path) -> None:
    async with sites(tmp_path, "server") as (site,):
        home = Home(tmp_path / "home")
        await create_vault(home, site.url, "Anna Beck", "laptop", clock=site.clock)
        with pytest.raises(VaultExists):
            async with new_home(home):
                raise AssertionError("a mirror that is in use was given out")
        async with await Vault.open(home, clock=site.clock) as vault:
            assert vault.contents


def test_no_key_shows_in_the_repr_of_what_holds_it() -> None:
    seeds = bytes(range(32)), bytes(range(32, 64))
    keys = DeviceKeys("https://anna.example", bytes(16), bytes(32), *seeds)
    content = Content("persona", {})
    assert all(repr(seed)[2:-1] not in f"{keys!r}{keys.member!r}{content!r}" for seed in seeds)
