"""The mirror: what one device keeps of a vault, sealed as it is on the server, in one SQLite file.

Holds verified commits and records, edits that were not sent yet, what arrives before it is verified, the push whose
outcome is unknown, and sealed requests that wait for a receipt. Decides nothing; opens no record. Each method is one
transaction on one worker thread, on the disk (FULL sync) before it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pysqlite3 as sqlite

from kith_client.store.mirror_file import Connection, connect, transaction, unusable
from kith_protocol.sealedkeys import NO_KEYS, encode_keys

T = TypeVar("T")

CHAIN: Final = "chain"
"""State: the frozen chain, the high-water mark of what this device verified."""
PENDING: Final = "pending"
"""State: the push whose outcome is not known yet."""
PLACES: Final = "places"
"""State: hashes of what the home server was asked to keep already, so that a quiet sync asks nothing."""
CURSOR: Final = "parcels"
"""State: where the next round goes on in the mailboxes; none: at the beginning."""
_BATCH: Final = 500
_COMMITS: Final = "SELECT raw, keys FROM {} WHERE length(keys) > ? ORDER BY number"
_HISTORIES: Final = ("commits", "staged_commits")
_LAST_COMMON: Final = "SELECT max(number) FROM commits JOIN staged_commits USING (number, raw)"
_COMMITS_AFTER: Final = "SELECT raw FROM {} WHERE number > ? ORDER BY number"
_NO_KEYS_BYTES: Final = len(encode_keys(NO_KEYS))
"""Size of the keys beside an ordinary commit, which brings none; decoding a long history would slow each command."""


@dataclass(frozen=True, slots=True)
class AcceptedPush:
    """What an accepted push changes, all at once."""

    chain: bytes
    """The frozen chain after it."""
    records: Mapping[bytes, tuple[bytes, bytes] | None]
    """Record id → (hash, sealed record), or None where it is deleted."""
    commits: Iterable[tuple[int, bytes, bytes]]
    """(number, commit, sealed keys)."""
    settled: Iterable[bytes]
    """Ids whose unsent edit is no longer one."""


@dataclass(frozen=True, slots=True)
class Request:
    """A sealed request that waits for the destination's receipt; `note` is sealed."""

    hash: bytes
    host: str
    request: bytes
    note: bytes


class Mirror:
    """One open mirror. Use `open`; close it with `close`."""

    def __init__(self, connection: Connection, executor: ThreadPoolExecutor) -> None:
        self.connection = connection
        self._executor = executor

    @classmethod
    async def open(cls, path: Path) -> Mirror:
        """Opens or creates the file. Raises `MirrorDamaged`."""
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mirror")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(executor, connect, path)
        except BaseException:
            executor.shutdown(wait=False)
            raise
        return cls(connection, executor)

    async def close(self) -> None:
        """Closes the file after what is under way."""
        await self._run(lambda connection: connection.close())
        self._executor.shutdown()

    # Reading

    async def state(self, key: str) -> bytes | None:
        """A small value by name."""
        row = await self._run(lambda c: c.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone())
        return row[0] if row else None

    async def commits_with_keys(self, *, staged: bool = False, whole: bool = False) -> list[tuple[bytes, bytes]]:
        """(commit, sealed keys) of the verified commits that bring keys, in order: those that add a member or begin an
        epoch. With those `staged` after them, or, with `whole`, instead."""
        tables = ([] if whole else ["commits"]) + (["staged_commits"] if staged else [])

        def work(c: Connection) -> list[tuple[bytes, bytes]]:
            return [row for table in tables for row in c.execute(_COMMITS.format(table), (_NO_KEYS_BYTES,))]

        return await self._run(work)

    async def commits_at(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """Those of some commits that this device verified, by their number."""
        query = "SELECT number, raw FROM commits WHERE number = ?"

        def work(c: Connection) -> dict[int, bytes]:
            return dict(row for number in numbers for row in c.execute(query, (number,)))

        return await self._run(work)

    async def commit_batches(self, work: Callable[[list[tuple[int, bytes]]], T]) -> list[T]:
        """Calls `work` on the mirror's thread with batches of (number, commit) of all verified commits, in order."""
        query = "SELECT number, raw FROM commits ORDER BY number"
        return await self._run(lambda c: [work(rows) for rows in _batches(c, query)])

    async def record_batches(self, work: Callable[[list[tuple[bytes, bytes, bytes]]], T]) -> list[T]:
        """Calls `work` on the mirror's thread with batches of (id, hash, sealed record) of all verified records."""
        return await self._run(lambda c: [work(rows) for rows in _batches(c, "SELECT id, hash, blob FROM records")])

    async def records(self, ids: Iterable[bytes]) -> dict[bytes, bytes]:
        """Verified sealed records by id."""
        return await self._run(lambda c: _by_id(c, "records", ids))

    async def drafts(self, ids: Iterable[bytes] | None = None) -> dict[bytes, bytes | None]:
        """Unsent edits, all or those of some records: id → sealed record, or None for a deletion."""
        if ids is None:
            return await self._run(lambda c: dict(c.execute("SELECT id, blob FROM drafts").fetchall()))
        return await self._run(lambda c: _by_id(c, "drafts", ids))

    async def some_drafts(self, most: int, most_bytes: int) -> dict[bytes, bytes | None]:
        """The first unsent edits: at most so many, and no more bytes unless one alone has more."""

        def work(c: Connection) -> dict[bytes, bytes | None]:
            found: dict[bytes, bytes | None] = {}
            size = 0
            for record, blob in c.execute("SELECT id, blob FROM drafts LIMIT ?", (most,)):
                size += len(blob or b"")
                if found and size > most_bytes:
                    break
                found[record] = blob
            return found

        return await self._run(work)

    async def draft_deletions(self) -> list[bytes]:
        """Ids of the records whose unsent edit is a deletion."""
        return await self._run(lambda c: [row[0] for row in c.execute("SELECT id FROM drafts WHERE blob IS NULL")])

    async def events(self, last: int) -> list[bytes]:
        """The newest `last` entries of the device's own log, sealed, oldest first."""
        query = "SELECT blob FROM (SELECT number, blob FROM events ORDER BY number DESC LIMIT ?) ORDER BY number"
        return await self._run(lambda c: [row[0] for row in c.execute(query, (last,))])

    async def requests(self) -> list[Request]:
        """Sealed requests that wait for a receipt."""
        query = "SELECT hash, host, request, note FROM requests"
        return await self._run(lambda c: [Request(*row) for row in c.execute(query)])

    async def parting(self) -> tuple[list[bytes], list[bytes]]:
        """The commits that this device verified and those staged, each from where they part, in order."""

        def work(c: Connection) -> tuple[list[bytes], list[bytes]]:
            last = c.execute(_LAST_COMMON).fetchone()[0]
            last = -1 if last is None else last
            mine, staged = ([raw for (raw,) in c.execute(_COMMITS_AFTER.format(t), (last,))] for t in _HISTORIES)
            return mine, staged

        return await self._run(work)

    async def writers(self, *, staged: bool) -> dict[bytes, int]:
        """Record id → number of the commit that wrote it, as verified; or, `staged`, that wrote or deleted it there."""
        query = f"SELECT id, written FROM {'staged_records' if staged else 'records'}"  # noqa: S608 - constants of ours
        return await self._run(lambda c: dict(c.execute(query).fetchall()))

    async def history(self, after: int, most: int) -> list[tuple[int, bytes, bytes]]:
        """(number, commit, sealed keys) of at most so many verified commits after number `after`, in order."""
        query = "SELECT number, raw, keys FROM commits WHERE number > ? ORDER BY number LIMIT ?"
        return await self._run(lambda c: c.execute(query, (after, most)).fetchall())

    # Writing

    async def set_state(self, values: Mapping[str, bytes | None]) -> None:
        """Keeps small values by name; None forgets one."""
        await self._write(lambda c: _set_state(c, values))

    async def save_drafts(self, drafts: Mapping[bytes, bytes | None], events: list[bytes]) -> None:
        """Keeps unsent edits, and what the log says of them."""

        def work(c: Connection) -> None:
            c.executemany("REPLACE INTO drafts VALUES (?, ?)", drafts.items())
            _add_events(c, events)

        await self._write(work)

    async def drop_drafts(self, records: Iterable[bytes]) -> None:
        """Forgets unsent edits that came to nothing."""
        await self._write(lambda c: _settle(c, {}, records))

    async def stage(
        self, commits: list[tuple[int, bytes, bytes]], records: list[tuple[bytes, bytes, bytes | None, int]]
    ) -> None:
        """Keeps what a feed brought, until all of it is verified: commits, and (id, hash, sealed record or None, number
        of the commit that wrote or deleted it)."""

        def work(c: Connection) -> None:
            c.executemany("REPLACE INTO staged_commits VALUES (?, ?, ?)", commits)
            c.executemany("REPLACE INTO staged_records VALUES (?, ?, ?, ?)", records)

        await self._write(work)

    async def clear_stage(self) -> None:
        """Forgets what a feed brought."""
        await self._write(_clear_stage)

    async def staged_batches(self, work: Callable[[list[tuple[bytes, bytes, bytes | None]]], T]) -> list[T]:
        """Calls `work` on the mirror's thread with batches of staged (id, hash, sealed record or None)."""
        return await self._run(
            lambda c: [work(rows) for rows in _batches(c, "SELECT id, hash, blob FROM staged_records")]
        )

    async def apply_stage(
        self,
        chain: bytes,
        drafts: Mapping[bytes, bytes | None],
        settled: Iterable[bytes],
        events: list[bytes],
        whole: bool,
        forget: Iterable[str] = (),
    ) -> None:
        """Makes what was staged and verified visible. `whole` replaces everything that was there before; states named
        in `forget` go with it."""

        def work(c: Connection) -> None:
            if whole:
                c.execute("DELETE FROM records")
                c.execute("DELETE FROM commits")
            c.execute("REPLACE INTO records SELECT id, hash, blob, written FROM staged_records WHERE blob IS NOT NULL")
            c.execute("DELETE FROM records WHERE id IN (SELECT id FROM staged_records WHERE blob IS NULL)")
            c.execute("REPLACE INTO commits SELECT * FROM staged_commits")
            _clear_stage(c)
            _settle(c, drafts, settled)
            _set_state(c, {**dict.fromkeys(forget), CHAIN: chain})
            _add_events(c, events)

        await self._write(work)

    async def apply_push(self, step: AcceptedPush) -> None:
        """Makes a push visible that the server accepted; it is pending no longer."""

        def work(c: Connection) -> None:
            commits = list(step.commits)
            number = commits[-1][0]
            stand = [(id_, *record, number) for id_, record in step.records.items() if record is not None]
            gone = [(id_,) for id_, record in step.records.items() if record is None]
            c.executemany("REPLACE INTO records VALUES (?, ?, ?, ?)", stand)
            c.executemany("DELETE FROM records WHERE id = ?", gone)
            c.executemany("REPLACE INTO commits VALUES (?, ?, ?)", commits)
            _settle(c, {}, step.settled)
            _set_state(c, {CHAIN: step.chain, PENDING: None})

        await self._write(work)

    async def add_events(self, events: list[bytes]) -> None:
        """Adds sealed entries to the device's own log."""
        await self._write(lambda c: _add_events(c, events))

    async def add_request(self, request: Request) -> None:
        """Keeps a sealed request until its receipt is here."""
        row = (request.hash, request.host, request.request, request.note)
        await self._write(lambda c: c.execute("REPLACE INTO requests VALUES (?, ?, ?, ?)", row))

    async def drop_requests(self, hashes: Iterable[bytes]) -> None:
        """Forgets sealed requests."""
        rows = [(hash_,) for hash_ in hashes]
        await self._write(lambda c: c.executemany("DELETE FROM requests WHERE hash = ?", rows))

    async def _write(self, work: Callable[[Connection], object]) -> None:
        def in_transaction(connection: Connection) -> None:
            with transaction(connection):
                work(connection)

        await self._run(in_transaction)

    async def _run(self, work: Callable[[Connection], T]) -> T:
        def guarded() -> T:
            try:
                return work(self.connection)
            except sqlite.DatabaseError as error:
                raise unusable(error) from error

        return await asyncio.get_running_loop().run_in_executor(self._executor, guarded)


def _batches(connection: Connection, query: str) -> Iterator[list[Any]]:
    cursor = connection.execute(query)
    while rows := cursor.fetchmany(_BATCH):
        yield rows


def _by_id(connection: Connection, table: str, ids: Iterable[bytes]) -> dict[bytes, Any]:
    query = f"SELECT id, blob FROM {table} WHERE id = ?"  # noqa: S608 - the table's name is a constant of ours
    rows = (connection.execute(query, (record,)).fetchone() for record in ids)
    return {row[0]: row[1] for row in rows if row}


def _set_state(connection: Connection, values: Mapping[str, bytes | None]) -> None:
    for key, value in values.items():
        if value is None:
            connection.execute("DELETE FROM state WHERE key = ?", (key,))
        else:
            connection.execute("REPLACE INTO state VALUES (?, ?)", (key, value))


def _settle(connection: Connection, drafts: Mapping[bytes, bytes | None], settled: Iterable[bytes]) -> None:
    connection.executemany("DELETE FROM drafts WHERE id = ?", [(record,) for record in settled])
    connection.executemany("REPLACE INTO drafts VALUES (?, ?)", drafts.items())


def _clear_stage(connection: Connection) -> None:
    connection.execute("DELETE FROM staged_commits")
    connection.execute("DELETE FROM staged_records")


def _add_events(connection: Connection, events: Iterable[bytes]) -> None:
    connection.executemany("INSERT INTO events (blob) VALUES (?)", [(event,) for event in events])
