"""Guardians of somebody with two devices, over real servers: whichever device hears or decides, both end equal."""

from __future__ import annotations

from pathlib import Path

from kith_client.doctor import examine
from kith_client.relations import records
from kith_client.relations.guardians import splits
from kith_client.relations.guardians.guarding import guardings
from kith_client.sync.befriend import accept_invite, make_invite
from tests.adversary.friends import Friends
from tests.adversary.test_commands_alarm import kith
from tests.adversary.test_recovering import begun
from tests.adversary.world import Device, link


async def befriended(dora: Device, *others: Device) -> list[bytes]:
    """The `peer` records of these, with Dora."""
    for other in others:
        made = await make_invite(dora.vault, dora.server)
        await accept_invite(other.vault, other.server, made.link)
        await dora.sync()
        await other.sync()
    await dora.sync()
    return [peer.id for peer in records.peers(dora.vault.contents)]


def named(device: Device, name: str) -> bytes:
    return next(peer.id for peer in records.peers(device.vault.contents) if peer.name == name)


async def said_of_guardians(device: Device) -> list[bool]:
    return [check.ok for check in await examine(device.vault) if check.name == "guardians"]


async def test_one_device_splits_another_hears_the_answers_and_removes_meanwhile(
    friends: Friends, tmp_path: Path
) -> None:
    lost = await begun(friends, tmp_path / "dora")
    laptop, bob, carl = lost.device, friends.bob, friends.carl
    peers = await befriended(laptop, bob, carl)
    async with laptop, await link(lost.site, laptop, tmp_path / "phone") as phone:
        assert await said_of_guardians(laptop) == []
        vault = laptop.vault
        entropy = splits.check_phrase(vault.contents, vault.chain.paper, lost.kit.recovery_phrase)
        await laptop.apply(splits.make_split(vault.contents, vault.stamp(), vault.id, entropy, peers, 2))
        await laptop.sync()
        assert await said_of_guardians(laptop) == [False]
        for device in (bob, carl, phone):
            await device.sync()
        assert [row.state for row in splits.list_guardians(phone.vault.contents)] == ["kept", "kept"]
        assert await said_of_guardians(phone) == [True]

        # Unsent on the laptop, which has not heard of the answers yet.
        gone = named(laptop, "Carl Moor")
        await laptop.apply(splits.remove_guardian(laptop.vault.contents, laptop.vault.stamp(), entropy, gone))
        for device in (laptop, carl, phone, laptop):
            await device.sync()
        assert laptop.vault.contents == phone.vault.contents
        (split,) = splits.splits(laptop.vault.contents)
        assert (dict(split.sealed), split.has(gone)) == ({}, False)
        states = {row.peer: row.state for row in splits.list_guardians(phone.vault.contents)}
        assert states == {gone: "released", named(phone, "Bob Lund"): "kept"}
        (kept,) = guardings(carl.vault.contents).values()
        assert kept.words
        assert kept.released
        assert await said_of_guardians(phone) == [False]


async def test_a_share_that_was_handed_out_offline_is_reported_once_the_server_is_back(
    friends: Friends, tmp_path: Path
) -> None:
    """The guardian can help although his own server is down; and cannot do so unnoticed with an honest program."""
    lost = await begun(friends, tmp_path / "dora")
    dora, bob, carl = lost.device, friends.bob, friends.carl
    async with dora:
        peers = await befriended(dora, bob, carl)
        contents, vault = dora.vault.contents, dora.vault
        entropy = splits.check_phrase(contents, vault.chain.paper, lost.kit.recovery_phrase)
        await dora.apply(splits.make_split(contents, vault.stamp(), vault.id, entropy, peers, 2))
        for device in (dora, bob, dora):
            await device.sync()
        home = bob.home.path
        await bob.close()
        await friends.bob_site.stop()
        given = await kith(home, "guardians", "give", "Dora")
        assert given.status == 0, given
        assert len(given.document["share"].split()) == 33
        assert "Dora Falk is told with the next 'kith sync'" in given.err
        await friends.bob_site.start()
        assert (await kith(home, "sync")).status == 0
        (issue,) = (await dora.sync()).issues
        assert "Bob Lund handed out the share of your recovery phrase" in issue
