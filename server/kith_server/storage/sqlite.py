"""Opens SQLite connections the one way that the server uses them.

The driver is one that bundles its SQLite: versions before 3.51.3 may corrupt a database when the WAL is reset while
another connection writes (fixed also in 3.50.7 and 3.44.6), and many systems ship one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import pysqlite3.dbapi2 as driver

from kith_server.errors import StorageError

if TYPE_CHECKING:
    from sqlite3 import Connection

Version = tuple[int, int, int]

FIXED: Final[Version] = (3, 51, 3)
ALSO_FIXED: Final[frozenset[Version]] = frozenset({(3, 50, 7), (3, 44, 6)})
BUSY_MILLISECONDS: Final = 5000
"""How long a statement waits for another process, such as `kith-server vaults delete`."""
CACHE_KIB: Final = 8192
"""Page cache of one connection."""


def sqlite_version() -> Version:
    """The version of the SQLite that is in use."""
    major, minor, patch = driver.sqlite_version_info
    return (int(major), int(minor), int(patch))


def check_version(version: Version) -> None:
    """Raises `StorageError` for a SQLite with the WAL-reset bug."""
    if version < FIXED and version not in ALSO_FIXED:
        found = ".".join(map(str, version))
        raise StorageError(
            f"SQLite {found} can corrupt databases in WAL mode; install a pysqlite3 with SQLite 3.51.3 or newer."
        )


def connect(path: Path, *, read_only: bool = False) -> Connection:
    """A connection in autocommit mode, for one thread at a time. Raises `StorageError`."""
    try:
        opened = driver.connect(
            str(path), timeout=BUSY_MILLISECONDS / 1000, isolation_level=None, check_same_thread=False
        )
        connection = cast("Connection", opened)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        # SQLite hides errors of automatic checkpoints, and a second fsync may claim success: the writer does its own.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except driver.Error as error:
        raise StorageError(f"The database {path} cannot be opened: {error}.") from None
    return connection
