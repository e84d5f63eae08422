"""Accepting the invites that introducers passed on, as part of a sync: both persons agreed before."""

from __future__ import annotations

import asyncio

from kith_client.errors import HeadMoved
from kith_client.relations.inbox import TakenIn
from kith_client.relations.introductions.introduced import links_to_use
from kith_client.relations.introductions.records import Introduction
from kith_client.relations.introductions.vouching import accept_introduced
from kith_client.sync.knock import fetch_greeting, together
from kith_client.sync.pull import pull
from kith_client.sync.push import push_all
from kith_client.transport import HomeServer
from kith_client.vault import Event, Vault
from kith_protocol.errors import Alarm, KithError
from kith_protocol.gateway import GreetingResult, GreetingStatus


async def use_links(vault: Vault, server: HomeServer, patience: float) -> list[str]:
    """Fetches the greetings behind these invites and commits the answers, which go out with what follows.

    What cannot be reached within `patience` seconds waits for the next sync. Returns what is wrong with a server.
    """
    waiting = await asyncio.to_thread(links_to_use, vault.contents, vault.clock())
    if not waiting or patience <= 0:
        return []
    found = await together(_greeting(vault, server, each, patience) for each in waiting)
    alarms = []
    for each, greeting in zip(waiting, found, strict=True):
        if isinstance(greeting, GreetingResult):
            await _answer(vault, server, each, greeting)
        elif greeting:
            alarms.append(greeting)
    return alarms


async def _greeting(vault: Vault, server: HomeServer, each: Introduction, patience: float) -> GreetingResult | str:
    """What the server says that lies under the invite; else what to warn of, empty where it cannot be asked now."""
    if each.link is None:
        return ""
    invite = each.link.invite
    try:
        return await fetch_greeting(vault, server, invite.host, invite.fingerprint, invite.link_id, patience)
    except Alarm as alarm:
        return f"{alarm.code}: {invite.host}: {alarm}"
    except KithError:
        return ""


async def _answer(vault: Vault, server: HomeServer, each: Introduction, greeting: GreetingResult) -> None:
    # One of them may have been the way to a person whom another introducer named as well: then it is not used.
    if each.id not in {still.id for still in links_to_use(vault.contents, vault.clock())}:
        return
    sealed = greeting.greeting if greeting.status is GreetingStatus.FOUND else None
    own = server.host, vault.device.fingerprint
    taken: TakenIn = await asyncio.to_thread(accept_introduced, vault.contents, vault.stamp(), each.id, sealed, *own)
    try:
        await push_all(vault, server, taken.edit)
    except HeadMoved:
        await pull(vault, server)  # another device may have answered it: the next sync looks again
        return
    await vault.mirror.add_events([vault.seal_event(Event(vault.clock(), what, "peer")) for what in taken.events])
