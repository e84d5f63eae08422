"""Verifying a feed, frame by frame, before anything of it becomes visible (spec: home-server.md, Feed).

Pure: frames in, what to stage out, or an alarm. The caller stages what `take` returns and asks `finish` at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from kith_protocol import wire
from kith_protocol.chain import Chain, begin, extend
from kith_protocol.commit import DELETED, MAX_CHANGES, ChangeList, Commit, parse_commit
from kith_protocol.encoding import decode
from kith_protocol.epoch import SealedKeys, parse_keys
from kith_protocol.errors import Alarm, AlarmCode, BadKey, BadSignature, DecodingError, Refused
from kith_protocol.recordheader import read_header
from kith_protocol.suite import SUITE, digest

MAX_UNLISTED_BYTES: Final = 4 * 1024**3
"""Of records whose change lists are gone: nothing but the tree at the end speaks for them, and the disk must not fill
up until then. Twice what a server lets a vault have unless its operator says otherwise."""

_ALARM_OF_RULE = {
    "fork": AlarmCode.FORK,
    "wrong-epoch": AlarmCode.WRONG_EPOCH,
    "unknown-member": AlarmCode.UNKNOWN_MEMBER,
    "membership": AlarmCode.UNKNOWN_MEMBER,
    "genesis": AlarmCode.FORK,
}


StagedRecord = tuple[bytes, bytes, bytes | None, int]


@dataclass(slots=True)
class Staged:
    """What one frame adds: commits (number, bytes, sealed keys), and records (id, hash, sealed record or None where it
    was deleted, number of the commit that did it)."""

    commits: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    records: list[StagedRecord] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of what is to be stored."""
        commits = sum(len(raw) + len(keys) for _, raw, keys in self.commits)
        return commits + sum(len(blob or b"") for _, _, blob, _ in self.records)


class FeedVerifier:
    """Follows one pull, which may take several feeds where the head moves meanwhile.

    `mark` is the high-water mark, number and hash of a commit that is known to be in the chain: the head that this
    device verified last, or that the device which adds it named. With `known`, the chain up to the mark, the feed goes
    on from there; without, it brings the whole vault from its genesis and has to lead through the mark.
    """

    def __init__(self, vault: bytes, mark: tuple[int, bytes], known: Chain | None = None) -> None:
        self.vault = vault
        self.whole = known is None
        self.chain = known
        self._mark, self._mark_hash = mark
        self.total = 0
        """Records that the server announced, for a progress bar."""
        self.lists: dict[int, Mapping[bytes, bytes]] | None = None
        """Where somebody wants to know them: the lists of changes, by the number of their commit."""
        self.unlisted = -1
        """Number of the last commit that came without its list of changes."""
        self._head = (-1, b"")
        self._open = False
        self._written = 0
        self._written_bytes = 0
        self._unlisted_bytes = 0
        self._listed: dict[bytes, tuple[int, bytes]] = {}
        self._delivered: dict[bytes, tuple[int, bytes]] = {}
        self._current: tuple[int, int, dict[bytes, bytes] | None] | None = None

    @property
    def cursor(self) -> int:
        """The number to ask the next feed for."""
        return self.chain.number if self.chain is not None else -1

    def take(self, frame: wire.Frame) -> Staged:
        """Verifies one frame. Raises an `Alarm`."""
        try:
            match frame:
                case wire.FeedHead():
                    return self._take_head(frame)
                case wire.FeedCommit():
                    return self._take_commit(frame)
                case wire.FeedRecords():
                    return self._take_records(frame)
                case _:
                    return self._take_end(frame)
        except (DecodingError, BadKey) as error:
            raise Alarm(AlarmCode.RECORD_SWAPPED, f"The server sent something damaged: {error}") from None

    def finish(self) -> Chain:
        """The verified chain. Raises an `Alarm` where a record is missing or the head is not the one announced.

        After a whole vault the caller also has to `check_tree`: behind the horizon nothing else speaks for the records.
        """
        if self.chain is None or not 0 <= self._head[0] <= self.chain.number:
            raise Alarm(AlarmCode.RECORD_MISSING, "The server left out commits that it announced.")
        if self.chain.number == self._head[0] and self.chain.head != self._head[1]:
            raise Alarm(AlarmCode.FORK, "The server announced another head than its commits lead to.")
        for record, (number, hash_) in self._listed.items():
            if hash_ != DELETED and self._delivered.get(record) != (number, hash_):
                raise Alarm(AlarmCode.RECORD_MISSING, f"The server left out a record that commit {number} wrote.")
        return self.chain

    def _take_head(self, frame: wire.FeedHead) -> Staged:
        # Nothing that costs nothing may come for ever: one head, no empty frame, no record twice.
        if self._open:
            raise DecodingError("A feed names its head twice.")
        self._open = True
        if frame.number < self._mark:
            _rolled_back(self._mark, frame.number)
        if frame.number == self._mark and frame.hash != self._mark_hash:
            raise Alarm(AlarmCode.FORK, f"The server has another commit {frame.number} than this device verified.")
        if self.chain is not None and frame.number < self.chain.number:
            _rolled_back(self.chain.number, frame.number)
        self._head = (frame.number, frame.hash)
        self.total = max(self.total, frame.records)
        return Staged()

    def _take_end(self, frame: wire.FeedEnd) -> Staged:
        self._open = False
        if frame.number < max(self._mark, self.cursor):
            _rolled_back(max(self._mark, self.cursor), frame.number)
        return Staged()

    def _take_commit(self, frame: wire.FeedCommit) -> Staged:
        commit = parse_commit(frame.commit)
        keys = parse_keys(frame.keys)
        if commit.body.number <= self.cursor:
            raise Alarm(
                AlarmCode.REPLAYED_PAGE,
                f"The server sent commit {commit.body.number} again, although this device already has {self.cursor}.",
            )
        self.chain = self._extended(commit, keys)
        self._check_high_water(commit)
        changes = self._read_changes(commit, frame.changes)
        self._current = (commit.body.number, commit.body.epoch, changes)
        self._written = self._written_bytes = 0
        if changes is None:
            # The horizon moved while the server was streaming: what older lists name may be gone or written anew.
            self._listed.clear()
            self.unlisted = commit.body.number
        if self.lists is not None and changes is not None:
            self.lists[commit.body.number] = changes
        staged = Staged([(commit.body.number, frame.commit, frame.keys)])
        for record, hash_ in (changes or {}).items():
            self._listed[record] = (commit.body.number, hash_)
            if hash_ == DELETED:
                staged.records.append((record, DELETED, None, commit.body.number))
        return staged

    def _extended(self, commit: Commit, keys: SealedKeys) -> Chain:
        try:
            if self.chain is not None:
                return extend(self.chain, commit, keys)
            if commit.vault != self.vault:
                _alarm(AlarmCode.FORK, "The server has another first commit than this vault began with.")
            return begin(commit, keys)
        except Refused as error:
            _alarm(_ALARM_OF_RULE[error.code], str(error))
        except BadSignature:
            _alarm(AlarmCode.UNKNOWN_MEMBER, "The first commit is not signed by the device that it names.")

    def _check_high_water(self, commit: Commit) -> None:
        if commit.body.number == self._mark and commit.hash != self._mark_hash:
            raise Alarm(AlarmCode.FORK, f"The server has another commit {self._mark} than this device verified.")

    def _read_changes(self, commit: Commit, raw: bytes) -> dict[bytes, bytes] | None:
        if not raw and self.whole:
            return None  # older than the horizon: only the tree speaks for these records
        if digest(raw) != commit.body.changes:
            raise Alarm(
                AlarmCode.RECORD_SWAPPED, f"The list of changes beside commit {commit.body.number} is not its own."
            )
        return dict(decode(raw, ChangeList).changes)

    def _take_records(self, frame: wire.FeedRecords) -> Staged:
        if self._current is None:
            raise Alarm(AlarmCode.RECORD_SWAPPED, "The server sent records before any commit.")
        number, epoch, changes = self._current
        if not frame.records:
            raise DecodingError("A part of a feed is empty.")
        self._written += len(frame.records)
        if self._written > MAX_CHANGES:
            raise DecodingError(f"A commit comes with more than {MAX_CHANGES} records.")
        self._count_bytes(sum(len(blob) for _, blob in frame.records), changes is None)
        staged = Staged()
        for record, blob in frame.records:
            if self._delivered.get(record, (-1, b""))[0] == number:
                raise DecodingError("A record comes twice with one commit.")
            hash_ = digest(blob)
            if changes is not None and changes.get(record) != hash_:
                _alarm(AlarmCode.RECORD_SWAPPED, f"The server sent a record that commit {number} did not write.")
            suite, written = read_header(blob)
            if suite != SUITE:
                _alarm(AlarmCode.DOWNGRADE, f"A record names suite {suite}; this program knows suite 1.")
            if written != epoch:
                _alarm(AlarmCode.WRONG_EPOCH, f"A record of commit {number} was sealed for epoch {written}.")
            self._delivered[record] = (number, hash_)
            staged.records.append((record, hash_, blob, number))
        return staged

    def _count_bytes(self, size: int, unlisted: bool) -> None:
        self._written_bytes += size
        self._unlisted_bytes += size if unlisted else 0
        if self._written_bytes > wire.MAX_PUSH_BYTES:
            raise DecodingError(f"A commit comes with more than {wire.MAX_PUSH_BYTES} bytes of records.")
        if self._unlisted_bytes > MAX_UNLISTED_BYTES:
            raise DecodingError("There are more records than a vault can hold.")


def _rolled_back(known: int, shown: int) -> NoReturn:
    raise Alarm(
        AlarmCode.ROLLBACK,
        f"The server shows commit {shown} as the newest, although this device already has {known}. "
        "Either its data was put back to an earlier day, or it hides something. Nothing here was changed.",
    )


def _alarm(code: AlarmCode, message: str) -> NoReturn:
    raise Alarm(code, message)


def check_tree(root: bytes, chain: Chain) -> None:
    """Raises an `Alarm` unless the records add up to what the last verified commit names."""
    if root != chain.tree:
        raise Alarm(
            AlarmCode.RECORD_MISSING,
            f"The records that the server sent do not add up to what commit {chain.number} says. Nothing was changed.",
        )
