"""Accepting the invites that introducers passed on, as part of a sync: both persons agreed before."""

from __future__ import annotations

import asyncio

from kith_client.errors import HeadMoved
from kith_client.relations.inbox import TakenIn
from kith_client.relations.introductions.introduced import links_to_use
from kith_client.relations.introductions.records import Introduction
from kith_client.relations.introductions.vouching import accept_introduced, refuse_server
from kith_client.sync.knock import fetch_greeting, together
from kith_client.sync.pull import pull
from kith_client.sync.push import push_all
from kith_client.transport import HomeServer
from kith_client.vault import Event, Vault
from kith_protocol.errors import Alarm, KithError
from kith_protocol.gateway import GreetingResult, GreetingStatus


async def use_links(vault: Vault, server: HomeServer, patience: float) -> list[str]:
    """Fetches the greetings behind these invites and commits the answers, which go out with what follows.

    What cannot be reached within `patience` seconds waits for the next sync. Returns what was left for the person.
    """
    waiting = await asyncio.to_thread(links_to_use, vault.contents, vault.clock())
    if not waiting or patience <= 0:
        return []
    found = await together(_greeting(vault, server, each, patience) for each in waiting)
    issues: list[str] = []
    for each, greeting in zip(waiting, found, strict=True):
        if greeting is not None:
            issues += await _use(vault, server, each, greeting)
    return issues


async def _greeting(
    vault: Vault, server: HomeServer, each: Introduction, patience: float
) -> GreetingResult | Alarm | None:
    """What the server says that lies under the invite, or what is wrong with it; None where it cannot be asked now."""
    if each.link is None:
        return None
    invite = each.link.invite
    try:
        return await fetch_greeting(vault, server, invite.host, invite.fingerprint, invite.link_id, patience)
    except Alarm as alarm:
        return alarm
    except KithError:
        return None


async def _use(
    vault: Vault, server: HomeServer, each: Introduction, greeting: GreetingResult | Alarm
) -> tuple[str, ...]:
    # One of them may have been the way to a person whom another introducer named as well: then it is not used.
    if each.id not in {still.id for still in links_to_use(vault.contents, vault.clock())}:
        return ()
    taken = await asyncio.to_thread(_used, vault, server, each, greeting)
    try:
        await push_all(vault, server, taken.edit)
    except HeadMoved:
        await pull(vault, server)  # another device may have answered it: the next sync looks again
        return ()
    await vault.mirror.add_events([vault.seal_event(Event(vault.clock(), what, "peer")) for what in taken.events])
    return taken.issues


def _used(vault: Vault, server: HomeServer, each: Introduction, greeting: GreetingResult | Alarm) -> TakenIn:
    now = vault.contents, vault.stamp(), each.id
    if isinstance(greeting, Alarm):
        return refuse_server(*now, greeting)
    sealed = greeting.greeting if greeting.status is GreetingStatus.FOUND else None
    return accept_introduced(*now, sealed, server.host, vault.device.fingerprint)
