"""From a verified, staged feed into the mirror and the view: unsent edits are merged in, all of it visible at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kith_client.errors import ManyDeletions
from kith_client.stamp import Edit
from kith_client.store.record_index import RecordIndex
from kith_client.sync.describe import describe
from kith_client.sync.feed import check_tree
from kith_client.vault import UNREADABLE, Event, RecordKeys, Vault
from kith_protocol.chain import Chain, freeze_chain
from kith_protocol.commit import DELETED
from kith_protocol.content import Content
from kith_protocol.errors import Refused
from kith_protocol.merge import Merged, merge

MANY_DELETIONS: Final = 20
"""Contacts; with more than a third of all, the person is asked before they disappear."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull did."""

    records: int
    conflicts: int


def rebase(base: Content | None, local: Content | None, remote: Content | None, latest: int) -> Merged:
    """`merge`, and what to do where another member's program wrote something that cannot be read.

    An unsent edit then stands whole over what is unreadable: merging it in would lose the record's kind.
    """
    if remote is UNREADABLE and local is not None:
        return Merged(local)
    return merge(None if base is UNREADABLE else base, local, remote, latest=latest)


class Application:
    """One verified, staged pull on its way into the mirror and the view."""

    forget: Iterable[str] = ()
    """States of the mirror that no longer hold afterwards."""

    def __init__(self, vault: Vault, chain: Chain, whole: bool, server_time: int, allow_deletions: bool) -> None:
        self.vault = vault
        self.chain = chain
        self.whole = whole
        self.latest = server_time
        self.allow_deletions = allow_deletions

    async def run(self) -> Pulled:
        """Takes it in. Raises `Refused` (`device-removed`), `ManyDeletions`, or an `Alarm`."""
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
        edit: Edit = {**remote, **dict.fromkeys(gone)}
        merged, conflicts = await self._merge(edit)
        visible = {**edit, **merged}
        self._ask_about_deletions(visible)
        settled = [record for record in merged if merged[record] == edit.get(record)]
        remaining = {record: content for record, content in merged.items() if merged[record] != edit.get(record)}
        events = [vault.seal_event(event) for event in self._events(visible)]
        before = vault.record_keys, vault.chain
        vault.record_keys, vault.chain = keys, self.chain
        try:
            drafts = await vault.seal_drafts(remaining)
            frozen = freeze_chain(self.chain)
            await vault.mirror.apply_stage(frozen, drafts, settled, events, self.whole, self.forget)
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

    def _ask_about_deletions(self, visible: Edit) -> None:
        contents = self.vault.contents
        contacts = sum(content.kind == "contact" for content in contents.values())
        gone = [contents[record] for record, content in visible.items() if content is None and record in contents]
        lost = sum(content.kind == "contact" for content in gone)
        if not self.allow_deletions and lost >= MANY_DELETIONS and lost * 3 > contacts:
            raise ManyDeletions(
                f"Another device deleted {lost} of your {contacts} contacts. If that is right, run 'kith sync --yes'; "
                "until then nothing is deleted here."
            )

    async def _merge(self, edit: Edit) -> tuple[Edit, int]:
        """Of the records that `edit` brings, those with an unsent edit, as they stand after merging; and conflicts."""
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

    def _events(self, visible: Edit) -> list[Event]:
        """What the device's log says of it."""
        vault, author = self.vault, self._author()
        new = {record: content for record, content in visible.items() if vault.contents.get(record) != content}
        return [Event(vault.clock(), text, author) for text in describe(vault.contents, new)]

    def _author(self) -> str:
        last = max(self.chain.members.values(), key=lambda standing: standing.last)
        return last.member.id.hex()
