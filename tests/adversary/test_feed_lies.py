"""A home server that lies about a vault's history: each lie has its alarm, and the device stays as it was."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from kith_client.sync.building import MembershipStep, adding
from kith_protocol import wire
from kith_protocol.commit import ChangeList, CommitBody, parse_commit, sign_commit
from kith_protocol.encoding import decode, encode
from kith_protocol.epoch import SealedKey, SealedKeys, encode_keys, epoch_commitment, seal_epoch_key
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.record import record_key, seal_record
from kith_protocol.suite import SIGNATURE_BYTES
from tests.adversary.scene import (
    ALL,
    Frames,
    Scene,
    commits_in,
    followed_by,
    head_of,
    headed,
    records_in,
    with_records,
)
from tests.support.vaults import new_member

Lie = Callable[[Scene, Frames], Frames]
LIES: list[tuple[AlarmCode, Lie]] = []


def lie(code: AlarmCode) -> Callable[[Lie], Lie]:
    """Enters a lie that has to raise the alarm `code`. Its name says what the server does."""

    def enter(told: Lie) -> Lie:
        LIES.append((code, told))
        return told

    return enter


# Rollback


@lie(AlarmCode.ROLLBACK)
def shows_an_older_head(scene: Scene, frames: Frames) -> Frames:
    mark = scene.laptop.vault.chain.number
    return headed([frames[0], frames[-1]], mark - 1, secrets.token_bytes(32))


@lie(AlarmCode.ROLLBACK)
def shows_the_first_commit_as_the_head(scene: Scene, frames: Frames) -> Frames:
    return headed([frames[0], frames[-1]], 0, scene.laptop.vault.id)


@lie(AlarmCode.ROLLBACK)
def ends_the_feed_before_what_it_began_with(_scene: Scene, frames: Frames) -> Frames:
    return [*frames[:-1], wire.FeedEnd(0)]


# Fork


@lie(AlarmCode.FORK)
def has_another_commit_under_the_number_of_my_last_one(scene: Scene, frames: Frames) -> Frames:
    return headed([frames[0], frames[-1]], scene.laptop.vault.chain.number, secrets.token_bytes(32))


@lie(AlarmCode.FORK)
def announces_another_head_than_its_commits_lead_to(_scene: Scene, frames: Frames) -> Frames:
    return headed(frames, head_of(frames).number, secrets.token_bytes(32))


@lie(AlarmCode.FORK)
def continues_from_a_commit_that_this_device_never_saw(scene: Scene, frames: Frames) -> Frames:
    """As after a restored backup: a true device wrote on, on another past."""
    genuine = parse_commit(commits_in(frames)[0].commit)
    other = _body_with(genuine.body, parent=secrets.token_bytes(32))
    return _resigned(scene, frames, 0, other)


@lie(AlarmCode.FORK)
def leaves_out_a_commit_in_the_middle(_scene: Scene, frames: Frames) -> Frames:
    first, second = (frames.index(commit) for commit in commits_in(frames)[-2:])
    return [*frames[:first], *frames[second:]]


@lie(AlarmCode.FORK)
def sends_commits_in_another_order(_scene: Scene, frames: Frames) -> Frames:
    second = frames.index(commits_in(frames)[1])
    return [frames[0], *frames[second:-1], *frames[1:second], frames[-1]]


# Records


@lie(AlarmCode.RECORD_SWAPPED)
def exchanges_two_records(_scene: Scene, frames: Frames) -> Frames:
    (a, blob_a), (b, blob_b), *rest = records_in(frames)
    return with_records(frames, [(a, blob_b), (b, blob_a), *rest])


@lie(AlarmCode.RECORD_SWAPPED)
def changes_one_byte_of_a_record(_scene: Scene, frames: Frames) -> Frames:
    (a, blob), *rest = records_in(frames)
    return with_records(frames, [(a, blob[:-1] + bytes([blob[-1] ^ 1])), *rest])


@lie(AlarmCode.RECORD_SWAPPED)
def sends_a_record_under_another_id(_scene: Scene, frames: Frames) -> Frames:
    (_, blob), *rest = records_in(frames)
    return with_records(frames, [(secrets.token_bytes(16), blob), *rest])


@lie(AlarmCode.RECORD_SWAPPED)
def sends_an_older_version_of_a_record(scene: Scene, frames: Frames) -> Frames:
    """True bytes that a member sealed, only not the ones that stand."""
    old = dict(records_in(scene.old_page))
    changed = [(record, old.get(record, blob)) for record, blob in records_in(frames)]
    assert changed != records_in(frames), "the scene has no record with an older version"
    return with_records(frames, changed)


@lie(AlarmCode.RECORD_SWAPPED)
def sends_a_record_that_nobody_wrote(scene: Scene, frames: Frames) -> Frames:
    position = next(place for place, frame in enumerate(frames) if isinstance(frame, wire.FeedRecords))
    planted = wire.FeedRecords(((secrets.token_bytes(16), records_in(frames)[0][1]),))
    return [*frames[: position + 1], planted, *frames[position + 1 :]]


@lie(AlarmCode.RECORD_SWAPPED)
def brings_a_list_of_changes_that_is_not_the_commits_own(_scene: Scene, frames: Frames) -> Frames:
    first, second = commits_in(frames)
    return _replaced(frames, first, wire.FeedCommit(first.commit, first.keys, second.changes))


@lie(AlarmCode.RECORD_SWAPPED)
def strikes_a_record_from_list_and_feed(_scene: Scene, frames: Frames) -> Frames:
    """So that nothing seems to be missing."""
    commit = commits_in(frames)[-1]
    listed = decode(commit.changes, ChangeList).changes
    gone = listed[0][0]
    shorter = wire.FeedCommit(commit.commit, commit.keys, encode(ChangeList(listed[1:])))
    cut = [
        wire.FeedRecords(tuple(each for each in frame.records if each[0] != gone))
        if isinstance(frame, wire.FeedRecords)
        else frame
        for frame in _replaced(frames, commit, shorter)
    ]
    return [frame for frame in cut if frame != wire.FeedRecords(())]


@lie(AlarmCode.RECORD_SWAPPED)
def hides_a_list_of_changes(_scene: Scene, frames: Frames) -> Frames:
    first, _ = commits_in(frames)
    return _replaced(frames, first, wire.FeedCommit(first.commit, first.keys, b""))


@lie(AlarmCode.RECORD_SWAPPED)
def sends_records_before_any_commit(_scene: Scene, frames: Frames) -> Frames:
    return [frames[0], wire.FeedRecords(tuple(records_in(frames))), *frames[1:]]


@lie(AlarmCode.RECORD_SWAPPED)
def sends_the_same_records_again_and_again(_scene: Scene, frames: Frames) -> Frames:
    """True records, but without an end they would fill the disk."""
    page = [frame for frame in frames if isinstance(frame, wire.FeedRecords)][-1:]
    return [*frames[:-1], *page * 3, frames[-1]]


@lie(AlarmCode.RECORD_SWAPPED)
def sends_empty_parts(_scene: Scene, frames: Frames) -> Frames:
    return [*frames[:-1], wire.FeedRecords(()), frames[-1]]


@lie(AlarmCode.RECORD_SWAPPED)
def names_its_head_again_and_again(_scene: Scene, frames: Frames) -> Frames:
    return [frames[0], *frames]


@lie(AlarmCode.RECORD_MISSING)
def leaves_out_one_record(_scene: Scene, frames: Frames) -> Frames:
    last = max(place for place, frame in enumerate(frames) if isinstance(frame, wire.FeedRecords))
    kept = frames[last]
    assert isinstance(kept, wire.FeedRecords)
    return [*frames[:last], wire.FeedRecords(kept.records[1:]), *frames[last + 1 :]]


@lie(AlarmCode.RECORD_MISSING)
def leaves_out_all_records(_scene: Scene, frames: Frames) -> Frames:
    return [frame for frame in frames if not isinstance(frame, wire.FeedRecords)]


@lie(AlarmCode.RECORD_MISSING)
def leaves_out_the_last_commit_that_it_announced(_scene: Scene, frames: Frames) -> Frames:
    last = frames.index(commits_in(frames)[-1])
    return [*frames[:last], wire.FeedEnd(head_of(frames).number)]


@lie(AlarmCode.RECORD_MISSING)
def announces_a_head_and_sends_nothing(_scene: Scene, frames: Frames) -> Frames:
    return [frames[0], frames[-1]]


# Replay


@lie(AlarmCode.REPLAYED_PAGE)
def answers_with_an_old_feed(scene: Scene, _frames: Frames) -> Frames:
    return scene.old_page


@lie(AlarmCode.REPLAYED_PAGE)
def puts_an_old_page_in_front_of_the_new_one(scene: Scene, frames: Frames) -> Frames:
    return [frames[0], *scene.old_page[1:-1], *frames[1:]]


@lie(AlarmCode.REPLAYED_PAGE)
def sends_a_commit_twice(_scene: Scene, frames: Frames) -> Frames:
    return [*frames[:-1], commits_in(frames)[1], frames[-1]]


# Members


@lie(AlarmCode.UNKNOWN_MEMBER)
def appends_a_commit_by_a_stranger(scene: Scene, frames: Frames) -> Frames:
    return followed_by(frames, scene.forged(new_member(), {}))


@lie(AlarmCode.UNKNOWN_MEMBER)
def appends_a_commit_in_a_members_name_that_it_signed_itself(scene: Scene, frames: Frames) -> Frames:
    push = scene.forged(scene.phone.vault.member, {})
    raw = push.commit[:-SIGNATURE_BYTES] + scene.forged(new_member(), {}).commit[-SIGNATURE_BYTES:]
    return followed_by(frames, wire.Push(raw, push.keys, push.changes, push.records))


@lie(AlarmCode.UNKNOWN_MEMBER)
def adds_a_member_of_its_own(scene: Scene, frames: Frames) -> Frames:
    spy = new_member()
    step = adding(scene.phone.vault.chain, spy.public, secrets.token_bytes(32))
    return followed_by(frames, scene.forged(spy, {}, step=step))


@lie(AlarmCode.UNKNOWN_MEMBER)
def slips_a_member_into_a_commit_of_mine(scene: Scene, frames: Frames) -> Frames:
    """The signature is the phone's own, over the commit as it was."""
    genuine = commits_in(frames)[0].commit
    body = _body_with(parse_commit(genuine).body, added=(new_member().public,))
    return _with_commit(frames, 0, encode(body) + genuine[-SIGNATURE_BYTES:])


@lie(AlarmCode.UNKNOWN_MEMBER)
def appends_a_commit_by_a_removed_device(scene: Scene, frames: Frames) -> Frames:
    return followed_by(frames, scene.forged(scene.tablet, {}))


@lie(AlarmCode.UNKNOWN_MEMBER)
def brings_a_removed_device_back(scene: Scene, frames: Frames) -> Frames:
    """Even a true device cannot: a removed id never returns."""
    vault = scene.phone.vault
    step = adding(vault.chain, scene.tablet.public, vault.record_keys.epoch_key(vault.chain.epoch))
    return followed_by(frames, scene.forged(vault.member, {}, step=step))


# Epochs


@lie(AlarmCode.WRONG_EPOCH)
def sends_a_record_of_the_epoch_before_the_removal(scene: Scene, frames: Frames) -> Frames:
    """A member's program that did not notice the removal; the removed device could read what it writes."""
    vault, record = scene.phone.vault, secrets.token_bytes(16)
    key = record_key(scene.old_epoch_key, vault.id)
    blob = seal_record(key, vault.id, record, 1, {"kind": "note"}, nonce=secrets.token_bytes(24))
    return followed_by(frames, scene.forged(vault.member, {record: blob}))


@lie(AlarmCode.WRONG_EPOCH)
def exchanges_the_sealed_keys_beside_a_commit(scene: Scene, frames: Frames) -> Frames:
    first = commits_in(frames)[0]
    vault = scene.phone.vault
    keys = seal_epoch_key(secrets.token_bytes(32), vault.id, vault.chain.epoch, [vault.member.public])
    return _replaced(frames, first, wire.FeedCommit(first.commit, encode_keys(keys), first.changes))


@lie(AlarmCode.WRONG_EPOCH)
def begins_an_epoch_with_a_key_that_is_not_the_one_committed_to(scene: Scene, frames: Frames) -> Frames:
    vault, epoch = scene.phone.vault, scene.phone.vault.chain.epoch + 1
    members = [standing.member for standing in vault.chain.members.values()]
    old, nonce = vault.record_keys.epoch_key(vault.chain.epoch), secrets.token_bytes(24)
    keys = seal_epoch_key(secrets.token_bytes(32), vault.id, epoch, members, previous=old, nonce=nonce)
    step = MembershipStep(keys=keys, epoch_commitment=epoch_commitment(epoch, secrets.token_bytes(32)))
    return followed_by(frames, scene.forged(vault.member, {}, step=step, epoch=epoch))


@lie(AlarmCode.WRONG_EPOCH)
def spoils_the_key_that_is_sealed_to_another_member(scene: Scene, frames: Frames) -> Frames:
    """This device could go on, and the other would be shut out."""
    vault, epoch = scene.phone.vault, scene.phone.vault.chain.epoch + 1
    members = [standing.member for standing in vault.chain.members.values()]
    old, new = vault.record_keys.epoch_key(vault.chain.epoch), secrets.token_bytes(32)
    keys = seal_epoch_key(new, vault.id, epoch, members, previous=old, nonce=secrets.token_bytes(24))
    step = MembershipStep(keys=keys, epoch_commitment=epoch_commitment(epoch, new))
    told = followed_by(frames, scene.forged(vault.member, {}, step=step, epoch=epoch))
    spoilt = tuple(
        SealedKey(key.member, secrets.token_bytes(len(key.sealed))) if key.member == vault.member.id else key
        for key in keys.keys
    )
    commit = commits_in(told)[-1]
    other = encode_keys(SealedKeys(spoilt, keys.previous))
    return _replaced(told, commit, wire.FeedCommit(commit.commit, other, commit.changes))


@lie(AlarmCode.WRONG_EPOCH)
def goes_back_to_the_epoch_before_the_removal(scene: Scene, frames: Frames) -> Frames:
    return followed_by(frames, scene.forged(scene.phone.vault.member, {}, epoch=1))


# Downgrade


@lie(AlarmCode.DOWNGRADE)
def sends_a_commit_of_suite_0(scene: Scene, frames: Frames) -> Frames:
    genuine = parse_commit(commits_in(frames)[0].commit)
    return _resigned(scene, frames, 0, _body_with(genuine.body, suite=0))


@lie(AlarmCode.DOWNGRADE)
def sends_a_record_of_suite_0(scene: Scene, frames: Frames) -> Frames:
    """One that a member listed: an old program, or one that somebody talked into it."""
    record, blob = records_in(frames)[0]
    return followed_by(frames, scene.forged(scene.phone.vault.member, {record: b"\x00" + blob[1:]}))


@pytest.mark.parametrize(("code", "told"), LIES, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_a_server_that_lies_is_refused_and_nothing_changes(scene: Scene, code: AlarmCode, told: Lie) -> None:
    laptop, proxy = scene.laptop, scene.site.proxy
    before = laptop.state()
    proxy.feed = lambda frames: told(scene, frames)
    for _ in range(2):
        with pytest.raises(Alarm) as raised:
            await laptop.sync()
        assert raised.value.alarm is code
        assert laptop.state() == before
    proxy.be_honest()
    await laptop.sync()
    await scene.phone.sync()
    assert laptop.names == scene.phone.names == ALL
    assert dict(laptop.vault.contents) == dict(scene.phone.vault.contents)


def test_every_alarm_that_a_feed_can_raise_has_its_lie() -> None:
    others = {AlarmCode.GREETING_FORGED, AlarmCode.SERVER_KEY_CHANGED, AlarmCode.PERSON_CHANGED}
    assert {code for code, _ in LIES} == set(AlarmCode) - others


def _body_with(body: CommitBody, **fields: object) -> CommitBody:
    values = {name: getattr(body, name) for name in body.__struct_fields__}
    return CommitBody(**{**values, **fields})


def _resigned(scene: Scene, frames: Frames, which: int, body: CommitBody) -> Frames:
    """The commit with another body, signed by its true author."""
    return _with_commit(frames, which, sign_commit(body, scene.phone.vault.member.sign).raw)


def _with_commit(frames: Frames, which: int, raw: bytes) -> Frames:
    old = commits_in(frames)[which]
    return _replaced(frames, old, wire.FeedCommit(raw, old.keys, old.changes))


def _replaced(frames: Frames, old: wire.Frame, new: wire.Frame) -> Frames:
    return [new if frame is old else frame for frame in frames]
