"""One SQLite file: WAL, `synchronous=FULL`, one writer with group commit, two readers.

It knows nothing of what is stored; the modules beside it hold the statements.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from kith_server.storage.migrate import copy_database, known_migrations, migrate
from kith_server.storage.readers import Readers
from kith_server.storage.sqlite import check_version, connect, sqlite_version
from kith_server.storage.writer import Writer

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

DATABASE_NAME: Final = "kith.db"
"""In the folder of the server's data."""


class Database:
    """Open it with `Database.open`. Every method may be called from the event loop and never blocks it."""

    def __init__(self, path: Path, writer: Writer, readers: Readers) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers

    @classmethod
    async def open(cls, path: Path, *, die: Callable[[int], object] = os._exit) -> Database:
        """Opens or creates the file and brings it to the newest schema. Raises `StorageError`.

        `die` ends the process after an error of the disk; only tests give another one.
        """
        return await asyncio.to_thread(cls._open, path, die)

    @classmethod
    def _open(cls, path: Path, die: Callable[[int], object]) -> Database:
        check_version(sqlite_version())
        if not path.exists():
            path.touch(mode=0o600)
        connection = connect(path)
        try:
            migrate(connection, path, known_migrations())
        except BaseException:
            connection.close()
            raise
        return cls(path, Writer(connection, die), Readers(path))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a transaction shared with others; returns once the disk has it.

        An exception of `work` undoes what it did and is raised here. `work` must be short, and not begin or end
        transactions. Raises `Busy` after 30 s in the queue or where the queue is full, `StorageFull`.
        """
        return await self._writer.write(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` on one consistent state, on a thread. Raises what `work` raises, or `Busy`."""
        return await self._readers.read(work)

    async def outside_changes(self) -> int:
        """A number that changes when another process, such as the command line, has written to the file."""

        def version(connection: Connection) -> int:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])

        return await self.write(version)

    async def backup(self, target: Path) -> None:
        """Writes a consistent copy while everything goes on. Raises `StorageError`."""

        def copy() -> None:
            connection = connect(self._path)
            try:
                copy_database(connection, target)
            finally:
                connection.close()

        await asyncio.to_thread(copy)

    async def close(self) -> None:
        """Finishes what was accepted and closes the file."""
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._readers.close)
