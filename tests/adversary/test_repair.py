"""A server that was put back to an earlier day is repaired by one device and followed by the others; nothing is lost,
and the person sees it."""

from __future__ import annotations

import asyncio

import pytest

from kith_client.book.issues import list_issues
from kith_client.errors import ServerUnreachable
from kith_client.lifecycle.rebuilding import rebuild
from kith_client.lifecycle.repairing import Missing, look, repair
from kith_client.store.home import Home
from kith_client.store.unlock import cannot_ask
from kith_protocol.errors import Alarm, AlarmCode
from tests.adversary.restored import AFTER, MAIL, Restored, alarms_told, contact, delete, texts
from tests.adversary.world import Device, link


async def stands_still(device: Device, code: AlarmCode = AlarmCode.ROLLBACK) -> None:
    """A sync raises the alarm, names the remedy, and changes nothing."""
    before = device.state()
    with pytest.raises(Alarm, match="kith repair") as raised:
        await device.sync()
    assert raised.value.alarm is code
    assert device.state() == before


async def in_step(*devices: Device) -> None:
    """All of them sync, without an alarm, and have the same."""
    for device in (*devices, *devices):
        await device.sync()
    first = devices[0]
    for device in devices[1:]:
        assert dict(device.vault.contents) == dict(first.vault.contents)
        assert device.vault.chain == first.vault.chain
        assert device.vault.index.root == first.vault.chain.tree


async def all_is_right(made: Restored) -> None:
    await in_step(made.laptop, made.phone)
    assert made.phone.names == AFTER
    assert MAIL in texts(made.phone, "Carla Ruiz")
    assert made.tablet.vault.member.id not in made.phone.vault.chain.members
    assert made.tablet.vault.member.id in made.phone.vault.chain.removed


async def test_one_device_repairs_and_the_other_follows_without_an_alarm(restored: Restored) -> None:
    for device in (restored.laptop, restored.phone):
        await stands_still(device)
    assert await repair(restored.laptop.vault, restored.laptop.server)
    await all_is_right(restored)


async def test_looking_tells_what_is_missing_and_changes_nothing(restored: Restored) -> None:
    laptop = restored.laptop
    before, head = laptop.state(), restored.site.rows("SELECT number, hash FROM commits")
    missing = await look(laptop.vault, laptop.server)
    assert missing == Missing(
        commits=3,
        written_since=0,
        contacts=3,
        notes=0,
        others=1,
        deleted=1,
        removed_devices=("tablet",),
        lost_devices=(),
        gone_devices=(),
        mailboxes=0,
        greetings=0,
        epochs=1,
    )
    assert laptop.state() == before
    assert restored.site.rows("SELECT number, hash FROM commits") == head
    await repair(laptop.vault, laptop.server)
    assert await look(restored.phone.vault, restored.phone.server) is None


async def test_every_device_tells_who_repaired_and_the_issue_can_be_settled(restored: Restored) -> None:
    await repair(restored.laptop.vault, restored.laptop.server)
    await in_step(restored.laptop, restored.phone)
    for device in (restored.laptop, restored.phone):
        told = [event for event in await device.vault.events() if "repaired" in event.what]
        assert [event.by for event in told] == [restored.laptop.vault.member.id.hex()]
        assert [("laptop" in text, "3 commits" in text) for text in alarms_told(device)] == [(True, True)]
    (issue,) = list_issues(restored.phone.vault.contents)
    await restored.phone.apply({issue.record: None})
    await in_step(restored.phone, restored.laptop)
    assert not alarms_told(restored.laptop)


async def test_a_removed_device_stays_removed(restored: Restored) -> None:
    await restored.tablet.sync()
    await repair(restored.laptop.vault, restored.laptop.server)
    before = restored.tablet.state()
    with pytest.raises(Exception, match="removed") as refused:
        await restored.tablet.sync()
    assert refused.value.code == "not-a-member"  # type: ignore[attr-defined]
    assert restored.tablet.state() == before
    await all_is_right(restored)


async def test_what_another_device_wrote_on_the_restored_server_is_merged(restored: Restored) -> None:
    laptop, late = restored.laptop, restored.late
    carla = contact(late, "Carla Ruiz")
    await late.set(carla, "note", "written after the restore")
    await late.add("Rita Restored")
    await delete(late, "Kept Ever")
    await late.set(contact(late, "Hugo Blum"), "note", "an edit stands against the deletion")
    await late.sync()
    await stands_still(laptop, AlarmCode.ROLLBACK)
    missing = await look(laptop.vault, laptop.server)
    assert missing is not None
    assert missing.written_since == 1
    assert await repair(laptop.vault, laptop.server)
    await in_step(laptop, late)
    assert late.names == ["Carla Ruiz", "Hugo Blum", "Nora New", "Paul Phone", "Rita Restored"]
    assert {"written after the restore", MAIL} <= set(texts(laptop, "Carla Ruiz"))
    assert not [issue for issue in list_issues(laptop.vault.contents) if issue.kind == "conflict"]


async def test_one_value_changed_on_both_sides_is_kept_twice(restored: Restored) -> None:
    laptop, late = restored.laptop, restored.late
    await restored.site.restore(restored.folder / "newest")
    await laptop.set(contact(laptop, "Kept Ever"), "fn", "Kept Before")
    await laptop.sync()
    await restored.restore()
    await late.set(contact(late, "Kept Ever"), "fn", "Kept Since")
    await late.sync()
    await repair(laptop.vault, laptop.server)
    await in_step(laptop, late)
    conflicts = [issue for issue in list_issues(laptop.vault.contents) if issue.kind == "conflict"]
    assert ["Kept Before", "Kept Since"] in [sorted(value.value for value in issue.values) for issue in conflicts]


async def test_a_long_history_on_the_restored_server_is_a_fork_and_is_repaired_as_well(restored: Restored) -> None:
    for number in range(6):
        await restored.late.add(f"Since {number}")
        await restored.late.sync()
    await stands_still(restored.laptop, AlarmCode.FORK)
    assert await repair(restored.laptop.vault, restored.laptop.server)
    await in_step(restored.laptop, restored.phone, restored.late)
    assert restored.late.names == sorted([*AFTER, *(f"Since {number}" for number in range(6))])


async def test_unsent_edits_are_merged_in_and_go_out(restored: Restored) -> None:
    await restored.laptop.add("Unsent Laptop")
    await restored.phone.set(contact(restored.phone, "Nora New"), "note", "unsent")
    await repair(restored.laptop.vault, restored.laptop.server)
    await in_step(restored.laptop, restored.phone)
    assert restored.phone.names == sorted([*AFTER, "Unsent Laptop"])
    assert "unsent" in texts(restored.laptop, "Nora New")


async def test_two_devices_that_repair_at_the_same_time_agree(restored: Restored) -> None:
    done = await asyncio.gather(*(repair(each.vault, each.server) for each in (restored.laptop, restored.phone)))
    assert any(done)
    await all_is_right(restored)


async def test_a_device_that_had_seen_more_repairs_again_and_nothing_of_it_is_lost(restored: Restored) -> None:
    """The laptop never saw what the phone wrote last."""
    await restored.site.restore(restored.folder / "newest")
    await restored.phone.add("Only Phone")
    await restored.phone.sync()
    await restored.restore()
    await repair(restored.laptop.vault, restored.laptop.server)
    await restored.laptop.sync()
    await stands_still(restored.phone)
    assert await repair(restored.phone.vault, restored.phone.server)
    await in_step(restored.phone, restored.laptop)
    assert restored.laptop.names == sorted([*AFTER, "Only Phone"])


async def test_what_the_repairing_device_did_not_write_again_the_others_do(restored: Restored) -> None:
    """It is lost right after its repair, before it sent anything."""
    await repair(restored.laptop.vault, restored.laptop.server)
    await restored.laptop.close()
    await restored.phone.sync()
    await restored.late.sync()
    assert restored.late.names == AFTER
    assert MAIL in texts(restored.late, "Carla Ruiz")


async def test_a_deletion_made_after_the_repair_is_not_undone_by_a_device_that_follows_later(
    restored: Restored,
) -> None:
    await repair(restored.laptop.vault, restored.laptop.server)
    await restored.laptop.sync()
    await delete(restored.laptop, "Nora New")
    await restored.laptop.sync()
    await in_step(restored.phone, restored.laptop)
    assert restored.phone.names == [name for name in AFTER if name != "Nora New"]


async def test_a_repair_whose_answer_was_lost_is_followed_at_the_next_sync(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop = restored.laptop
    push = laptop.server.push

    async def cut(vault: bytes, body: bytes) -> object:
        await push(vault, body)
        raise ServerUnreachable("the line went dead")

    monkeypatch.setattr(laptop.server, "push", cut)
    before = laptop.state()
    with pytest.raises(ServerUnreachable):
        await repair(laptop.vault, laptop.server)
    assert laptop.state() == before
    monkeypatch.undo()
    await all_is_right(restored)


async def test_a_device_whose_adding_was_lost_is_added_again(restored: Restored) -> None:
    await restored.site.restore(restored.folder / "newest")
    desk = await link(restored.site, restored.laptop, restored.folder / "desk", "desk")
    try:
        await restored.restore()
        with pytest.raises(Exception, match="kith repair"):
            await desk.sync()
        missing = await look(restored.laptop.vault, restored.laptop.server)
        assert missing is not None
        assert missing.lost_devices == ("desk",)
        await repair(restored.laptop.vault, restored.laptop.server)
        await in_step(restored.laptop, desk)
        assert desk.names == AFTER
        await desk.add("From Desk")
        await in_step(desk, restored.laptop)
        assert "From Desk" in restored.laptop.names
    finally:
        await desk.close()


async def test_a_server_that_goes_back_again_and_again_gains_nothing(restored: Restored) -> None:
    """Each time the device stops, and a device that missed every repair still follows the last."""
    laptop = restored.laptop
    epochs = [laptop.vault.chain.epoch]
    for number in range(3):
        await restored.restore()
        await stands_still(laptop)
        await repair(laptop.vault, laptop.server)
        await laptop.add(f"Round {number}")
        await laptop.sync()
        epochs.append(laptop.vault.chain.epoch)
    assert epochs == sorted(set(epochs))
    await in_step(restored.phone, laptop)
    assert restored.phone.names == sorted([*AFTER, "Round 0", "Round 1", "Round 2"])
    assert len(alarms_told(restored.phone)) == 3


async def test_a_device_opened_anew_stands_where_it_followed(restored: Restored) -> None:
    await repair(restored.laptop.vault, restored.laptop.server)
    await restored.laptop.sync()
    state = restored.laptop.state()
    await restored.laptop.close()
    async with await Device.open(Home(restored.folder / "laptop")) as again:
        assert again.state() == state
        await again.sync()


async def test_a_damaged_copy_is_made_anew_behind_a_repair_and_only_behind_one(restored: Restored) -> None:
    laptop, phone = restored.laptop, restored.phone
    await phone.add("Unsent Phone")
    await phone.close()

    async def no() -> bool:
        return False

    with pytest.raises(Alarm) as raised:
        await rebuild(Home(restored.folder / "phone"), cannot_ask, no)
    assert raised.value.alarm is AlarmCode.ROLLBACK
    await repair(laptop.vault, laptop.server)
    await laptop.sync()
    made = await rebuild(Home(restored.folder / "phone"), cannot_ask, no)
    assert (made.kept, made.lost) == (1, 0)
    async with await Device.open(Home(restored.folder / "phone")) as again:
        await in_step(again, laptop)
        assert again.names == sorted([*AFTER, "Unsent Phone"])
