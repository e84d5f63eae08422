"""Which epochs a device can read, from the commits alone (spec: vault.md, Epochs)."""

from __future__ import annotations

import pytest

from kith_client.epoch_keys import open_epochs
from kith_protocol.epoch import SealedKeys, encode_keys, seal_epoch_key
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
    commits = [(step.commit.raw, encode_keys(step.keys)) for step in told.steps[:upto]]
    return open_epochs(told.vault, commits, member, dict(told.chain.commitments))


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
    commits = [(step.commit.raw, encode_keys(step.keys)) for step in told.steps]
    planted = seal_epoch_key(fixed("servers key"), told.vault, 3, [LATE.public])
    commits[-1] = (commits[-1][0], encode_keys(planted))
    with pytest.raises(Alarm, match="not the one that the chain names"):
        open_epochs(told.vault, commits, LATE, dict(told.chain.commitments))


def test_an_older_key_exchanged_for_another_is_noticed() -> None:
    told = story()
    commits = [(step.commit.raw, encode_keys(step.keys)) for step in told.steps]
    key = told.epoch_keys[3]
    link = seal_epoch_key(key, told.vault, 3, (), previous=fixed("servers key"), nonce=bytes(24)).previous
    commits[4] = (commits[4][0], encode_keys(SealedKeys(told.steps[4].keys.keys, link)))
    with pytest.raises(Alarm, match="epoch 2 is not the one"):
        open_epochs(told.vault, commits, LATE, dict(told.chain.commitments))
