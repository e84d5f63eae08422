"""What a server checks of a vault that it is filled with: pure decisions over frames (spec: move.md, Filling).

A history that was made elsewhere is held against the same rules as one that is pushed commit by commit. What only the
whole shows, the tree and whether the filler is a member, is checked at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

from kith_protocol.chain import Chain, extend
from kith_protocol.commit import DELETED, MAX_CHANGES, ChangeList, parse_commit
from kith_protocol.encoding import decode
from kith_protocol.errors import LimitExceeded, Refused
from kith_protocol.recordheader import MAX_RECORD_BYTES, read_header
from kith_protocol.sealedkeys import parse_keys
from kith_protocol.suite import SUITE, digest
from kith_protocol.tree import Tree
from kith_protocol.wire import MAX_PUSH_BYTES, FeedCommit, FeedRecords, Frame, Head
from kith_server.storage.interface import RecordRow, StoredCommit

NO_RECORD: Final = bytes(16)
"""Place in a commit of which no record came yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a vault is filled."""

    chain: Chain
    horizon: int
    """Commits up to this one came without their change lists."""
    changes: bytes
    """The list of the last commit; empty where it came without one."""
    record: bytes = NO_RECORD
    """The last record that came with the last commit."""
    written: int = 0
    """Records that came with the last commit, and their bytes."""
    weight: int = 0


@dataclass(slots=True)
class Part:
    """What one part adds, in order."""

    after: Place
    commits: list[StoredCommit] = field(default_factory=list)
    records: list[tuple[int, RecordRow, bytes]] = field(default_factory=list)
    """(number of the commit that wrote it, row, sealed record)."""
    deleted: list[tuple[int, bytes]] = field(default_factory=list)
    """(number of the commit that deleted it, record)."""
    listed: Mapping[bytes, bytes] = field(default_factory=dict)
    """What the list of the last commit says: record → hash."""


def check_part(place: Place, frames: Iterable[Frame], now: int) -> Part:
    """Holds the frames against what is there already.

    Raises `Refused` (the chain's codes, `wrong-changes`, `wrong-records`, `wrong-epoch`, `undecodable`),
    `LimitExceeded`, `DecodingError`, `BadKey`.
    """
    part = Part(place, listed=_listed(place.changes))
    for frame in frames:
        if isinstance(frame, FeedCommit):
            _take_commit(part, frame, now)
        elif isinstance(frame, FeedRecords):
            for record, sealed in frame.records:
                _take_record(part, record, sealed)
        else:
            _refuse("undecodable", "A part holds commits and records, and nothing else.")
    return part


def check_end(chain: Chain, head: Head, member: bytes, tree: Tree) -> None:
    """Whether the vault is whole and the filler is a member of it; `tree` is that of the records that came.

    Raises `Refused` (`fork`, `unknown-member`, `wrong-tree`).
    """
    if (head.number, head.hash) != (chain.number, chain.head):
        _refuse("fork", "What came does not lead to the head that was named.")
    if member not in chain.members:
        _refuse("unknown-member", "Only a member can fill a server with a vault.")
    if tree.root != chain.tree:
        _refuse("wrong-tree", "The records do not add up to what the last commit names.")


def _take_commit(part: Part, frame: FeedCommit, now: int) -> None:
    before, commit = part.after, parse_commit(frame.commit)
    chain = extend(before.chain, commit, parse_keys(frame.keys))
    number, horizon = commit.body.number, before.horizon
    if frame.changes:
        if digest(frame.changes) != commit.body.changes:
            _refuse("wrong-changes", "The change list is not the one that the commit names.")
        part.listed = _listed(frame.changes)
        part.deleted += [(number, record) for record, hash_ in part.listed.items() if hash_ == DELETED]
    elif horizon == number - 1:
        horizon = number
    else:
        _refuse("wrong-changes", "A commit without its change list follows one that has it.")
    part.commits.append(StoredCommit(number, commit.hash, now, frame.commit, frame.keys, frame.changes))
    part.after = Place(chain, horizon, frame.changes)


def _take_record(part: Part, record: bytes, sealed: bytes) -> None:
    place, hash_ = part.after, digest(sealed)
    if len(sealed) > MAX_RECORD_BYTES:
        raise LimitExceeded(f"A record has at most {MAX_RECORD_BYTES} bytes.")
    if place.written and record <= place.record:
        _refuse("wrong-records", "The records of a commit are not in order, or one comes twice.")
    if place.changes and part.listed.get(record) != hash_:
        _refuse("wrong-records", "A record is not the one that the change list names.")
    if read_header(sealed) != (SUITE, place.chain.epoch):
        _refuse("wrong-epoch", "A record is not sealed in the suite and epoch of its commit.")
    written, weight = place.written + 1, place.weight + len(sealed)
    if written > MAX_CHANGES or weight > MAX_PUSH_BYTES:
        raise LimitExceeded("A commit comes with more records than it can have.")
    part.records.append((place.chain.number, RecordRow(record, hash_, len(sealed)), sealed))
    part.after = replace(place, record=record, written=written, weight=weight)


def _listed(changes: bytes) -> Mapping[bytes, bytes]:
    return dict(decode(changes, ChangeList).changes) if changes else {}


def _refuse(code: str, message: str) -> NoReturn:
    raise Refused(code, message)
