"""The feed over real HTTP: what it holds, in which order, and in bounded memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from kith_protocol.chain import Chain, begin, extend
from kith_protocol.commit import ChangeList, parse_commit
from kith_protocol.encoding import Value, decode
from kith_protocol.sealedkeys import parse_keys
from kith_protocol.suite import digest
from kith_protocol.tree import Tree
from kith_protocol.wire import MAX_FRAME_BYTES, FeedCommit, FeedEnd, FeedHead, FeedRecords, Frame
from kith_server import feed as feeds
from kith_server.keys import DATABASE, VAULTS
from kith_server.maintenance import HORIZON, forget_expired
from kith_server.routes import feed as route
from kith_server.storage.interface import Cursor, FeedBatch, StoredRecord
from kith_server.storage.sessions import SqliteSessions
from tests.support.home_server import HomeServer, Refusal, home_server
from tests.support.vaults import VaultBuilder, record_id


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HomeServer]:
    async with home_server(tmp_path / "anna") as running:
        yield running


def follow(
    frames: list[Frame], chain: Chain | None = None, known: dict[bytes, bytes] | None = None
) -> tuple[Chain, dict[bytes, bytes]]:
    """Verifies a feed as a device would: the chain from where it was, and the tree at the end."""
    records = dict(known or {})
    for frame in frames:
        if isinstance(frame, FeedCommit):
            commit, keys = parse_commit(frame.commit), parse_keys(frame.keys)
            chain = begin(commit, keys) if chain is None else extend(chain, commit, keys)
            if frame.changes:
                assert digest(frame.changes) == commit.body.changes
                for id_, hash_ in decode(frame.changes, ChangeList).changes:
                    if not hash_:
                        records.pop(id_, None)
        elif isinstance(frame, FeedRecords):
            records.update(frame.records)
    assert chain is not None
    assert Tree.of({id_: digest(sealed) for id_, sealed in records.items()}).root == chain.tree
    return chain, records


async def read_all(reader: asyncio.StreamReader) -> int:
    """Bytes until the connection ends, one way or the other."""
    received = 0
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            received += len(chunk)
    return received


async def filled(server: HomeServer, commits: int = 6, size: int = 100) -> VaultBuilder:
    vault = await server.begin()
    for number in range(commits):
        old = list(vault.hashes)[:2]
        changes: dict[bytes, dict[str, Value] | None] = {record_id(): {"n": bytes(size)} for _ in range(3)}
        changes |= {id_: {"again": number} for id_ in old[:1]}
        changes |= dict.fromkeys(old[1:])
        await server.push(vault, vault.push(changes))
    return vault


async def test_the_whole_vault_can_be_verified_from_genesis(server: HomeServer) -> None:
    vault = await filled(server)
    frames = await server.feed(vault)
    assert frames[0] == FeedHead(6, vault.chain.head, len(vault.sealed))
    assert frames[-1] == FeedEnd(6)
    chain, records = follow(frames)
    assert (chain.head, records) == (vault.chain.head, vault.sealed)


async def test_what_follows_a_commit_brings_a_device_up_to_date(server: HomeServer) -> None:
    vault = await filled(server, 3)
    chain, records = follow(await server.feed(vault))
    for _ in range(3):
        gone, changed, *_ = vault.hashes
        await server.push(vault, vault.push({gone: None, changed: {"x": 1}, record_id(): {"y": 2}}))
    chain, records = follow(await server.feed(vault, after=3), chain, records)
    assert (chain.head, records) == (vault.chain.head, vault.sealed)


async def test_a_poll_is_answered_from_memory(server: HomeServer) -> None:
    vault = await filled(server, 2)

    async def no_database(*_: object) -> None:
        raise AssertionError("The database was asked.")

    database = server.app[DATABASE]
    for name in ("read", "write"):
        setattr(database, name, no_database)
    try:
        assert await server.feed(vault, after=2) == [FeedHead(2, vault.chain.head, 0), FeedEnd(2)]
        # A device that is ahead sees the head and raises its alarm.
        assert await server.feed(vault, after=9) == [FeedHead(2, vault.chain.head, 0), FeedEnd(2)]
    finally:
        for name in ("read", "write"):
            delattr(database, name)


@pytest.mark.parametrize("after", ["", "-2", "x", "1.5", "99999999999999999999", "٣"])
async def test_a_place_that_is_none_is_refused(server: HomeServer, after: str) -> None:
    vault = await server.begin()
    with pytest.raises(Refusal, match="400 bad-request"):
        await server.as_member(vault, "GET", f"/changes?after={after}")


async def test_nobody_reads_without_a_session(server: HomeServer) -> None:
    vault = await server.begin()
    with pytest.raises(Refusal, match="401"):
        await server.call("GET", f"/v1/vaults/{vault.vault.hex()}/changes?after=-1")


async def test_a_large_vault_comes_in_small_frames_and_batches(
    server: HomeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await server.begin()
    for _ in range(3):
        await server.push(vault, vault.push({record_id(): {"b": bytes(20_000)} for _ in range(60)}))
    sizes: list[int] = []
    batch = feeds.Feeds.batch

    async def measured(self: feeds.Feeds, vault: bytes, cursor: Cursor) -> FeedBatch:
        found = await batch(self, vault, cursor)
        sizes.append(sum(len(item.sealed) for item in found.items if isinstance(item, StoredRecord)))
        return found

    monkeypatch.setattr(feeds.Feeds, "batch", measured)
    frames = await server.feed(vault)
    assert follow(frames)[1] == vault.sealed
    assert len(sizes) > 5
    assert max(sizes) <= feeds.BATCH + 30_000
    assert all(
        sum(len(sealed) for _, sealed in f.records) < MAX_FRAME_BYTES for f in frames if isinstance(f, FeedRecords)
    )


async def test_a_feed_that_is_overtaken_ends_at_the_newer_head(
    server: HomeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = await filled(server, 4, size=3000)
    monkeypatch.setattr(feeds, "BATCH", 5000)
    pushed = False
    batch = feeds.Feeds.batch

    async def overtaken(self: feeds.Feeds, id_: bytes, cursor: Cursor) -> FeedBatch:
        nonlocal pushed
        found = await batch(self, id_, cursor)
        if not pushed:
            pushed = True
            sent = {item.record for item in found.items if isinstance(item, StoredRecord)}
            unsent = next(id_ for id_ in vault.sealed if id_ not in sent)
            await server.push(vault, vault.push({unsent: {"new": 1}, **dict.fromkeys(sent & set(vault.sealed), None)}))
        return found

    monkeypatch.setattr(feeds.Feeds, "batch", overtaken)
    frames = await server.feed(vault)
    assert frames[-1] == FeedEnd(5)
    assert follow(frames)[1] == vault.sealed


async def test_change_lists_end_at_the_horizon_and_the_whole_vault_still_comes(server: HomeServer) -> None:
    vault = await filled(server, 3)
    server.clock.now += HORIZON + 1
    await server.open_session(vault)
    await server.push(vault, vault.push({record_id(): {}}))
    vaults = server.app[VAULTS]
    sessions = SqliteSessions(server.app[DATABASE])
    assert await forget_expired(vaults.store, sessions, vaults.chains, server.clock()) > 0
    frames = await server.feed(vault)
    assert [bool(frame.changes) for frame in frames if isinstance(frame, FeedCommit)] == [False] * 4 + [True]
    assert follow(frames)[1] == vault.sealed
    for after in (0, 1, 2):
        with pytest.raises(Refusal, match="410 horizon"):
            await server.feed(vault, after)
    assert len(await server.feed(vault, 3)) == 4


async def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "SEND_SECONDS", 0.3)
    async with home_server(tmp_path / "anna") as server:
        vault = await server.begin()
        for _ in range(3):
            await server.push(vault, vault.push({record_id(): {"b": bytes(800_000)} for _ in range(12)}))
        token = server.tokens[vault.vault, vault.device.id]
        host, port = server.base.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1000)
        path = f"/v1/vaults/{vault.vault.hex()}/changes?after=-1"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        await asyncio.sleep(1.5)
        received = await read_all(reader)
        writer.close()
        assert received < sum(map(len, vault.sealed.values()))
        assert follow(await server.feed(vault))[1] == vault.sealed


async def test_a_vault_has_a_bounded_number_of_feeds(server: HomeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = await filled(server)
    gate = asyncio.Event()
    batch = feeds.Feeds.batch

    async def slow(self: feeds.Feeds, vault: bytes, cursor: Cursor) -> FeedBatch:
        await gate.wait()
        return await batch(self, vault, cursor)

    monkeypatch.setattr(feeds.Feeds, "batch", slow)
    reading = [asyncio.create_task(server.feed(vault)) for _ in range(feeds.OPEN_PER_VAULT)]
    await asyncio.sleep(0.3)
    with pytest.raises(Refusal, match="503 busy"):
        await server.feed(vault)
    gate.set()
    assert all(frames[-1] == FeedEnd(6) for frames in await asyncio.gather(*reading))
    assert (await server.feed(vault))[-1] == FeedEnd(6)
