"""What stood in the vault in the last 30 days, and what of it removed devices wrote (spec: stolen.md).

The home server keeps what was replaced or deleted for that long, for the paper key alone. That a member wrote a version
is proved by its seal; which commit did, by that commit's signed list of changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from kith_client.lifecycle.paper import Found, PaperWork
from kith_client.store.mirror import Mirror
from kith_client.vault import RecordKeys
from kith_protocol.commit import DELETED, RECORD_ID_BYTES, parse_commit
from kith_protocol.content import Content
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.suite import digest
from kith_protocol.wire import ReplacedRecord

WINDOW: Final = 30 * 24 * 3600 * 1000
"""Milliseconds. What removed devices wrote before that counts: nothing older could be put back."""
_MOST_BYTES: Final = 4 * 1024**3
"""Of replaced records: more than a vault is given."""


@dataclass(frozen=True, slots=True)
class Version:
    """A record as one commit left it."""

    number: int
    """Of the commit."""
    content: Content | None
    """None where the commit deleted it; `UNREADABLE` where it does not open."""
    suspect: bool
    """Whether a device that was removed may have written it in the last 30 days."""


Histories = Mapping[bytes, list[Version]]
"""Record id → its versions, oldest first; the last one stands."""
Keep = Callable[[Content], Content | None]
"""What of a version is worth keeping; None for nothing."""


async def read_histories(work: PaperWork, found: Found, gone: frozenset[bytes], keep: Keep) -> Histories:
    """The versions of all records of which `keep` keeps something; `gone` are the members that are none any more.

    Raises an `Alarm` where the server passes something off as what it is not.
    """
    suspect = await _suspect_commits(work.mirror, gone, work.clock() - WINDOW)
    standing = await work.mirror.writers(staged=False)
    reader = _Reader(found, RecordKeys(work.access.vault, found.keys), keep, standing)
    for record, number in standing.items():
        reader.keep(record, number, found.contents[record])
    place, size = (0, bytes(RECORD_ID_BYTES)), 0
    while rows := (await work.server.replaced(work.access.vault, *place)).records:
        size += sum(len(row.sealed) for row in rows)
        if size > _MOST_BYTES or any((row.number, row.record) <= place for row in rows):
            raise _swapped("The server's list of replaced records leads nowhere.")
        await asyncio.to_thread(reader.take, rows)
        place = rows[-1].number, rows[-1].record
    return await asyncio.to_thread(reader.in_order, suspect)


@dataclass
class _Reader:
    """Opens versions as they come, and keeps what counts."""

    found: Found
    keys: RecordKeys
    wanted: Keep
    standing: Mapping[bytes, int]
    """Record id → number of the commit that wrote what stands."""
    versions: dict[bytes, dict[int, Content | None]] = field(default_factory=dict)

    def keep(self, record: bytes, number: int, content: Content) -> None:
        kept = self.wanted(content)
        if kept is not None:
            self.versions.setdefault(record, {})[number] = kept

    def take(self, rows: tuple[ReplacedRecord, ...]) -> None:
        for row in rows:
            self._check(row)
            self.keep(row.record, row.written, self.keys.open_all([(row.record, row.sealed)])[row.record])

    def _check(self, row: ReplacedRecord) -> None:
        """Both commits that a row names have to say so themselves. The later one's list is there: lists are kept for
        longer than what was replaced; the earlier one's may be gone."""
        wrote, ended = self.found.lists.get(row.written), self.found.lists.get(row.number, {})
        last = self.standing.get(row.record, self.found.chain.number)
        if not row.written < row.number <= last or (wrote is not None and wrote.get(row.record) != digest(row.sealed)):
            raise _swapped(f"The server sent something as a record of commit {row.written} that is not.")
        if row.record not in ended:
            raise _swapped(f"The server says that commit {row.number} changed a record, which it did not.")

    def in_order(self, suspect: frozenset[int]) -> Histories:
        """What a list does not prove to be of another commit may be of any that came without its list."""
        lists = self.found.lists
        unproved = not suspect <= lists.keys()
        for number, changes in lists.items():
            for record, hash_ in changes.items():
                if hash_ == DELETED and record in self.versions:
                    self.versions[record][number] = None

        def is_suspect(number: int) -> bool:
            return number in suspect if number in lists else unproved

        return {
            record: [Version(number, versions[number], is_suspect(number)) for number in sorted(versions)]
            for record, versions in self.versions.items()
        }


async def _suspect_commits(mirror: Mirror, gone: frozenset[bytes], since: int) -> frozenset[int]:
    """Numbers of the commits of removed members that are not older than `since` (ms).

    A commit is not older than any before it, whatever its author's clock says.
    """
    found: set[int] = set()
    latest = 0

    def read(rows: list[tuple[int, bytes]]) -> None:
        nonlocal latest
        for number, raw in rows:
            body = parse_commit(raw).body
            latest = max(latest, body.time)
            if latest >= since and body.author in gone:
                found.add(number)

    await mirror.commit_batches(read)
    return frozenset(found)


def _swapped(text: str) -> Alarm:
    return Alarm(AlarmCode.RECORD_SWAPPED, f"{text} Nothing was changed.")
