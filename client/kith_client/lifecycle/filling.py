"""Filling a server with a vault that exists (spec: move.md): from this device's mirror, or from a backup.

The server verifies everything; what it shows afterwards is verified again by whoever fetches it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from kith_client.errors import ServerRefused
from kith_client.store.history import history_parts
from kith_client.sync.receiving import Progress, no_progress
from kith_client.transport import HomeServer
from kith_client.vault import Clock, Vault
from kith_protocol import wire
from kith_protocol.commit import parse_commit
from kith_protocol.member import MemberKeys
from kith_protocol.moving import sign_fill
from kith_protocol.wire import FeedCommit, FeedRecords, Frame, Head

Parts = Callable[[tuple[int, bytes]], AsyncIterator[list[Frame]]]
"""Gives what stands after a place: number of a commit, and the last of its records that is known."""

_OUTDATED: Final = frozenset({"fork", "wrong-tree", "wrong-records", "wrong-changes", "session"})
"""What the server had from an earlier attempt may be the beginning of something else."""


@dataclass(frozen=True, slots=True)
class History:
    """A whole vault to fill a server with."""

    genesis: FeedCommit
    head: Head
    records: int
    parts: Parts

    @property
    def vault(self) -> bytes:
        return parse_commit(self.genesis.commit).hash


def history_of(vault: Vault, genesis: tuple[bytes, bytes]) -> History:
    """What this device has; `genesis` is the first commit with its sealed keys."""
    head = Head(vault.chain.number, vault.chain.head)
    return History(FeedCommit(*genesis, b""), head, len(vault.index.ids()), partial(history_parts, vault.mirror))


async def fill(filler: Filler, history: History, progress: Progress = no_progress) -> None:
    """Brings the vault to a server, where it is visible then.

    Raises `ServerRefused` (`vault-exists`, `fill-busy`, `registration-...`, `quota-exceeded`), `ServerUnreachable`.
    """
    await filler.bring(history, progress)
    try:
        await filler.end(history.head)
    except ServerRefused as refusal:
        if refusal.code not in _OUTDATED:
            raise
        await filler.bring(history, progress)
        await filler.end(history.head)


class Filler:
    """Brings a vault to `server` for a member. The server keeps what came until it is ended, or rests for a day."""

    def __init__(self, server: HomeServer, member: MemberKeys, clock: Clock, token: str = "") -> None:
        self._server = server
        self._member = member
        self._clock = clock
        self._token = token

    async def bring(self, history: History, progress: Progress = no_progress) -> None:
        """Sends what the server does not have yet; from the beginning where what it has does not fit."""
        try:
            await self._send(history, progress, anew=False)
        except ServerRefused as refusal:
            if refusal.code not in _OUTDATED:
                raise
            await self._send(history, progress, anew=True)

    async def end(self, head: Head) -> None:
        """Makes what was sent visible, if `head` is its last commit."""
        await self._server.end_fill(self._vault, head)

    async def _send(self, history: History, progress: Progress, *, anew: bool) -> None:
        self._vault = history.vault

        async def begin_again() -> str:
            return (await self._begin(history, anew=False)).token.hex()

        self._server.sign_in = begin_again
        grant = await self._begin(history, anew=anew)
        self._server.use_token(grant.token.hex())
        done = 0
        async for part in history.parts((grant.number, grant.record)):
            await self._server.add_part(history.vault, b"".join(map(wire.encode_frame, part)))
            done += sum(len(frame.records) for frame in part if isinstance(frame, FeedRecords))
            progress(done, history.records)

    async def _begin(self, history: History, *, anew: bool) -> wire.FillGrant:
        genesis, signed = history.genesis, sign_fill(history.vault, self._member, self._server.host, self._clock())
        begin = wire.BeginFill(self._token, genesis.commit, genesis.keys, self._member.public, *signed, anew)
        return await self._server.begin_fill(begin)
