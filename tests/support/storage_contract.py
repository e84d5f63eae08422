"""What every store has to do, as tests: a class for each store inherits `StorageContract` and gives the stores.

The store is given bytes that mean nothing: it must keep them, and decide only what the interface says that it decides.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from kith_protocol.errors import Refused
from kith_server.storage.interface import (
    AFTER_ALL,
    BEGINNING,
    Cursor,
    RecordRow,
    SessionStore,
    Step,
    StoredCommit,
    StoredRecord,
    StoredReplaced,
    StoredSession,
    StoredVault,
    TokenStore,
    VaultStore,
)

ROOM = 1000


@dataclass(frozen=True)
class Stores:
    """The stores of one server over the same data."""

    vaults: VaultStore
    sessions: SessionStore
    tokens: TokenStore


def name(*parts: object) -> bytes:
    """32 bytes that look random and are the same every time."""
    return hashlib.sha256(repr(parts).encode()).digest()


def stored(vault: bytes, number: int = 0, *, received: int = 0) -> tuple[StoredVault, StoredCommit]:
    """A vault at commit `number`, and that commit."""
    commit = StoredCommit(number, name(vault, number), received, b"raw%d" % number, b"keys", b"changes%d" % number)
    return StoredVault(vault, number, commit.hash, b"chain%d" % number, bytes(8192), 0, 100), commit


def step(
    vault: bytes,
    number: int,
    written: dict[bytes, bytes] | None = None,
    deleted: tuple[bytes, ...] = (),
    *,
    room: int = 1000,
    **of: int,
) -> Step:
    """Commit `number` with these records."""
    after, commit = stored(vault, number, **of)
    rows = tuple((RecordRow(id_, name(blob), len(blob)), blob) for id_, blob in sorted((written or {}).items()))
    return Step(name(vault, number - 1), after, 10, commit, rows, deleted, room)


async def whole_feed(vaults: VaultStore, vault: bytes, after: int, budget: int) -> list[StoredCommit | StoredRecord]:
    """All batches after `after`, one after the other."""
    items: list[StoredCommit | StoredRecord] = []
    cursor = Cursor(after)
    while True:
        batch = await vaults.feed(vault, cursor, budget)
        items += batch.items
        cursor = batch.cursor
        if batch.complete:
            return items


class StorageContract:
    """Inherit and implement `open`, which gives stores over the same data each time within one test."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Stores]:
        raise TypeError("A store's own test says how it is opened.")
        yield

    async def begin(self, stores: Stores, label: str, *, received: int = 0) -> bytes:
        vault, genesis = stored(name(label), received=received)
        await stores.vaults.create(vault, genesis, token=None, room=ROOM)
        return vault.vault

    async def test_what_was_stored_is_there_after_opening_again(self) -> None:
        record = name("r")[:16]
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            await stores.vaults.append(step(vault, 1, {record: b"sealed"}))
        async with self.open() as stores:
            kept = await stores.vaults.load(vault)
            expected = replace(stored(vault, 1)[0], size=110)
            assert kept == expected
            items = await whole_feed(stores.vaults, vault, BEGINNING, 1000)
            assert items == [stored(vault)[1], stored(vault, 1)[1], StoredRecord(1, record, b"sealed")]

    async def test_creating_again_leaves_the_vault_as_it_is(self) -> None:
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            await stores.vaults.append(step(vault, 1))
            await self.begin(stores, "anna")
            kept = await stores.vaults.load(vault)
            assert kept is not None
            assert kept.number == 1

    async def test_a_commit_on_another_head_changes_nothing(self) -> None:
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            await stores.vaults.append(step(vault, 1, {name("a")[:16]: b"a"}))
            late = replace(step(vault, 2, {name("b")[:16]: b"b"}), parent=name(vault, 0))
            with pytest.raises(Refused) as caught:
                await stores.vaults.append(late)
            assert caught.value.code == "head-moved"
            assert len(await whole_feed(stores.vaults, vault, BEGINNING, 1000)) == 3
            assert not await stores.vaults.has_commit(vault, 2, late.commit.hash)

    async def test_of_many_commits_on_one_head_one_is_stored(self) -> None:
        async with self.open() as stores:
            vaults = [await self.begin(stores, f"v{n}") for n in range(5)]
            steps = [step(vault, 1, {name(vault, n)[:16]: b"%d" % n}) for n in range(20) for vault in vaults]
            random.Random(7).shuffle(steps)
            done = await asyncio.gather(*(stores.vaults.append(each) for each in steps), return_exceptions=True)
            assert sum(outcome is None for outcome in done) == len(vaults)
            for vault in vaults:
                assert len(await whole_feed(stores.vaults, vault, 0, 1000)) == 2

    async def test_records_are_replaced_and_deleted(self) -> None:
        first, second = name("a")[:16], name("b")[:16]
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            await stores.vaults.append(step(vault, 1, {first: b"one", second: b"two"}))
            await stores.vaults.append(step(vault, 2, {first: b"three"}, deleted=(second,)))
            records = [i for i in await whole_feed(stores.vaults, vault, BEGINNING, 1) if isinstance(i, StoredRecord)]
            assert records == [StoredRecord(2, first, b"three")]
            rows = await stores.vaults.bucket_rows(vault, frozenset({first[0], second[0]}))
            assert rows == [RecordRow(first, name(b"three"), 5)]
            assert await stores.vaults.count_after(vault, 1) == 1
            assert await stores.vaults.count_after(vault, 2) == 0

    async def test_what_was_replaced_or_deleted_is_kept_for_a_while(self) -> None:
        first, second = sorted((name("a")[:16], name("b")[:16]))
        async with self.open() as stores:
            anna, bob = await self.begin(stores, "anna"), await self.begin(stores, "bob")
            for vault in (anna, bob):
                await stores.vaults.append(step(vault, 1, {first: b"one", second: b"two"}))
            await stores.vaults.append(step(anna, 2, {first: b"three"}, received=10))
            await stores.vaults.append(step(anna, 3, deleted=(first, second), received=20))
            kept = await stores.vaults.replaced(anna, Cursor(0, bytes(16)), 1000)
            gone = [(2, first, 1, b"one"), (3, first, 2, b"three"), (3, second, 1, b"two")]
            assert kept == [StoredReplaced(*each) for each in gone]
            assert await stores.vaults.replaced(bob, Cursor(0, bytes(16)), 1000) == []
            assert await stores.vaults.replaced(anna, Cursor(0, bytes(16)), 1) == kept[:1]
            assert await stores.vaults.replaced(anna, Cursor(3, first), 1000) == kept[2:]
            assert await stores.vaults.drop_replaced(20, 10) == 1
            assert await stores.vaults.drop_replaced(30, 1) == 1
            assert await stores.vaults.replaced(anna, Cursor(0, bytes(16)), 1000) == kept[2:]

    async def test_the_oldest_of_what_was_replaced_goes_where_there_is_no_room_for_it(self) -> None:
        record = name("a")[:16]
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            for number in range(1, 6):
                await stores.vaults.append(step(vault, number, {record: b"%05d" % number}, room=12))
            kept = await stores.vaults.replaced(vault, Cursor(0, bytes(16)), 1000)
            assert [each.sealed for each in kept] == [b"00003", b"00004"]
            await stores.vaults.append(step(vault, 6, {record: b"x"}, room=0))
            assert await stores.vaults.replaced(vault, Cursor(0, bytes(16)), 1000) == []

    async def test_bucket_rows_are_those_of_the_vault_and_the_buckets(self) -> None:
        async with self.open() as stores:
            anna, bob = await self.begin(stores, "anna"), await self.begin(stores, "bob")
            ids = [bytes([first]) + name(first, n)[:15] for first in (0, 1, 127, 254, 255) for n in range(3)]
            await stores.vaults.append(step(anna, 1, dict.fromkeys(ids, b"x")))
            await stores.vaults.append(step(bob, 1, {bytes(16): b"y", b"\xff" * 16: b"y"}))
            found = await stores.vaults.bucket_rows(anna, frozenset({0, 255}))
            assert sorted(row.record for row in found) == sorted(ids[:3] + ids[-3:])
            assert {row.record for row in await stores.vaults.bucket_rows(bob, frozenset({255}))} == {b"\xff" * 16}

    @pytest.mark.parametrize("budget", [1, 50, 400, 10_000])
    async def test_a_feed_gives_each_commit_and_then_its_records_whatever_the_batches(self, budget: int) -> None:
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            await self.begin(stores, "bob")
            for number in range(1, 9):
                written = {name(number, n)[:16]: b"%d.%d" % (number, n) for n in range(number % 4)}
                await stores.vaults.append(step(vault, number, written))
            for after in (BEGINNING, 0, 3, 7, 8):
                items = await whole_feed(stores.vaults, vault, after, budget)
                assert [i.number for i in items if isinstance(i, StoredCommit)] == list(range(after + 1, 9))
                places = [(i.number, i.record if isinstance(i, StoredRecord) else b"") for i in items]
                assert places == sorted(places)
                records = [i for i in items if isinstance(i, StoredRecord)]
                assert len(records) == sum(n % 4 for n in range(after + 1, 9))

    async def test_a_feed_that_is_overtaken_has_what_came_meanwhile(self) -> None:
        first, second = name("a")[:16], name("b")[:16]
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            await stores.vaults.append(step(vault, 1, {first: b"one", second: b"two"}))
            batch = await stores.vaults.feed(vault, Cursor(BEGINNING), 1)
            assert (batch.head, batch.complete) == (1, False)
            await stores.vaults.append(step(vault, 2, {first: b"new"}, deleted=(second,)))
            rest = await stores.vaults.feed(vault, batch.cursor, 1000)
            assert (rest.head, rest.complete) == (2, True)
            assert rest.items == (stored(vault, 1)[1], stored(vault, 2)[1], StoredRecord(2, first, b"new"))
            assert rest.cursor == Cursor(2, first)
            assert (await stores.vaults.feed(vault, Cursor(2, AFTER_ALL), 1000)).items == ()

    async def test_a_token_is_used_once_and_only_by_a_vault_that_begins(self) -> None:
        async with self.open() as stores:
            await stores.tokens.add([name("token"), name("other")], 0)
            anna, bob = stored(name("anna")), stored(name("bob"))
            await stores.vaults.create(*anna, token=name("token"), room=ROOM)
            await stores.vaults.create(*anna, token=name("token"), room=ROOM)
            with pytest.raises(Refused) as caught:
                await stores.vaults.create(*bob, token=name("token"), room=ROOM)
            assert caught.value.code == "registration-token"
            assert await stores.vaults.load(name("bob")) is None
            assert await stores.tokens.waiting() == 1

    async def test_there_is_room_for_so_many_vaults(self) -> None:
        async with self.open() as stores:
            await stores.tokens.add([name("token")], 0)
            await stores.vaults.create(*stored(name("anna")), token=None, room=1)
            with pytest.raises(Refused) as caught:
                await stores.vaults.create(*stored(name("bob")), token=name("token"), room=1)
            assert caught.value.code == "registration-full"
            assert await stores.tokens.waiting() == 1

    async def test_old_change_lists_go_oldest_first_and_without_gaps(self) -> None:
        async with self.open() as stores:
            vault = await self.begin(stores, "anna", received=0)
            for number, received in enumerate([10, 20, 30, 15, 40], start=1):
                await stores.vaults.append(step(vault, number, received=received))
            assert await stores.vaults.drop_changes(before=25, limit=2) == 2
            assert await stores.vaults.drop_changes(before=25, limit=2) == 1
            assert await stores.vaults.drop_changes(before=25, limit=2) == 0
            commits = [i for i in await whole_feed(stores.vaults, vault, BEGINNING, 1) if isinstance(i, StoredCommit)]
            assert [bool(commit.changes) for commit in commits] == [False, False, False, True, True, True]
            kept = await stores.vaults.load(vault)
            assert kept is not None
            assert (kept.horizon, kept.size) == (2, 150 - 3 * len(b"changesN"))

    async def test_a_nonce_is_good_once_in_its_vault(self) -> None:
        async with self.open() as stores:
            anna, bob = await self.begin(stores, "anna"), await self.begin(stores, "bob")
            session = StoredSession(anna, name("t1"), name("m"), 1000)
            await stores.sessions.open(session, b"n" * 16, 500)
            with pytest.raises(Refused) as caught:
                await stores.sessions.open(replace(session, token=name("t2")), b"n" * 16, 500)
            assert caught.value.code == "session-replayed"
            await stores.sessions.open(StoredSession(bob, name("t3"), name("m"), 1000), b"n" * 16, 500)
            assert await stores.sessions.find(anna, name("t1")) == session
            assert await stores.sessions.find(anna, name("t2")) is None
            assert await stores.sessions.find(anna, name("t3")) is None

    async def test_what_expired_is_forgotten(self) -> None:
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            for n in range(6):
                session = StoredSession(vault, name("t", n), name("m"), 1000 + n)
                await stores.sessions.open(session, name("n", n)[:16], 1000 + n)
            assert [await stores.sessions.drop_expired(1002, 4) for _ in range(3)] == [4, 2, 0]
            assert await stores.sessions.find(vault, name("t", 2)) is None
            assert await stores.sessions.find(vault, name("t", 3)) is not None

    async def test_the_newest_session_of_a_member_is_known_until_it_is_closed(self) -> None:
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            member, other = name("member"), name("other")
            assert await stores.sessions.newest(vault, member) is None
            for number, expires in enumerate((30, 50, 40)):
                session = StoredSession(vault, name("token", number), member, expires)
                await stores.sessions.open(session, name("nonce", number)[:16], 60)
            await stores.sessions.open(StoredSession(vault, name("t"), other, 90), name("nonce")[:16], 60)
            assert await stores.sessions.newest(vault, member) == 50
            await stores.sessions.close(vault, name("token", 1))
            assert await stores.sessions.newest(vault, member) == 40
            assert await stores.sessions.find(vault, name("token", 1)) is None

    async def test_a_member_has_a_bounded_number_of_sessions(self) -> None:
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            for n in range(40):
                session = StoredSession(vault, name("t", n), name("m"), 1000 + n)
                await stores.sessions.open(session, name("n", n)[:16], 9000)
            left = [n for n in range(40) if await stores.sessions.find(vault, name("t", n))]
            assert left == list(range(8, 40))

    async def test_a_quota_is_kept_and_taken_back(self) -> None:
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            for quota in (5000, None):
                assert await stores.vaults.set_quota(vault, quota)
                kept = await stores.vaults.load(vault)
                assert kept is not None
                assert kept.quota == quota
            assert not await stores.vaults.set_quota(name("nobody"), 1)

    async def test_a_deleted_vault_leaves_nothing_and_others_stay(self) -> None:
        async with self.open() as stores:
            anna, bob = await self.begin(stores, "anna"), await self.begin(stores, "bob")
            for number in range(1, 4):
                await stores.vaults.append(step(anna, number, {name(number, n)[:16]: b"x" for n in range(400)}))
            await stores.sessions.open(StoredSession(anna, name("t"), name("m"), 1000), b"n" * 16, 500)
            assert await stores.vaults.delete(anna)
            assert await stores.vaults.load(anna) is None
            assert await stores.sessions.find(anna, name("t")) is None
            assert [figure.vault for figure in await stores.vaults.figures()] == [bob]
            assert not await stores.vaults.delete(anna)
            with pytest.raises(Refused):
                await stores.vaults.append(step(anna, 4))
            await self.begin(stores, "anna")
            assert len(await whole_feed(stores.vaults, anna, BEGINNING, 1000)) == 1

    async def test_a_deletion_that_was_interrupted_is_finished_later(self) -> None:
        async with self.open() as stores:
            vault = await self.begin(stores, "anna")
            await stores.vaults.append(step(vault, 1, {name(n)[:16]: b"x" for n in range(2000)}))
            deleting = asyncio.ensure_future(stores.vaults.delete(vault))
            while await stores.vaults.load(vault) is not None:
                await asyncio.sleep(0)
            deleting.cancel()
            await asyncio.gather(deleting, return_exceptions=True)
        async with self.open() as stores:
            assert await stores.vaults.load(vault) is None
            steps = 0
            while await stores.vaults.sweep():
                steps += 1
            assert steps > 0
            await self.begin(stores, "anna")
            assert len(await whole_feed(stores.vaults, vault, BEGINNING, 1000)) == 1
