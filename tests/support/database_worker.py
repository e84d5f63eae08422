"""A process that writes numbers and prints each one when it is acknowledged, until it is killed or the disk fails.

`python -m tests.support.database_worker FILE write|fail`
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kith_server.logs import configure_logs
from kith_server.storage.database import Database

if TYPE_CHECKING:
    from sqlite3 import Connection

AT_ONCE = 16
MOST = 20_000
PADDING = 2000


def make_table(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")


def add(number: int) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        connection.execute("INSERT INTO t VALUES (?, zeroblob(?))", (number, PADDING))

    return work


def count(connection: Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])


def numbers(connection: Connection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT a FROM t ORDER BY a")]


async def write(path: Path, fail: bool) -> None:
    database = await Database.open(path)
    await database.write(make_table)
    if fail:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    async def each(first: int) -> None:
        for number in range(first, MOST, AT_ONCE):
            await database.write(add(number))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(each(first) for first in range(AT_ONCE)))


if __name__ == "__main__":
    configure_logs("info")
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2] == "fail"))
