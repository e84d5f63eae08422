"""Telling a server to forget a vault, and what shows that it did (spec: move.md, Forgetting).

Only the paper key can: it takes the recovery phrase. What a server keeps aside nobody can see; what it says, it signs.
"""

from __future__ import annotations

import asyncio

from kith_client.access import At
from kith_client.errors import ServerRefused
from kith_client.lifecycle.setup import pin_server
from kith_client.online import signed_in
from kith_client.relations.draft import Draft
from kith_client.relations.homes import Former, Place, without_former
from kith_client.relations.records import InviteState, invites
from kith_client.stamp import Contents, Edit, Stamp, overlay
from kith_client.transport import HomeServer
from kith_client.vault import Clock
from kith_protocol.errors import Refused
from kith_protocol.moving import ForgottenStatement, check_forgotten
from kith_protocol.phrase import entropy_of, paper_keys
from kith_protocol.server_statement import verify_server_statement


async def forget_at(place: Place, vault: bytes, phrase: str, clock: Clock) -> ForgottenStatement:
    """Has the server at `place` delete everything of the vault; its signed word.

    Afterwards it is asked for a session, and must not know the vault. Raises `Refused` (`phrase-...`, `nothing-there`
    where the phrase opens nothing, `not-forgotten`), `ServerUnreachable`, the alarm `server-key-changed`.
    """
    paper = await asyncio.to_thread(lambda: paper_keys(entropy_of(phrase)))
    access = At(place.url, place.fingerprint, vault, paper)
    async with HomeServer.connect(place.url) as server:
        statement = verify_server_statement(await server.statement(), place.fingerprint, server.host, clock())
        signed_in(server, access, clock)
        try:
            signed = await server.forget_vault(vault)
        except ServerRefused as refusal:
            if refusal.code != "not-a-member":
                raise
            raise Refused(
                "nothing-there", f"The phrase opens nothing of this address book on {server.host}; it may be gone."
            ) from None
        said = check_forgotten(signed, statement.server_key, server.host, vault)
        try:
            await server.parcels(vault, 0)
        except ServerRefused as refusal:
            if refusal.code != "not-a-member":
                raise
            return said
    raise Refused("not-forgotten", f"{place.host} says that it forgot the address book, and still opens it.")


async def pinned(url: str, clock: Clock) -> Place:
    """A server with the key that it shows now."""
    async with HomeServer.connect(url) as server:
        return Place(server.url, pin_server(await server.statement(), server.host, clock()))


def give_up(contents: Contents, stamp: Stamp, former: Former) -> Edit:
    """The server is read no more; invites whose links name it are revoked, since nobody can answer them any more."""
    edit = without_former(contents, former.place.host)
    draft = Draft(overlay(contents, edit), stamp)
    for invite in invites(contents):
        if invite.state is InviteState.OPEN and former.place.has(invite.own.invite.mailbox):
            draft.change(invite.id, {"state": InviteState.REVOKED.value})
    return {**edit, **draft.edit}
