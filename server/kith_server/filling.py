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
"""Milliseconds without a part after which another may take a fill's place."""
FILL_LIFETIME: Final = 24 * 3600 * 1000
"""Milliseconds without a part after which a fill is dropped."""


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
        needed = admission(self._config.registration, begin.token)
        token = secrets.token_bytes(TOKEN_BYTES)
        filler = Filler(begin.member.id, digest(token), needed or b"", now)
        async with self._chains.lock(vault.vault):
            if await self._vaults.load(vault.vault) is not None:
                raise vault_exists()
            # What the first commit changed, nothing, is known: lists may begin behind it.
            await self._begin(replace(vault, horizon=0), genesis, filler, anew=begin.anew)
            fill = await self._found(vault.vault)
        return FillGrant(token, fill.place.chain.number, fill.place.record)

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
            hashes = await self._store.hashes(vault)
            try:
                tree = await asyncio.to_thread(check_end, fill.place.chain, head, fill.filler.member, hashes)
            except KithError:
                await self._vaults.delete(vault)
                raise
            await self._store.finish(vault, b"".join(tree.buckets))
            self._chains.drop(vault)
            return head

    async def sweep(self) -> None:
        """Drops what nobody goes on with."""
        for vault, touched in await self._store.idle():
            if touched < self._clock() - FILL_LIFETIME:
                await self._drop(vault)

    async def _begin(self, vault: StoredVault, genesis: StoredCommit, filler: Filler, *, anew: bool) -> None:
        before = await self._store.find(vault.vault)
        if before is not None and before.filler.member == filler.member and not anew:
            await self._store.go_on(vault.vault, filler.token, filler.touched)
            return
        if before is not None:
            self._check_precedence(before, filler)
            await self._vaults.delete(vault.vault)
        await self._make_room()
        await self._store.begin(vault, genesis, filler, room=self._config.quotas.vaults)

    def _check_precedence(self, before: StoredFill, filler: Filler) -> None:
        """The paper key comes first; of devices, who came first, as long as it goes on. Raises `HttpRefusal` 409."""
        holds = before.filler.member != filler.member and before.filler.touched > filler.touched - RESTING
        if holds and filler.member != before.place.chain.paper:
            raise HttpRefusal(
                409, "fill-busy", "Another device brings this vault here now; try again later.", retry_after=600
            )

    async def _make_room(self) -> None:
        fills = await self._store.idle()
        if len(fills) < MAX_FILLS:
            return
        vault, touched = fills[0]
        if touched > self._clock() - RESTING:
            raise Busy("Too many vaults are being moved here now; try again later.", retry_after=600)
        await self._vaults.delete(vault)

    async def _drop(self, vault: bytes) -> None:
        async with self._chains.lock(vault):
            fill = await self._store.find(vault)
            if fill is not None and fill.filler.touched < self._clock() - FILL_LIFETIME:
                await self._vaults.delete(vault)

    async def _found(self, vault: bytes) -> StoredFill:
        fill = await self._store.find(vault)
        if fill is None:
            raise no_session()
        return fill

    async def _of(self, vault: bytes, token: bytes) -> StoredFill:
        """The fill with this token. Raises `HttpRefusal` 401."""
        fill = await self._found(vault)
        if not hmac.compare_digest(fill.filler.token, digest(token)):
            raise no_session()
        return fill
