"""Pulling: what the server has and this device does not, verified, merged with unsent edits, visible at once."""

from __future__ import annotations

import asyncio

from kith_client.store.epoch_keys import EpochKeys, find_epochs
from kith_client.store.record_index import RecordIndex
from kith_client.sync.applying import Application, Pulled
from kith_client.sync.feed import FeedVerifier, check_tree
from kith_client.sync.following import REPAIRABLE, follow_repair
from kith_client.sync.receiving import Progress, no_progress, receive
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.chain import Chain
from kith_protocol.commit import DELETED
from kith_protocol.errors import Alarm, KithError


async def pull(
    vault: Vault,
    server: HomeServer,
    *,
    allow_deletions: bool = False,
    progress: Progress = no_progress,
    whole: bool = False,
) -> Pulled:
    """Brings the mirror to the server's head, also behind a repair that this device may follow.

    Raises an `Alarm` and changes nothing where a check fails.
    """
    mark = (vault.chain.number, vault.chain.head)
    verifier = FeedVerifier(vault.id, mark, None if whole else vault.chain)
    try:
        staged_any = await receive(vault.mirror, server, verifier, progress)
        chain = verifier.finish()
        if not staged_any:
            return Pulled(0, 0)
        return await Application(vault, chain, verifier.whole, server.server_time, allow_deletions).run()
    except KithError as error:
        await vault.mirror.clear_stage()
        if isinstance(error, Alarm) and error.alarm in REPAIRABLE:
            return await follow_repair(vault, server, error, allow_deletions, progress)
        if error.code != "horizon" or whole:
            raise
    return await pull(vault, server, allow_deletions=allow_deletions, progress=progress, whole=True)


async def follow(vault: Vault, server: HomeServer, *, whole: bool = False) -> tuple[Chain, EpochKeys]:
    """The server's history, verified as `pull` does but taken in by nobody, and the epochs that this device can read.

    Raises an `Alarm` where a check fails.
    """
    verifier = FeedVerifier(vault.id, (vault.chain.number, vault.chain.head), None if whole else vault.chain)
    await vault.mirror.clear_stage()
    try:
        await receive(vault.mirror, server, verifier, no_progress)
        chain = verifier.finish()
        changes: dict[bytes, bytes] = {}
        await vault.mirror.staged_batches(lambda rows: changes.update((record, hash_) for record, hash_, _ in rows))
        await asyncio.to_thread(_check_staged, vault, chain, changes, verifier.whole)
        commits = await vault.mirror.commits_with_keys(staged=True, whole=verifier.whole)
        keys = await asyncio.to_thread(find_epochs, vault.id, commits, vault.member, chain.commitments)
    except KithError as error:
        if error.code != "horizon" or whole:
            raise
    else:
        return chain, keys
    finally:
        await vault.mirror.clear_stage()
    return await follow(vault, server, whole=True)


def _check_staged(vault: Vault, chain: Chain, changes: dict[bytes, bytes], whole: bool) -> None:
    if whole:
        index = RecordIndex((record, hash_) for record, hash_ in changes.items() if hash_ != DELETED)
        check_tree(index.root, chain)
    else:
        check_tree(vault.index.root_with(changes), chain)
