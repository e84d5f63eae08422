"""The feed of a vault as frames, in bounded memory: a batch is read and sent, then the next (spec: home-server.md).

Each batch is read from a state of its own. The feed goes on until it has sent what stood in the last of them, so a
commit that came meanwhile is in it, and records that it replaced come with it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

from kith_protocol.wire import FeedCommit, FeedEnd, FeedHead, FeedRecords, encode_frame
from kith_server.errors import Busy, HttpRefusal
from kith_server.storage.interface import (
    BEGINNING,
    Cursor,
    FeedBatch,
    StoredCommit,
    StoredRecord,
    VaultStore,
)
from kith_server.vault_rules import VaultState

BATCH: Final = 512 * 1024
"""Bytes read at once; one record more at most."""
READING: Final = 8
"""Feeds that have a batch in memory; others wait for their turn."""
OPEN: Final = 64
OPEN_PER_VAULT: Final = 4
TURN_SECONDS: Final = 60.0


class Feeds:
    """The feeds that are being sent."""

    def __init__(self, store: VaultStore) -> None:
        self._store = store
        self._reading = asyncio.Semaphore(READING)
        self._open: Counter[bytes] = Counter()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Around reading and sending one batch. Raises `Busy`."""
        try:
            await asyncio.wait_for(self._reading.acquire(), TURN_SECONDS)
        except TimeoutError:
            raise Busy from None
        try:
            yield
        finally:
            self._reading.release()

    @asynccontextmanager
    async def place(self, vault: bytes) -> AsyncIterator[None]:
        """Around a whole feed. Raises `Busy` where there are too many."""
        if self._open.total() >= OPEN or self._open[vault] >= OPEN_PER_VAULT:
            raise Busy(retry_after=10)
        self._open[vault] += 1
        try:
            yield
        finally:
            self._open[vault] -= 1
            self._open += Counter()

    async def head(self, state: VaultState, after: int) -> FeedHead:
        """The first frame. Raises `HttpRefusal` 410 where `after` is older than the horizon."""
        vault, number = state.chain.vault, state.chain.number
        if BEGINNING < after < state.horizon:
            raise past_horizon()
        records = await self._store.count_after(vault, after) if after < number else 0
        return FeedHead(number, state.chain.head, records)

    async def batch(self, vault: bytes, cursor: Cursor) -> FeedBatch:
        """What follows `cursor`."""
        return await self._store.feed(vault, cursor, BATCH)


def past_horizon() -> HttpRefusal:
    return HttpRefusal(410, "horizon", "This is too long ago to be continued; fetch the whole vault.")


def frames(batch: FeedBatch) -> Iterator[bytes]:
    """The frames of a batch: consecutive records of one commit share one."""
    records: list[tuple[bytes, bytes]] = []
    for item in batch.items:
        if isinstance(item, StoredRecord):
            records.append((item.record, item.sealed))
            continue
        yield from _records(records)
        records = []
        yield encode_frame(_commit(item))
    yield from _records(records)


def end(batch: FeedBatch) -> bytes:
    """The last frame, after a complete batch."""
    return encode_frame(FeedEnd(batch.head))


def _records(records: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    if records:
        yield encode_frame(FeedRecords(tuple(records)))


def _commit(commit: StoredCommit) -> FeedCommit:
    return FeedCommit(commit.raw, commit.keys, commit.changes)
