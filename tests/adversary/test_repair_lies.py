"""Thieves and lying servers and the repair of a restored server: no removal is undone, no old record comes back, no
device is led away from what it verified without a member that it knows."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from kith_client.errors import ServerRefused
from kith_client.lifecycle.repairing import look, repair
from kith_client.sync.building import MembershipStep, adding, build_push
from kith_client.sync.push import commit
from kith_protocol import wire
from kith_protocol.chain import Chain
from kith_protocol.commit import Commit, parse_commit
from kith_protocol.encoding import encode
from kith_protocol.epoch import epoch_commitment, seal_epoch_key
from kith_protocol.errors import Alarm, AlarmCode, KithError, Refused
from kith_protocol.member import MemberKeys, MemberKind
from kith_protocol.phrase import entropy_of, paper_keys
from kith_protocol.suite import KEY_BYTES, NONCE_BYTES
from tests.adversary.restored import AFTER, MAIL, Restored, alarms_told, contact, delete, texts
from tests.adversary.test_repair import all_is_right, in_step, stands_still
from tests.adversary.world import Device
from tests.support.vaults import new_member


async def lost_commits(device: Device, after: int = 0) -> list[Commit]:
    """What `device` verified past commit `after`."""
    found = await device.vault.mirror.commits_at(range(after + 1, device.vault.chain.number + 1))
    return [parse_commit(raw) for raw in found.values()]


def giving_up(
    chain: Chain, old_key: bytes, lost: Iterable[Commit], removed: Iterable[bytes] = (), epoch: int = 0
) -> tuple[MembershipStep, int]:
    """What a repair on `chain` commits, right in every respect but perhaps who signs it and what it leaves out."""
    gone, key = tuple(sorted(removed)), os.urandom(KEY_BYTES)
    epoch = epoch or chain.epoch + 5
    stay = [each.member for id_, each in chain.members.items() if id_ not in gone]
    keys = seal_epoch_key(key, chain.vault, epoch, stay, previous=old_key, nonce=os.urandom(NONCE_BYTES))
    abandoned = tuple(sorted(commit.hash for commit in lost))
    return MembershipStep((), gone, keys, epoch_commitment(epoch, key), abandoned), epoch


async def pushed(by: Device, author: MemberKeys, step: MembershipStep, epoch: int) -> None:
    """`author` commits on the server's head, which `by` has; the restored server takes it for a member's."""
    vault = by.vault
    push = build_push(vault.chain, author, {}, vault.chain.tree, vault.clock(), step=step, epoch=epoch)
    await by.server.push(vault.id, encode(push))


def key_of(device: Device) -> bytes:
    return device.vault.record_keys.epoch_key(device.vault.chain.epoch)


async def test_a_removed_device_cannot_give_up_its_own_removal_on_a_restored_server(restored: Restored) -> None:
    """To the server it is a member, so the server takes the commit; devices that know of the removal do not."""
    tablet, laptop = restored.tablet, restored.laptop
    lost = await lost_commits(laptop, tablet.vault.chain.number)
    await pushed(tablet, tablet.vault.member, *giving_up(tablet.vault.chain, key_of(tablet), lost))
    for device in (laptop, restored.phone):
        await stands_still(device)
    missing = await look(laptop.vault, laptop.server)
    assert missing is not None
    assert missing.removed_devices == ("tablet",)
    assert await repair(laptop.vault, laptop.server)
    await all_is_right(restored)


async def test_nor_can_a_device_that_it_lets_in_and_both_are_removed_by_the_repair(restored: Restored) -> None:
    tablet, laptop, spy = restored.tablet, restored.laptop, new_member()
    await commit(tablet.vault, tablet.server, {}, step=adding(tablet.vault.chain, spy.public, key_of(tablet)))
    lost = await lost_commits(laptop, tablet.vault.chain.number - 1)
    step, epoch = giving_up(tablet.vault.chain, key_of(tablet), lost, [tablet.vault.member.id])
    await pushed(tablet, spy, step, epoch)
    for device in (laptop, restored.phone):
        await stands_still(device)
    assert await repair(laptop.vault, laptop.server)
    await all_is_right(restored)
    assert spy.id in laptop.vault.chain.removed


async def test_what_a_removed_device_wrote_on_the_restored_server_counts_for_nothing(restored: Restored) -> None:
    tablet = restored.tablet
    await tablet.sync()
    await tablet.add("Eve Evil")
    await tablet.set(contact(tablet, "Carla Ruiz"), "fn", "Carla Forged")
    await delete(tablet, "Kept Ever")
    await tablet.set(contact(tablet, "Hugo Blum"), "note", "brought back")
    await tablet.sync()
    assert await repair(restored.laptop.vault, restored.laptop.server)
    await all_is_right(restored)
    await in_step(restored.late, restored.laptop)
    assert restored.late.names == AFTER


async def test_a_repair_that_leaves_a_removed_device_in_is_not_followed(restored: Restored) -> None:
    """The author had not seen the removal; whoever has repairs again."""
    late, laptop = restored.late, restored.laptop
    lost = await lost_commits(laptop, late.vault.chain.number)
    await pushed(late, late.vault.member, *giving_up(late.vault.chain, key_of(late), lost))
    await stands_still(laptop)
    with pytest.raises(Alarm, match="removed device in again"):
        await laptop.sync()
    assert await repair(laptop.vault, laptop.server)
    await all_is_right(restored)


async def test_a_repair_that_does_not_name_everything_is_not_followed(restored: Restored) -> None:
    late, laptop = restored.late, restored.laptop
    lost = await lost_commits(laptop, late.vault.chain.number)
    step, epoch = giving_up(late.vault.chain, key_of(late), lost[:-1], [restored.tablet.vault.member.id])
    await pushed(late, late.vault.member, step, epoch)
    await stands_still(laptop)
    assert await repair(laptop.vault, laptop.server)
    await all_is_right(restored)


async def test_a_repair_whose_epoch_was_seen_before_is_not_followed(restored: Restored) -> None:
    late, laptop = restored.late, restored.laptop
    lost = await lost_commits(laptop, late.vault.chain.number)
    gone = [restored.tablet.vault.member.id]
    await pushed(late, late.vault.member, *giving_up(late.vault.chain, key_of(late), lost, gone, epoch=2))
    assert laptop.vault.chain.epoch == 2
    await stands_still(laptop)


@pytest.mark.parametrize("written", ["another record", "another text", "deleted"])
async def test_whoever_writes_a_repair_cannot_keep_it_from_being_told(restored: Restored, written: str) -> None:
    evil, laptop = restored.phone, restored.laptop
    assert await repair(evil.vault, evil.server)
    (made,) = [each for each in await lost_commits(evil) if each.body.abandoned]
    place, stamp = made.hash[:16], evil.vault.stamp()
    issue = evil.vault.contents[place]
    contents = {
        "another record": stamp.content("circle", {"name": "x"}),
        "another text": stamp.content("issue", {"kind": "alarm", "text": "all is well", "about": place}),
        "deleted": None,
    }
    await evil.vault.mirror.drop_drafts(list(await evil.vault.mirror.drafts()))
    await commit(evil.vault, evil.server, await evil.vault.seal_drafts({place: issue}))
    await commit(evil.vault, evil.server, await evil.vault.seal_drafts({place: contents[written]}))
    told = [text for text in (await laptop.sync()).issues if "3 commits" in text and "'phone'" in text]
    assert len(told) == 1
    assert told[0] in alarms_told(laptop)
    assert [event for event in await laptop.vault.events() if "repaired" in event.what]
    assert (await laptop.sync()).issues == []


async def test_the_paper_key_repairs_like_any_member(restored: Restored) -> None:
    late, laptop = restored.late, restored.laptop
    lost = await lost_commits(laptop, late.vault.chain.number)
    gone = [restored.tablet.vault.member.id]
    paper = paper_keys(entropy_of(restored.phrase))
    await pushed(late, paper, *giving_up(late.vault.chain, key_of(late), lost, gone))
    await all_is_right(restored)


async def test_a_server_cannot_take_a_device_back_behind_a_repair_that_it_followed(restored: Restored) -> None:
    """The lost commits turn up again: a server that had only pretended."""
    await repair(restored.laptop.vault, restored.laptop.server)
    await in_step(restored.laptop, restored.phone)
    await restored.site.restore(restored.folder / "newest")
    for device in (restored.laptop, restored.phone):
        await stands_still(device, AlarmCode.FORK)


async def test_a_server_that_lets_two_devices_repair_apart_leads_none_from_one_to_the_other(
    restored: Restored,
) -> None:
    """Each sees its own repair only; where the histories meet, the alarm is raised, and one more repair joins them."""
    laptop, phone = restored.laptop, restored.phone
    await repair(laptop.vault, laptop.server)
    await laptop.add("Only Laptop")
    await laptop.sync()
    await restored.restore()
    await repair(phone.vault, phone.server)
    await phone.add("Only Phone")
    await phone.sync()
    await stands_still(laptop, AlarmCode.FORK)
    assert await repair(laptop.vault, laptop.server)
    await in_step(laptop, phone)
    assert phone.names == sorted([*AFTER, "Only Laptop", "Only Phone"])


async def test_a_server_that_withholds_what_followed_the_repair_takes_nothing_from_the_other_device(
    restored: Restored,
) -> None:
    """It shows the old records with the repair on top, and nothing more: the phone keeps what it has."""
    laptop, phone = restored.laptop, restored.phone
    await repair(laptop.vault, laptop.server)
    await phone.sync()
    assert phone.names == AFTER
    assert MAIL in texts(phone, "Carla Ruiz")


def without_lists(frames: list[wire.Frame]) -> list[wire.Frame]:
    """A whole feed as from a server that claims to have forgotten every list of changes; another as it is."""
    commits = [frame for frame in frames if isinstance(frame, wire.FeedCommit)]
    if not commits or parse_commit(commits[0].commit).body.number:
        return frames
    return [wire.FeedCommit(each.commit, each.keys, b"") if each in commits else each for each in frames]


async def test_a_server_that_hides_who_deleted_what_does_not_make_a_thiefs_deletion_count(restored: Restored) -> None:
    tablet, laptop = restored.tablet, restored.laptop
    await tablet.sync()
    await delete(tablet, "Kept Ever")
    await tablet.sync()
    restored.site.proxy.feed = without_lists
    assert await repair(laptop.vault, laptop.server)
    assert laptop.names == AFTER
    restored.site.proxy.be_honest()
    await all_is_right(restored)


async def test_a_lie_in_the_shown_history_is_the_first_alarm_and_changes_nothing(restored: Restored) -> None:
    """A record is left out of the whole feed, which a repair makes the device ask for."""
    laptop, phone = restored.laptop, restored.phone
    await repair(laptop.vault, laptop.server)
    await laptop.sync()
    before = phone.state()
    restored.site.proxy.feed = lambda frames: [f for f in frames if not isinstance(f, wire.FeedRecords)]
    with pytest.raises(Alarm) as raised:
        await phone.sync()
    assert raised.value.alarm in (AlarmCode.ROLLBACK, AlarmCode.FORK)
    assert phone.state() == before
    restored.site.proxy.be_honest()
    await all_is_right(restored)


async def test_a_device_that_was_removed_on_the_restored_server_cannot_repair_and_says_what_helps(
    restored: Restored,
) -> None:
    """The removed tablet removes everybody on the old history: only the phrase, or another server, helps then."""
    tablet, laptop = restored.tablet, restored.laptop
    others = [laptop.vault.member.id, restored.phone.vault.member.id]
    step, epoch = giving_up(tablet.vault.chain, key_of(tablet), [], others)
    await pushed(tablet, tablet.vault.member, step, epoch)
    before = laptop.state()
    for attempt in (laptop.sync, lambda: look(laptop.vault, laptop.server)):
        with pytest.raises(KithError) as refused:
            await attempt()
        assert isinstance(refused.value, ServerRefused | Alarm)
    assert laptop.state() == before


async def test_where_the_phrase_was_changed_in_what_was_lost_nobody_repairs(restored: Restored) -> None:
    """The old phrase rules the old history, and is worthless to whoever knows that it was replaced."""
    laptop, old, new = restored.laptop, paper_keys(entropy_of(restored.phrase)), new_member(MemberKind.PAPER)
    await restored.site.restore(restored.folder / "newest")
    chain, key = laptop.vault.chain, os.urandom(KEY_BYTES)
    stay = [each.member for id_, each in chain.members.items() if id_ != old.id]
    nonce = os.urandom(NONCE_BYTES)
    keys = seal_epoch_key(key, chain.vault, chain.epoch + 1, [*stay, new.public], previous=key_of(laptop), nonce=nonce)
    replaced = MembershipStep((new.public,), (old.id,), keys, epoch_commitment(chain.epoch + 1, key))
    await pushed(laptop, old, replaced, chain.epoch + 1)
    await laptop.sync()
    await restored.restore()
    lost = await lost_commits(laptop, restored.late.vault.chain.number)
    gone = [restored.tablet.vault.member.id]
    await pushed(restored.late, old, *giving_up(restored.late.vault.chain, key_of(restored.late), lost, gone))
    await stands_still(laptop)
    before = laptop.state()
    with pytest.raises(Refused, match="phrase was changed") as refused:
        await repair(laptop.vault, laptop.server)
    assert refused.value.code == "phrase-changed"
    assert laptop.state() == before
