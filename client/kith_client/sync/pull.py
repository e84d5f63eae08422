"""Pulling: what the server has and this device does not, verified, merged with unsent edits, visible at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kith_client.epoch_keys import EpochKeys, find_epochs
from kith_client.errors import ManyDeletions, ServerUnreachable
from kith_client.mirror import Mirror
from kith_client.record_index import RecordIndex
from kith_client.stamp import Edit
from kith_client.sync.describe import describe
from kith_client.sync.feed import FeedVerifier, Staged, check_tree
from kith_client.transport import HomeServer
from kith_client.vault import UNREADABLE, Event, RecordKeys, Vault
from kith_protocol import wire
from kith_protocol.chain import Chain, freeze_chain
from kith_protocol.commit import DELETED
from kith_protocol.content import Content
from kith_protocol.errors import KithError, Refused
from kith_protocol.merge import Merged, merge

Progress = Callable[[int, int], None]
"""(records so far, records announced)."""

MAX_FEEDS: Final = 100
"""Feeds in one pull; more means that the server leads the device on."""
MANY_DELETIONS: Final = 20
"""Contacts; with more than a third of all, the person is asked before they disappear."""
_STAGE_RECORDS: Final = 500
_STAGE_BYTES: Final = 8 * 1024 * 1024
"""What is staged at once, so that large records do not fill the memory."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did."""

    records: int
    conflicts: int


def no_progress(_done: int, _total: int) -> None:
    pass


async def pull(
    vault: Vault,
    server: HomeServer,
    *,
    allow_deletions: bool = False,
    progress: Progress = no_progress,
    whole: bool = False,
) -> Pulled:
    """Brings the mirror to the server's head. Raises an `Alarm` and changes nothing where a check fails."""
    mark = (vault.chain.number, vault.chain.head)
    verifier = FeedVerifier(vault.id, mark, None if whole else vault.chain)
    try:
        staged_any = await receive(vault.mirror, server, verifier, progress)
        chain = verifier.finish()
        if not staged_any:
            return Pulled(0, 0)
        return await _Application(vault, chain, verifier.whole, server.server_time, allow_deletions).run()
    except KithError as error:
        await vault.mirror.clear_stage()
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


def rebase(base: Content | None, local: Content | None, remote: Content | None, latest: int) -> Merged:
    """`merge`, and what to do where another member's program wrote something that cannot be read.

    An unsent edit then stands whole over what is unreadable: merging it in would lose the record's kind.
    """
    if remote is UNREADABLE and local is not None:
        return Merged(local)
    return merge(None if base is UNREADABLE else base, local, remote, latest=latest)


class _Application:
    """One verified, staged pull on its way into the mirror and the view."""

    def __init__(self, vault: Vault, chain: Chain, whole: bool, server_time: int, allow_deletions: bool) -> None:
        self.vault = vault
        self.chain = chain
        self.whole = whole
        self.latest = server_time
        self.allow_deletions = allow_deletions

    async def run(self) -> Pulled:
        vault = self.vault
        if vault.member.id not in self.chain.members:
            raise Refused("device-removed", "This device was removed from the address book; join again to go on.")
        keys = await self._record_keys()
        changes, remote = await self._read_stage(keys)
        index = RecordIndex(changes.items()) if self.whole else vault.index
        if self.whole:
            gone = vault.index.ids() - changes.keys()
            check_tree(index.root, self.chain)
        else:
            gone = {record for record, hash_ in changes.items() if hash_ == DELETED}
            check_tree(index.root_with(changes), self.chain)
        self._ask_about_deletions(gone)
        edit: Edit = {**remote, **dict.fromkeys(gone)}
        merged, conflicts = await self._merge_drafts(edit)
        settled = [record for record in merged if merged[record] == edit[record]]
        remaining = {record: content for record, content in merged.items() if merged[record] != edit[record]}
        visible = {**edit, **merged}
        author = self._author()
        events = [vault.seal_event(Event(vault.clock(), text, author)) for text in describe(vault.contents, visible)]
        before = vault.record_keys, vault.chain
        vault.record_keys, vault.chain = keys, self.chain
        try:
            drafts = await vault.seal_drafts(remaining)
            await vault.mirror.apply_stage(freeze_chain(self.chain), drafts, settled, events, self.whole)
        except BaseException:
            vault.record_keys, vault.chain = before
            raise
        if not self.whole:
            index.update(changes)
        vault.index = index
        vault.show(visible)
        return Pulled(len(edit), conflicts)

    async def _record_keys(self) -> RecordKeys:
        vault = self.vault
        same_members = self.chain.members.keys() == vault.chain.members.keys()
        if not self.whole and self.chain.epoch == vault.chain.epoch and same_members:
            return vault.record_keys
        return await vault.record_keys_for(self.chain, staged=True, whole=self.whole)

    async def _read_stage(self, keys: RecordKeys) -> tuple[dict[bytes, bytes], dict[bytes, Content]]:
        changes: dict[bytes, bytes] = {}
        remote: dict[bytes, Content] = {}

        def read(rows: list[tuple[bytes, bytes, bytes | None]]) -> None:
            changes.update((record, hash_) for record, hash_, _ in rows)
            remote.update(keys.open_all((record, blob) for record, _, blob in rows if blob is not None))

        await self.vault.mirror.staged_batches(read)
        if self.whole:
            changes = {record: hash_ for record, hash_ in changes.items() if hash_ != DELETED}
        return changes, remote

    def _ask_about_deletions(self, gone: set[bytes]) -> None:
        contents = self.vault.contents
        contacts = sum(content.kind == "contact" for content in contents.values())
        lost = sum(1 for record in gone if record in contents and contents[record].kind == "contact")
        if not self.allow_deletions and lost >= MANY_DELETIONS and lost * 3 > contacts:
            raise ManyDeletions(
                f"Another device deleted {lost} of your {contacts} contacts. If that is right, run 'kith sync --yes'; "
                "until then nothing is deleted here."
            )

    async def _merge_drafts(self, edit: Edit) -> tuple[Edit, int]:
        vault = self.vault
        touched = await vault.mirror.drafts(edit)
        if not touched:
            return {}, 0
        local = await vault.open_drafts(touched)
        bases = vault.record_keys.open_all((await vault.mirror.records(touched)).items())
        merged, conflicts = {}, 0
        for record in touched:
            result = await asyncio.to_thread(rebase, bases.get(record), local[record], edit[record], self.latest)
            merged[record] = result.content
            conflicts += result.conflicts
        return merged, conflicts

    def _author(self) -> str:
        last = max(self.chain.members.values(), key=lambda standing: standing.last)
        return last.member.id.hex()
