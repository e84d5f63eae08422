"""Finding somebody by an address: a sealed look-up through the home server's relay (spec: directory.md)."""

from __future__ import annotations

from dataclasses import dataclass

from kith_client.relations.pins import known_fingerprints
from kith_client.sync.knock import Errand, ask
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.errors import Refused
from kith_protocol.gateway import LookUp, LookUpStatus, open_look_up_answer
from kith_protocol.handle import Address, handle_id
from kith_protocol.invite import Invite

LOOK_UP_DEADLINE = 15.0
"""Seconds to wait, with a person looking on."""


@dataclass(frozen=True, slots=True)
class Found:
    """Who looks an address up gets this."""

    invite: Invite
    is_new_server: bool
    """Whether nothing was known of the server: its word counts this once, and is to be pinned."""


async def look_up(vault: Vault, server: HomeServer, address: Address) -> Found:
    """The reusable invite behind `address`. Nothing is kept.

    Raises `Refused` (`nobody-found`, `look-up-later`), `ServerUnreachable`, the alarm `server-key-changed` and whatever
    else is wrong with the server's statement.
    """
    if address.host == server.host:
        known = [vault.device.fingerprint]
    else:
        known = known_fingerprints(vault.contents, address.host)
    errand = Errand(vault, server, LOOK_UP_DEADLINE)
    statement = await errand.statement_of(address.host, known)
    arguments = LookUp(handle_id(address.handle))
    result = await ask(errand, statement, arguments, open_look_up_answer)
    if result.status is LookUpStatus.LATER:
        raise Refused("look-up-later", f"{address.host} takes no more look-ups from your server now; try again later.")
    if result.status is not LookUpStatus.FOUND:
        raise Refused("nobody-found", f"Nobody can be found as {address}: there is no such handle, or it is private.")
    return Found(Invite(address.host, result.secret, statement.fingerprint), not known)
