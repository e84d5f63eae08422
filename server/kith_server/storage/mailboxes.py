"""Mailboxes, the parcels in them, and greetings in SQLite (interface: `MailboxStore`).

Which put is kept is decided by `kith_protocol.mailbox.place`, inside the transaction that keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kith_protocol.errors import LimitExceeded
from kith_protocol.mailbox import FREED_KINDS, MailboxKind, Placement, may_become, place
from kith_protocol.wire import OpenMailbox, ParcelPage, StoredParcel
from kith_server.config import Quotas
from kith_server.errors import HttpRefusal
from kith_server.storage.database import Database
from kith_server.storage.mail_interface import MAX_GREETINGS, MAX_PAGE_BYTES, PARCEL_LIFETIME, Deposit, Parcel

if TYPE_CHECKING:
    from sqlite3 import Connection

EXPIRE_AT_ONCE: Final = 200
"""Rows that one transaction of the clean-up removes."""

_FREED: Final = ", ".join(str(int(kind)) for kind in sorted(FREED_KINDS))
_FREE_SLOTS: Final = (
    "DELETE FROM slots WHERE vault = ?1 AND (read_id, slot) IN ("  # noqa: S608 (our own numbers)
    "SELECT parcels.read_id, parcels.slot FROM parcels JOIN mailboxes USING (vault, read_id)"
    f" WHERE vault = ?1 AND hash = ?2 AND kind IN ({_FREED}))"
)
"""The slots of parcels that are about to be deleted, where the mailbox forgets them."""


class SqliteMailboxes:
    """Implements `MailboxStore`."""

    def __init__(self, database: Database, quotas: Quotas) -> None:
        self._database = database
        self._quotas = quotas

    async def open(self, vault: bytes, read_id: bytes, wanted: OpenMailbox) -> None:
        values = (wanted.mailbox, wanted.deposit_key, int(wanted.kind))

        def work(connection: Connection) -> None:
            query = "SELECT mailbox, deposit_key, kind FROM mailboxes WHERE vault = ? AND read_id = ?"
            known = connection.execute(query, (vault, read_id)).fetchone()
            if known == values:
                return
            if known and known[:2] == values[:2] and may_become(MailboxKind(known[2]), wanted.kind):
                _retire(connection, (vault, read_id), wanted.kind)
                return
            taken = connection.execute("SELECT 1 FROM mailboxes WHERE mailbox = ?", (wanted.mailbox,)).fetchone()
            if known or taken:
                raise HttpRefusal(409, "mailbox-taken", "There is another mailbox under this id.")
            count = connection.execute("SELECT count(*) FROM mailboxes WHERE vault = ?", (vault,)).fetchone()[0]
            if count >= self._quotas.mailboxes:
                raise LimitExceeded(f"A vault has at most {self._quotas.mailboxes} mailboxes here.")
            connection.execute("INSERT INTO mailboxes VALUES (?, ?, ?, ?, ?)", (vault, read_id, *values))

        await self._database.write(work)

    async def delete(self, vault: bytes, read_id: bytes) -> None:
        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM mailboxes WHERE vault = ? AND read_id = ?", (vault, read_id))

        await self._database.write(work)

    async def find(self, mailbox: bytes) -> Deposit | None:
        def work(connection: Connection) -> Deposit | None:
            query = "SELECT vault, read_id, deposit_key, kind FROM mailboxes WHERE mailbox = ?"
            row = connection.execute(query, (mailbox,)).fetchone()
            return None if row is None else Deposit(row[0], row[1], row[2], MailboxKind(row[3]))

        return await self._database.read(work)

    async def put(self, mailbox: Deposit, parcel: Parcel, now: int) -> Placement | None:
        def work(connection: Connection) -> Placement | None:
            # Asked again: it may have been deleted or retired since it was found.
            query = "SELECT kind FROM mailboxes WHERE vault = ? AND read_id = ? AND deposit_key = ?"
            row = connection.execute(query, (mailbox.vault, mailbox.read_id, mailbox.key)).fetchone()
            if row is None:
                return None
            return _put(connection, replace(mailbox, kind=MailboxKind(row[0])), parcel, self._quotas, now)

        return await self._database.write(work)

    async def page(self, vault: bytes, after: int) -> ParcelPage:
        def work(connection: Connection) -> ParcelPage:
            query = (
                "SELECT arrival, read_id, slot, sequence, parcel FROM parcels"
                " WHERE vault = ? AND arrival > ? ORDER BY arrival"
            )
            found: list[StoredParcel] = []
            cursor, room = after, MAX_PAGE_BYTES
            for arrival, *fields in connection.execute(query, (vault, after)):
                parcel = StoredParcel(*fields)
                room -= len(parcel.parcel)
                if found and room < 0:
                    break
                found.append(parcel)
                cursor = arrival
            return ParcelPage(tuple(found), cursor)

        return await self._database.read(work)

    async def delete_parcels(self, vault: bytes, hashes: Iterable[bytes]) -> None:
        rows = [(vault, digest) for digest in hashes]

        def work(connection: Connection) -> None:
            connection.executemany(_FREE_SLOTS, rows)
            connection.executemany("DELETE FROM parcels WHERE vault = ? AND hash = ?", rows)

        await self._database.write(work)

    async def put_greeting(self, vault: bytes, link_id: bytes, sealed: bytes, expires: int) -> None:
        def work(connection: Connection) -> None:
            owner = connection.execute("SELECT vault FROM greetings WHERE link_id = ?", (link_id,)).fetchone()
            if owner is not None and owner[0] != vault:
                raise HttpRefusal(409, "greeting-taken", "There is another greeting under this id.")
            count = connection.execute("SELECT count(*) FROM greetings WHERE vault = ?", (vault,)).fetchone()[0]
            if owner is None and count >= MAX_GREETINGS:
                raise LimitExceeded(f"A vault has at most {MAX_GREETINGS} open invites here; revoke some.")
            values = (link_id, vault, expires, sealed)
            connection.execute("INSERT OR REPLACE INTO greetings VALUES (?, ?, ?, ?)", values)

        await self._database.write(work)

    async def delete_greeting(self, vault: bytes, link_id: bytes) -> None:
        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM greetings WHERE link_id = ? AND vault = ?", (link_id, vault))

        await self._database.write(work)

    async def find_greeting(self, link_id: bytes, now: int) -> bytes | None:
        def work(connection: Connection) -> bytes | None:
            query = "SELECT sealed FROM greetings WHERE link_id = ? AND expires > ?"
            row = connection.execute(query, (link_id, now)).fetchone()
            return None if row is None else bytes(row[0])

        return await self._database.read(work)

    async def expire(self, now: int) -> bool:
        return await self._database.write(lambda connection: _expire(connection, now))


def _retire(connection: Connection, owner: tuple[bytes, bytes], kind: MailboxKind) -> None:
    """What waits in the mailbox goes, and the slots that it had do not count among its new ones."""
    connection.execute("UPDATE mailboxes SET kind = ? WHERE vault = ? AND read_id = ?", (int(kind), *owner))
    connection.execute("DELETE FROM parcels WHERE vault = ? AND read_id = ?", owner)
    connection.execute("DELETE FROM slots WHERE vault = ? AND read_id = ?", owner)


def _put(connection: Connection, mailbox: Deposit, parcel: Parcel, quotas: Quotas, now: int) -> Placement:
    owner = (mailbox.vault, mailbox.read_id)
    slots = connection.execute("SELECT slot, sequence FROM slots WHERE vault = ? AND read_id = ?", owner)
    placement = place(dict(slots.fetchall()), parcel.slot, parcel.sequence, mailbox.kind)
    if placement is not Placement.STORE:
        return placement
    used = "SELECT count(*), total(size) FROM parcels WHERE vault = ? AND read_id = ? AND slot != ?"
    count, size = connection.execute(used, (*owner, parcel.slot)).fetchone()
    if count >= quotas.parcels or size + len(parcel.body) > quotas.mailbox_bytes:
        return Placement.FULL
    connection.execute("DELETE FROM parcels WHERE vault = ? AND read_id = ? AND slot = ?", (*owner, parcel.slot))
    arrived = "INSERT INTO arrivals VALUES (?, 1) ON CONFLICT (vault) DO UPDATE SET last = last + 1 RETURNING last"
    arrival = connection.execute(arrived, (owner[0],)).fetchone()[0]
    connection.execute(
        "INSERT INTO parcels (vault, read_id, arrival, slot, sequence, hash, size, arrived, parcel)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*owner, arrival, parcel.slot, parcel.sequence, parcel.hash, len(parcel.body), now, parcel.body),
    )
    seen = (
        "INSERT INTO slots VALUES (?, ?, ?, ?)"
        " ON CONFLICT (vault, read_id, slot) DO UPDATE SET sequence = excluded.sequence"
    )
    connection.execute(seen, (*owner, parcel.slot, parcel.sequence))
    return Placement.STORE


def _expire(connection: Connection, now: int) -> bool:
    greetings = connection.execute(
        "DELETE FROM greetings WHERE link_id IN (SELECT link_id FROM greetings WHERE expires <= ? LIMIT ?)",
        (now, EXPIRE_AT_ONCE),
    ).rowcount
    old = connection.execute(
        "SELECT id, vault, read_id, slot, hash FROM parcels WHERE arrived <= ? ORDER BY arrived LIMIT ?",
        (now - PARCEL_LIFETIME, EXPIRE_AT_ONCE),
    ).fetchall()
    # Nobody read these: the sender may put the same sequence again, and must not be told that it has arrived.
    connection.executemany(
        "UPDATE slots SET sequence = sequence - 1 WHERE vault = ? AND read_id = ? AND slot = ?",
        [row[1:4] for row in old],
    )
    connection.executemany(_FREE_SLOTS, [(row[1], row[4]) for row in old])
    connection.executemany("DELETE FROM parcels WHERE id = ?", [row[:1] for row in old])
    return max(greetings, len(old)) == EXPIRE_AT_ONCE
