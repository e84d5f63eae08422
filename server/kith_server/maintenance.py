"""What a server does by itself: forgets what expired, and notices what the command line changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from kith_server.chains import Chains
from kith_server.errors import Busy
from kith_server.logs import describe
from kith_server.sessions import Sessions
from kith_server.storage.database import Database
from kith_server.storage.interface import SessionStore, VaultStore

DAY: Final = 24 * 3600 * 1000
HORIZON: Final = 180 * DAY
"""Milliseconds for which change lists are kept."""
REPLACED: Final = 30 * DAY
"""Milliseconds for which replaced and deleted ciphertext is kept."""
AT_ONCE: Final = 500
"""Rows changed in one transaction, so that requests do not wait for it."""
ROUND_SECONDS: Final = 3600.0
WATCH_SECONDS: Final = 2.0

_log: Final = structlog.get_logger()


async def forget_expired(vaults: VaultStore, sessions: SessionStore, chains: Chains, now: int) -> int:
    """Drops change lists older than `HORIZON`, what was replaced before `REPLACED`, expired sessions and nonces, rests
    of deleted vaults; how many steps."""
    total = 0
    while dropped := await vaults.drop_changes(now - HORIZON, AT_ONCE):
        total += dropped
        chains.clear()
    while dropped := await vaults.drop_replaced(now - REPLACED, AT_ONCE):
        total += dropped
    while dropped := await sessions.drop_expired(now, AT_ONCE):
        total += dropped
    while await vaults.sweep():
        total += 1
    return total


async def repeat(seconds: float, step: Callable[[], Awaitable[object]]) -> None:
    """Runs `step` every so many seconds, for ever; one that fails is logged and tried again."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await step()
        except Busy:
            _log.warning("maintenance waits")
        except Exception as error:  # noqa: BLE001 (logged; the next round may succeed)
            _log.error("maintenance", **describe(error))


class OutsideWatch:
    """Empties the memory when another process, such as `kith-server vaults delete`, changed the database."""

    def __init__(self, database: Database, chains: Chains, sessions: Sessions) -> None:
        self._database = database
        self._chains = chains
        self._sessions = sessions
        self._seen: int | None = None

    async def look(self) -> None:
        """Compares with the last look."""
        version = await self._database.outside_changes()
        if self._seen not in (None, version):
            self._chains.clear()
            self._sessions.clear()
        self._seen = version
