"""Feeds of a small vault, and verifiers at different points of it, for the tests of feeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from kith_client.sync.feed import FeedVerifier, check_tree
from kith_protocol import wire
from kith_protocol.chain import Chain
from kith_protocol.encoding import encode
from kith_protocol.epoch import encode_keys
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.tree import Tree
from tests.protocol.vaults import Step, Story, feed_of, id_of, keys_of, note, without_sealing

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
        for record, hash_, blob, _ in verifier.take(frame).records:
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


def lying_step(told: Story, step: Step) -> Frames:
    """A feed whose last commit is `step`, which no honest server takes."""
    end = step.commit.body.number
    commit = wire.FeedCommit(step.commit.raw, encode_keys(step.keys), encode(step.changes))
    records: Frames = [wire.FeedRecords(tuple(step.records.items()))] if step.records else []
    return [wire.FeedHead(end, step.commit.hash, 0), commit, *records, wire.FeedEnd(end)]
