"""The paper key at work: the recovery phrase reads the whole vault, and one commit of its own decides who is a member.

While it has a session the server lets nobody else commit (spec: session.md), so that a thief cannot be faster. Used to
recover, and to take everything back after a theft; what either decides is theirs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from kith_client.errors import HeadMoved, ServerRefused
from kith_client.lifecycle.fetching import fetch_vault
from kith_client.stamp import Contents, Edit, Stamp
from kith_client.store.epoch_keys import EpochKeys, find_epochs
from kith_client.store.mirror import CHAIN, AcceptedPush, Mirror
from kith_client.store.record_index import RecordIndex
from kith_client.sync.building import NO_STEP, MembershipStep, build_push, removing
from kith_client.sync.receiving import Progress
from kith_client.transport import HomeServer
from kith_client.vault import AUTHOR_BYTES, Clock, RecordKeys
from kith_protocol.chain import Chain, extend, freeze_chain, thaw_chain
from kith_protocol.commit import DELETED, parse_commit
from kith_protocol.content import Content
from kith_protocol.encoding import encode
from kith_protocol.errors import Alarm, AlarmCode, Refused
from kith_protocol.member import Member, MemberKeys
from kith_protocol.sealedkeys import parse_keys
from kith_protocol.suite import KEY_BYTES, NONCE_BYTES, digest

_TRIES: Final = 5
"""Commits tried while other devices write."""
_MOST: Final = 900
_MOST_BYTES: Final = 8 * 1024 * 1024
"""Records, and bytes of them, in one commit."""


@dataclass(frozen=True, slots=True)
class Paper:
    """What the phrase gives at one home server: as `DeviceKeys`, for the paper key."""

    server: str
    fingerprint: bytes
    vault: bytes
    member: MemberKeys


@dataclass(frozen=True, slots=True)
class Found:
    """A vault as the phrase reads it."""

    chain: Chain
    epochs: EpochKeys
    index: RecordIndex
    contents: Contents
    lists: Mapping[int, Mapping[bytes, bytes]] = field(default_factory=dict)
    """Commit number → what it changed: record id → hash of the sealed record. Of the last 180 days."""

    @property
    def keys(self) -> Mapping[int, bytes]:
        """Epoch → its key."""
        return self.epochs.known

    def check(self, removed: frozenset[bytes]) -> None:
        """Raises `Refused` (`unread-epoch`) where a device stays that began what the phrase cannot read."""
        self.epochs.check_passed_over(self.chain.removed | removed)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the paper key is to do with a vault that it read."""

    removed: frozenset[bytes]
    """Members to remove."""
    added: tuple[Member, ...]
    edit: Edit
    last: Edit = field(default_factory=dict)
    """What must not be there before all of `edit` is: if the commits break off, the phrase begins anew."""


class PaperWork:
    """One fetch and its commits, by the paper key, in a mirror of its own or of a device that is to be."""

    def __init__(self, mirror: Mirror, server: HomeServer, access: Paper, clock: Clock) -> None:
        self.mirror = mirror
        self.server = server
        self.access = access
        self.clock = clock

    def stamp(self) -> Stamp:
        """What an edit of the paper key carries."""
        return Stamp(self.clock(), self.access.member.id[:AUTHOR_BYTES], os.urandom)

    async def carry_out(
        self, decide: Callable[[Found], Awaitable[Plan]], mark: tuple[int, bytes], progress: Progress
    ) -> tuple[Found, Plan]:
        """Fetches, decides, commits; again where another device wrote first. What was found, and what was done.

        Raises `Refused` (`wrong-phrase`, and what `decide` raises), or an `Alarm`.
        """
        for _ in range(_TRIES):
            found = await self.fetch(mark, progress)
            plan = await decide(found)
            found.check(plan.removed)
            try:
                await self._commit_all(found, plan)
            except HeadMoved:
                continue
            return found, plan
        raise Refused("busy-vault", "Other devices write all the time; try again.")

    async def fetch(self, mark: tuple[int, bytes], progress: Progress) -> Found:
        """The whole vault, verified, with the commit `mark` in its history."""
        lists: dict[int, Mapping[bytes, bytes]] = {}
        try:
            await fetch_vault(self.mirror, self.server, self.access, mark, progress, _readable, lists)
        except ServerRefused as refusal:
            if refusal.code != "not-a-member":
                raise
            raise wrong_phrase() from None
        chain = thaw_chain(await self.mirror.state(CHAIN) or b"")
        if chain.paper != self.access.member.id:
            raise Alarm(
                AlarmCode.UNKNOWN_MEMBER, "The address book's history names another recovery phrase than this one."
            )
        commits = await self.mirror.commits_with_keys()
        epochs = await asyncio.to_thread(find_epochs, self.access.vault, commits, self.access.member, chain.commitments)
        keys = RecordKeys(self.access.vault, epochs.known)
        hashes: list[tuple[bytes, bytes]] = []
        contents: dict[bytes, Content] = {}

        def read(rows: list[tuple[bytes, bytes, bytes]]) -> None:
            hashes.extend((record, hash_) for record, hash_, _ in rows)
            contents.update(keys.open_all((record, blob) for record, _, blob in rows))

        await self.mirror.record_batches(read)
        return Found(chain, epochs, await asyncio.to_thread(RecordIndex, hashes), contents, lists)

    async def _commit_all(self, found: Found, plan: Plan) -> None:
        """The change of members first, in a new epoch, with as many records as go with it."""
        epoch_key, epoch = os.urandom(KEY_BYTES), found.chain.epoch + 1
        old, nonce = found.keys[found.epochs.linked], os.urandom(NONCE_BYTES)
        step, _ = await asyncio.to_thread(removing, found.chain, plan.removed, old, epoch_key, nonce, added=plan.added)
        keys = RecordKeys(self.access.vault, {**found.keys, epoch: epoch_key})
        for part in _parts({**plan.edit, **plan.last}, keys, epoch):
            chain = await self._commit(found, part, step, epoch)
            found, step = replace(found, chain=chain), NO_STEP

    async def _commit(
        self, found: Found, sealed: Mapping[bytes, bytes | None], step: MembershipStep, epoch: int
    ) -> Chain:
        """One commit; in the mirror once the server has it. Raises `HeadMoved`."""
        hashes = {record: DELETED if blob is None else digest(blob) for record, blob in sealed.items()}
        tree = await asyncio.to_thread(found.index.root_with, hashes)
        push = await asyncio.to_thread(
            build_push, found.chain, self.access.member, sealed, tree, self.clock(), step=step, epoch=epoch
        )
        await self.server.push(self.access.vault, encode(push))
        found.index.update(hashes)
        chain = extend(found.chain, parse_commit(push.commit), parse_keys(push.keys))
        records = {record: None if blob is None else (hashes[record], blob) for record, blob in sealed.items()}
        row = (chain.number, push.commit, push.keys)
        await self.mirror.apply_push(AcceptedPush(freeze_chain(chain), records, [row], []))
        return chain


def wrong_phrase() -> Refused:
    return Refused(
        "wrong-phrase",
        "This phrase opens no address book with this id on this server. Compare the server, the id and each word with "
        "what you wrote down.",
    )


def _readable(
    vault: bytes, commits: Iterable[tuple[bytes, bytes]], member: MemberKeys, commitments: Mapping[int, bytes]
) -> Mapping[int, bytes]:
    return find_epochs(vault, commits, member, commitments).known


def _parts(edit: Edit, keys: RecordKeys, epoch: int) -> Iterator[dict[bytes, bytes | None]]:
    """At least one, sealed, each small enough for a commit, in the order of `edit`."""
    part: dict[bytes, bytes | None] = {}
    size = 0
    for record, content in edit.items():
        blob = None if content is None else keys.seal(record, content, epoch)
        size += len(blob or b"")
        if part and (len(part) >= _MOST or size > _MOST_BYTES):
            yield part
            part, size = {}, len(blob or b"")
        part[record] = blob
    yield part
