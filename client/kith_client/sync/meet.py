"""Meeting in person: who shows a code, and who types it, over whatever way they find to each other.

Both agree before anything is kept; what a message depends on is on the disk, and committed where the home server can be
reached, before it leaves (spec: linking.md, Meeting). Deciding is `relations.meeting`, finding a way `ways`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from kith_client.errors import HeadMoved, ManyDeletions, ServerRefused, ServerUnreachable
from kith_client.line import PROGRAM_SECONDS, Line, gone, ten_minutes
from kith_client.nearby.discovery import EVERYWHERE, Network
from kith_client.relations import meeting, records
from kith_client.relations.accepting import check_person
from kith_client.relations.answers import DOES_NOT_OPEN
from kith_client.relations.homes import Place, here
from kith_client.relations.meeting import Met, Them, Wishes
from kith_client.relations.recognising import not_them, question
from kith_client.stamp import Edit
from kith_client.sync.pull import pull
from kith_client.sync.push import push_all, settle_pending
from kith_client.sync.remembering import remembering
from kith_client.sync.run import TRIES, sync
from kith_client.sync.ways import Shown, Typed
from kith_client.transport import HomeServer
from kith_client.vault import Event, Vault
from kith_protocol.errors import KithError, Refused
from kith_protocol.invite import Invite, OpenedGreeting, OwnInvite, open_greeting, seal_greeting
from kith_protocol.link_code import LinkCode
from kith_protocol.linking import MeetInvite, MeetReady
from kith_protocol.suite import NONCE_BYTES

WORK_SECONDS: Final = 60.0
"""In which the answer and the finish have to come: before, the other's program asks its home server."""
PATIENCE: Final = 5.0
"""Seconds to wait for receipts in the sync that follows."""

Confirm = Callable[[str], Awaitable[bool]]
"""Asks the person a question about the one they are meeting: whether it is them."""
ShowCode = Callable[[LinkCode], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A relationship that came about."""

    peer: bytes
    """Id of the `peer` record."""
    synced: bool
    """Whether the home server has it; else the next sync brings it there."""


async def show_code(
    vault: Vault,
    server: HomeServer,
    show: ShowCode,
    confirm: Confirm,
    wishes: Wishes,
    *,
    nearby_only: bool = False,
    network: Network = EVERYWHERE,
) -> Outcome:
    """Shows a code and waits up to ten minutes for whoever types it.

    Raises `Refused` (`link-burned`, `link-expired`, `link-declined`, and what `check_person` raises), and
    `NearbyUnavailable` where there is neither a server nor a local network.
    """
    own = await asyncio.to_thread(meeting.new_offer, vault.contents, vault.stamp(), _place(vault))
    async with (
        remembering(vault),
        Shown.open(vault, server, nearby_only=nearby_only, network=network) as shown,
    ):
        async with vault.resting():  # people look something up while they wait for each other
            async with ten_minutes():
                show(shown.code)
                line = await shown.line()
                them = await _offer(line, vault, own, confirm, wishes)
            answer = await line.read(WORK_SECONDS)
        home = await _fresh(vault, shown.home)
        met = await _finish(line, vault, home, own, answer, them, wishes)
    return await _synced(vault, home, met)


async def type_code(
    vault: Vault,
    server: HomeServer,
    code: LinkCode,
    confirm: Confirm,
    wishes: Wishes,
    *,
    nearby_only: bool = False,
    network: Network = EVERYWHERE,
) -> Outcome:
    """Meets the one who shows `code`.

    Raises what `show_code` raises, `Refused` (`meeting-broken-off` where the relationship is waiting now), the alarms
    `greeting-forged` and `person-changed`.
    """
    async with (
        remembering(vault),
        Typed.open(vault, server, code, nearby_only=nearby_only, network=network) as typed,
    ):
        line = typed.line
        async with vault.resting(), ten_minutes(), line.telling_of_failure():
            invite, opened = await _agree(line, vault, confirm, wishes)
        home = await _fresh(vault, typed.home)
        met = await _answer(line, vault, home, invite, opened, wishes)
        await _connect(line, vault, home, met)
    return await _synced(vault, home, met)


# Who shows the code


async def _offer(line: Line, vault: Vault, own: OwnInvite, confirm: Confirm, wishes: Wishes) -> Them:
    """Says who I am, hears who the other is, and asks the person."""
    await line.agree()
    me = records.own_persona(vault.contents)
    await line.say(await asyncio.to_thread(meeting.invitation, own, line.machine, me))
    await line.write(await asyncio.to_thread(seal_greeting, own, nonce=os.urandom(NONCE_BYTES)))
    ready = line.machine.open(await line.read(), MeetReady)
    them = await asyncio.to_thread(meeting.proven, ready, line.machine)
    await _consent(line, vault, them, confirm, wishes)
    return them


async def _finish(
    line: Line, vault: Vault, home: HomeServer | None, own: OwnInvite, raw: bytes, them: Them, wishes: Wishes
) -> Met:
    try:
        answer = await asyncio.to_thread(meeting.check_answer, vault.contents, own, raw, them)
        offered = own, answer, _place(vault), wishes
        met = await asyncio.to_thread(meeting.finish_offer, vault.contents, vault.stamp(), *offered)
    except KithError as error:
        await line.end()
        raise (gone() if isinstance(error, DOES_NOT_OPEN) else error) from None
    await _keep(vault, home, met.edit)
    with suppress(KithError):  # it is kept: else the next sync brings the finish by mail
        await line.write(met.send)
        await line.wait_until_read()
    return met


# Who types it


async def _agree(line: Line, vault: Vault, confirm: Confirm, wishes: Wishes) -> tuple[Invite, OpenedGreeting]:
    """Hears who the other is, asks the person, and says who I am; the other agreed by then."""
    invited = line.machine.open(await line.read(PROGRAM_SECONDS), MeetInvite)
    raw = await line.read(PROGRAM_SECONDS)
    opened = await asyncio.to_thread(open_greeting, invited.invite, raw, vault.clock())
    them = await asyncio.to_thread(meeting.proven_by_invitation, opened, line.machine, invited.proof)
    await _consent(line, vault, them, confirm, wishes)
    ready = line.machine.open(await line.read(), MeetReady)
    if await asyncio.to_thread(meeting.proven, ready, line.machine) != them:
        raise gone()
    return invited.invite, opened


async def _answer(
    line: Line, vault: Vault, home: HomeServer | None, invite: Invite, opened: OpenedGreeting, wishes: Wishes
) -> Met:
    offered = invite, opened, _place(vault), wishes
    met = await asyncio.to_thread(meeting.answer_offer, vault.contents, vault.stamp(), *offered)
    await _keep(vault, home, met.edit)
    return met


async def _connect(line: Line, vault: Vault, home: HomeServer | None, met: Met) -> None:
    """Sends the answer and takes the finish. Whatever else comes in its place proves nothing: the channel waits."""
    try:
        async with vault.resting():
            await line.write(met.send)
            raw = await line.read(WORK_SECONDS)
        edit = await _finished(line, vault, met, raw)
    except Refused as error:
        if error.code != "link-declined":
            raise _broken_off() from error
        await _keep(vault, home, meeting.give_up(vault.contents, vault.stamp(), met))
        with suppress(KithError):
            await line.acknowledge()
        raise
    except (ServerUnreachable, ServerRefused) as error:
        raise _broken_off() from error
    await _keep(vault, home, edit)
    with suppress(KithError):  # without it the other side only waits a little longer
        await line.acknowledge()


async def _finished(line: Line, vault: Vault, met: Met, raw: bytes) -> Edit:
    """What the finish brings. Raises `Refused` (`link-declined` where the other side said that it ended)."""
    me = records.own_persona(vault.contents)
    try:
        return await asyncio.to_thread(meeting.take_finish, vault.contents, vault.stamp(), met, raw, me)
    except DOES_NOT_OPEN:
        line.machine.open(raw, MeetReady)
        raise gone() from None


def _broken_off() -> Refused:
    return Refused(
        "meeting-broken-off",
        "The connection broke off shortly before the end. Ask the other whether they see you in 'kith peers': if so, "
        "'kith sync' on both sides brings it to its end; if not, meet again.",
    )


# Both


async def _consent(line: Line, vault: Vault, them: Them, confirm: Confirm, wishes: Wishes) -> None:
    """Says `MeetReady` where nothing stands against it and the person agrees, else `LinkEnd`."""
    async with line.ending():
        me = await asyncio.to_thread(meeting.myself, vault.contents, line.machine)
        if them.persona.person == records.own_persona(vault.contents).person:
            raise Refused("self-invite", "This is your own code: type it on somebody else's device.")
        check_person(vault.contents, vault.stamp(), them.persona.person, them.persona.number, wishes.contact)
        if not await confirm(question(vault.contents, them)):
            declined = Refused("link-declined", "You declined. Nothing was kept.")
            raise not_them(vault.contents, vault.stamp(), them) or declined
    await line.say(me)


async def _fresh(vault: Vault, home: HomeServer | None) -> HomeServer | None:
    """Brings this device in step before it decides; None where the home server cannot be reached."""
    if home is None:
        return None
    try:
        await settle_pending(vault, home)
        await pull(vault, home)
    except ServerUnreachable:
        return None
    return home


async def _keep(vault: Vault, home: HomeServer | None, edit: Edit) -> None:
    """Keeps an edit on this device, and commits it where the home server can be reached."""
    await vault.apply(edit)
    if home is None:
        return
    for _ in range(TRIES):
        try:
            await push_all(vault, home, {})
            return
        except HeadMoved:
            await pull(vault, home)
        except (ServerUnreachable, ManyDeletions):
            return  # it stands as an unsent edit


async def _synced(vault: Vault, home: HomeServer | None, met: Met) -> Outcome:
    await vault.mirror.add_events([vault.seal_event(Event(vault.clock(), met.event, "me"))])
    if home is None:
        return Outcome(met.peer, synced=False)
    try:
        await sync(vault, home, patience=PATIENCE)
    except ServerUnreachable:
        return Outcome(met.peer, synced=False)
    return Outcome(met.peer, synced=True)


def _place(vault: Vault) -> Place:
    return here(vault.contents) or Place(vault.device.server, vault.device.fingerprint)
