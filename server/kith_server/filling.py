"""Filling this server with a vault that was made elsewhere: who may, how far it is, and when it becomes visible.

The rules are in `filling_rules`, the statements in `storage.fills`; HTTP is in `routes.filling`.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from kith_protocol.errors import KithError
from kith_protocol.moving import check_fill
from kith_protocol.suite import digest
from kith_protocol.tree import BUCKETS, Tree, bucket_hash
from kith_protocol.wire import TOKEN_BYTES, BeginFill, FillGrant, Head, Register, split_frames
from kith_server.chains import Chains
from kith_server.config import Config
from kith_server.errors import Busy, HttpRefusal, no_session, vault_exists
from kith_server.filling_rules import check_end, check_part
from kith_server.storage.fill_interface import Filler, FillStore, StoredFill
from kith_server.storage.interface import StoredCommit, StoredVault, VaultStore
from kith_server.vault_rules import check_genesis
from kith_server.vaults import admission

MAX_FILLS: Final = 16
"""Vaults on their way in at a time."""
RESTING: Final = 10 * 60 * 1000
"""Milliseconds in which nothing came, and after which another may take a fill's place."""
FILL_LIFETIME: Final = 24 * 3600 * 1000
"""Milliseconds after which a fill is dropped that did not end."""


class Fills:
    """The vaults that are on their way in."""

    def __init__(
        self, store: FillStore, vaults: VaultStore, chains: Chains, config: Config, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._vaults = vaults
        self._chains = chains
        self._config = config
        self._clock = clock

    async def begin(self, begin: BeginFill) -> FillGrant:
        """Begins, or goes on with what the same member began. Raises `HttpRefusal` and what the rules raise."""
        now = self._clock()
        register = Register(begin.token, begin.genesis, begin.keys)
        vault, genesis = await asyncio.to_thread(check_genesis, register, now)
        origin = self._config.host
        await asyncio.to_thread(check_fill, begin.statement, begin.signature, begin.member, vault.vault, origin, now)
        token = secrets.token_bytes(TOKEN_BYTES)
        async with self._chains.lock(vault.vault):
            if await self._vaults.load(vault.vault) is not None:
                raise vault_exists()
            # What the first commit changed, nothing, is known: lists may begin behind it.
            await self._begin(replace(vault, horizon=0), genesis, begin, digest(token), now)
            fill = await self._found(vault.vault)
        return FillGrant(token, fill.place.chain.number, fill.place.record)

    async def check(self, vault: bytes, token: bytes) -> None:
        """Raises `HttpRefusal` 401 where this is not the token of a fill: before anything of it is read."""
        _check_token(await self._store.token(vault), token)

    async def add(self, vault: bytes, token: bytes, body: bytes | bytearray) -> Head:
        """Stores a part, and answers with the commit that was reached."""
        async with self._chains.lock(vault):
            fill = await self._of(vault, token)
            now = self._clock()
            part = await asyncio.to_thread(lambda: check_part(fill.place, split_frames(body), now))
            await self._store.add(vault, part, quota=self._config.quotas.vault_bytes, now=now)
            return Head(part.after.chain.number, part.after.chain.head)

    async def finish(self, vault: bytes, token: bytes, head: Head) -> Head:
        """Makes the vault visible where it is whole. What does not add up is dropped."""
        async with self._chains.lock(vault):
            fill = await self._of(vault, token)
            tree = await self._tree(vault)
            try:
                check_end(fill.place.chain, head, fill.filler.member, tree)
            except KithError:
                await self._drop(vault, fill.filler.touched)
                raise
            await self._store.finish(vault, b"".join(tree.buckets))
            self._chains.drop(vault)
            return head

    async def sweep(self) -> None:
        """Drops what nobody goes on with."""
        for vault, touched, begun in await self._store.idle():
            if begun < self._clock() - FILL_LIFETIME:
                await self._drop(vault, touched)

    async def _begin(self, vault: StoredVault, genesis: StoredCommit, begin: BeginFill, token: bytes, now: int) -> None:
        member, before = begin.member.id, await self._store.find(vault.vault)
        if before is None:
            needed = admission(self._config.registration, begin.token) or b""
            filler = Filler(member, token, needed, now, now)
        elif before.filler.member == member and not begin.anew:
            await self._store.go_on(vault.vault, token)
            return
        else:  # this vault was let in already
            self._check_precedence(before, member, now)
            begun = before.filler.begun if before.filler.member == member else now
            filler = Filler(member, token, before.filler.admission, now, begun)
            await self._drop(vault.vault, before.filler.touched)
        await self._make_room()
        await self._store.begin(vault, genesis, filler, room=self._config.quotas.vaults)

    async def _tree(self, vault: bytes) -> Tree:
        """The tree of the records that came; one bucket in memory at a time."""
        found: dict[int, bytes] = {}
        for bucket in range(BUCKETS):
            rows = await self._vaults.bucket_rows(vault, frozenset({bucket}))
            if rows:
                found[bucket] = await asyncio.to_thread(bucket_hash, [(row.record, row.hash) for row in rows])
        return Tree().with_buckets(found)

    def _check_precedence(self, before: StoredFill, member: bytes, now: int) -> None:
        """The paper key comes first; of devices, who came first, as long as it goes on. Raises `HttpRefusal` 409."""
        holds = before.filler.member != member and before.filler.touched > now - RESTING
        if holds and member != before.place.chain.paper:
            raise HttpRefusal(
                409, "fill-busy", "Another device brings this vault here now; try again later.", retry_after=600
            )

    async def _make_room(self) -> None:
        fills = await self._store.idle()
        if len(fills) < MAX_FILLS:
            return
        vault, touched, _ = fills[0]
        if touched > self._clock() - RESTING or not await self._drop(vault, touched):
            raise Busy("Too many vaults are being moved here now; try again later.", retry_after=600)

    async def _drop(self, vault: bytes, touched: int) -> bool:
        """False where it went on, or was finished, meanwhile."""
        if not await self._store.drop(vault, touched):
            return False
        while await self._vaults.sweep():
            pass
        return True

    async def _found(self, vault: bytes) -> StoredFill:
        fill = await self._store.find(vault)
        if fill is None:
            raise no_session()
        return fill

    async def _of(self, vault: bytes, token: bytes) -> StoredFill:
        """The fill with this token. Raises `HttpRefusal` 401."""
        fill = await self._found(vault)
        _check_token(fill.filler.token, token)
        return fill


def _check_token(hash_: bytes | None, token: bytes) -> None:
    if hash_ is None or not hmac.compare_digest(hash_, digest(token)):
        raise no_session()
