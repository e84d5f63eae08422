"""A vault in one file: commits and records as stored, sealed (spec: backup.md). Made from the mirror, so offline too.

Nothing in it can be read without a member's keys; the key file is not in it. It is verified when it is made, and again
whenever it is read.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import chain as chain_of
from pathlib import Path
from typing import BinaryIO, Final

from kith_client.store.history import history_parts
from kith_client.store.mirror import PENDING
from kith_client.store.record_index import RecordIndex
from kith_client.sync.feed import FeedVerifier, check_tree
from kith_client.vault import Vault
from kith_protocol.chain import Chain
from kith_protocol.commit import DELETED, parse_commit
from kith_protocol.errors import Alarm, DecodingError, Refused
from kith_protocol.wire import MAX_FRAME_BYTES, FeedCommit, FeedEnd, FeedHead, FeedRecords, Frame, decode_frame
from kith_protocol.wire import encode_frame as framed

MAGIC: Final = b"kith backup 1\n"
_PART_FRAMES: Final = 64
_PART_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Backup:
    """A file that holds a whole vault, verified."""

    chain: Chain
    genesis: FeedCommit
    records: int
    last: int
    """When its last commit was written, by its author's clock, in milliseconds since 1970."""


async def make_backup(vault: Vault, path: Path, *, without_unsent: bool = False) -> Backup:
    """Writes the vault as this device has it to a new file.

    Raises `Refused` (`unsent` where edits wait for a sync, `file-exists`), or `OSError`; then there is no file.
    """
    pending = await vault.mirror.state(PENDING) is not None
    if not without_unsent and (pending or await vault.mirror.drafts()):
        raise Refused("unsent", "Some edits were not sent yet and would be missing: run 'kith sync' first.")
    if await asyncio.to_thread(path.exists):
        raise Refused("file-exists", f"{path} is there already and is left as it is; choose another name.")
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")  # a name that nothing of the person's has
    try:
        await _write(vault, partial)
        made = await asyncio.to_thread(read_backup, partial)
        if (made.chain.vault, made.chain.head) != (vault.id, vault.chain.head):
            raise DecodingError("The backup is not what this device holds; the disk may be failing.")
        await asyncio.to_thread(_keep, partial, path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # the name that the person gave
        raise
    finally:
        await asyncio.to_thread(partial.unlink, missing_ok=True)
    return made


def read_backup(path: Path) -> Backup:
    """Verifies a whole file; long ones take seconds, so call it in a thread.

    Raises `DecodingError` where it is damaged or was changed, or no backup; `OSError`.
    """
    with path.open("rb") as file:
        return verify_backup(file)


def verify_backup(file: BinaryIO) -> Backup:
    """Verifies what `file` holds as a device verifies a feed. Raises `DecodingError`."""
    frames = _frames(file)
    try:
        head, genesis = next(frames, None), next(frames, None)
        if not isinstance(head, FeedHead) or not isinstance(genesis, FeedCommit):
            raise _damaged("it does not begin with a vault")
        verifier = FeedVerifier(parse_commit(genesis.commit).hash, (head.number, head.hash))
        stands: dict[bytes, bytes] = {}
        commit = genesis
        last: Frame = head
        for frame in chain_of((head, genesis), frames):
            if isinstance(last, FeedEnd):
                raise _damaged("something stands behind its end")
            last = frame
            stands.update((record, hash_) for record, hash_, _, _ in verifier.take(frame).records)
            commit = frame if isinstance(frame, FeedCommit) else commit
        if not isinstance(last, FeedEnd):
            raise _damaged("it is cut off")
        chain = verifier.finish()
        hashes = [(record, hash_) for record, hash_ in stands.items() if hash_ != DELETED]
        check_tree(RecordIndex(hashes).root, chain)
    except Alarm as alarm:
        raise _damaged(str(alarm)) from None
    return Backup(chain, genesis, len(hashes), parse_commit(commit.commit).body.time)


async def backup_parts(path: Path, after: tuple[int, bytes]) -> AsyncIterator[list[Frame]]:
    """What a verified file holds after a place, as `history.history_parts` does."""
    file = await asyncio.to_thread(path.open, "rb")
    with file:
        frames = _after(_frames(file), after)
        while part := await asyncio.to_thread(_some, frames):
            yield part


def _some(frames: Iterator[Frame]) -> list[Frame]:
    part: list[Frame] = []
    size = 0
    for frame in frames:
        part.append(frame)
        size += _weight(frame)
        if len(part) >= _PART_FRAMES or size >= _PART_BYTES:
            break
    return part


def _weight(frame: Frame) -> int:
    if isinstance(frame, FeedRecords):
        return sum(len(sealed) for _, sealed in frame.records)
    return len(frame.commit) + len(frame.keys) + len(frame.changes) if isinstance(frame, FeedCommit) else 0


def _after(frames: Iterator[Frame], place: tuple[int, bytes]) -> Iterator[Frame]:
    number, record = place
    at = -1
    for frame in frames:
        if isinstance(frame, FeedCommit):
            at = parse_commit(frame.commit).body.number
            if at > number:
                yield frame
        elif isinstance(frame, FeedRecords) and at >= number:
            left = frame.records if at > number else tuple(each for each in frame.records if each[0] > record)
            if left:
                yield FeedRecords(left)


async def _write(vault: Vault, path: Path) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        chain, records = vault.chain, len(vault.index.ids())
        await asyncio.to_thread(file.write, MAGIC + framed(FeedHead(chain.number, chain.head, records)))
        async for part in history_parts(vault.mirror):
            await asyncio.to_thread(file.write, b"".join(map(framed, part)))
        await asyncio.to_thread(file.write, framed(FeedEnd(chain.number)))
        await asyncio.to_thread(_flush, file)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _keep(partial: Path, path: Path) -> None:
    """Gives the file its name, unless something has it."""
    try:
        os.link(partial, path)
    except OSError:  # also of a file system without links, as on most sticks: the name first, then what is in it
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
        partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _frames(file: BinaryIO) -> Iterator[Frame]:
    """One frame after the other. Raises `DecodingError`."""
    if file.read(len(MAGIC)) != MAGIC:
        raise DecodingError("This file is no backup of an address book.")
    while size := file.read(4):
        length = int.from_bytes(size, "big")
        body = file.read(length) if length <= MAX_FRAME_BYTES else b""
        if len(size) != 4 or len(body) != length:
            raise _damaged("it is cut off")
        try:
            yield decode_frame(body)
        except DecodingError:
            raise _damaged("a part of it cannot be read") from None


def _damaged(why: str) -> DecodingError:
    return DecodingError(f"The backup is damaged or was changed: {why}. Take another copy of it.")
