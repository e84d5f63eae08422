"""The mirror's file: its tables, and opening it with a SQLite that does not lose data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pysqlite3 as sqlite

from kith_protocol.errors import KithError

Connection = Any

_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE commits (number INTEGER PRIMARY KEY, raw BLOB NOT NULL, keys BLOB NOT NULL);
CREATE TABLE records (id BLOB PRIMARY KEY, hash BLOB NOT NULL, blob BLOB NOT NULL, written INTEGER NOT NULL);
CREATE TABLE drafts (id BLOB PRIMARY KEY, blob BLOB);
CREATE TABLE staged_commits (number INTEGER PRIMARY KEY, raw BLOB NOT NULL, keys BLOB NOT NULL);
CREATE TABLE staged_records (id BLOB PRIMARY KEY, hash BLOB NOT NULL, blob BLOB, written INTEGER NOT NULL);
CREATE TABLE requests (hash BLOB PRIMARY KEY, host TEXT NOT NULL, request BLOB NOT NULL, note BLOB NOT NULL);
CREATE TABLE events (number INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
"""
_FIXED: Final = (3, 51, 3)
_FIXED_BEFORE: Final = ((3, 50, 7), (3, 44, 6))


class MirrorDamaged(KithError):
    """The mirror's file cannot be read or written."""

    code = "mirror-damaged"


def unusable(error: Exception) -> MirrorDamaged:
    """What to say where SQLite gives up."""
    return MirrorDamaged(
        f"The local copy of the address book (mirror.sqlite in its folder) cannot be used: {error}. If the disk is not "
        "full and the folder can be written, 'kith doctor --rebuild' makes it anew from the server."
    )


def connect(path: Path) -> Connection:
    """Opens or makes the file, for use on one thread at a time. Raises `MirrorDamaged`."""
    version = sqlite.sqlite_version_info
    if version < _FIXED and not any(version[:2] == fixed[:2] and version >= fixed for fixed in _FIXED_BEFORE):
        raise MirrorDamaged(
            f"SQLite {sqlite.sqlite_version} can lose data (its WAL-reset bug); 3.51.3 or newer is needed."
        )
    try:
        connection = sqlite.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            with transaction(connection):
                for statement in _SCHEMA.strip().split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        elif found != _SCHEMA_VERSION:
            raise MirrorDamaged("The local copy was written by a newer kith; update this one.")
    except sqlite.DatabaseError as error:
        raise unusable(error) from error
    return connection


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """All of it, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite ends it itself where the disk is full
            connection.execute("ROLLBACK")
        raise
