"""Which epochs a device can read, from the commits alone (spec: vault.md, Epochs)."""

from __future__ import annotations

from pathlib import Path

import pytest

from kith_client.store.epoch_keys import open_epochs
from kith_client.store.mirror import AcceptedPush, Mirror
from kith_protocol.epoch import NO_KEYS, SealedKeys, encode_keys, seal_epoch_key
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.member import MemberKeys
from tests.protocol.people import fixed
from tests.protocol.vaults import Story, keys_of

PHONE, TABLET, LATE = keys_of("phone"), keys_of("tablet"), keys_of("late")


def story() -> Story:
    """Three epochs: the phone is removed, then the tablet; a late device comes in the third."""
    told = Story()
    told.add(PHONE)
    told.add(TABLET)
    told.remove(PHONE)
    told.remove(TABLET)
    told.add(LATE)
    return told


def opened(told: Story, member: MemberKeys, upto: int | None = None) -> dict[int, bytes]:
    return open_epochs(told.vault, commits_of(told)[:upto], member, dict(told.chain.commitments))


def test_every_member_reads_all_epochs_also_those_before_it_came() -> None:
    told = story()
    for member in (told.device, told.paper, LATE):
        assert opened(told, member) == told.epoch_keys


def test_a_removed_device_reads_nothing_newer_than_its_removal() -> None:
    told = story()
    assert opened(told, TABLET, 4) == {epoch: told.epoch_keys[epoch] for epoch in (1, 2)}
    for removed in (PHONE, TABLET):
        with pytest.raises(Alarm) as caught:
            opened(told, removed)
        assert caught.value.alarm is AlarmCode.WRONG_EPOCH


def test_a_stranger_reads_nothing() -> None:
    with pytest.raises(Alarm):
        opened(story(), keys_of("stranger"))


def test_no_commits_give_no_keys() -> None:
    assert open_epochs(fixed("vault"), [], PHONE, {}) == {}


def test_a_key_exchanged_for_another_is_noticed() -> None:
    told = story()
    commits = commits_of(told)
    planted = seal_epoch_key(fixed("servers key"), told.vault, 3, [LATE.public])
    commits[-1] = (commits[-1][0], encode_keys(planted))
    with pytest.raises(Alarm, match="cannot be read here"):
        open_epochs(told.vault, commits, LATE, dict(told.chain.commitments))


def test_a_link_exchanged_for_another_is_noticed_by_those_too_who_need_it_not() -> None:
    told = story()
    commits = commits_of(told)
    commits[4] = (commits[4][0], encode_keys(SealedKeys(told.steps[4].keys.keys, link(told, 3, fixed("no key")))))
    for member in (told.device, LATE):
        with pytest.raises(Alarm, match="cannot be read here"):
            open_epochs(told.vault, commits, member, dict(told.chain.commitments))


def test_an_older_epoch_that_does_not_open_is_passed_over_once_its_author_is_gone() -> None:
    """The tablet's epoch is garbage; the laptop removes the tablet and links to the epoch before."""
    told = Story()
    for member in (PHONE, TABLET):
        told.add(member)
    told.remove(PHONE, author=TABLET)
    told.remove(TABLET)
    told.add(LATE)
    commits = commits_of(told)
    garbage = seal_epoch_key(fixed("garbage"), told.vault, 2, [told.device.public])
    commits[3] = (commits[3][0], encode_keys(SealedKeys(garbage.keys, told.steps[3].keys.previous)))
    commits[4] = (
        commits[4][0],
        encode_keys(SealedKeys(told.steps[4].keys.keys, link(told, 3, told.epoch_keys[1]))),
    )
    for member in (told.device, LATE):
        found = open_epochs(told.vault, commits, member, dict(told.chain.commitments))
        assert found == {epoch: told.epoch_keys[epoch] for epoch in (1, 3)}


def test_a_link_that_passes_over_the_epoch_of_a_device_that_stays_is_noticed() -> None:
    """Else any member could cut later devices off from what was written before."""
    told = story()
    commits = commits_of(told)
    commits[4] = (
        commits[4][0],
        encode_keys(SealedKeys(told.steps[4].keys.keys, link(told, 3, told.epoch_keys[1]))),
    )
    for member in (told.device, LATE):
        with pytest.raises(Alarm):
            open_epochs(told.vault, commits, member, dict(told.chain.commitments))


def test_commits_without_keys_are_not_needed() -> None:
    told = story()
    told.put(note="hello")
    commits = [pair for pair in commits_of(told) if len(pair[1]) > len(encode_keys(NO_KEYS))]
    assert len(commits) == len(told.steps) - 1
    assert open_epochs(told.vault, commits, LATE, dict(told.chain.commitments)) == told.epoch_keys


async def test_the_mirror_gives_only_commits_that_bring_keys(tmp_path: Path) -> None:
    told = story()
    for number in range(20):
        told.put(note=str(number))
    rows = [(number, step.commit.raw, encode_keys(step.keys)) for number, step in enumerate(told.steps)]
    mirror = await Mirror.open(tmp_path / "mirror.sqlite")
    try:
        await mirror.apply_push(AcceptedPush(b"chain", {}, rows, []))
        assert await mirror.commits_with_keys() == [row[1:] for row in rows[:6]]
    finally:
        await mirror.close()


def commits_of(told: Story) -> list[tuple[bytes, bytes]]:
    return [(step.commit.raw, encode_keys(step.keys)) for step in told.steps]


def link(told: Story, epoch: int, key: bytes) -> bytes:
    """What an epoch's author writes who links it to `key`."""
    own = told.epoch_keys[epoch]
    return seal_epoch_key(own, told.vault, epoch, (), previous=key, nonce=bytes(24)).previous
