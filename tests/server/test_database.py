"""Group commit, migrations, backups, and what happens when the disk or the process fails."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pysqlite3.dbapi2 as driver
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kith_protocol.errors import Refused
from kith_server.errors import Busy, StorageError, StorageFull
from kith_server.storage import migrate, writer
from kith_server.storage.database import Database
from kith_server.storage.migrate import Migration
from kith_server.storage.sqlite import check_version, connect
from tests.support.database_worker import add, count, make_table, numbers

if TYPE_CHECKING:
    from sqlite3 import Connection

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "kith.db")
    await opened.write(make_table)
    yield opened
    await opened.close()


async def test_a_failing_request_undoes_itself_and_leaves_its_group(database: Database) -> None:
    def fails(connection: Connection) -> None:
        connection.execute("INSERT INTO t (a) VALUES (-1)")
        raise Refused("no", "No.")

    jobs = [database.write(fails) if n % 7 == 3 else database.write(add(n)) for n in range(300)]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert [n for n, outcome in enumerate(done) if isinstance(outcome, Refused)] == list(range(3, 300, 7))
    assert await database.read(numbers) == [n for n in range(300) if n % 7 != 3]


async def test_a_broken_rule_of_the_database_undoes_only_its_request(database: Database) -> None:
    done = await asyncio.gather(*(database.write(add(n % 10)) for n in range(50)), return_exceptions=True)
    assert sum(isinstance(outcome, driver.IntegrityError) for outcome in done) == 40
    assert await database.read(numbers) == list(range(10))


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60))
def test_what_is_acknowledged_is_stored_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[tuple[int, bool]]
) -> None:
    def work(number: int, fails: bool) -> Callable[[Connection], None]:
        def body(connection: Connection) -> None:
            add(number)(connection)
            if fails:
                raise Refused("no", "No.")

        return body

    async def run() -> None:
        database = await Database.open(tmp_path_factory.mktemp("db") / "kith.db")
        await database.write(make_table)
        done = await asyncio.gather(*(database.write(work(*job)) for job in jobs), return_exceptions=True)
        acknowledged = [number for (number, _), outcome in zip(jobs, done, strict=True) if outcome is None]
        assert await database.read(numbers) == sorted(acknowledged)
        assert set(acknowledged) == {number for number, fails in jobs if not fails}
        await database.close()

    asyncio.run(run())


async def test_requests_share_transactions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    commit = writer.Writer._commit

    def counting(self: writer.Writer, group: list[writer._Job]) -> None:
        groups.append(len(group))
        commit(self, group)

    monkeypatch.setattr(writer.Writer, "_commit", counting)
    await asyncio.gather(*(database.write(add(n)) for n in range(1000)))
    assert sum(groups) == 1000
    assert max(groups) <= writer.GROUP
    assert len(groups) < 100


async def test_a_full_queue_is_said_at_once(database: Database) -> None:
    gate = threading.Event()
    blocked = asyncio.create_task(database.write(lambda _: gate.wait(20)))
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(database.write(add(n))) for n in range(writer.QUEUE)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await database.write(add(9999))
    gate.set()
    await asyncio.gather(blocked, *waiting)
    assert await database.read(count) == writer.QUEUE


async def test_who_waited_too_long_is_told_and_nothing_is_done(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "QUEUE_SECONDS", 0.1)
    gate = threading.Event()
    running = asyncio.create_task(database.write(lambda _: gate.wait(20)))
    await asyncio.sleep(0.05)
    with pytest.raises(Busy):
        await database.write(add(1))
    gate.set()
    # What had begun is waited for, however long it takes.
    assert await running is True
    assert await database.read(count) == 0


async def test_closing_finishes_what_was_accepted(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "kith.db")
    await database.write(make_table)
    jobs = [asyncio.create_task(database.write(add(n))) for n in range(500)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*jobs)
    with pytest.raises(Busy):
        await database.write(add(1000))
    again = await Database.open(tmp_path / "kith.db")
    assert await again.read(count) == 500
    await again.close()


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(driver.OperationalError, match="readonly"):
        await database.read(add(1))


async def test_a_full_disk_is_said_and_the_server_goes_on(database: Database) -> None:
    pages = await database.write(lambda c: int(c.execute("PRAGMA page_count").fetchone()[0]))
    await database.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages + 4}").fetchone())
    await database.write(lambda c: c.execute("CREATE TABLE big (b)") and None)

    def fill(connection: Connection) -> None:
        connection.execute("INSERT INTO big VALUES (zeroblob(100000))")

    with pytest.raises(StorageFull):
        await database.write(fill)
    await database.write(add(1))
    assert await database.read(numbers) == [1]


def test_the_process_ends_at_once_when_the_disk_fails(tmp_path: Path) -> None:
    # A limit on file sizes makes real writes fail in the middle of a transaction.
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.database_worker", str(tmp_path / "kith.db"), "fail"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == writer.EXIT_DISK_FAILED, done.stderr
    assert '"error": "SQLITE_IOERR' in done.stderr
    assert done.stderr.count("\n") == 1
    acknowledged = [int(line) for line in done.stdout.split()]
    stored = connect(tmp_path / "kith.db").execute("SELECT a FROM t ORDER BY a").fetchall()
    assert acknowledged
    assert {row[0] for row in stored} >= set(acknowledged)


@pytest.mark.parametrize("after", [0.05, 0.2, 0.45])
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, after: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.database_worker", str(tmp_path / "kith.db"), "write"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdout is None:
        raise AssertionError("There is no output to read.")
    first = process.stdout.readline()
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read()
    process.wait(timeout=20)
    process.stdout.close()
    acknowledged = [int(line) for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]
    connection = connect(tmp_path / "kith.db")
    stored = {row[0] for row in connection.execute("SELECT a FROM t")}
    assert len(acknowledged) > 10
    assert set(acknowledged) <= stored
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_the_log_does_not_grow_for_ever(database: Database, tmp_path: Path) -> None:
    await database.write(lambda c: c.execute("CREATE TABLE big (b)") and None)

    def fill(connection: Connection) -> None:
        connection.execute("INSERT INTO big VALUES (zeroblob(1000000))")

    for _ in range(60):
        await database.write(fill)
    assert (tmp_path / "kith.db-wal").stat().st_size < 20_000_000


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 51, 2), (3, 50, 6), (3, 44, 5), (3, 7, 0)])
def test_a_sqlite_with_the_wal_reset_bug_is_refused(version: tuple[int, int, int]) -> None:
    with pytest.raises(StorageError, match="WAL"):
        check_version(version)


@pytest.mark.parametrize("version", [(3, 51, 3), (3, 53, 4), (3, 50, 7), (3, 44, 6), (4, 0, 0)])
def test_a_sqlite_without_the_bug_is_taken(version: tuple[int, int, int]) -> None:
    check_version(version)
    assert version >= (3, 44, 6)


FIRST = Migration(1, "first", "CREATE TABLE a (x);")
SECOND = Migration(2, "second", "CREATE TABLE b (x); INSERT INTO b VALUES (1);")


def test_migrations_run_once_each_with_a_copy_before(tmp_path: Path) -> None:
    path = tmp_path / "kith.db"
    connection = connect(path)
    migrate.migrate(connection, path, [FIRST])
    assert list(tmp_path.glob("*.before-*")) == []
    connection.execute("INSERT INTO a VALUES (7)")
    for _ in range(2):
        migrate.migrate(connection, path, [FIRST, SECOND])
    assert connection.execute("SELECT x FROM b").fetchall() == [(1,)]
    copy = connect(tmp_path / "kith.db.before-0002")
    assert copy.execute("SELECT x FROM a").fetchall() == [(7,)]
    assert copy.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'b'").fetchone() == (0,)


def test_a_failing_migration_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "kith.db"
    connection = connect(path)
    migrate.migrate(connection, path, [FIRST])
    broken = Migration(2, "broken", "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(StorageError, match="0002"):
        migrate.migrate(connection, path, [FIRST, broken])
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'b'").fetchone() == (0,)
    migrate.migrate(connection, path, [FIRST, SECOND])


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kith.db"
    connection = connect(path)
    migrate.migrate(connection, path, [FIRST, SECOND])
    with pytest.raises(StorageError, match="newer"):
        migrate.migrate(connection, path, [FIRST])


async def test_a_backup_while_writing_is_one_moment(database: Database, tmp_path: Path) -> None:
    def pair(number: int) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            connection.executemany("INSERT INTO t (a) VALUES (?)", [(number,), (number + 1,)])

        return work

    async def write_all() -> None:
        for number in range(0, 400, 2):
            await database.write(pair(number))

    writing = asyncio.create_task(write_all())
    await asyncio.sleep(0.05)
    await database.backup(tmp_path / "copy.db")
    await writing
    copied = [row[0] for row in connect(tmp_path / "copy.db").execute("SELECT a FROM t ORDER BY a")]
    assert copied == list(range(len(copied)))
    assert len(copied) % 2 == 0
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    with pytest.raises(StorageError, match="exists"):
        await database.backup(tmp_path / "copy.db")


async def test_changes_by_another_process_are_noticed(database: Database, tmp_path: Path) -> None:
    before = await database.outside_changes()
    await database.write(add(1))
    assert await database.outside_changes() == before
    connect(tmp_path / "kith.db").execute("INSERT INTO t (a) VALUES (2)")
    assert await database.outside_changes() != before
