"""The real `kith` command against a lying server: exit code 4, the alarm's name, and a device that goes on later."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kith_protocol.errors import AlarmCode
from tests.adversary.scene import ALL, Scene
from tests.adversary.test_feed_lies import LIES, Lie
from tests.adversary.world import mirror_rows
from tests.support.running import Kith, Result, names

FIRST_OF_EACH: dict[AlarmCode, Lie] = dict(reversed(LIES))


async def kith(home: Path, *words: str, given: str = "") -> Result:
    """A command in a process of its own, while the servers run in this one."""
    return await asyncio.to_thread(Kith(home).run, *words, given=given)


@pytest.mark.parametrize("code", sorted(FIRST_OF_EACH), ids=str)
async def test_kith_sync_stops_with_the_alarm_and_keeps_everything(scene: Scene, code: AlarmCode) -> None:
    laptop, proxy = scene.laptop, scene.site.proxy
    home = laptop.home
    await laptop.close()
    before = mirror_rows(home)
    proxy.feed = lambda frames: FIRST_OF_EACH[code](scene, frames)
    refused = await kith(home.path, "sync")
    assert refused.status == 4
    assert refused.document["ok"] is False
    assert refused.document["error"] == code.value
    assert refused.document["message"]
    assert "Traceback" not in refused.err
    assert mirror_rows(home) == before
    offline = await kith(home.path, "list")
    assert offline.status == 0
    assert "Gus Unsent" in names(offline.document["contacts"])
    proxy.be_honest()
    assert (await kith(home.path, "sync")).status == 0
    listed = await kith(home.path, "list")
    assert names(listed.document["contacts"]) == ALL


async def test_kith_sync_says_that_the_server_was_put_back_to_an_earlier_day(scene: Scene, tmp_path: Path) -> None:
    """A true restore of the operator's backup: the server believes what it says."""
    backup = tmp_path / "backup"
    await scene.site.back_up(backup)
    await scene.laptop.sync()
    await scene.laptop.close()
    before = mirror_rows(scene.laptop.home)
    await scene.site.restore(backup)
    refused = await kith(scene.laptop.home.path, "sync")
    assert (refused.status, refused.document["error"]) == (4, "rollback")
    assert mirror_rows(scene.laptop.home) == before
    listed = await kith(scene.laptop.home.path, "list")
    assert names(listed.document["contacts"]) == ALL
