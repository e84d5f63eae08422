"""Two devices compare heads on a local network; strangers learn nothing there and raise no alarm."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kith_client.lifecycle.removing import remove_device
from kith_client.lifecycle.repairing import repair
from kith_client.nearby import heads
from kith_client.nearby.discovery import announced, browsing, multicast
from kith_client.nearby.heads import compare_heads
from kith_client.nearby.sockets import connect, listening
from kith_protocol.errors import Refused
from kith_protocol.nearby import HEAD_NOTE_BYTES, NEARBY_NONCE_BYTES, Verdict
from tests.adversary.meetings import LOOPBACK
from tests.adversary.scene import Scene
from tests.adversary.world import Device, link


async def compared(*devices: Device) -> list[Verdict]:
    """What each of them finds out."""
    found = await asyncio.gather(*(compare_heads(each.vault, LOOPBACK, 30) for each in devices))
    assert {each.member for each in found} == {device.vault.member.id for device in devices}
    return [each.verdict for each in found]


async def nobody(device: Device, seconds: float = 2.0) -> None:
    """No other device is found, and so nothing follows."""
    with pytest.raises(Refused) as raised:
        await compare_heads(device.vault, LOOPBACK, seconds)
    assert raised.value.code == "no-device-near"


async def in_step(scene: Scene) -> None:
    for device in (scene.laptop, scene.phone, scene.laptop, scene.phone):
        await device.sync()


async def test_two_devices_in_step_say_so_and_one_that_is_behind_too(scene: Scene) -> None:
    await in_step(scene)
    assert await compared(scene.laptop, scene.phone) == [Verdict.IN_STEP] * 2
    await scene.laptop.add("Dora")
    await scene.laptop.sync()
    assert await compared(scene.laptop, scene.phone) == [Verdict.AHEAD, Verdict.BEHIND]


async def test_a_server_that_shows_two_histories_is_found_without_it(scene: Scene, tmp_path: Path) -> None:
    """Each device is content with what it was shown; only side by side it comes out."""
    await in_step(scene)
    await scene.site.back_up(tmp_path / "then")
    await scene.laptop.add("Dora")
    await scene.laptop.sync()
    await scene.site.restore(tmp_path / "then")
    await scene.phone.add("Emil")
    await scene.phone.sync()
    assert scene.laptop.vault.chain.number == scene.phone.vault.chain.number
    assert await compared(scene.laptop, scene.phone) == [Verdict.FORK] * 2
    await scene.phone.add("Frida")
    await scene.phone.sync()
    assert await compared(scene.laptop, scene.phone) == [Verdict.FORK] * 2, "whoever has more commits"


async def test_a_head_that_was_given_up_is_neither_behind_nor_ahead_until_its_device_followed(
    scene: Scene, tmp_path: Path
) -> None:
    """Any member can give up by name what another one has: only the sync of that one judges it."""
    await scene.site.back_up(tmp_path / "then")
    await scene.laptop.add("Dora")
    await in_step(scene)
    await scene.site.restore(tmp_path / "then")
    assert await repair(scene.laptop.vault, scene.laptop.server)
    assert await compared(scene.laptop, scene.phone) == [Verdict.REPAIRED] * 2
    await in_step(scene)
    await in_step(scene)
    assert await compared(scene.laptop, scene.phone) == [Verdict.IN_STEP] * 2


async def test_a_device_that_does_not_know_of_a_new_epoch_yet_is_found_all_the_same(scene: Scene) -> None:
    """The one ahead looks for the names of older epochs too; the one behind cannot foresee the new ones."""
    await in_step(scene)
    tablet = await link(scene.site, scene.laptop, scene.laptop.home.path.parent / "third", "third")
    async with tablet:
        await in_step(scene)
        await remove_device(scene.laptop.vault, scene.laptop.server, tablet.vault.member.id)
        assert await compared(scene.laptop, scene.phone) == [Verdict.AHEAD, Verdict.BEHIND]


async def test_a_removed_device_is_not_believed_and_told_nothing(scene: Scene) -> None:
    await in_step(scene)
    await remove_device(scene.laptop.vault, scene.laptop.server, scene.phone.vault.member.id)
    results = await asyncio.gather(
        compare_heads(scene.laptop.vault, LOOPBACK, 3),
        compare_heads(scene.phone.vault, LOOPBACK, 3),
        return_exceptions=True,
    )
    assert [getattr(each, "code", each) for each in results] == ["no-device-near"] * 2
    assert "does not know" in str(results[0])


async def test_a_stranger_who_connects_gets_nothing_that_they_can_read(scene: Scene) -> None:
    await in_step(scene)
    vault = scene.laptop.vault
    comparing = asyncio.create_task(compare_heads(vault, LOOPBACK, 20))
    async with browsing(heads.HEADS, lambda _: True, LOOPBACK) as found:
        service = await asyncio.wait_for(found.get(), 15)
        connection = await connect(service)
        assert connection is not None
        await connection.send(secrets.token_bytes(NEARBY_NONCE_BYTES))
        seen = await connection.receive()
        assert len(seen) == NEARBY_NONCE_BYTES + HEAD_NOTE_BYTES
        known = [vault.id, vault.chain.head, vault.member.id, vault.chain.number.to_bytes(8, "big")]
        known += [each.hex().encode() for each in known]
        assert not any(part in seen or part in service.name.encode() for part in known)
        await connection.send(secrets.token_bytes(HEAD_NOTE_BYTES))
        connection.close()
    assert not comparing.done(), "noise raises nothing"
    comparing.cancel()
    await asyncio.gather(comparing, return_exceptions=True)


@pytest.mark.parametrize("says", ["nothing", "noise", "an old head"])
async def test_a_stranger_who_copies_a_name_raises_no_alarm(scene: Scene, says: str) -> None:
    """Names are seen by all, and so is what was sent when the laptop was behind: replayed, it says nothing."""
    await in_step(scene)
    laptop, phone = scene.laptop, scene.phone
    recorded = await _first_frame_of(phone)
    await laptop.add("Dora")
    await laptop.sync()
    comparison = await heads._Comparison.begin(laptop.vault)
    async with listening(LOOPBACK) as listener:
        name = comparison.own_name(laptop.vault.clock())

        async def speak() -> None:
            while True:
                connection = await listener.arrived.get()
                if says != "nothing":
                    await connection.send(recorded if says == "an old head" else secrets.token_bytes(len(recorded)))

        async with announced(heads.HEADS, name, listener.port, LOOPBACK):
            speaking = asyncio.create_task(speak())
            await nobody(laptop)
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)


async def _first_frame_of(device: Device) -> bytes:
    """What a device says first to whoever connects, as a stranger records it."""
    comparing = asyncio.create_task(compare_heads(device.vault, LOOPBACK, 20))
    async with browsing(heads.HEADS, lambda _: True, LOOPBACK) as found:
        connection = await connect(await asyncio.wait_for(found.get(), 15))
        assert connection is not None
        await connection.send(bytes(NEARBY_NONCE_BYTES))
        seen = await connection.receive()
        connection.close()
    comparing.cancel()
    await asyncio.gather(comparing, return_exceptions=True)
    return seen


async def test_connections_that_are_done_with_do_not_stay_open(scene: Scene) -> None:
    comparing = asyncio.create_task(compare_heads(scene.laptop.vault, LOOPBACK, 20))
    async with browsing(heads.HEADS, lambda _: True, LOOPBACK) as found:
        service = await asyncio.wait_for(found.get(), 15)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        connection = await connect(service)
        assert connection is not None
        await connection.send(b"x")
        connection.close()
    await asyncio.sleep(0.3)
    assert len(os.listdir("/proc/self/fd")) - before < 30
    assert not comparing.done()
    comparing.cancel()
    await asyncio.gather(comparing, return_exceptions=True)


async def test_many_who_announce_the_same_name_hide_no_device(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "EXCHANGE_SECONDS", 0.5)
    for device in (scene.laptop, scene.phone, scene.laptop, scene.phone):
        await device.sync()
    comparison = await heads._Comparison.begin(scene.laptop.vault)
    name = comparison.own_name(scene.laptop.vault.clock())
    async with listening(LOOPBACK) as listener, multicast(LOOPBACK) as zero, AsyncExitStack() as stack:
        names = [announced(heads.HEADS, name, listener.port, LOOPBACK, zero) for _ in range(20)]
        await asyncio.gather(*(stack.enter_async_context(each) for each in names))
        both = (compare_heads(each.vault, LOOPBACK, 30) for each in (scene.laptop, scene.phone))
        assert {found.verdict for found in await asyncio.gather(*both)} == {Verdict.IN_STEP}


async def test_somebody_who_announces_the_name_without_the_key_is_named_as_such(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "EXCHANGE_SECONDS", 0.3)
    comparison = await heads._Comparison.begin(scene.laptop.vault)
    name = comparison.own_name(scene.laptop.vault.clock())
    async with listening(LOOPBACK) as listener, announced(heads.HEADS, name, listener.port, LOOPBACK):
        with pytest.raises(Refused, match="somebody else announces"):
            await compare_heads(scene.laptop.vault, LOOPBACK, 4)
