"""The server that a vault left hears who was removed since, whatever a member did to hold that up."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from kith_client.access import At
from kith_client.errors import HomeMoved, ServerRefused
from kith_client.lifecycle.linking import remove_device
from kith_client.lifecycle.moving import at_home
from kith_client.lifecycle.repairing import repair
from kith_client.online import signed_in
from kith_client.sync.building import MembershipStep, build_push
from kith_client.sync.push import commit
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.epoch import epoch_commitment, seal_epoch_key
from kith_protocol.member import MemberKeys
from kith_protocol.wire import Follow
from tests.adversary.friends import Friends, set_mail, told
from tests.adversary.test_moving import Moving, as_device, moving, phone_of, step
from tests.adversary.world import Device, link

__all__ = ["moving"]


@pytest.fixture
async def moved(moving: Moving) -> AsyncIterator[tuple[Moving, Device]]:
    """Dora at her new server, and a phone of hers that knows it."""
    async with phone_of(moving) as phone:
        await moving.move()
        await step(moving.dora)
        await step(phone.vault)
        yield moving, phone


async def gets_in(moving: Moving, member: MemberKeys) -> bool:
    """Whether it can read at the old server."""
    place = moving.old_place
    async with HomeServer.connect(place.url) as server:
        signed_in(server, At(place.url, place.fingerprint, moving.dora.id, member), moving.dora.clock)
        try:
            await server.parcels(moving.dora.id, 0)
        except ServerRefused as refused:
            if refused.code != "not-a-member":
                raise
            return False
    return True


async def remove(moving: Moving, member: bytes) -> None:
    async with at_home(moving.dora) as server:
        await remove_device(moving.dora, server, member)


def new_epoch(vault: Vault) -> tuple[MembershipStep, int]:
    """A commit that gives up as much as there may be, so that it is as long as one can be."""
    epoch, key = vault.chain.epoch + 1, os.urandom(32)
    members = [standing.member for standing in vault.chain.members.values()]
    before = vault.record_keys.epoch_key(vault.chain.epoch)
    keys = seal_epoch_key(key, vault.id, epoch, members, previous=before, nonce=os.urandom(24))
    given_up = tuple(sorted(os.urandom(32) for _ in range(2000)))
    return MembershipStep((), (), keys, epoch_commitment(epoch, key), given_up), epoch


async def test_a_device_that_writes_more_than_a_request_holds_is_out_all_the_same(
    moved: tuple[Moving, Device],
) -> None:
    moving, phone = moved
    async with at_home(phone.vault) as server:
        for _ in range(33):
            made, epoch = new_epoch(phone.vault)
            await commit(phone.vault, server, {}, step=made, epoch=epoch)
    await step(moving.dora)
    await remove(moving, phone.vault.member.id)
    report = await step(moving.dora)
    assert report.alarms == []
    assert not await gets_in(moving, phone.vault.member)
    assert await gets_in(moving, moving.dora.member)


async def tell_a_lie(moving: Moving, phone: Device) -> None:
    """A commit that exists at the old server alone."""
    vault, place = phone.vault, moving.old_place
    push = build_push(vault.chain, vault.member, {}, vault.chain.tree, vault.clock())
    async with HomeServer.connect(place.url) as server:
        signed_in(server, At(place.url, place.fingerprint, vault.id, vault.member), vault.clock)
        await server.follow(vault.id, Follow(((push.commit, push.keys),)))


async def test_a_device_that_told_a_commit_of_its_own_is_out_all_the_same_and_the_person_hears_of_it(
    moved: tuple[Moving, Device],
) -> None:
    moving, phone = moved
    await tell_a_lie(moving, phone)
    await remove(moving, phone.vault.member.id)
    await set_mail(moving.carl, "carl@meanwhile.example")
    await moving.carl.sync()
    alarms = (await step(moving.dora)).alarms + (await step(moving.dora)).alarms
    assert [alarm for alarm in alarms if "another history" in alarm]
    assert not await gets_in(moving, phone.vault.member)
    assert told(as_device(moving.dora)) == ["carl@meanwhile.example"]
    assert (await step(moving.dora)).alarms == []


async def test_after_a_repair_at_the_new_server_the_old_one_hears_of_removals_again(
    moving: Moving, friends: Friends
) -> None:
    await moving.move()
    await step(moving.dora)
    await moving.new.back_up(moving.folder / "backup")
    await moving.dora.close()
    async with (
        await Device.open(moving.home) as laptop,
        await link(moving.new, laptop, moving.folder / "phone") as phone,
    ):
        await phone.sync()
        await laptop.close()
        moving.dora = await Vault.open(moving.home)
        await step(moving.dora)
        await moving.new.restore(moving.folder / "backup")
        async with at_home(moving.dora) as server:
            assert await repair(moving.dora, server)
        assert (await step(moving.dora)).alarms == []
        assert await gets_in(moving, phone.vault.member)
        await remove(moving, phone.vault.member.id)
        await set_mail(moving.carl, "carl@meanwhile.example")
        await moving.carl.sync()
        assert (await step(moving.dora)).alarms == []
        assert told(as_device(moving.dora)) == ["carl@meanwhile.example"]
        assert not await gets_in(moving, phone.vault.member)


async def test_a_crash_between_the_pull_and_the_settling_hides_no_removal_from_the_old_server(
    moving: Moving, monkeypatch: pytest.MonkeyPatch
) -> None:
    await moving.dora.close()
    async with (
        await Device.open(moving.home) as laptop,
        await link(moving.old, laptop, moving.folder / "tablet", "tablet") as tablet,
    ):
        await tablet.sync()
        await laptop.close()
        moving.dora = await Vault.open(moving.home)
        async with phone_of(moving) as phone:
            await tablet.sync()
            await moving.move()
            await remove(moving, phone.vault.member.id)  # nobody told the old server yet

            async def crash(*_: object) -> None:
                raise OSError("power cut")

            with monkeypatch.context() as patched:
                patched.setattr(Vault, "settle_at", crash)
                for _ in range(2):
                    with pytest.raises((OSError, HomeMoved)):
                        await step(tablet.vault)
            assert await gets_in(moving, phone.vault.member)
            await step(tablet.vault)
            assert not await gets_in(moving, phone.vault.member)
