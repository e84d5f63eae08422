"""Fetching what waits in the mailboxes at one server, a bounded part at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.wire import StoredParcel

MAX_PARCELS: Final = 100
"""Parcels after which no further page is taken in with the same commit, so that what they change fits into one: a page
has at most 70 of the large ones that handshakes are made of, and each of those changes up to five records."""
MAX_PARCEL_BYTES: Final = 8 * 1024 * 1024
"""Bytes of parcels after which no further page is taken in with the same commit."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Parcels, and where to go on once their content is committed."""

    parcels: list[StoredParcel] = field(default_factory=list)
    cursors: Mapping[str, bytes | None] = field(default_factory=dict)
    """State of the mirror: where the next round goes on; None: at the beginning."""

    @property
    def more(self) -> bool:
        """Whether more may wait behind them."""
        return any(cursor is not None for cursor in self.cursors.values())

    def joined(self, other: Fetched) -> Fetched:
        """Both together."""
        return Fetched([*self.parcels, *other.parcels], {**self.cursors, **other.cursors})


async def fetch_parcels(vault: Vault, server: HomeServer, state: str) -> Fetched:
    """What waits at `server`, from where the state of this name says that the last round stopped."""
    parcels: list[StoredParcel] = []
    cursor, size = int.from_bytes(await vault.mirror.state(state) or b"", "big"), 0
    while len(parcels) < MAX_PARCELS and size < MAX_PARCEL_BYTES:
        page = await server.parcels(vault.id, cursor)
        parcels += page.parcels
        size += sum(len(parcel.parcel) for parcel in page.parcels)
        if not page.parcels or page.cursor <= cursor:
            if parcels or not cursor:
                return Fetched(parcels, {state: None})
            cursor = 0  # nothing more lies behind
            continue
        cursor = page.cursor
    return Fetched(parcels, {state: cursor.to_bytes(8, "big")})
