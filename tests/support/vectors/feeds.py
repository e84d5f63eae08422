"""Scenarios of the format `feed`: an honest server, and one for each lie."""

from __future__ import annotations

from collections.abc import Iterator

from kith_protocol import wire
from kith_protocol.commit import sign_commit
from kith_protocol.encoding import encode
from kith_protocol.epoch import encode_keys
from kith_protocol.recordheader import header
from kith_protocol.suite import HASH_BYTES
from tests.protocol.vaults import Sealer, Step, Story, feed_of, id_of, keys_of, note
from tests.support.vectors.vector import Json, Vector, keys_in, step_of

PHONE, STRANGER = keys_of("phone"), keys_of("stranger")
Frames = list[wire.Frame]


def feeds(seal: Sealer) -> Iterator[Vector]:
    told = _story(seal)
    yield _vector(told, "whole", "A new device takes everything.", feed_of(told), 1, whole=True)
    yield _vector(told, "going-on", "A device that synced up to commit 2.", feed_of(told, 2), 2)
    behind = feed_of(told, horizon=4)
    yield _vector(told, "behind-the-horizon", "Change lists are gone; the tree holds.", behind, 1, whole=True)
    yield _vector(told, "nothing-new", "The head is the one known.", feed_of(told, 4), 4)
    yield from _histories(seal)
    yield from _records(seal)
    yield from _steps(seal)


def _story(seal: Sealer) -> Story:
    """A device, two notes, one of them changed, the other deleted: commits 0 to 4."""
    told = Story(seal=seal)
    told.add(PHONE)
    told.put(carla="met at PyCon", dora="owes me a book")
    told.write({id_of("carla"): told.record(id_of("carla"), note("wants to try fencing"))}, PHONE)
    told.delete("dora")
    return told


def _vector(
    told: Story, name: str, says: str, frames: Frames, mark: int, fails: str | None = None, *, whole: bool = False
) -> Vector:
    """`mark`: the commit that the device knows; `whole`: it knows nothing else and asks for everything."""
    held: dict[bytes, bytes] = {}
    for step in [] if whole else told.steps[: mark + 1]:
        held.update(step.changes.changes)
    inputs: dict[str, Json] = {
        "vault": told.vault.hex(),
        "mark": {"number": mark, "hash": told.steps[mark].commit.hash.hex()},
        "known": [] if whole else [step_of(step) for step in told.steps[: mark + 1]],
        "records": [[record.hex(), hash_.hex()] for record, hash_ in sorted(held.items()) if hash_],
        "frames": [wire.encode_frame(frame)[4:].hex() for frame in frames],
    }
    return Vector("feed", name, says, inputs, fails, keys_in(told, phone=PHONE, stranger=STRANGER))


def _histories(seal: Sealer) -> Iterator[Vector]:
    told = _story(seal)
    head, *frames, end = feed_of(told, 2)
    old_head = wire.FeedHead(3, told.steps[3].commit.hash, 0)
    yield _vector(told, "head-rolled-back", "The head is older than known.", [old_head, wire.FeedEnd(3)], 4, "rollback")
    known_head = feed_of(told, 4)[0]
    yield _vector(told, "end-rolled-back", "The feed ends before it.", [known_head, wire.FeedEnd(3)], 4, "rollback")
    other_head = wire.FeedHead(4, bytes(HASH_BYTES), 0)
    yield _vector(told, "same-number-other-head", "Another commit 4.", [other_head, wire.FeedEnd(4)], 4, "fork")
    other = Story(seal=seal)
    other.add(PHONE)
    while other.chain.number < 5:
        other.put(emil=f"another history {other.chain.number}")
    yield _vector(told, "another-history", "It leaves mine after commit 1.", feed_of(other, 4), 4, "fork")
    yield _vector(told, "another-history-whole", "The same for a new device.", feed_of(other), 4, "fork", whole=True)
    yield _vector(told, "begins-in-the-middle", "Without genesis.", feed_of(told, 0), 1, "fork", whole=True)
    lying = [wire.FeedHead(4, bytes(HASH_BYTES), 1), *frames, end]
    yield _vector(told, "head-not-reached", "The commits lead to another head.", lying, 2, "fork")
    skipped = [head, *frames[2:], end]
    yield _vector(told, "commit-left-out", "Commit 3 does not come.", skipped, 2, "fork")
    twice = [head, *frames, *frames, end]
    yield _vector(told, "page-twice", "The same page again.", twice, 2, "replayed-page")
    old_page = [known_head, *feed_of(told, 1)[1:]]
    yield _vector(told, "old-page", "Commits that are known already.", old_page, 3, "replayed-page")


def _records(seal: Sealer) -> Iterator[Vector]:
    told = Story(seal=seal)
    told.put(carla="one", dora="two")
    head, *commits, records, end = feed_of(told)
    assert isinstance(records, wire.FeedRecords)
    (one, first), (two, second) = records.records
    swapped = wire.FeedRecords(((one, second), (two, first)))
    swap: Frames = [head, *commits, swapped, end]
    yield _vector(told, "records-swapped", "In each other's place.", swap, 0, "record-swapped", whole=True)
    hidden = [*feed_of(told, horizon=1)[:-2], swapped, end]
    yield _vector(told, "records-swapped-hidden", "Without lists.", hidden, 0, "record-missing", whole=True)
    planted = wire.FeedRecords(((id_of("mallory"), told.record(id_of("mallory"), note("planted"))),))
    plant: Frames = [head, *commits, records, planted, end]
    yield _vector(told, "record-planted", "No commit wrote it.", plant, 0, "record-swapped", whole=True)
    dropped: Frames = [head, *commits, wire.FeedRecords(((one, first),)), end]
    yield _vector(told, "record-left-out", "One of two.", dropped, 0, "record-missing", whole=True)
    yield _vector(told, "all-records-left-out", "None of two.", [head, *commits, end], 0, "record-missing", whole=True)
    early: Frames = [head, records, *commits, end]
    yield _vector(told, "records-before-a-commit", "Out of order.", early, 0, "record-swapped", whole=True)
    told = _story(seal)
    old = wire.FeedRecords(((id_of("carla"), told.steps[2].records[id_of("carla")]),))
    frames = feed_of(told, 2)
    older = [old if isinstance(frame, wire.FeedRecords) else frame for frame in frames]
    yield _vector(told, "old-version", "The record as it was before.", older, 2, "record-swapped")
    back = wire.FeedRecords(((id_of("dora"), told.steps[2].records[id_of("dora")]),))
    revived = [*frames[:-1], back, frames[-1]]
    yield _vector(told, "deleted-comes-back", "Deleted by commit 4.", revived, 2, "record-swapped")
    last = told.steps[-1]
    for name, says, changes in (
        ("changes-exchanged", "The list of another commit.", encode(told.steps[2].changes)),
        ("changes-withheld", "No list, although it goes on.", b""),
    ):
        commit = wire.FeedCommit(last.commit.raw, encode_keys(last.keys), changes)
        yield _vector(told, name, says, [*frames[:-2], commit, frames[-1]], 2, "record-swapped")
    cut = wire.FeedCommit(last.commit.raw[:70], encode_keys(last.keys), encode(last.changes))
    yield _vector(told, "commit-damaged", "Cut off.", [*frames[:-2], cut, frames[-1]], 2, "record-swapped")
    yield _vector(told, "last-commit-left-out", "Announced, not sent.", [*frames[:-2], frames[-1]], 2, "record-missing")
    yield _vector(told, "no-head", "The first frame is not there.", frames[1:], 2, "record-missing")
    yield _vector(told, "head-twice", "Another head in the middle.", [frames[0], *frames], 2, "record-swapped")


def _steps(seal: Sealer) -> Iterator[Vector]:
    """A last commit that no honest server takes."""
    told = _story(seal)

    def lying(name: str, says: str, step: Step, fails: str, story: Story = told) -> Vector:
        end = step.commit.body.number
        frames: Frames = [wire.FeedHead(end, step.commit.hash, len(step.records))]
        frames.append(wire.FeedCommit(step.commit.raw, encode_keys(step.keys), encode(step.changes)))
        if step.records:
            frames.append(wire.FeedRecords(tuple(step.records.items())))
        return _vector(story, name, says, [*frames, wire.FeedEnd(end)], end - 1, fails)

    yield lying("stranger", "Nobody of that id is there.", told.make(STRANGER), "unknown-member")
    forged = Step(sign_commit(told.make().commit.body, STRANGER.sign))
    yield lying("forged-signature", "Names the laptop.", forged, "unknown-member")
    adding = told.make_adding(STRANGER)
    planted = Step(sign_commit(adding.commit.body, STRANGER.sign), adding.keys)
    yield lying("server-adds-a-member", "Signed by the member itself.", planted, "unknown-member")
    mallory = told.make_removing(told.paper, author=PHONE, added=(STRANGER,))
    yield lying("paper-key-taken-away", "By a device.", mallory, "unknown-member")
    yield lying("removal-without-epoch", "The old key goes on.", told.make(removed=(PHONE.id,)), "wrong-epoch")
    carla = id_of("carla")
    blob = told.records[carla]
    suite_0 = told.make(records={carla: header(0, 1) + blob[5:]})
    yield lying("record-of-suite-0", "A lower suite.", suite_0, "downgrade")
    yield lying("commit-of-suite-0", "A lower suite.", told.make(suite=0), "downgrade")
    after = told.fork()
    after.remove(PHONE)
    by_removed = after.make(PHONE)
    yield lying("removed-device", "Written after its removal.", by_removed, "unknown-member", after)
    old = after.record(carla, note("under the key that the phone has"), epoch=1)
    stale = after.make(records={carla: old})
    yield lying("record-of-the-old-epoch", "The phone could read it.", stale, "wrong-epoch", after)
    honest = told.make_removing(PHONE)
    exchanged = Step(honest.commit, told.make_adding(PHONE).keys)
    yield lying("keys-exchanged", "Not the keys whose hash is signed.", exchanged, "wrong-epoch")
