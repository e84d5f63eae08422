"""Beginning a relationship: making an invite, and accepting one. Both go through a sync, so that they work at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from kith_client.book.events import entry
from kith_client.errors import ServerRefused
from kith_client.relations.accepting import Accepted, accept, check_link
from kith_client.relations.invites import NewInvite, create_invite
from kith_client.sync.knock import fetch_greeting
from kith_client.sync.run import sync
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.errors import Refused
from kith_protocol.gateway import GreetingStatus


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
    made = await asyncio.to_thread(
        create_invite,
        vault.contents,
        vault.stamp(),
        server.host,
        vault.device.fingerprint,
        facets,
        contact,
        reusable,
        expires,
    )
    await vault.apply(made.edit, [entry("made an invite")])
    await sync(vault, server, patience=0)
    return made


async def accept_invite(
    vault: Vault, server: HomeServer, link: str, facets: Iterable[str] = (), contact: bytes | None = None
) -> Accepted:
    """Fetches the greeting behind `link` and answers it. Nothing is kept where the inviter's server is not reached.

    Raises `Refused` (`invite-gone` and what `accept` raises), `ServerUnreachable`, the alarms `greeting-forged`,
    `server-key-changed` and `person-changed`.
    """
    invite = check_link(vault.contents, link)
    try:
        greeting = await fetch_greeting(vault, server, invite.host, invite.fingerprint, invite.link_id)
    except ServerRefused as error:
        raise Refused(error.code, f"The inviter's server {invite.host} cannot be asked: {error}") from None
    if greeting.status is not GreetingStatus.FOUND:
        raise Refused("invite-gone", "This invite is used up, revoked or expired. Ask for a new one.")
    accepted = await asyncio.to_thread(
        accept,
        vault.contents,
        vault.stamp(),
        link,
        greeting.greeting,
        server.host,
        vault.device.fingerprint,
        facets,
        contact,
    )
    await vault.apply(accepted.edit, [accepted.event])
    await sync(vault, server)
    return accepted
