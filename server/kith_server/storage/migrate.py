"""Brings a database to the newest schema: numbered SQL files, each in one transaction, each once.

Before a file is applied to a database that holds data, the database is copied to `NAME.before-NNNN`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pysqlite3.dbapi2 as driver

from kith_server.errors import StorageError

if TYPE_CHECKING:
    from sqlite3 import Connection


@dataclass(frozen=True, slots=True)
class Migration:
    """One file `NNNN_name.sql`."""

    number: int
    name: str
    sql: str


def known_migrations() -> list[Migration]:
    """The migrations that come with this program, in order."""
    found = []
    for file in (resources.files("kith_server.storage") / "migrations").iterdir():
        number, _, name = file.name.partition("_")
        if file.name.endswith(".sql"):
            found.append(Migration(int(number), name.removesuffix(".sql"), file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


def migrate(connection: Connection, path: Path, migrations: list[Migration]) -> None:
    """Applies what is missing. Raises `StorageError`, after which the database is as it was before the failing file."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations"
        " (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied INTEGER NOT NULL DEFAULT (unixepoch()))"
    )
    applied = {row[0] for row in connection.execute("SELECT number FROM migrations")}
    unknown = applied - {migration.number for migration in migrations}
    if unknown:
        raise StorageError(f"The database is from a newer kith-server (step {max(unknown)}); update this one.")
    fresh = not applied
    for migration in migrations:
        if migration.number not in applied:
            if not fresh:
                copy_database(connection, path.with_name(f"{path.name}.before-{migration.number:04}"), replace=True)
            _apply(connection, migration)


def copy_database(connection: Connection, target: Path, *, replace: bool = False) -> None:
    """A consistent copy of one moment, complete on the disk when this returns. Raises `StorageError`.

    Unless `replace`, an existing `target` is left alone.
    """
    if target.exists() and not replace:
        raise StorageError(f"{target} exists already and is left as it is; choose another name.")
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        connection.execute("VACUUM INTO ?", (str(partial),))
        _sync(partial)
        partial.replace(target)
        _sync(target.parent)
    except (driver.Error, OSError) as error:
        partial.unlink(missing_ok=True)
        raise StorageError(f"The copy {target} cannot be written: {error}.") from None


def _apply(connection: Connection, migration: Migration) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{migration.sql}")
        connection.execute("INSERT INTO migrations (number, name) VALUES (?, ?)", (migration.number, migration.name))
        connection.execute("COMMIT")
    except driver.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise StorageError(f"Step {migration.number:04} ({migration.name}) of the database failed: {error}.") from None


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
