"""The states of the vaults in use, in memory: a poll touches neither the database nor a thread.

What changes a vault holds its lock from reading the state until the new one is in place, and loading takes the same
lock; so the state in memory is never older than what a client was told.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final
from weakref import WeakValueDictionary

from kith_protocol.chain import thaw_chain
from kith_server.errors import not_found
from kith_server.storage.interface import VaultStore
from kith_server.vault_rules import VaultState, thaw

CAPACITY: Final = 512
"""States in memory: about 30 KiB each, 200 KiB with as many members as there may be."""


class Chains:
    """A bounded cache over `store`."""

    def __init__(self, store: VaultStore, capacity: int = CAPACITY) -> None:
        self._store = store
        self._capacity = capacity
        self._states: OrderedDict[bytes, VaultState] = OrderedDict()
        self._cleared = 0
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def lock(self, vault: bytes) -> asyncio.Lock:
        """Whoever changes `vault` holds it."""
        lock = self._locks.get(vault)
        if lock is None:
            lock = self._locks[vault] = asyncio.Lock()
        return lock

    async def find(self, vault: bytes) -> VaultState | None:
        """The state at the head; None where there is no such vault."""
        state = self._known(vault)
        if state is not None:
            return state
        async with self.lock(vault):
            return await self._load(vault)

    async def get(self, vault: bytes) -> VaultState:
        """The state at the head. Raises `HttpRefusal` 404."""
        return _present(await self.find(vault))

    async def get_locked(self, vault: bytes) -> VaultState:
        """The same, for whoever holds the lock."""
        return _present(await self._load(vault))

    def put(self, state: VaultState) -> None:
        """Keeps a state that is stored; the caller holds the lock."""
        self._states[state.chain.vault] = state
        self._states.move_to_end(state.chain.vault)
        if len(self._states) > self._capacity:
            self._states.popitem(last=False)

    def drop(self, vault: bytes) -> None:
        """Forgets a state, because what is stored may be another."""
        self._states.pop(vault, None)

    def clear(self) -> None:
        """Forgets all states, because another program changed the store."""
        self._states.clear()
        self._cleared += 1

    async def _load(self, vault: bytes) -> VaultState | None:
        state = self._known(vault)
        if state is None:
            cleared = self._cleared
            stored = await self._store.load(vault)
            if stored is not None:
                state = thaw(stored, thaw_chain(stored.chain))
                if cleared == self._cleared:
                    self.put(state)
        return state

    def _known(self, vault: bytes) -> VaultState | None:
        state = self._states.get(vault)
        if state is not None:
            self._states.move_to_end(vault)
        return state


def _present(state: VaultState | None) -> VaultState:
    if state is None:
        raise not_found("vault")
    return state
