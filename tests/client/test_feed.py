"""Feeds of an honest server are taken; each lie of a lying one raises its own alarm (spec: home-server.md, Feed)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_client.sync.feed import FeedVerifier, Staged, check_tree
from kith_protocol import wire
from kith_protocol.chain import Chain
from kith_protocol.commit import sign_commit
from kith_protocol.encoding import decode_map, encode, encode_map
from kith_protocol.epoch import encode_keys
from kith_protocol.errors import Alarm, AlarmCode, KithError
from kith_protocol.recordheader import header
from kith_protocol.suite import HASH_BYTES, digest
from kith_protocol.tree import Tree
from tests.protocol.test_member import SMALL_ORDER
from tests.protocol.vaults import Step, Story, feed_of, genesis_body, id_of, keys_of, note, without_sealing

PHONE, STRANGER = keys_of("phone"), keys_of("stranger")
Frames = list[wire.Frame]


def story() -> Story:
    """Five commits: a device, two notes, one of them changed, one deleted."""
    told = Story(seal=without_sealing)
    told.add(PHONE)
    told.put(carla="met at PyCon", dora="owes me a book")
    told.write({id_of("carla"): told.record(id_of("carla"), note("wants to try fencing"))}, PHONE)
    told.delete("dora")
    return told


def known(told: Story, number: int) -> Chain:
    """What a device holds that synced up to commit `number`."""
    verifier = FeedVerifier(told.vault, (number, told.steps[number].commit.hash))
    for frame in feed_of(told)[1:]:
        if isinstance(frame, wire.FeedCommit) and verifier.cursor < number:
            verifier.take(frame)
    assert verifier.chain is not None
    return verifier.chain


def going_on(told: Story, number: int) -> FeedVerifier:
    """The verifier of a device that synced up to commit `number` and asks what follows."""
    return FeedVerifier(told.vault, (number, told.steps[number].commit.hash), known(told, number))


def joining(told: Story, number: int = 1) -> FeedVerifier:
    """The verifier of a device that was told commit `number` and asks for the whole vault."""
    return FeedVerifier(told.vault, (number, told.steps[number].commit.hash))


def follow(verifier: FeedVerifier, frames: Iterable[wire.Frame], before: dict[bytes, bytes] | None = None) -> Chain:
    """Takes all frames in, and ends as a pull does, with the tree."""
    hashes = dict(before or {})
    for frame in frames:
        for record, hash_, blob in verifier.take(frame).records:
            if blob is None:
                hashes.pop(record, None)
            else:
                hashes[record] = hash_
    chain = verifier.finish()
    check_tree(Tree.of(hashes).root, chain)
    return chain


def hashes_at(told: Story, number: int) -> dict[bytes, bytes]:
    """The records of a device that synced up to commit `number`."""
    held: dict[bytes, bytes] = {}
    for step in told.steps[: number + 1]:
        held.update(step.changes.changes)
    return {record: hash_ for record, hash_ in held.items() if hash_}


def alarm(verifier: FeedVerifier, frames: Iterable[wire.Frame], before: dict[bytes, bytes] | None = None) -> AlarmCode:
    with pytest.raises(Alarm) as caught:
        follow(verifier, frames, before)
    return caught.value.alarm


def replaced(frames: Frames, kind: type[wire.Frame], turn: Callable[[Any], wire.Frame]) -> Frames:
    """The frames with the last one of a kind turned."""
    places = [place for place, frame in enumerate(frames) if isinstance(frame, kind)]
    place = places[-1]
    return [*frames[:place], turn(frames[place]), *frames[place + 1 :]]


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
    assert staged.records == [(id_of("carla"), digest(held), held), (id_of("dora"), b"", None)]


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


# replayed-page


def test_a_page_that_is_sent_twice_is_noticed() -> None:
    told = story()
    head, *frames, end = feed_of(told, 2)
    assert alarm(going_on(told, 2), [head, *frames, *frames, end]) is AlarmCode.REPLAYED_PAGE


def test_an_old_page_in_place_of_what_follows_is_noticed() -> None:
    told = story()
    assert alarm(going_on(told, 3), [feed_of(told)[0], *feed_of(told, 1)[1:]]) is AlarmCode.REPLAYED_PAGE


# unknown-member


def lying_step(told: Story, step: Step) -> Frames:
    """A feed whose last commit is `step`, which no honest server takes."""
    end = step.commit.body.number
    commit = wire.FeedCommit(step.commit.raw, encode_keys(step.keys), encode(step.changes))
    records: Frames = [wire.FeedRecords(tuple(step.records.items()))] if step.records else []
    return [wire.FeedHead(end, step.commit.hash, 0), commit, *records, wire.FeedEnd(end)]


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


def test_the_alarm_codes_tell_nothing_of_the_content() -> None:
    told = story()
    step = told.make(records={id_of("carla"): told.record(id_of("carla"), note("a secret"), epoch=2)})
    with pytest.raises(Alarm) as caught:
        follow(going_on(told, 4), lying_step(told, step))
    assert "secret" not in str(caught.value)
    assert decode_map(encode_map(note("a secret")))["kind"] == "note"
