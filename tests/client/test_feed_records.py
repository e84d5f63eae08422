"""Records swapped, left out or of the wrong epoch, and damaged parts of a feed, are noticed (spec: home-server.md)."""

from __future__ import annotations

import msgspec
import pytest

from kith_client.sync import feed
from kith_client.sync.feed import FeedVerifier
from kith_protocol import wire
from kith_protocol.commit import sign_commit
from kith_protocol.encoding import encode
from kith_protocol.epoch import encode_keys
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.recordheader import header
from tests.client.feeds import (
    PHONE,
    Frames,
    alarm,
    going_on,
    hashes_at,
    joining,
    lying_step,
    replaced,
    story,
)
from tests.protocol.test_member import SMALL_ORDER
from tests.protocol.vaults import Step, Story, feed_of, genesis_body, id_of, keys_of, note, without_sealing

# record-swapped


def test_two_records_in_each_others_place_are_noticed() -> None:
    told = Story(seal=without_sealing)
    told.put(carla="one", dora="two")

    def swap(frame: wire.FeedRecords) -> wire.Frame:
        ids, blobs = [record for record, _ in frame.records], [blob for _, blob in frame.records]
        return wire.FeedRecords(tuple(zip(ids, reversed(blobs), strict=True)))

    assert alarm(joining(told, 0), replaced(feed_of(told), wire.FeedRecords, swap)) is AlarmCode.RECORD_SWAPPED
    hidden = replaced(feed_of(told, horizon=1), wire.FeedRecords, swap)
    assert alarm(joining(told, 0), hidden) is AlarmCode.RECORD_MISSING, "the tree is what notices it"


def test_an_old_version_of_a_record_in_place_of_the_new_one_is_noticed() -> None:
    told = story()
    old = told.steps[2].records[id_of("carla")]
    for verifier, frames in ((joining(told), feed_of(told)), (going_on(told, 2), feed_of(told, 2))):
        swapped = replaced(frames, wire.FeedRecords, lambda _: wire.FeedRecords(((id_of("carla"), old),)))
        assert alarm(verifier, swapped) is AlarmCode.RECORD_SWAPPED


def test_a_record_that_no_commit_wrote_is_noticed() -> None:
    told = story()
    extra = wire.FeedRecords(((id_of("mallory"), told.record(id_of("mallory"), note("planted"))),))
    for place in range(2, 6):
        frames = feed_of(told)
        assert alarm(joining(told), [*frames[:place], extra, *frames[place:]]) is AlarmCode.RECORD_SWAPPED
    hidden = feed_of(told, horizon=4)
    assert alarm(joining(told), [*hidden[:-1], extra, hidden[-1]]) is AlarmCode.RECORD_MISSING


def test_a_deleted_record_that_comes_back_is_noticed() -> None:
    told = story()
    dora = wire.FeedRecords(((id_of("dora"), told.steps[2].records[id_of("dora")]),))
    frames = feed_of(told)
    assert alarm(joining(told), [*frames[:-1], dora, frames[-1]]) is AlarmCode.RECORD_SWAPPED
    hidden = feed_of(told, horizon=4)
    at = hidden.index(next(frame for frame in hidden if isinstance(frame, wire.FeedRecords)))
    assert alarm(joining(told), [*hidden[:at], dora, *hidden[at:]]) is AlarmCode.RECORD_MISSING


def test_records_before_any_commit_are_noticed() -> None:
    told = story()
    head, *_ = feed_of(told, 4)
    records = wire.FeedRecords(tuple(told.records.items()))
    assert alarm(going_on(told, 4), [head, records]) is AlarmCode.RECORD_SWAPPED


def test_a_change_list_that_is_not_the_commits_own_is_noticed() -> None:
    told = story()
    for changes in (b"", encode(told.steps[2].changes)):

        def turn(frame: wire.FeedCommit, changes: bytes = changes) -> wire.Frame:
            return wire.FeedCommit(frame.commit, frame.keys, changes)

        lying = replaced(feed_of(told, 2), wire.FeedCommit, turn)
        assert alarm(going_on(told, 2), lying) is AlarmCode.RECORD_SWAPPED


def test_a_damaged_commit_is_noticed() -> None:
    told = story()
    cut = replaced(
        feed_of(told, 2), wire.FeedCommit, lambda frame: wire.FeedCommit(frame.commit[:70], frame.keys, frame.changes)
    )
    assert alarm(going_on(told, 2), cut) is AlarmCode.RECORD_SWAPPED


def test_a_first_commit_with_an_unusable_key_is_noticed() -> None:
    weak = msgspec.structs.replace(Story(seal=without_sealing).paper.public, sign_key=SMALL_ORDER)
    device = keys_of("anna-laptop")
    sealed = without_sealing(b"", b"", 1, (device.public, weak))
    commit = sign_commit(genesis_body(device.public, weak, bytes(32), sealed), device.sign)
    frames: Frames = [wire.FeedHead(0, commit.hash, 0), wire.FeedCommit(commit.raw, encode_keys(sealed), b"")]
    assert alarm(FeedVerifier(commit.hash, (0, commit.hash)), frames) is AlarmCode.RECORD_SWAPPED


def test_a_record_too_short_to_be_one_is_noticed() -> None:
    told = story()
    lying = replaced(
        feed_of(told, horizon=4), wire.FeedRecords, lambda _: wire.FeedRecords(((id_of("carla"), b"\x01\x00"),))
    )
    assert alarm(joining(told), lying) is AlarmCode.RECORD_SWAPPED


# record-missing


def test_a_record_left_out_is_noticed() -> None:
    told = story()
    for frames, verifier in ((feed_of(told), joining(told)), (feed_of(told, 2), going_on(told, 2))):
        without = [frame for frame in frames if not isinstance(frame, wire.FeedRecords)]
        assert alarm(verifier, without, hashes_at(told, 2) if verifier.chain else None) is AlarmCode.RECORD_MISSING


def test_a_record_left_out_is_named_before_the_tree_is_counted() -> None:
    told = story()
    verifier = joining(told)
    for frame in feed_of(told):
        if not isinstance(frame, wire.FeedRecords):
            verifier.take(frame)
    with pytest.raises(Alarm, match="that commit 3 wrote") as caught:
        verifier.finish()
    assert caught.value.alarm is AlarmCode.RECORD_MISSING


def test_a_record_left_out_behind_the_horizon_is_noticed() -> None:
    told = story()
    without = [frame for frame in feed_of(told, horizon=4) if not isinstance(frame, wire.FeedRecords)]
    assert alarm(joining(told), without) is AlarmCode.RECORD_MISSING


def test_the_last_commits_left_out_are_noticed() -> None:
    told = story()
    frames = feed_of(told, 2)
    short = [frames[0], *frames[1:3], wire.FeedEnd(4)]
    assert alarm(going_on(told, 2), short, hashes_at(told, 2)) is AlarmCode.RECORD_MISSING


def test_a_feed_that_brings_nothing_to_a_new_device_is_noticed() -> None:
    told = story()
    head, *_, end = feed_of(told)
    assert alarm(joining(told), [head, end]) is AlarmCode.RECORD_MISSING


def test_a_feed_without_its_head_is_noticed() -> None:
    told = story()
    assert alarm(going_on(told, 2), feed_of(told, 2)[1:], hashes_at(told, 2)) is AlarmCode.RECORD_MISSING


# wrong-epoch


def test_a_record_of_another_epoch_than_its_commit_is_noticed() -> None:
    told = story()
    told.remove(PHONE)
    old = told.record(id_of("carla"), note("under the key that the phone has"), epoch=1)
    step = told.make(records={id_of("carla"): old})
    assert alarm(going_on(told, 5), lying_step(told, step)) is AlarmCode.WRONG_EPOCH


def test_a_removal_that_keeps_the_old_key_is_noticed() -> None:
    told = story()
    assert alarm(going_on(told, 4), lying_step(told, told.make(removed=(PHONE.id,)))) is AlarmCode.WRONG_EPOCH


def test_sealed_keys_exchanged_by_the_server_are_noticed() -> None:
    told = story()
    honest = told.make_removing(PHONE)
    mine = without_sealing(bytes(32), told.vault, 2, [told.device.public], previous=bytes(32), nonce=bytes(24))
    assert alarm(going_on(told, 4), lying_step(told, Step(honest.commit, mine))) is AlarmCode.WRONG_EPOCH


# downgrade


def test_a_commit_of_another_suite_is_noticed() -> None:
    told = story()
    for suite in (0, 2):
        step = told.make(suite=suite)
        assert alarm(going_on(told, 4), lying_step(told, step)) is AlarmCode.DOWNGRADE


def test_a_record_of_another_suite_is_noticed() -> None:
    told = story()
    step = told.make(records={id_of("carla"): header(0, 1) + told.records[id_of("carla")][5:]})
    assert alarm(going_on(told, 4), lying_step(told, step)) is AlarmCode.DOWNGRADE


# What costs a server nothing may not come for ever


def test_a_second_head_an_empty_part_and_a_record_sent_twice_are_noticed() -> None:
    told = story()
    head, *frames, end = feed_of(told)
    place = next(number for number, frame in enumerate(frames) if isinstance(frame, wire.FeedRecords))
    for lying in (
        [head, head, *frames, end],
        [head, *frames, wire.FeedRecords(()), end],
        [head, *frames[: place + 1], frames[place], *frames[place + 1 :], end],
    ):
        assert alarm(joining(told), lying) is AlarmCode.RECORD_SWAPPED


def test_more_records_than_a_commit_can_write_are_noticed_also_behind_the_horizon() -> None:
    told = story()
    head, genesis, *_ = feed_of(told, horizon=4)
    flood = [(number.to_bytes(16, "big"), header(1, 1) + number.to_bytes(4, "big")) for number in range(1001)]
    verifier = joining(told)
    for frame in (head, genesis, wire.FeedRecords(tuple(flood[:1000]))):
        verifier.take(frame)
    assert alarm(verifier, [wire.FeedRecords(tuple(flood[1000:]))]) is AlarmCode.RECORD_SWAPPED


def test_what_was_staged_knows_its_size() -> None:
    told = story()
    verifier = joining(told)
    sizes = [verifier.take(frame).size for frame in feed_of(told)]
    steps = [len(step.commit.raw) + len(encode(step.keys)) for step in told.steps]
    record = len(told.records[id_of("carla")])
    assert sizes == [0, *steps[:4], record, steps[4], 0]


def test_more_bytes_than_a_commit_can_write_are_noticed_also_behind_the_horizon() -> None:
    """Nothing speaks for such records before the end, and they go to the disk until then."""
    told = story()
    head, genesis, *_ = feed_of(told, horizon=4)
    large = header(1, 1) + bytes(1024 * 1024)
    parts = [wire.FeedRecords(((number.to_bytes(16, "big"), large),)) for number in range(16)]
    assert alarm(joining(told), [head, genesis, *parts]) is AlarmCode.RECORD_SWAPPED


def test_more_bytes_than_a_vault_can_hold_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = story()
    monkeypatch.setattr(feed, "MAX_UNLISTED_BYTES", 100)
    assert alarm(joining(told), feed_of(told, horizon=4)) is AlarmCode.RECORD_SWAPPED
