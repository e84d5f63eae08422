"""Group commit: one thread writes for everybody, many requests to a transaction, and answers after the disk has it.

Each request runs in a savepoint: its own failure undoes itself alone. If the disk fails, the process ends at once: a
second fsync may report success for data that the first one lost, so only starting again from the log is safe.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pysqlite3.dbapi2 as driver
import structlog

from kith_server.errors import Busy, StorageFull
from kith_server.logs import describe

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

GROUP: Final = 256
"""Requests in one transaction at most."""
QUEUE: Final = 1024
"""Requests that may wait."""
QUEUE_SECONDS: Final = 30.0
"""How long a request waits for its turn before the caller is told to come again."""
CHECKPOINT_PAGES: Final = 2000
"""Pages in the log (4 KiB each) that make the writer copy them into the database."""
RESTART_PAGES: Final = 50_000
"""Pages in the log at which the writer waits for readers, so that the log starts again."""
EXIT_DISK_FAILED: Final = 70

_log: Final = structlog.get_logger()


@dataclass(slots=True)
class _Job:
    work: Callable[[Connection], Any]
    future: Future[Any] = field(default_factory=Future)


class Writer:
    """Owns the writing connection. `die` ends the process; a test may put something else there."""

    def __init__(self, connection: Connection, die: Callable[[int], object] = os._exit) -> None:
        self._connection = connection
        self._die = die
        self._queue: queue.Queue[_Job | None] = queue.Queue(QUEUE)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a transaction and returns once it is on the disk. Raises what `work` raises, or `Busy`.

        `work` runs on the writer's thread and must be short. Once it has begun, its outcome is waited for.
        """
        job = _Job(work)
        if self._closed:
            raise Busy("The server is stopping.")
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            raise Busy from None
        waiter: asyncio.Future[T] = asyncio.wrap_future(job.future)
        done, _ = await asyncio.wait({waiter}, timeout=QUEUE_SECONDS)
        if not done and job.future.cancel():
            raise Busy
        return await waiter

    def close(self) -> None:
        """Finishes what was accepted, and ends the thread. Blocks; the connection is closed."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going = True
        try:
            while going:
                group, going = self._next_group()
                self._commit([job for job in group if job.future.set_running_or_notify_cancel()])
        except BaseException as error:
            _log.critical("the writer broke; the process ends", **describe(error))
            self._die(EXIT_DISK_FAILED)
            raise
        self._connection.close()

    def _next_group(self) -> tuple[list[_Job], bool]:
        job = self._queue.get()
        group: list[_Job] = []
        while job is not None:
            group.append(job)
            if len(group) == GROUP:
                return group, True
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _commit(self, group: list[_Job]) -> None:
        if not group:
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(job) for job in group]
            self._connection.execute("COMMIT")
        except driver.Error as error:
            self._failed(group, error)
            return
        for job, (result, failure) in zip(group, outcomes, strict=True):
            _answer(job, result, failure)
        try:
            self._checkpoint()
        except driver.Error as error:
            self._failed([], error)

    def _attempt(self, job: _Job) -> tuple[Any, Exception | None]:
        self._connection.execute("SAVEPOINT job")
        try:
            result = job.work(self._connection)
        except Exception as error:  # handed to the caller, whose request this is
            if isinstance(error, driver.Error) and _disk_failed(error):
                raise
            self._connection.execute("ROLLBACK TO job")
            self._connection.execute("RELEASE job")
            return None, error
        self._connection.execute("RELEASE job")
        return result, None

    def _checkpoint(self) -> None:
        _, logged, copied = self._connection.execute("PRAGMA wal_checkpoint(NOOP)").fetchone()
        if logged > RESTART_PAGES:
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)")
        elif logged - copied > CHECKPOINT_PAGES:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _failed(self, group: list[_Job], error: driver.Error) -> None:
        code = getattr(error, "sqlite_errorcode", None)
        if code not in (driver.SQLITE_FULL, driver.SQLITE_BUSY):
            _log.critical("the disk failed; the process ends", error=getattr(error, "sqlite_errorname", "unknown"))
            self._die(EXIT_DISK_FAILED)
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        reason = StorageFull() if code == driver.SQLITE_FULL else Busy()
        for job in group:
            _answer(job, None, reason)


def _disk_failed(error: driver.Error) -> bool:
    """Whether the whole transaction is lost with this statement, not one request's."""
    code = cast("int", getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    return code in (driver.SQLITE_IOERR, driver.SQLITE_FULL, driver.SQLITE_CORRUPT, driver.SQLITE_NOTADB)


def _answer(job: _Job, result: object, failure: Exception | None) -> None:
    if failure is None:
        job.future.set_result(result)
    else:
        job.future.set_exception(failure)
