"""Fetching a whole vault into an empty mirror, for a new device or in the place of a damaged mirror."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from kith_client.access import Access
from kith_client.stamp import Contents
from kith_client.store.epoch_keys import open_epochs
from kith_client.store.mirror import Mirror
from kith_client.store.record_index import RecordIndex
from kith_client.sync.feed import FeedVerifier, check_tree
from kith_client.sync.receiving import Progress, receive
from kith_client.transport import HomeServer
from kith_client.vault import RecordKeys
from kith_protocol.chain import freeze_chain
from kith_protocol.content import Content
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.member import MemberKeys

OpenEpochs = Callable[[bytes, Iterable[tuple[bytes, bytes]], MemberKeys, Mapping[int, bytes]], Mapping[int, bytes]]
"""Vault id, commits with sealed keys, member, commitments → the keys of the epochs that can be read, by epoch."""


async def fetch_vault(
    mirror: Mirror,
    server: HomeServer,
    keys: Access,
    mark: tuple[int, bytes],
    progress: Progress,
    opening: OpenEpochs = open_epochs,
    lists: dict[int, Mapping[bytes, bytes]] | None = None,
    allow: Callable[[], Awaitable[None]] | None = None,
) -> Contents:
    """Fills `mirror` from the server. The records that say whose vault it is.

    `mark` is the number and hash of a commit that must be in the history, which must have this device as a member and
    be readable for it; (0, vault id) demands no more than that it is this vault's. `opening` may be content with less
    than all epochs. `lists` is filled with the lists of changes, by the number of their commit. `allow` looks at the
    staged commits once they are verified, and raises where they must not be taken. Raises an `Alarm`.
    """
    verifier = FeedVerifier(keys.vault, mark)
    verifier.lists = lists
    await receive(mirror, server, verifier, progress)
    chain = verifier.finish()
    if allow is not None:
        await allow()
    if keys.member.id not in chain.members:
        raise Alarm(AlarmCode.UNKNOWN_MEMBER, "The address book's history does not have this device as a member.")
    commits = await mirror.commits_with_keys(staged=True, whole=True)
    epochs = await asyncio.to_thread(opening, keys.vault, commits, keys.member, chain.commitments)
    record_keys = RecordKeys(keys.vault, epochs)
    hashes: list[tuple[bytes, bytes]] = []
    persona: dict[bytes, Content] = {}

    def collect(rows: list[tuple[bytes, bytes, bytes | None]]) -> None:
        hashes.extend((record, hash_) for record, hash_, blob in rows if blob is not None)
        opened = record_keys.open_all((record, blob) for record, _, blob in rows if blob is not None)
        persona.update((record, content) for record, content in opened.items() if content.kind == "persona")

    await mirror.staged_batches(collect)
    check_tree(await asyncio.to_thread(lambda: RecordIndex(hashes).root), chain)
    await mirror.apply_stage(freeze_chain(chain), {}, [], [], whole=True)
    return persona
