"""Beginning a relationship: making an invite, and accepting one. Both go through a sync, so that they work at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from kith_client.book.events import entry
from kith_client.errors import HeadMoved, ServerRefused, ServerUnreachable
from kith_client.relations.accepting import Accepted, accept, check_link
from kith_client.relations.invites import NewInvite, create_invite
from kith_client.relations.pins import pin
from kith_client.relations.records import DIRECTORY
from kith_client.stamp import Edit
from kith_client.sync.knock import fetch_greeting
from kith_client.sync.look_up import Found, look_up
from kith_client.sync.pull import pull
from kith_client.sync.push import push_all, settle_pending
from kith_client.sync.remembering import remembering
from kith_client.sync.run import TRIES, sync
from kith_client.transport import HomeServer
from kith_client.vault import Event, Vault
from kith_protocol.errors import Refused
from kith_protocol.gateway import GreetingStatus
from kith_protocol.handle import Address
from kith_protocol.invite import format_link

T = TypeVar("T")


async def make_invite(
    vault: Vault,
    server: HomeServer,
    facets: Iterable[str] = (),
    contact: bytes | None = None,
    *,
    reusable: bool = False,
    expires: int | None = None,
) -> NewInvite:
    """A link that grants `facets`; its greeting lies at the home server by then. `expires`: ms since 1970."""

    def decide() -> NewInvite:
        own = server.host, vault.device.fingerprint
        return create_invite(vault.contents, vault.stamp(), *own, facets, contact, reusable, expires)

    made = await commit_first(vault, server, decide, lambda made: made.edit)
    await vault.mirror.add_events([vault.seal_event(Event(vault.clock(), entry("made an invite"), "me"))])
    await sync(vault, server, patience=0)
    return made


async def accept_invite(
    vault: Vault, server: HomeServer, link: str, facets: Iterable[str] = (), contact: bytes | None = None
) -> Accepted:
    """Fetches the greeting behind `link` and answers it. Nothing is kept where the inviter's server is not reached.

    Raises `Refused` (`invite-gone` and what `accept` raises), `ServerUnreachable`, the alarms `greeting-forged`,
    `server-key-changed` and `person-changed`.
    """
    return await _accept(vault, server, link, facets, contact)


async def ask_by_address(
    vault: Vault, server: HomeServer, address: Address, facets: Iterable[str] = (), contact: bytes | None = None
) -> tuple[Accepted, Found]:
    """Looks `address` up and accepts the invite behind it. The key that its server showed is pinned with that.

    Raises what `look_up` and `accept_invite` raise.
    """
    found = await look_up(vault, server, address)
    return await _accept(vault, server, format_link(found.invite), facets, contact, found), found


async def _accept(
    vault: Vault,
    server: HomeServer,
    link: str,
    facets: Iterable[str],
    contact: bytes | None,
    found: Found | None = None,
) -> Accepted:
    invite = check_link(vault.contents, link)
    try:
        greeting = await fetch_greeting(vault, server, invite.host, invite.fingerprint, invite.link_id)
    except ServerRefused as error:
        raise Refused(error.code, f"The inviter's server {invite.host} cannot be asked: {error}") from None
    if greeting.status is not GreetingStatus.FOUND:
        hint = "Ask for a new one." if found is None else "The next sync of whom you look for makes another; try later."
        raise Refused("invite-gone", f"This invite is used up, revoked or expired. {hint}")

    via, pins = None if found is None else DIRECTORY, found is not None and invite.host != server.host

    def decide() -> Accepted:
        own = server.host, vault.device.fingerprint
        return accept(vault.contents, vault.stamp(), link, greeting.greeting, *own, facets, contact, via)

    def edit_of(accepted: Accepted) -> Edit:
        known = pin(vault.contents, vault.stamp(), invite.host, invite.fingerprint) if pins else {}
        return {**accepted.edit, **known}

    async with remembering(vault):
        accepted = await commit_first(vault, server, decide, edit_of)
    await vault.mirror.add_events([vault.seal_event(Event(vault.clock(), accepted.event, "me"))])
    await sync(vault, server)
    return accepted


async def commit_first(vault: Vault, server: HomeServer, decide: Callable[[], T], edit_of: Callable[[T], Edit]) -> T:
    """Decides on the newest state and commits the edit of it: with the server down, nothing is kept."""
    await settle_pending(vault, server)
    for _ in range(TRIES):
        await pull(vault, server)
        decided = await asyncio.to_thread(decide)
        try:
            await push_all(vault, server, edit_of(decided))
        except HeadMoved:
            continue
        return decided
    raise ServerUnreachable("Other devices write all the time; try again.")
