"""What filling a server asks of a store. `tests/server/test_filling.py` holds the SQLite store to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kith_server.filling_rules import Part, Place
from kith_server.storage.interface import StoredCommit, StoredVault


@dataclass(frozen=True, slots=True)
class Filler:
    """Who fills a vault."""

    member: bytes
    token: bytes
    """SHA-256 of the token for the parts."""
    admission: bytes
    """SHA-256 of the registration token that was used up for it; empty where none was asked for."""
    touched: int
    """When something of the vault came last, in milliseconds since 1970."""
    begun: int
    """Likewise, when the fill began."""


@dataclass(frozen=True, slots=True)
class StoredFill:
    """A vault that is being filled."""

    filler: Filler
    place: Place


class FillStore(Protocol):
    """Vaults on their way in. Nobody else sees them: `VaultStore.load` does not know them."""

    async def find(self, vault: bytes) -> StoredFill | None:
        """The fill of this vault; None where there is none."""

    async def begin(self, vault: StoredVault, genesis: StoredCommit, filler: Filler, *, room: int) -> None:
        """Begins a fill with the first commit, and uses its registration token up. Raises `Refused`
        (`registration-token`, `registration-full`, `vault-exists`)."""

    async def token(self, vault: bytes) -> bytes | None:
        """SHA-256 of the token for the parts of this vault; None where there is no fill."""

    async def go_on(self, vault: bytes, token: bytes) -> None:
        """The same filler goes on with another token (its SHA-256)."""

    async def add(self, vault: bytes, part: Part, *, quota: int, now: int) -> None:
        """Stores a part, all or nothing. Raises `Refused` (`quota-exceeded`), and `session` where the fill is gone."""

    async def finish(self, vault: bytes, buckets: bytes) -> None:
        """Makes the vault visible, with what was counted. Raises `Refused` (`session`) where the fill is gone."""

    async def drop(self, vault: bytes, touched: int) -> bool:
        """Gives up a fill that was touched at that time last, and gives its registration token back; the vault is then
        being deleted (`VaultStore.sweep`). False, and nothing is done, where it was finished or touched since."""

    async def idle(self) -> list[tuple[bytes, int, int]]:
        """All fills, (vault, touched, begun), the one that rests longest first."""
