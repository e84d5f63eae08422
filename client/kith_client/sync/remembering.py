"""Keeping what an alarm leaves behind before it is shown: somebody is unverified again, and an issue says why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kith_client.relations.introductions.suspicion import PersonChanged
from kith_client.vault import Vault


@asynccontextmanager
async def remembering(vault: Vault) -> AsyncIterator[None]:
    """Applies the edit of a `PersonChanged` that comes from inside, and lets it go on."""
    try:
        yield
    except PersonChanged as changed:
        await vault.apply(changed.edit)
        raise
