"""A server that was put back to an earlier day is repaired by one device and followed by the others; nobody can use
that to undo a removal, to bring old records back, or to lead a device away from what it verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from kith_client.repairing import look, repair
from kith_protocol.errors import Alarm, AlarmCode
from tests.adversary.scene import ALL, Scene


async def restored(scene: Scene, tmp_path: Path) -> None:
    """The server is put back to before Emil and Frida, whom both devices have."""
    backup = tmp_path / "backup"
    await scene.site.back_up(backup)
    await scene.laptop.sync()
    await scene.phone.sync()
    await scene.site.restore(backup)


async def test_one_device_repairs_and_the_other_follows(scene: Scene, tmp_path: Path) -> None:
    await restored(scene, tmp_path)
    for device in (scene.laptop, scene.phone):
        before = device.state()
        with pytest.raises(Alarm, match="kith repair") as raised:
            await device.sync()
        assert raised.value.alarm is AlarmCode.ROLLBACK
        assert device.state() == before
    missing = await look(scene.laptop.vault, scene.laptop.server)
    assert missing is not None
    assert await repair(scene.laptop.vault, scene.laptop.server)
    assert scene.laptop.names == ALL
    await scene.laptop.sync()
    await scene.phone.sync()
    assert scene.phone.names == scene.laptop.names == ALL
    await scene.laptop.sync()
    assert dict(scene.phone.vault.contents) == dict(scene.laptop.vault.contents)
    assert scene.phone.vault.chain == scene.laptop.vault.chain
