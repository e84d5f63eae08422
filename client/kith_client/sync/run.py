"""One sync: fetch and verify, take parcels in, plan what goes out, commit, and only then deposit and delete.

Every decision is made by pure functions elsewhere; this carries them out in an order in which a crash at any point
loses nothing: what a parcel depends on is committed before it leaves, and a parcel is deleted once its content is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from kith_client.errors import HeadMoved, ServerUnreachable
from kith_client.relations.inbox import TakenIn
from kith_client.relations.incoming import take_in
from kith_client.relations.upkeep import plan
from kith_client.stamp import Edit, overlay
from kith_client.store.mirror import CURSOR
from kith_client.sync.deposits import deposit
from kith_client.sync.following import tell_followed
from kith_client.sync.formers import Formers
from kith_client.sync.inboxes import Fetched, fetch_parcels
from kith_client.sync.introductions import use_links
from kith_client.sync.places import keep_places
from kith_client.sync.pull import pull
from kith_client.sync.push import check_home, push_all, settle_pending
from kith_client.sync.receiving import Progress, no_progress
from kith_client.transport import HomeServer
from kith_client.vault import Event, Vault

TRIES: Final = 10
"""Rounds in which another device may write first."""
ROUNDS: Final = 20
"""Commits with parcels in one sync; the next sync goes on behind them, so that rubbish hides nothing for ever."""


@dataclass(slots=True)
class Report:
    """What a sync did, as `kith sync` shows it."""

    pushed: int = 0
    """Records sent to the home server."""
    pulled: int = 0
    """Records fetched from it."""
    parcels_in: int = 0
    """Parcels taken in."""
    parcels_out: int = 0
    """Receipts that came for parcels of ours."""
    waiting: int = 0
    """Parcels of ours still without one."""
    head: int = 0
    """Number of the vault's last commit."""
    conflicts: int = 0
    """Values kept beside another that stands now."""
    alarms: list[str] = field(default_factory=list)
    """What is wrong with a peer or another server, while the vault itself is in order."""
    issues: list[str] = field(default_factory=list)
    """What parcels, and repairs by other devices, left for the person in `kith issues`."""


async def sync(
    vault: Vault,
    server: HomeServer,
    *,
    allow_deletions: bool = False,
    progress: Progress = no_progress,
    patience: float = 5.0,
) -> Report:
    """Brings this device, the home server and the peers in step; `patience` is in seconds, for receipts.

    Raises an `Alarm` (nothing received was applied), `ServerUnreachable`, `ManyDeletions`.
    """
    report = Report()
    await settle_pending(vault, server)
    async with Formers.open(vault) as formers:
        for _ in range(ROUNDS):
            taken, boxes = await _exchange(vault, server, formers, report, allow_deletions, progress)
            await _finish(vault, server, formers, taken, boxes)
            report.parcels_in += len(taken.handled)
            report.issues += taken.issues
            if not boxes.more:
                break
        report.issues += await use_links(vault, server, patience)
        closed = {**await keep_places(vault, server), **await formers.keep()}
        report.alarms += formers.alarms
    deposited = await deposit(vault, server, patience)
    report.parcels_out, report.waiting = deposited.receipts, deposited.waiting
    report.alarms += deposited.alarms
    await _commit(vault, server, {**closed, **deposited.edit}, report)
    report.issues += await tell_followed(vault)
    report.head = vault.chain.number
    return report


async def _finish(vault: Vault, server: HomeServer, formers: Formers, taken: TakenIn, boxes: Fetched) -> None:
    """What may happen once the content of parcels is committed: the log, deleting them, and where to go on."""
    await vault.mirror.add_events([vault.seal_event(Event(vault.clock(), what, "peer")) for what in taken.events])
    if taken.handled:
        await server.delete_parcels(vault.id, tuple(taken.handled))
        await formers.delete(tuple(taken.handled))
    await vault.mirror.set_state(boxes.cursors)


async def _exchange(
    vault: Vault, server: HomeServer, formers: Formers, report: Report, allow_deletions: bool, progress: Progress
) -> tuple[TakenIn, Fetched]:
    """Pull, take parcels in, plan, push; again while other devices write first. Also gives what was fetched."""
    for _ in range(TRIES):
        pulled = await pull(vault, server, allow_deletions=allow_deletions, progress=progress)
        report.pulled += pulled.records
        report.conflicts += pulled.conflicts
        check_home(vault, server)
        boxes = (await fetch_parcels(vault, server, CURSOR)).joined(await formers.fetch())
        stamp = vault.stamp()
        taken = await asyncio.to_thread(take_in, vault.contents, stamp, boxes.parcels)
        planned = await asyncio.to_thread(plan, overlay(vault.contents, taken.edit), stamp)
        try:
            whole, loose = _parted(taken.edit, planned.edit)
            report.pushed += await push_all(vault, server, whole, loose, allow_deletions=allow_deletions)
        except HeadMoved:
            continue
        return taken, boxes
    raise ServerUnreachable("Other devices write all the time; everything entered here is kept. Try again.")


def _parted(taken: Edit, planned: Edit) -> tuple[Edit, Edit]:
    """What has to go in one commit, and what may follow: handshakes hold together, items stand for themselves."""
    both = {**taken, **planned}
    whole = {record for record, content in taken.items() if content is None or content.kind != "theirs"}
    return {record: both[record] for record in whole}, {r: content for r, content in both.items() if r not in whole}


async def _commit(vault: Vault, server: HomeServer, edit: Edit, report: Report) -> None:
    """Commits receipts. Where another device writes first they are asked for again at the next sync."""
    if not edit:
        return
    try:
        report.pushed += await push_all(vault, server, edit)
    except HeadMoved:
        report.pulled += (await pull(vault, server)).records
