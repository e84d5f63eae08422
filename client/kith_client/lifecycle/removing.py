"""Removing a device: a new epoch, sealed to those who stay, and new keys for every relationship.

Works also where the device to be removed began an epoch that this one cannot read: then from the verified history
alone, and what that epoch brought stays hidden here.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

from kith_client.errors import HeadMoved, this_device
from kith_client.relations.rekeying import demand_rekeys
from kith_client.sync.building import MembershipStep, added_since, build_push, removing
from kith_client.sync.pull import follow, pull
from kith_client.sync.push import commit, settle_pending
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.chain import Chain
from kith_protocol.encoding import encode
from kith_protocol.errors import Alarm, AlarmCode, Refused
from kith_protocol.member import MemberKind
from kith_protocol.suite import KEY_BYTES, NONCE_BYTES

_TRIES: Final = 5
"""Commits tried while other devices write."""


async def remove_device(
    vault: Vault, server: HomeServer, member: bytes, *, keep: frozenset[bytes] = frozenset()
) -> int:
    """Removes a device, and the devices added since, unless named in `keep`. How many were removed.

    The next sync makes new keys for every relationship; `relations.rekeying.rekeying` tells how far that is.

    Raises `Refused` for this device itself.
    """
    for _ in range(_TRIES):
        await settle_pending(vault, server)
        try:
            if await _is_readable(vault, server):
                await vault.apply(demand_rekeys(vault.contents, vault.stamp()))
                removed = _chosen(vault, vault.chain, member, keep)
                step, epoch = _removal(vault.chain, removed, vault.record_keys.epoch_key(vault.chain.epoch))
                await commit(vault, server, {}, step=step, epoch=epoch)
            else:
                removed = await _remove_unread(vault, server, member, keep)
                await vault.apply(demand_rekeys(vault.contents, vault.stamp()))
        except HeadMoved:
            continue
        return len(removed)
    raise Refused("busy-vault", "Other devices write all the time; try again.")


async def newest_chain(vault: Vault, server: HomeServer) -> Chain:
    """Who is a member now, by the server's verified history, also where this device cannot take it in."""
    await settle_pending(vault, server)
    return vault.chain if await _is_readable(vault, server) else (await follow(vault, server))[0]


async def _is_readable(vault: Vault, server: HomeServer) -> bool:
    """Pulls. False where the newest epoch is not for this device to read; then nothing was taken in."""
    try:
        await pull(vault, server)
    except Alarm as alarm:
        if alarm.alarm is not AlarmCode.WRONG_EPOCH:
            raise
        return False
    return True


async def _remove_unread(vault: Vault, server: HomeServer, member: bytes, keep: frozenset[bytes]) -> frozenset[bytes]:
    """Commits the removal on a history that is verified, but not taken in; afterwards it can be."""
    chain, keys = await follow(vault, server)
    removed = _chosen(vault, chain, member, keep)
    keys.check_passed_over(chain.removed | removed)
    step, epoch = _removal(chain, removed, keys.known[keys.linked])
    # It changes no record, so the tree stays what the commit before says.
    push = await asyncio.to_thread(
        build_push, chain, vault.member, {}, chain.tree, vault.clock(), step=step, epoch=epoch
    )
    # Not kept before it is sent, as other commits are: nothing here depends on it, and a pull shows what became of it.
    await server.push(vault.id, encode(push))
    await pull(vault, server)
    return removed


def _chosen(vault: Vault, chain: Chain, member: bytes, keep: frozenset[bytes]) -> frozenset[bytes]:
    standing = chain.members.get(member)
    if standing is None or standing.member.kind is not MemberKind.DEVICE:
        raise Refused("no-such-device", "There is no such device; see 'kith device'.")
    if member == vault.member.id:
        raise this_device()
    since = added_since(chain, member) - keep - {vault.member.id, chain.paper}
    return frozenset({member}) | since


def _removal(chain: Chain, removed: frozenset[bytes], old: bytes) -> tuple[MembershipStep, int]:
    return removing(chain, removed, old, os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES))
