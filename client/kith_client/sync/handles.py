"""Choosing a handle at the home server, and giving it up. Both go through a sync, so that they hold at once."""

from __future__ import annotations

from collections.abc import Iterable

from kith_client.book.events import entry
from kith_client.errors import ServerRefused
from kith_client.relations.handles import HandleRecord, HandleState, choose, find, give_up, handles
from kith_client.relations.homes import Place, here
from kith_client.stamp import Edit
from kith_client.sync.befriend import commit_first
from kith_client.sync.run import sync
from kith_client.transport import HomeServer
from kith_client.vault import Event, Vault
from kith_protocol.errors import Refused
from kith_protocol.handle import handle_id, parse_new_handle


async def choose_handle(
    vault: Vault, server: HomeServer, text: str, facets: Iterable[str], *, private: bool
) -> HandleRecord:
    """From now on I am found under a handle, or keep it for myself.

    The server is asked first whether it is free: it keeps it as a private one, so that nothing is committed that it
    then refuses. Raises `Refused` (`handle-taken`, and what `choose` raises), `ServerRefused`, `ServerUnreachable`.
    """
    name = parse_new_handle(text)
    known = {handle.name for handle in handles(vault.contents) if handle.state is HandleState.PUBLIC}
    home, wanted = here(vault.contents) or Place(server.url, vault.device.fingerprint), tuple(facets)
    # Decided once before anything is asked: whoever has no name yet takes no handle either.
    choose(vault.contents, vault.stamp(), name, home, wanted, private=private)
    if name not in known:
        await _claim(vault, server, name)

    def decide() -> Edit:
        return choose(vault.contents, vault.stamp(), name, home, wanted, private=private)

    await commit_first(vault, server, decide, lambda edit: edit)
    handle = find(vault.contents, name)
    await _finish(vault, server, f"chose the handle {handle.address}{', a private one' if private else ''}")
    return find(vault.contents, name)


async def give_handle_up(vault: Vault, server: HomeServer, name: str) -> HandleRecord:
    """The handle is nobody's any more, and those who look it up find nobody.

    Raises `Refused` (`no-such-handle`), `ServerUnreachable`. The server is asked all the same where this vault knows of
    none: it may have kept one when a command broke off, or another device was at work.
    """
    if all(handle.name != name for handle in handles(vault.contents)):
        await server.delete_handle(vault.id, handle_id(name))
    handle = find(vault.contents, name)
    await commit_first(vault, server, lambda: give_up(vault.contents, vault.stamp(), name), lambda edit: edit)
    await _finish(vault, server, f"gave the handle {handle.address} up")
    return handle


async def _claim(vault: Vault, server: HomeServer, name: str) -> None:
    try:
        await server.put_handle(vault.id, handle_id(name), b"")
    except ServerRefused as error:
        if error.code == "handle-taken":
            raise Refused(error.code, f"Somebody else is {name}@{server.host} already. Choose another one.") from None
        raise


async def _finish(vault: Vault, server: HomeServer, what: str) -> None:
    await vault.mirror.add_events([vault.seal_event(Event(vault.clock(), entry(what), "me"))])
    await sync(vault, server, patience=0)
