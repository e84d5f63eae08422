"""A broken program of one's own writes records that open and say nothing sensible: the other devices go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from kith_client.doctor import examine
from kith_client.stamp import of_kind
from kith_client.sync.push import push_all
from kith_protocol.content import Content
from kith_protocol.encoding import Value
from tests.adversary.friends import MAIL, Friends, told
from tests.adversary.world import Device, link

BREAKS: dict[str, dict[str, Value]] = {
    "channel": {"state": "bogus"},
    "invite": {"expires": "soon"},
    "peer": {"contact": "not an id"},
    "persona": {"statement": 7},
    "theirs": {"version": "two"},
}


@pytest.mark.parametrize("kind", BREAKS)
async def test_a_broken_record_of_one_device_does_not_stop_the_sync_of_another(
    friends: Friends, tmp_path: Path, kind: str
) -> None:
    anna = friends.anna
    async with await link(friends.anna_site, anna, tmp_path / "phone") as phone:
        await break_one(anna, kind)
        await phone.add("Dora Falk")
        assert (await phone.sync()).pushed
        assert "Dora Falk" in phone.names
        assert await says_what_cannot_be_read(phone)
    await friends.bob.sync()
    # What is shared rests where its record cannot be read; nothing is taken back by mistake.
    assert told(friends.bob) == [MAIL]


async def break_one(device: Device, kind: str) -> None:
    record, content = next(iter(of_kind(device.vault.contents, kind).items()))
    stamp = device.vault.stamp()
    units = {**content.units, **{key: stamp.unit(value) for key, value in BREAKS[kind].items()}}
    await push_all(device.vault, device.server, {record: Content(kind, units, content.extra)})


async def says_what_cannot_be_read(device: Device) -> bool:
    return any(not check.ok and "cannot be read" in check.text for check in await examine(device.vault))
