"""Verifies everything that is stored: ciphertext against its hashes, trees against heads, chains from genesis.

It reads one vault after the other, row by row, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pysqlite3.dbapi2 as driver

from kith_protocol.chain import Chain, begin, extend, freeze_chain
from kith_protocol.commit import parse_commit
from kith_protocol.errors import KithError
from kith_protocol.handle import HANDLE_ID_BYTES
from kith_protocol.sealedkeys import parse_keys
from kith_protocol.suite import digest
from kith_protocol.tree import Tree
from kith_protocol.wire import INVITE_SECRET_BYTES

if TYPE_CHECKING:
    from sqlite3 import Connection


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be; `vault` is empty where it is about the file."""

    vault: bytes
    text: str


def check_file(connection: Connection) -> Iterator[Finding]:
    """Damage that SQLite itself finds."""
    try:
        for (text,) in connection.execute("PRAGMA integrity_check"):
            if text != "ok":
                yield Finding(b"", str(text))
    except driver.DatabaseError as error:
        yield Finding(b"", str(error))


def vault_ids(connection: Connection) -> list[bytes]:
    """All vaults that are not being deleted."""
    return [row[0] for row in connection.execute("SELECT vault FROM vaults WHERE closed = 0 ORDER BY vault")]


def check_vault(connection: Connection, vault: bytes) -> Iterator[Finding]:
    """Everything of one vault."""
    try:
        chain, history_bytes = _check_chain(connection, vault)
    except KithError as error:
        yield Finding(vault, f"The chain does not hold: {error}")
        return
    row = connection.execute(
        "SELECT number, head, chain, buckets, records, bytes FROM vaults WHERE vault = ?", (vault,)
    ).fetchone()
    if (row[0], row[1], row[2]) != (chain.number, chain.head, freeze_chain(chain)):
        yield Finding(vault, f"The head on record is not commit {chain.number}, the last of the chain.")
    hashes: dict[bytes, bytes] = {}
    record_bytes = 0
    for record, hash_, size, sealed in _records(connection, vault):
        hashes[record] = hash_
        record_bytes += size
        if sealed is None or len(sealed) != size or digest(sealed) != hash_:
            yield Finding(vault, f"Record {record.hex()} is missing or damaged.")
    tree = Tree.of(hashes)
    if tree.root != chain.tree or b"".join(tree.buckets) != row[3]:
        yield Finding(vault, "The records are not those that the head names.")
    if (row[4], row[5]) != (len(hashes), history_bytes + record_bytes):
        yield Finding(vault, "The figures on record are wrong: the quota may be, too.")
    yield from _check_replaced(connection, vault)
    yield from _check_handles(connection, vault)
    strays = connection.execute("SELECT count(*) FROM blobs WHERE vault = ?", (vault,)).fetchone()[0] - len(hashes)
    if strays:
        yield Finding(vault, f"{strays} sealed records belong to nothing that stands.")


def _check_replaced(connection: Connection, vault: bytes) -> Iterator[Finding]:
    size = 0
    for record, hash_, sealed in connection.execute(
        "SELECT record, hash, sealed FROM replaced WHERE vault = ?", (vault,)
    ):
        size += len(sealed)
        if digest(sealed) != hash_:
            yield Finding(vault, f"The replaced record {record.hex()} is damaged.")
    if connection.execute("SELECT replaced FROM vaults WHERE vault = ?", (vault,)).fetchone()[0] != size:
        yield Finding(vault, "The figure of replaced bytes on record is wrong.")


def _check_handles(connection: Connection, vault: bytes) -> Iterator[Finding]:
    """A handle that leads to half a secret would let nobody in, and nobody would know why."""
    for handle, secret in connection.execute("SELECT handle, secret FROM handles WHERE vault = ?", (vault,)):
        if len(handle) != HANDLE_ID_BYTES or (secret is not None and len(secret) != INVITE_SECRET_BYTES):
            yield Finding(vault, "A handle is damaged; its person can remove it and choose it again.")


def _check_chain(connection: Connection, vault: bytes) -> tuple[Chain, int]:
    """The chain verified from genesis, and its bytes. Raises what the rules raise."""
    chain: Chain | None = None
    size = 0
    query = "SELECT number, hash, raw, keys, changes FROM commits WHERE vault = ? ORDER BY number"
    for number, hash_, raw, keys, changes in connection.execute(query, (vault,)):
        commit = parse_commit(raw)
        chain = begin(commit, parse_keys(keys)) if chain is None else extend(chain, commit, parse_keys(keys))
        if (commit.body.number, commit.hash, chain.vault) != (number, hash_, vault):
            raise KithError(f"commit {number} stands in the wrong place.")
        if changes and digest(changes) != commit.body.changes:
            raise KithError(f"the change list of commit {number} is damaged.")
        size += len(raw) + len(keys) + len(changes)
    if chain is None:
        raise KithError("there is no commit.")
    return chain, size


def _records(connection: Connection, vault: bytes) -> Iterator[tuple[bytes, bytes, int, bytes | None]]:
    query = (
        "SELECT r.record, r.hash, r.size, b.sealed FROM records r LEFT JOIN blobs b"
        " ON b.vault = r.vault AND b.number = r.number AND b.record = r.record WHERE r.vault = ?"
    )
    return (tuple(row) for row in connection.execute(query, (vault,)))
