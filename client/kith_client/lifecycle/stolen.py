"""A device was stolen: with the recovery phrase, everything is taken back that its thief could use (spec: stolen.md).

On a device that is still the person's. The paper key removes the thief, and what she wrote about relationships is
undone; the root names a new persona. The sync that follows makes every relationship anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from kith_client.errors import ServerRefused, this_device
from kith_client.lifecycle.paper import Found, Paper, PaperWork, Plan, wrong_phrase
from kith_client.lifecycle.removing import newest_chain
from kith_client.lifecycle.versions import read_histories
from kith_client.online import signed_in
from kith_client.relations.homes import Place
from kith_client.relations.theft.changes import after_theft
from kith_client.relations.theft.undoing import worth_keeping
from kith_client.store.home import Home
from kith_client.store.mirror import Mirror
from kith_client.sync.building import added_since
from kith_client.sync.pull import pull
from kith_client.sync.push import settle_pending
from kith_client.sync.receiving import Progress, no_progress
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.chain import Chain
from kith_protocol.errors import KithError, Refused
from kith_protocol.member import MemberKind
from kith_protocol.phrase import entropy_of, paper_keys, root_key
from kith_protocol.suite import HybridSignKey


async def remove_stolen(
    vault: Vault,
    server: HomeServer,
    member: bytes,
    phrase: str,
    *,
    keep: frozenset[bytes] = frozenset(),
    progress: Progress = no_progress,
) -> int:
    """Removes a stolen device, and those added since unless named in `keep`, and takes relationships back. How many
    were removed; none where an earlier attempt broke off after the removal.

    `server` is the one in this device's key file, signed in as this device; what the vault's own record says of
    another one may be the thief's. The sync that follows tells the peers. Raises `Refused` (`phrase-...`,
    `wrong-phrase`, `this-device`, `moved`; `device-removed` where the thief was faster, and this device is none now).
    """
    entropy = entropy_of(phrase)
    paper = await asyncio.to_thread(paper_keys, entropy)
    if paper.id != vault.chain.paper:
        raise wrong_phrase()
    if member == vault.member.id:
        raise this_device()
    await settle_pending(vault, server)
    root = await asyncio.to_thread(root_key, entropy)
    access = Paper(vault.device.server, vault.device.fingerprint, vault.id, paper)
    async with HomeServer.connect(access.server) as paper_server, _mirror(vault.home) as mirror:
        work = PaperWork(mirror, signed_in(paper_server, access, vault.clock), access, vault.clock)

        async def decide(found: Found) -> Plan:
            removed = _chosen(found, vault.member.id, member, keep)
            return await taking_back(work, found, Plan(removed, (), {}), root)

        try:
            _, plan = await work.carry_out(decide, (vault.chain.number, vault.chain.head), progress)
        finally:
            with suppress(KithError):  # it ends by itself; until then the server lets nobody else commit
                await paper_server.end_session(vault.id)
    await pull(vault, server)
    return len(plan.removed)


async def members_now(vault: Vault, server: HomeServer) -> Chain:
    """Who is a member, by the server's verified history. Raises `Refused` (`device-removed`) where this device is none:
    the thief was faster."""
    try:
        return await newest_chain(vault, server)
    except ServerRefused as refusal:
        if refusal.code != "not-a-member":
            raise
        raise _removed_first() from None


async def taking_back(work: PaperWork, found: Found, plan: Plan, root: HybridSignKey) -> Plan:
    """`plan`, and with it all that takes relationships back; `root` is the person's."""
    found.check(plan.removed)
    gone = found.chain.removed | plan.removed
    histories = await read_histories(work, found, gone, worth_keeping)
    place = Place(work.server.url, work.access.fingerprint)
    after = await asyncio.to_thread(after_theft, found.contents, histories, work.stamp(), root, place)
    return replace(plan, edit={**after.edit, **plan.edit}, last=after.persona)


def _chosen(found: Found, this: bytes, member: bytes, keep: frozenset[bytes]) -> frozenset[bytes]:
    """This device stays, also if it was added after the stolen one: who types the phrase on it is its person."""
    chain = found.chain
    if this not in chain.members:
        raise _removed_first()
    standing = chain.members.get(member)
    if standing is None and member in chain.removed:
        return frozenset()
    if standing is None or standing.member.kind is not MemberKind.DEVICE:
        raise Refused("no-such-device", "There is no such device; see 'kith device'.")
    return frozenset({member}) | (added_since(chain, member) - keep - {this, chain.paper})


def _removed_first() -> Refused:
    return Refused(
        "device-removed",
        "This device was removed from the address book. 'kith recover --stolen' in another folder (--home) takes "
        "everything back with the phrase.",
    )


@asynccontextmanager
async def _mirror(home: Home) -> AsyncIterator[Mirror]:
    """A copy of the vault as the phrase reads it, for as long as it takes; sealed, as every mirror."""
    place = home.mirror.with_name("paper.sqlite")

    def clear() -> None:
        for leftover in place.parent.glob(place.name + "*"):
            leftover.unlink()

    await asyncio.to_thread(clear)
    mirror = await Mirror.open(place)
    try:
        yield mirror
    finally:
        await mirror.close()
        await asyncio.to_thread(clear)
