"""A vault's whole history as a device keeps it, as the frames of a feed: for a file, or to fill a server.

A device keeps no change lists; the commits come without them, and the tree of the last one speaks for the records.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from kith_client.store.mirror import Mirror
from kith_protocol.commit import RECORD_ID_BYTES
from kith_protocol.wire import FeedCommit, FeedRecords, Frame

PART_BYTES: Final = 1024 * 1024
"""Bytes of frames that are handed out at once, about; one record or commit more at most."""
_COMMITS: Final = 100
_RECORDS: Final = 16
"""Read from the mirror at a time; a record has at most a mebibyte, few have more than a kibibyte."""
BEGINNING: Final = (-1, bytes(RECORD_ID_BYTES))
"""Place before the first commit."""


async def history_parts(mirror: Mirror, after: tuple[int, bytes] = BEGINNING) -> AsyncIterator[list[Frame]]:
    """What stands after a place, number of a commit and the last of its records that is known, in order."""
    number, record = after
    written: dict[int, list[bytes]] = {}
    for id_, commit in sorted((await mirror.writers(staged=False)).items()):
        written.setdefault(commit, []).append(id_)
    rest = [id_ for id_ in written.get(number, []) if id_ > record or record == BEGINNING[1]]
    async for frame in _records(mirror, rest):
        yield [frame]
    while commits := await mirror.history(number, _COMMITS):
        part: list[Frame] = []
        size = 0
        for number, raw, keys in commits:
            part.append(FeedCommit(raw, keys, b""))
            size += len(raw) + len(keys)
            async for frame in _records(mirror, written.get(number, [])):
                part.append(frame)
                size += sum(len(sealed) for _, sealed in frame.records)
                if size >= PART_BYTES:
                    yield part
                    part, size = [], 0
        if part:
            yield part


async def _records(mirror: Mirror, ids: list[bytes]) -> AsyncIterator[FeedRecords]:
    """Records in this order, in frames of a bounded size."""
    batch: list[tuple[bytes, bytes]] = []
    size = 0
    for start in range(0, len(ids), _RECORDS):
        sealed = await mirror.records(ids[start : start + _RECORDS])
        for id_, blob in sorted(sealed.items()):
            batch.append((id_, blob))
            size += len(blob)
            if size >= PART_BYTES:
                yield FeedRecords(tuple(batch))
                batch, size = [], 0
    if batch:
        yield FeedRecords(tuple(batch))
