"""Telling a server that the vault left who is a member since (spec: move.md, Following)."""

from __future__ import annotations

from typing import Final

from kith_client.errors import HeadMoved
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.commit import parse_commit
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.wire import MAX_FOLLOW_BYTES, Follow, Followed, Head

LEFT: Final = "left/"
"""State of the mirror, with the host: the last commit that the server was told, as number and hash."""
OTHER: Final = "other/"
"""State of the mirror, with the host: a commit that the server knew and this device did not, likewise."""
_COMMITS: Final = 100
"""Commits read at once."""
_OVERHEAD: Final = 32
"""Bytes around a commit and its keys."""
_NUMBER_BYTES: Final = 8


async def tell_members(vault: Vault, server: HomeServer) -> None:
    """Who was removed since must not read or delete there any more; who came may. Call it behind a pull.

    Raises an `Alarm` where the server was told another history; then it was told this one.
    """
    left, other = LEFT + server.host, OTHER + server.host
    told = _read_head(await vault.mirror.state(left))
    if told is not None and await _is_mine(vault, told) and await _last_change(vault) <= told.number:
        return
    known = await server.follow(vault.id, Follow(()))
    start = known.known
    is_other = not await _is_mine(vault, start)
    if is_other:
        if not await _is_settled(vault, start, _read_head(await vault.mirror.state(other))):
            await vault.mirror.set_state({other: _write_head(start)})
            return
        start = await _parting(vault, known)
    try:
        head = await _tell(vault, server, start)
    except HeadMoved:
        return  # another device tells at this moment; the next sync looks again
    await vault.mirror.set_state({left: _write_head(head), other: None})
    if is_other and known.known.hash not in await _given_up(vault):
        raise Alarm(AlarmCode.FORK, "it was told another history of this address book. It has this one now.")


async def _tell(vault: Vault, server: HomeServer, head: Head) -> Head:
    """All commits after `head`, as many at a time as a request holds; the last one."""
    while rows := await vault.mirror.history(head.number, _COMMITS):
        batch: list[tuple[bytes, bytes]] = []
        size = _OVERHEAD
        for _, raw, keys in rows:
            size += len(raw) + len(keys) + _OVERHEAD
            if size > MAX_FOLLOW_BYTES:
                break
            batch.append((raw, keys))
        head = (await server.follow(vault.id, Follow(tuple(batch)))).known
        if not await _is_mine(vault, head):
            raise HeadMoved("The server knows another history.")
    return head


async def _is_settled(vault: Vault, unknown: Head, before: Head | None) -> bool:
    """Whether `unknown`, or what was unknown at an earlier sync, is no commit that this device just did not see yet."""
    if before is not None and not await _is_mine(vault, before):
        return True
    return unknown.number <= vault.chain.number or unknown.hash in await _given_up(vault)


async def _parting(vault: Vault, known: Followed) -> Head:
    """The last commit of the server's own that is certainly in this history."""
    return known.here if await _is_mine(vault, known.here) else Head(0, vault.id)


async def _is_mine(vault: Vault, head: Head) -> bool:
    raw = (await vault.mirror.commits_at([head.number])).get(head.number)
    return raw is not None and parse_commit(raw).hash == head.hash


async def _last_change(vault: Vault) -> int:
    """Number of the last commit that added or removed a member, or began an epoch."""
    commits = await vault.mirror.commits_with_keys()
    return parse_commit(commits[-1][0]).body.number if commits else 0


async def _given_up(vault: Vault) -> frozenset[bytes]:
    """The commits that repairs gave up. They begin epochs, so they bring keys."""
    commits = await vault.mirror.commits_with_keys()
    return frozenset(hash_ for raw, _ in commits for hash_ in parse_commit(raw).body.abandoned)


def _write_head(head: Head) -> bytes:
    return head.number.to_bytes(_NUMBER_BYTES, "big") + head.hash


def _read_head(raw: bytes | None) -> Head | None:
    if not raw:
        return None
    return Head(int.from_bytes(raw[:_NUMBER_BYTES], "big"), raw[_NUMBER_BYTES:])
