"""Feeds of an honest server are taken; rollbacks, forks, replays and strangers are noticed (spec: home-server.md)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_client.sync.feed import FeedVerifier, Staged
from kith_protocol import wire
from kith_protocol.commit import sign_commit
from kith_protocol.epoch import encode_keys
from kith_protocol.errors import Alarm, AlarmCode, KithError
from kith_protocol.suite import HASH_BYTES, digest
from tests.client.feeds import (
    PHONE,
    STRANGER,
    Frames,
    alarm,
    follow,
    going_on,
    hashes_at,
    joining,
    known,
    lying_step,
    replaced,
    story,
)
from tests.protocol.vaults import Step, Story, feed_of, id_of, keys_of, note, without_sealing

# An honest server


def test_a_new_device_takes_the_whole_vault() -> None:
    told = story()
    verifier = joining(told)
    assert follow(verifier, feed_of(told)) == told.chain
    assert verifier.cursor == 4
    assert verifier.total == 1


@pytest.mark.parametrize("number", range(5))
def test_a_device_goes_on_from_where_it_was(number: int) -> None:
    told = story()
    assert follow(going_on(told, number), feed_of(told, number), hashes_at(told, number)) == told.chain


@pytest.mark.parametrize("horizon", range(5))
def test_a_whole_vault_is_verified_by_its_tree_where_change_lists_are_gone(horizon: int) -> None:
    told = story()
    assert follow(joining(told), feed_of(told, horizon=horizon)) == told.chain


def test_what_arrives_is_staged_commit_by_commit() -> None:
    told = story()
    verifier, staged = joining(told), Staged()
    for frame in feed_of(told):
        more = verifier.take(frame)
        staged.commits += more.commits
        staged.records += more.records
    assert [number for number, _, _ in staged.commits] == [0, 1, 2, 3, 4]
    assert [raw for _, raw, _ in staged.commits] == [step.commit.raw for step in told.steps]
    held = told.records[id_of("carla")]
    assert staged.records == [(id_of("carla"), digest(held), held, 3), (id_of("dora"), b"", None, 4)]


def test_commits_that_come_while_the_feed_runs_are_taken_with_a_second_feed() -> None:
    told = story()
    head, *frames, end = feed_of(told)
    verifier = joining(told)
    told.put(emil="new")
    for frame in [head, *frames, wire.FeedEnd(5)]:
        verifier.take(frame)
    assert isinstance(end, wire.FeedEnd)
    for frame in feed_of(told, verifier.cursor):
        verifier.take(frame)
    assert verifier.finish() == told.chain


def test_a_record_that_is_replaced_while_the_feed_runs_need_not_come_twice() -> None:
    told = Story(seal=without_sealing)
    told.put(carla="one")
    later = told.fork()
    later.write({id_of("carla"): later.record(id_of("carla"), note("two"))})
    frames = [feed_of(told)[0], *feed_of(later)[1:]]
    assert follow(joining(told, 0), frames) == later.chain


def test_a_horizon_that_moves_while_the_feed_runs_is_no_alarm() -> None:
    told = Story(seal=without_sealing)
    told.put(carla="one", dora="two")
    told.delete("dora")
    told.write({id_of("carla"): told.record(id_of("carla"), note("three"))})
    frames = feed_of(told)
    for place, frame in enumerate(frames):
        if isinstance(frame, wire.FeedCommit) and frame.commit in {step.commit.raw for step in told.steps[2:]}:
            frames[place] = wire.FeedCommit(frame.commit, frame.keys, b"")
    assert follow(joining(told, 0), frames) == told.chain


def test_nothing_new_is_no_alarm() -> None:
    told = story()
    assert follow(going_on(told, 4), feed_of(told, 4), hashes_at(told, 4)) == told.chain


# rollback


def test_a_server_that_was_put_back_to_an_earlier_day_is_noticed() -> None:
    told = story()
    earlier = story().fork()
    earlier.steps, earlier.chain = told.steps[:3], known(told, 2)
    assert alarm(going_on(told, 4), feed_of(earlier, 4)) is AlarmCode.ROLLBACK
    assert alarm(joining(told, 4), feed_of(earlier)) is AlarmCode.ROLLBACK


def test_a_server_that_forgets_what_it_sent_a_moment_ago_is_noticed() -> None:
    told = story()
    verifier = going_on(told, 1)
    follow(verifier, feed_of(told, 1), hashes_at(told, 1))
    assert alarm(verifier, [wire.FeedHead(3, told.steps[3].commit.hash, 0)]) is AlarmCode.ROLLBACK


def test_a_feed_that_ends_before_what_is_known_is_noticed_also_without_its_head() -> None:
    told = story()
    assert alarm(going_on(told, 4), [wire.FeedEnd(3)]) is AlarmCode.ROLLBACK
    assert alarm(joining(told, 4), [wire.FeedEnd(3)]) is AlarmCode.ROLLBACK
    head = feed_of(told)[0]
    assert alarm(going_on(told, 4), [head, wire.FeedEnd(3)]) is AlarmCode.ROLLBACK


def test_a_head_that_is_too_old_or_another_is_refused_before_anything_is_fetched() -> None:
    told = story()
    heads = {AlarmCode.ROLLBACK: wire.FeedHead(3, told.steps[3].commit.hash, 0)}
    heads[AlarmCode.FORK] = wire.FeedHead(4, bytes(HASH_BYTES), 0)
    for code, head in heads.items():
        for verifier in (going_on(told, 4), joining(told, 4)):
            with pytest.raises(Alarm) as caught:
                verifier.take(head)
            assert caught.value.alarm is code


# fork


def forked(at: int) -> tuple[Story, Story]:
    """Two histories that are the same up to commit `at`; the second was told differently from there."""
    told = story()
    other = Story(seal=without_sealing)
    for step in told.steps[1 : at + 1]:
        other.take(step)
    while other.chain.number < 5:
        other.put(emil=f"another history {other.chain.number}")
    return told, other


def test_a_server_that_shows_another_history_is_noticed() -> None:
    told, other = forked(3)
    assert alarm(going_on(told, 4), feed_of(other, 4)) is AlarmCode.FORK
    assert alarm(joining(told, 4), feed_of(other)) is AlarmCode.FORK


def test_a_head_of_the_same_number_that_is_another_commit_is_noticed() -> None:
    told = story()
    assert alarm(going_on(told, 4), [wire.FeedHead(4, bytes(HASH_BYTES), 0), wire.FeedEnd(4)]) is AlarmCode.FORK


def test_a_head_that_the_commits_do_not_lead_to_is_noticed() -> None:
    told = story()
    lying = replaced(feed_of(told, 2), wire.FeedHead, lambda _: wire.FeedHead(4, bytes(HASH_BYTES), 1))
    assert alarm(going_on(told, 2), lying, hashes_at(told, 2)) is AlarmCode.FORK


def test_another_vault_in_place_of_mine_is_noticed() -> None:
    told, other = story(), Story("mallory", seal=without_sealing)
    while other.chain.number < 4:
        other.take(other.make())
    assert alarm(joining(told), feed_of(other)) is AlarmCode.FORK
    assert alarm(going_on(told, 4), [feed_of(told)[0], *feed_of(other, 3)[1:]]) is AlarmCode.REPLAYED_PAGE
    told.take(told.make())
    other.take(other.make())
    assert alarm(going_on(told, 4), [feed_of(told)[0], *feed_of(other, 4)[1:]]) is AlarmCode.FORK


def test_another_vaults_first_commit_is_refused_before_it_is_staged() -> None:
    told, other = story(), Story("mallory", seal=without_sealing)
    with pytest.raises(Alarm) as caught:
        joining(told, 4).take(feed_of(other)[1])
    assert caught.value.alarm is AlarmCode.FORK


def test_a_history_that_begins_in_the_middle_is_noticed() -> None:
    told = story()
    assert alarm(joining(told), feed_of(told, 0)) is AlarmCode.FORK


def test_a_history_with_a_commit_left_out_is_noticed() -> None:
    told = story()
    frames = feed_of(told, 1)
    place = next(n for n, frame in enumerate(frames) if getattr(frame, "commit", b"") == told.steps[3].commit.raw)
    assert isinstance(frames[place + 1], wire.FeedRecords)
    assert alarm(going_on(told, 1), [*frames[:place], *frames[place + 2 :]]) is AlarmCode.FORK
    assert alarm(going_on(told, 1), [*frames[:place], *frames[place + 1 :]]) is AlarmCode.RECORD_SWAPPED


# replayed-page


def test_a_page_that_is_sent_twice_is_noticed() -> None:
    told = story()
    head, *frames, end = feed_of(told, 2)
    assert alarm(going_on(told, 2), [head, *frames, *frames, end]) is AlarmCode.REPLAYED_PAGE


def test_an_old_page_in_place_of_what_follows_is_noticed() -> None:
    told = story()
    assert alarm(going_on(told, 3), [feed_of(told)[0], *feed_of(told, 1)[1:]]) is AlarmCode.REPLAYED_PAGE


# unknown-member


def test_a_commit_by_somebody_who_is_no_member_is_noticed() -> None:
    told = story()
    assert alarm(going_on(told, 4), lying_step(told, told.make(STRANGER))) is AlarmCode.UNKNOWN_MEMBER


def test_a_commit_by_a_removed_device_is_noticed() -> None:
    told = story()
    told.remove(PHONE)
    assert alarm(going_on(told, 5), lying_step(told, told.make(PHONE))) is AlarmCode.UNKNOWN_MEMBER


def test_a_commit_with_a_forged_signature_is_noticed() -> None:
    told = story()
    forged = Step(sign_commit(told.make().commit.body, STRANGER.sign))
    assert alarm(going_on(told, 4), lying_step(told, forged)) is AlarmCode.UNKNOWN_MEMBER


def test_a_server_that_adds_a_member_is_noticed() -> None:
    told = story()
    body = told.make_adding(STRANGER).commit.body
    keys = told.make_adding(STRANGER).keys
    forged = Step(sign_commit(body, STRANGER.sign), keys)
    assert alarm(going_on(told, 4), lying_step(told, forged)) is AlarmCode.UNKNOWN_MEMBER


def test_a_device_that_replaces_the_paper_key_is_noticed() -> None:
    told = story()
    step = told.make_removing(told.paper, author=PHONE, added=(keys_of("mallory"),))
    assert alarm(going_on(told, 4), lying_step(told, step)) is AlarmCode.UNKNOWN_MEMBER


def test_a_first_commit_that_its_device_did_not_sign_is_noticed() -> None:
    told = Story(seal=without_sealing)
    step = told.steps[0]
    forged = sign_commit(step.commit.body, STRANGER.sign)
    frames: Frames = [wire.FeedHead(0, forged.hash, 0), wire.FeedCommit(forged.raw, encode_keys(step.keys), b"")]
    assert alarm(FeedVerifier(forged.hash, (0, forged.hash)), frames) is AlarmCode.UNKNOWN_MEMBER


# All lies at once


@given(st.data())
def test_a_feed_with_anything_changed_is_refused_or_leads_to_the_same_vault(data: st.DataObject) -> None:
    """Dropping, doubling, moving or altering frames cannot make a device believe another vault."""
    told = STORY
    frames = feed_of(told, horizon=data.draw(st.sampled_from([-1, 2])))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(frames) - 1))
        match data.draw(st.sampled_from(["drop", "double", "move", "alter"])):
            case "drop" if len(frames) > 1:
                del frames[place]
            case "double":
                frames.insert(data.draw(st.integers(0, len(frames))), frames[place])
            case "move":
                frames.insert(data.draw(st.integers(0, len(frames) - 1)), frames.pop(place))
            case _:
                raw = bytearray(wire.encode_frame(frames[place])[4:])
                raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
                try:
                    frames[place] = wire.decode_frame(bytes(raw))
                except KithError:
                    return
    try:
        chain = follow(joining(told, 4), frames)
    except Alarm:
        return
    assert chain == told.chain


STORY = story()
