"""Introductions through real servers: what lies there after a decline, and two devices that go on at the same time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.introductions.introduced import agree, decline_introduction, links_to_use, list_introductions
from kith_client.relations.introductions.introducing import introduce
from kith_client.relations.introductions.records import introductions
from kith_client.relations.peers import PeerRow, list_peers
from kith_client.stamp import of_kind
from kith_client.sync.befriend import accept_invite
from kith_protocol.introduction import makes_invite
from tests.adversary.friends import Friends
from tests.adversary.world import Device, link


@pytest.fixture
async def introduced(friends: Friends) -> Friends:
    """Anna introduced Bob and Carl, who have both read it."""
    anna, bob, carl = friends.anna, friends.bob, friends.carl
    await accept_invite(carl.vault, carl.server, friends.link)
    for device in (anna, carl, anna):
        await device.sync()
    contents, stamp = anna.vault.contents, anna.vault.stamp()
    one, other = (peer.id for peer in records.peers(contents))
    await anna.apply(introduce(contents, stamp, one, other, "You two!").edit)
    for device in (anna, bob, carl):
        await device.sync()
    return friends


def person(device: Device) -> bytes:
    return records.own_persona(device.vault.contents).person


async def consent(device: Device) -> None:
    """Agrees to the only introduction."""
    (row,) = list_introductions(device.vault.contents, device.vault.clock())
    await device.apply(agree(device.vault.contents, device.vault.stamp(), row.id))
    await device.sync()


def rows_of(device: Device, other: Device) -> list[PeerRow]:
    return [row for row in list_peers(device.vault.contents) if row.id == person(other).hex()]


async def test_a_decline_leaves_nothing_at_any_server(introduced: Friends) -> None:
    anna, bob, carl = introduced.anna, introduced.bob, introduced.carl
    places = (introduced.anna_site, introduced.bob_site)

    def stored() -> list[list[tuple[object, ...]]]:
        tables = ("mailboxes", "parcels", "greetings", "relay_requests")
        return [site.rows(f"SELECT count(*) FROM {table}") for site in places for table in tables]

    before = stored()
    (row,) = list_introductions(bob.vault.contents, bob.vault.clock())
    await bob.apply(decline_introduction(bob.vault.contents, bob.vault.stamp(), row.id))
    report = await bob.sync()
    assert report.parcels_out == report.waiting == 0
    assert stored() == before
    await consent(carl)
    for device in (anna, bob, carl, anna):
        await device.sync()
    assert rows_of(bob, carl) == rows_of(carl, bob) == []


async def test_two_devices_that_sync_at_once_answer_the_invite_once(introduced: Friends, tmp_path: Path) -> None:
    anna, bob, carl = introduced.anna, introduced.bob, introduced.carl
    maker, other = (bob, carl) if makes_invite(person(bob), person(carl)) else (carl, bob)
    async with await link(introduced.bob_site, other, tmp_path / "phone") as phone:
        await consent(other)
        await consent(maker)
        for device in (anna, maker, anna):
            await device.sync()
        for device in (other, phone):
            await device.sync(patience=0)  # the invite comes, and is not asked for while there is no time
            assert len(links_to_use(device.vault.contents, device.vault.clock())) == 1
        await asyncio.gather(other.sync(), phone.sync())
        for device in (maker, other, phone, maker, other, phone):
            await device.sync()
        begun = [c for c in records.channels(other.vault.contents) if c.established and c.established.side == 1]
        assert len([c for c in begun if c.established and c.established.peer == person(maker)]) == 1
        for device, peer in ((other, maker), (phone, maker), (maker, other)):
            (row,) = rows_of(device, peer)
            assert (row.state, row.trust, row.introducer) == ("connected", "introduced", person(anna).hex())
            assert of_kind(device.vault.contents, "issue") == {}
        assert dict(other.vault.contents) == dict(phone.vault.contents)


async def test_an_invite_with_a_key_that_its_server_never_had_is_told_once_with_who_introduced_us(
    introduced: Friends,
) -> None:
    bob, carl = introduced.bob, introduced.carl
    maker, other = (bob, carl) if makes_invite(person(bob), person(carl)) else (carl, bob)
    await consent(other)
    await consent(maker)
    (each,) = introductions(other.vault.contents)
    draft = Draft(other.vault.contents, other.vault.stamp())
    host = introduced.anna_site.url.partition("://")[2]
    draft.change(each.id, {"link": {"host": host, "secret": bytes(32), "fingerprint": b"E" * 16}})
    await other.apply(draft.edit)
    reports = [await other.sync() for _ in range(3)]
    assert [report.alarms for report in reports] == [[], [], []]
    (text,) = (issue for report in reports for issue in report.issues)
    assert text.startswith("Anna")
    assert host in text
    (each,) = introductions(other.vault.contents)
    assert each.used
