"""Keeping the home server's mailboxes and greetings as the vault's invites and relationships need them."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from kith_client.errors import ServerRefused
from kith_client.relations.handles import HandleToPut, lose
from kith_client.relations.homes import Place, here
from kith_client.relations.server_side import ServerSide, cleared, server_side
from kith_client.stamp import Edit, overlay
from kith_client.store.mirror import PLACES
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol import wire
from kith_protocol.suite import digest

LOST: Final = ("handle-taken", "handle-reserved", "limit-exceeded")
"""Why a server does not give a handle back."""


async def keep_places(vault: Vault, server: HomeServer, former: Place | None = None) -> Edit:
    """Opens and closes mailboxes and greetings; what was done before is not done again. `former`: at this server, which
    the vault left.

    Returns what is to be committed, so that other devices do not close the same ones again.
    """
    at = former or here(vault.contents)
    state = PLACES if former is None else f"{PLACES}/{former.host}"
    wanted = await asyncio.to_thread(server_side, vault.contents, vault.clock(), at)
    raw = await vault.mirror.state(state)
    done: set[bytes] = set(msgspec.msgpack.decode(raw, type=list[bytes])) if raw else set()
    standing = await _do(vault, server, wanted, done)
    lost = await _keep_handles(vault, server, wanted, done, standing)
    if standing != done:
        await vault.mirror.set_state({state: msgspec.msgpack.encode(sorted(standing))})
    return {**lost, **await asyncio.to_thread(cleared, overlay(vault.contents, lost), vault.stamp(), wanted)}


async def _keep_handles(
    vault: Vault, server: HomeServer, wanted: ServerSide, done: set[bytes], standing: set[bytes]
) -> Edit:
    """Puts handles, after the greetings to which they lead, and gives handles up.

    A handle that the server refuses does not stop a sync: the person is told, or it is asked again the next time.
    """
    lost: Edit = {}
    for handle in wanted.handles:
        mark = _mark(b"handle", handle.handle, handle.secret)
        refused = None if mark in done else await _put_handle(vault, server, handle)
        if refused is None:
            standing.add(mark)
        elif refused.code in LOST:
            lost |= lose(overlay(vault.contents, lost), vault.stamp(), handle.record, str(refused))
    for handle_id in wanted.closed_handles:
        await server.delete_handle(vault.id, handle_id)
    return lost


async def _put_handle(vault: Vault, server: HomeServer, handle: HandleToPut) -> ServerRefused | None:
    try:
        await server.put_handle(vault.id, handle.handle, handle.secret)
    except ServerRefused as refused:
        return refused
    return None


def _mark(*what: bytes) -> bytes:
    return digest(b"".join(digest(part) for part in what))


async def _do(vault: Vault, server: HomeServer, wanted: ServerSide, done: set[bytes]) -> set[bytes]:
    standing: set[bytes] = set()

    def is_new(*what: bytes) -> bool:
        mark = _mark(*what)
        standing.add(mark)
        return mark not in done

    for mailbox in wanted.mailboxes:
        if is_new(b"mailbox", mailbox.read_id, mailbox.mailbox, mailbox.deposit_key, bytes([mailbox.kind])):
            opened = wire.OpenMailbox(mailbox.mailbox, mailbox.deposit_key, mailbox.kind)
            await server.open_mailbox(vault.id, mailbox.read_id, opened)
    for greeting in wanted.greetings:
        if is_new(b"greeting", greeting.link_id, greeting.sealed):
            put = wire.PutGreeting(greeting.sealed, greeting.expires)
            await server.put_greeting(vault.id, greeting.link_id, put)
    for read_id in wanted.closed_mailboxes:
        if is_new(b"closed mailbox", read_id):
            await server.delete_mailbox(vault.id, read_id)
    for link_id in wanted.closed_greetings:
        if is_new(b"closed greeting", link_id):
            await server.delete_greeting(vault.id, link_id)
    return standing
