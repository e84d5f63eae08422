"""Pushing: unsent edits as signed commits. The exact bytes are kept before they are sent, so a retry is harmless."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from kith_client.errors import HeadMoved, HomeMoved, ManyDeletions, ServerRefused
from kith_client.relations.homes import Place, here
from kith_client.stamp import Edit
from kith_client.store.mirror import PENDING, AcceptedPush
from kith_client.sync.applying import MANY_DELETIONS
from kith_client.sync.building import NO_STEP, MembershipStep, build_push
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.chain import extend, freeze_chain
from kith_protocol.commit import DELETED, MAX_CHANGES, ChangeList, parse_commit
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.epoch import parse_keys
from kith_protocol.recordheader import read_header
from kith_protocol.suite import digest
from kith_protocol.wire import Push

PUSH_BYTES: Final = 3 * 1024 * 1024
"""Bytes of records in one commit: small enough that neither side holds much, large enough that few are needed."""


class Pending(Statement, frozen=True):
    """A push whose outcome is not known yet, kept before it is sent."""

    push: bytes
    displaced: tuple[tuple[bytes, bytes], ...]
    """Unsent edits that it contains in a newer form: record id and hash of the edit, empty for a deletion."""


async def settle_pending(vault: Vault, server: HomeServer) -> bool:
    """Sends the push whose outcome is unknown once more. Whether there was one that the vault now has.

    One that is not in the chain by now never will be, and one that the server refuses for good neither: the unsent
    edits in it are still there and go out with the next.
    """
    raw = await vault.mirror.state(PENDING)
    if raw is None:
        return False
    pending = decode(raw, Pending)
    try:
        await server.push(vault.id, pending.push)
    except HeadMoved:
        await vault.mirror.set_state({PENDING: None})
        return False
    except ServerRefused as refusal:
        if not refusal.final:
            raise
        await vault.mirror.set_state({PENDING: None})
        return False
    await _accept(vault, pending)
    await vault.read_records()
    return True


async def push_all(
    vault: Vault, server: HomeServer, whole: Edit, loose: Edit | None = None, *, allow_deletions: bool = False
) -> int:
    """Sends every unsent edit, after what the program itself changes: `whole` in one commit, `loose` in any number.

    Returns how many records were sent. Raises `HeadMoved`: pull, plan again, push again.
    """
    await _check_deletions(vault, allow_deletions)
    machine: Edit = {**whole, **(loose or {})}
    parts = deque(_parts(await vault.seal_drafts(whole), await vault.seal_drafts(loose or {})))
    waiting = set(machine)
    sent = 0
    while True:
        batch = parts.popleft() if parts else {}
        own = {record: machine[record] for record in batch}
        batch.update(await _next_drafts(vault, batch, waiting))
        if not batch:
            return sent
        await commit(vault, server, batch)
        vault.show(own)
        waiting.difference_update(own)
        sent += len(batch)


def check_home(vault: Vault, server: HomeServer) -> None:
    """Raises `HomeMoved` where the vault's own record says that it lives elsewhere."""
    home = here(vault.contents)
    if home is not None and home != Place(server.url, vault.device.fingerprint):
        raise HomeMoved(f"This address book lives on {home.host} now; run the command again, and it goes there.")


async def commit(
    vault: Vault,
    server: HomeServer,
    records: Mapping[bytes, bytes | None],
    *,
    step: MembershipStep = NO_STEP,
    epoch: int | None = None,
    moves: bool = False,
) -> None:
    """One commit: id → sealed record or None. Kept, sent, and made visible once the server has it.

    Raises `HomeMoved` where the vault does not live at `server`, unless this commit `moves` it there: it would be a
    fork.
    """
    if not moves:
        check_home(vault, server)
    changes = {record: DELETED if blob is None else digest(blob) for record, blob in records.items()}
    root = await asyncio.to_thread(vault.index.root_with, changes)
    push = await asyncio.to_thread(
        build_push, vault.chain, vault.member, records, root, vault.clock(), step=step, epoch=epoch
    )
    unsent = await vault.mirror.drafts(records)
    displaced = tuple(sorted((record, _mark(blob)) for record, blob in unsent.items()))
    pending = Pending(encode(push), displaced)
    await vault.mirror.set_state({PENDING: encode(pending)})
    try:
        await server.push(vault.id, pending.push)
    except HeadMoved:
        await vault.mirror.set_state({PENDING: None})
        raise
    except ServerRefused as refusal:
        if refusal.final:
            await vault.mirror.set_state({PENDING: None})
        raise
    await _accept(vault, pending)


async def _accept(vault: Vault, pending: Pending) -> None:
    """Takes a push that the server has into the mirror, unless a pull did so already."""
    push = decode(pending.push, Push)
    commit_, keys = parse_commit(push.commit), parse_keys(push.keys)
    changes = dict(decode(push.changes, ChangeList).changes)
    blobs, displaced = dict(push.records), dict(pending.displaced)
    drafts = await vault.mirror.drafts(changes)
    # An edit that was made since, after a crash, stays one.
    settled = [record for record, blob in drafts.items() if displaced.get(record) == _mark(blob)]
    if push.commit in (await vault.mirror.commits_at([commit_.body.number])).values():
        await vault.mirror.drop_drafts(settled)
        await vault.mirror.set_state({PENDING: None})
        return
    chain = extend(vault.chain, commit_, keys)
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
    await asyncio.to_thread(vault.index.update, changes)
    if new_keys:
        vault.record_keys = await vault.record_keys_for(chain, staged=False, whole=False)


def _mark(draft: bytes | None) -> bytes:
    return DELETED if draft is None else digest(draft)


def _parts(
    whole: dict[bytes, bytes | None], loose: Mapping[bytes, bytes | None]
) -> Iterator[dict[bytes, bytes | None]]:
    """What the program changes as commits: `whole` uncut, `loose` cut where the limits of a push ask for it."""
    part, size = dict(whole), sum(len(blob or b"") for blob in whole.values())
    for record, blob in loose.items():
        size += len(blob or b"")
        if part and (len(part) >= MAX_CHANGES or size > PUSH_BYTES):
            yield part
            part, size = {}, len(blob or b"")
        part[record] = blob
    if part:
        yield part


async def _next_drafts(
    vault: Vault, taken: Mapping[bytes, bytes | None], waiting: Collection[bytes]
) -> dict[bytes, bytes | None]:
    """Unsent edits that fit into a commit beside `taken`, sealed for the epoch in force; not of records in `waiting`,
    which the program changes itself."""
    room = PUSH_BYTES - sum(len(blob or b"") for blob in taken.values())
    if room <= 0 or len(taken) >= MAX_CHANGES:
        return {}
    drafts = await vault.mirror.some_drafts(MAX_CHANGES - len(taken), room)
    # A record that was made and deleted between two syncs is nothing that the server has to know.
    void = [record for record, blob in drafts.items() if blob is None and record not in vault.index]
    if void:
        await vault.mirror.drop_drafts(void)
        return await _next_drafts(vault, taken, waiting)
    stale = {r: blob for r, blob in drafts.items() if blob is not None and read_header(blob)[1] != vault.chain.epoch}
    if stale:
        fresh = await vault.seal_drafts(await vault.open_drafts(stale))
        await vault.mirror.save_drafts(fresh, [])
        drafts.update(fresh)
    return {record: blob for record, blob in drafts.items() if record not in waiting}


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
