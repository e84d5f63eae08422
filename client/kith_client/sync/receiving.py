"""Taking a feed in: verified frame by frame, and staged until all of it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kith_client.errors import ServerUnreachable
from kith_client.store.mirror import Mirror
from kith_client.sync.feed import FeedVerifier, Staged
from kith_client.transport import HomeServer
from kith_protocol import wire

Progress = Callable[[int, int], None]
"""(records so far, records announced)."""

MAX_FEEDS: Final = 100
"""Feeds in one pull; more means that the server leads the device on."""
_STAGE_RECORDS: Final = 500
_STAGE_BYTES: Final = 8 * 1024 * 1024
"""What is staged at once, so that large records do not fill the memory."""


def no_progress(_done: int, _total: int) -> None:
    pass


async def receive(mirror: Mirror, server: HomeServer, verifier: FeedVerifier, progress: Progress) -> bool:
    """Verifies and stages feeds until the head stands still. Whether anything came."""
    staged_any, done, size = False, 0, 0
    for _ in range(MAX_FEEDS):
        start, end, buffer = verifier.cursor, None, Staged()
        async for frame in server.feed(verifier.vault, verifier.cursor):
            staged = verifier.take(frame)
            if isinstance(frame, wire.FeedEnd):
                end = frame.number
            if not staged_any and (staged.commits or staged.records):
                await mirror.clear_stage()
                staged_any = True
            buffer.commits += staged.commits
            buffer.records += staged.records
            size += staged.size
            if len(buffer.records) >= _STAGE_RECORDS or size >= _STAGE_BYTES:
                done += len(buffer.records)
                await mirror.stage(buffer.commits, buffer.records)
                buffer, size = Staged(), 0
                progress(done, verifier.total)
        if buffer.commits or buffer.records:
            await mirror.stage(buffer.commits, buffer.records)
        if end is None:
            raise ServerUnreachable("The server broke off in the middle. Everything entered is kept; try again.")
        if end <= verifier.cursor or verifier.cursor == start:
            return staged_any
    raise ServerUnreachable("Other devices write faster than this one can read; try again.")
