"""Pushing: unsent edits as signed commits. The exact bytes are kept before they are sent, so a retry is harmless."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from kith_client.errors import HeadMoved, ManyDeletions
from kith_client.mirror import PENDING, AcceptedPush
from kith_client.stamp import Edit
from kith_client.sync.building import NO_STEP, MembershipStep, build_push
from kith_client.sync.pull import MANY_DELETIONS
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.chain import extend, freeze_chain
from kith_protocol.commit import DELETED, MAX_CHANGES, ChangeList, parse_commit
from kith_protocol.encoding import decode, encode
from kith_protocol.epoch import parse_keys
from kith_protocol.recordheader import read_header
from kith_protocol.suite import digest
from kith_protocol.wire import Push

PUSH_BYTES: Final = 3 * 1024 * 1024
"""Bytes of records in one commit: small enough that neither side holds much, large enough that few are needed."""


async def settle_pending(vault: Vault, server: HomeServer) -> bool:
    """Sends the push whose outcome is unknown once more. Whether there was one that the vault now has."""
    raw = await vault.mirror.state(PENDING)
    if raw is None:
        return False
    try:
        await server.push(vault.id, raw)
    except HeadMoved:
        # It is not in the chain, so it never will be: the edits in it are still unsent and go out with the next.
        await vault.mirror.set_state({PENDING: None})
        return False
    await _accept(vault, decode(raw, Push))
    await vault.read_records()
    return True


async def push_all(vault: Vault, server: HomeServer, machine: Edit, *, allow_deletions: bool = False) -> int:
    """Sends every unsent edit, and `machine`, what the program itself changes; it goes first.

    Returns how many records were sent. Raises `HeadMoved`: pull, plan again, push again.
    """
    await _check_deletions(vault, allow_deletions)
    parts = deque(_parts(await vault.seal_drafts(machine)))
    sent = 0
    while True:
        batch = parts.popleft() if parts else {}
        batch.update(await _next_drafts(vault, batch))
        if not batch:
            return sent
        await commit(vault, server, batch)
        vault.show({record: machine[record] for record in batch if record in machine})
        sent += len(batch)


async def commit(
    vault: Vault,
    server: HomeServer,
    records: Mapping[bytes, bytes | None],
    *,
    step: MembershipStep = NO_STEP,
    epoch: int | None = None,
) -> None:
    """One commit: id → sealed record or None. Kept, sent, and made visible once the server has it."""
    changes = {record: DELETED if blob is None else digest(blob) for record, blob in records.items()}
    root = vault.index.root_with(changes)
    push = await asyncio.to_thread(
        build_push, vault.chain, vault.member, records, root, vault.clock(), step=step, epoch=epoch
    )
    raw = encode(push)
    unsent = await vault.mirror.drafts(records)
    await vault.mirror.save_pending(raw, {record: records[record] for record in records if record in unsent})
    try:
        await server.push(vault.id, raw)
    except HeadMoved:
        await vault.mirror.set_state({PENDING: None})
        raise
    await _accept(vault, push)


async def _accept(vault: Vault, push: Push) -> None:
    """Takes a push that the server has into the mirror."""
    commit_, keys = parse_commit(push.commit), parse_keys(push.keys)
    chain = extend(vault.chain, commit_, keys)
    changes = dict(decode(push.changes, ChangeList).changes)
    blobs = dict(push.records)
    drafts = await vault.mirror.drafts(changes)
    settled = [record for record in changes if record in drafts and drafts[record] == blobs.get(record)]
    await vault.mirror.apply_push(
        AcceptedPush(
            freeze_chain(chain),
            {record: (hash_, blobs[record]) if hash_ != DELETED else None for record, hash_ in changes.items()},
            [(chain.number, push.commit, push.keys)],
            settled,
        )
    )
    new_keys = chain.epoch != vault.chain.epoch
    vault.chain = chain
    vault.index.update(changes)
    if new_keys:
        vault.record_keys = await vault.record_keys_for(chain, staged=False, whole=False)


def _parts(sealed: Mapping[bytes, bytes | None]) -> Iterator[dict[bytes, bytes | None]]:
    """Cuts what the program changes into as many commits as the limits of a push ask for; mostly one."""
    part: dict[bytes, bytes | None] = {}
    size = 0
    for record, blob in sealed.items():
        size += len(blob or b"")
        if part and (len(part) == MAX_CHANGES or size > PUSH_BYTES):
            yield part
            part, size = {}, len(blob or b"")
        part[record] = blob
    if part:
        yield part


async def _next_drafts(vault: Vault, taken: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
    """Unsent edits that fit into a commit beside `taken`, sealed for the epoch in force."""
    room = PUSH_BYTES - sum(len(blob or b"") for blob in taken.values())
    if room <= 0 or len(taken) >= MAX_CHANGES:
        return {}
    drafts = await vault.mirror.some_drafts(MAX_CHANGES - len(taken), room)
    # A record that was made and deleted between two syncs is nothing that the server has to know.
    void = [record for record, blob in drafts.items() if blob is None and record not in vault.index]
    if void:
        await vault.mirror.drop_drafts(void)
        return await _next_drafts(vault, taken)
    stale = {r: blob for r, blob in drafts.items() if blob is not None and read_header(blob)[1] != vault.chain.epoch}
    if stale:
        fresh = await vault.seal_drafts(await vault.open_drafts(stale))
        await vault.mirror.save_drafts(fresh, [])
        drafts.update(fresh)
    return {record: blob for record, blob in drafts.items() if record not in taken}


async def _check_deletions(vault: Vault, allowed: bool) -> None:
    gone = [record for record in await vault.mirror.draft_deletions() if record in vault.index]
    if allowed or len(gone) < MANY_DELETIONS:
        return
    sealed = await vault.mirror.records(gone)
    lost = sum(content.kind == "contact" for content in vault.record_keys.open_all(sealed.items()).values())
    contacts = sum(content.kind == "contact" for content in vault.contents.values()) + lost
    if lost >= MANY_DELETIONS and lost * 3 > contacts:
        raise ManyDeletions(
            f"You deleted {lost} of {contacts} contacts here. If that is right, run 'kith sync --yes'; "
            "until then nothing is sent."
        )
