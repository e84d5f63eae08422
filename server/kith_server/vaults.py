"""Beginning vaults and pushing commits: reads, checks and stores in the right order, off the event loop.

The rules are in `vault_rules`, the statements in `storage`; HTTP is in `routes.vaults`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from kith_protocol.chain import Chain
from kith_protocol.commit import Commit, parse_commit
from kith_protocol.encoding import decode
from kith_protocol.errors import Refused
from kith_protocol.suite import digest
from kith_protocol.wire import Followed, Head, Push, Register
from kith_server.chains import Chains
from kith_server.config import Config, Registration
from kith_server.errors import HttpRefusal, head_moved
from kith_server.following import removed_by_any, told
from kith_server.sessions import Sessions
from kith_server.storage.interface import Step, VaultStore
from kith_server.vault_rules import VaultState, check_genesis, check_push, freeze, plan_step

LARGE_PUSH: Final = 1024 * 1024
"""Bytes from which pushes are decoded one at a time: decoding needs three times their size."""


def head_of(state: VaultState) -> Head:
    """What a client is told of the head."""
    return Head(state.chain.number, state.chain.head)


class Vaults:
    """The vaults of one server."""

    def __init__(
        self, store: VaultStore, chains: Chains, config: Config, clock: Callable[[], int], sessions: Sessions
    ) -> None:
        self.store = store
        self._sessions = sessions
        self.chains = chains
        self._config = config
        self._clock = clock
        self._decoding = asyncio.Semaphore(1)

    async def state(self, vault: bytes) -> VaultState:
        """The vault at its head, mostly from memory. Raises `HttpRefusal` 404."""
        return await self.chains.get(vault)

    async def register(self, register: Register) -> Head:
        """Begins a vault; one that exists is left as it is. Raises what `check_genesis` and the store raise."""
        vault, genesis = await asyncio.to_thread(check_genesis, register, self._clock())
        if await self.store.load(vault.vault) is None:
            token = admission(self._config.registration, register.token)
            await self.store.create(vault, genesis, token=token, room=self._config.quotas.vaults)
        return head_of(await self.chains.get(vault.vault))

    async def decode_push(self, body: bytearray) -> Push:
        """Decodes a push. Raises `DecodingError`."""
        if len(body) < LARGE_PUSH:
            return decode(body, Push)
        async with self._decoding:
            return await asyncio.to_thread(decode, body, Push)

    async def push(self, vault: bytes, push: Push) -> Head:
        """Stores one commit with its records, and answers with the head; a commit of the chain changes nothing.

        Raises `HttpRefusal` (`head-moved`, 404) and what the rules raise.
        """
        commit = parse_commit(push.commit)
        if commit.vault != vault:
            raise Refused("wrong-vault", "The commit belongs to another vault.")
        async with self.chains.lock(vault):
            state = await self.chains.get_locked(vault)
            if await self._is_settled(state, commit):
                return head_of(state)
            if state.member(commit.body.author) is None:
                raise Refused("unknown-member", "The commit is by nobody who is a member.")
            await self._let_paper_work(state, commit.body.author)
            step, after = await self._check(state, commit, push)
            # Shielded: should the request end early, the state in memory still follows what is stored.
            await asyncio.shield(asyncio.ensure_future(self._store(step, after)))
            return head_of(after)

    async def follow(self, vault: bytes, commits: tuple[tuple[bytes, bytes], ...], member: bytes) -> Followed:
        """Takes in who is a member since the vault lives elsewhere, as `member` tells it; what is known then.

        Raises `HttpRefusal` (`head-moved`, 404, 423) and what `told` raises.
        """
        async with self.chains.lock(vault):
            state = await self.chains.get_locked(vault)
            if commits:
                await self._let_paper_work(state, member)
                genesis = await self.store.genesis(vault)
                state = await asyncio.to_thread(told, state, genesis, commits, member)
                await asyncio.shield(asyncio.ensure_future(self._keep_told(state)))
            return Followed(Head(state.known.number, state.known.head), head_of(state))

    async def delete(self, vault: bytes) -> None:
        """Everything of a vault goes, mailboxes and what waits in the relay too."""
        async with self.chains.lock(vault):
            await self.store.delete(vault)
            self.chains.drop(vault)
        self._sessions.clear()

    async def _is_settled(self, state: VaultState, commit: Commit) -> bool:
        """Whether the commit is in the chain already. Raises `head-moved` where it does not follow the head."""
        body, chain = commit.body, state.chain
        if body.number <= chain.number and await self.store.has_commit(chain.vault, body.number, commit.hash):
            return True
        if (body.number, body.parent) != (chain.number + 1, chain.head):
            raise head_moved()
        return False

    async def _let_paper_work(self, state: VaultState, member: bytes) -> None:
        """Who holds a stolen device is faster than the person with the paper: while that one is at work, all others
        wait. Raises `HttpRefusal` 423."""
        paper = state.paper
        if member != paper and await self._sessions.is_paper_at_work(state.chain.vault, paper):
            raise HttpRefusal(
                423, "paper-key-at-work", "The recovery phrase is being used on this address book; try again later."
            )

    async def _check(self, state: VaultState, commit: Commit, push: Push) -> tuple[Step, VaultState]:
        checked = await asyncio.to_thread(check_push, state.chain, commit, push)
        state = _home_again(state, commit, checked.chain)
        standing = await self.store.bucket_rows(state.chain.vault, checked.buckets)
        quota = self._config.quotas.vault_bytes if state.quota is None else state.quota
        return await asyncio.to_thread(plan_step, state, checked, standing, quota, self._clock())

    async def _keep_told(self, state: VaultState) -> None:
        await self.store.follow(freeze(state))
        self.chains.put(state)

    async def _store(self, step: Step, after: VaultState) -> None:
        try:
            await self.store.append(step)
        except BaseException:
            self.chains.drop(after.chain.vault)
            raise
        self.chains.put(after)


def admission(registration: Registration, token: str) -> bytes | None:
    """The hash of the token that a new vault needs, None where none is asked for. Raises `HttpRefusal` 403."""
    if registration is Registration.CLOSED:
        raise HttpRefusal(403, "registration-closed", "This server takes no new vaults.")
    if registration is Registration.OPEN:
        return None
    if not token:
        raise HttpRefusal(403, "registration-token", "This server asks for a registration token.")
    return digest(token.encode())


def _home_again(state: VaultState, commit: Commit, after: Chain) -> VaultState:
    """A commit here: what was told of another home holds no more, but for those whom it removed. The paper key lets
    them in again."""
    denied = frozenset[bytes]() if commit.body.author == state.chain.paper else removed_by_any(state, after)
    return replace(state, followed=None, denied=denied & after.members.keys())
