"""`kith handle`: being found under an address, for those who want to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kith_client.book.dates import iso_time
from kith_client.cli.online import with_server
from kith_client.cli.options import command
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import with_book
from kith_client.relations.handles import HandleRecord, HandleState, handles, invite_behind
from kith_protocol.errors import Refused
from kith_protocol.handle import parse_handle, parse_new_handle

if TYPE_CHECKING:
    from kith_client.transport import HomeServer
    from kith_client.vault import Vault


@command(
    "handle",
    "kith handle",
    "kith handle anna --facet work",
    "kith handle anna --private",
    "kith handle anna --remove",
)
@click.argument("name", required=False)
@click.option("--facet", "facets", multiple=True, metavar="F", help="A facet for whom you let in; may be repeated.")
@click.option("--private", is_flag=True, help="Keep it, so that nobody else has it, and be found by nobody.")
@click.option("--remove", is_flag=True, help="Give it up.")
def handle_command(name: str | None, facets: tuple[str, ...], private: bool, remove: bool) -> None:
    """Be found under a handle: whoever knows the address NAME@SERVER can ask to be connected, and you decide.

    Without NAME it shows your handles. Nobody needs one: an invite works without the servers knowing who you are.
    """
    if sum((private, remove, bool(facets))) > 1:
        raise click.UsageError("Only one of --facet, --private and --remove makes sense.")
    if remove:
        _remove(name)
    elif name is None and not private:
        if facets:
            raise click.UsageError("Say which handle: kith handle NAME --facet F.")
        _show()
    else:
        _choose(name, facets, private)


@with_book
async def _show(book: Book, out: Output) -> None:
    found = [_shape(book, handle) for handle in handles(book.contents) if handle.state is not HandleState.REMOVED]
    out.result({"handles": found}, lambda: _table(out, found))


def _shape(book: Book, handle: HandleRecord) -> dict[str, Any]:
    invite = invite_behind(book.contents, handle, book.stamp().now)
    return {
        "handle": handle.name,
        "address": handle.address,
        "state": handle.state.value,
        "facets": list(handle.facets),
        "until": iso_time(invite.expires) if invite and handle.state is HandleState.PUBLIC else None,
    }


def _table(out: Output, found: list[dict[str, Any]]) -> None:
    if not found:
        out.message("You have no handle, so nobody finds you by one. 'kith handle NAME' chooses one.")
        return
    rows = [(each["address"], each["state"], ", ".join(each["facets"])) for each in found]
    out.table(("Address", "State", "Facets granted"), rows)


@with_server
async def _choose(
    vault: Vault, server: HomeServer, out: Output, name: str | None, facets: tuple[str, ...], private: bool
) -> None:
    from kith_client.sync.handles import choose_handle

    wanted = parse_new_handle(name) if name is not None else _only(vault).name
    if private:
        out.message("Nobody will be found under it, and who asked through it and waits is dropped. Peers stay.")
    else:
        out.message(_what_it_means(wanted, server.host))
        if not out.confirm("Be found under it?", unattended=True):
            raise click.Abort
    handle = await choose_handle(vault, server, wanted, facets, private=private)
    if private:
        out.message(f"{handle.address} is kept for you, and nobody is found under it.")
    else:
        out.message(f"Others reach you with: kith accept {handle.address}")
    out.result(_shape(vault, handle))


def _what_it_means(name: str, host: str) -> str:
    return (
        f"If somebody is {name}@{host} already, that is said and nothing changes. "
        f"Whoever knows or guesses {name}@{host} will learn that somebody there takes requests, and what you call "
        f"yourself on your card; so will {host} itself. 'kith requests' shows who asks, and you decide. Because the "
        "servers hand the key out here, nobody who comes this way is verified before you compare numbers."
    )


@with_server
async def _remove(vault: Vault, server: HomeServer, out: Output, name: str | None) -> None:
    from kith_client.sync.handles import give_handle_up

    wanted = parse_handle(name) if name is not None else _only(vault).name
    question = (
        f"Anybody at {server.host} can take {wanted} then, and is found by those who know your address; --private "
        "keeps it. Peers stay; who asked and waits is dropped. Give it up?"
    )
    # What is not here is nothing to lose: whether the server keeps one all the same is seen without a question.
    is_mine = any(each.name == wanted and each.state is not HandleState.REMOVED for each in handles(vault.contents))
    if is_mine and not out.confirm(question):
        raise click.Abort
    handle = await give_handle_up(vault, server, wanted)
    out.message(f"{handle.address} is given up.")
    out.result({"handle": handle.name, "address": handle.address, "state": HandleState.REMOVED.value})


def _only(vault: Vault) -> HandleRecord:
    """The only handle that there is. Raises `Refused`."""
    mine = [handle for handle in handles(vault.contents) if handle.state is not HandleState.REMOVED]
    if not mine:
        raise Refused("no-such-handle", "You have no handle. 'kith handle NAME' chooses one.")
    if len(mine) > 1:
        names = ", ".join(handle.name for handle in mine)
        raise Refused("several-handles", f"You have several handles; say which: {names}.")
    return mine[0]
