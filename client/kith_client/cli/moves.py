"""`kith move`: to another server, and what becomes of the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kith_client.cli.options import command, settings
from kith_client.cli.output import Output
from kith_client.cli.session import ask_passphrase, ask_phrase, home_of, one_line, run_async

if TYPE_CHECKING:
    from kith_client.relations.homes import Former
    from kith_client.vault import Vault


@command("move", "kith move https://new.example", "kith move", "kith move --forget-old")
@click.argument("url", required=False)
@click.option("--token", default="", metavar="T", help="A registration token, where the new server asks for one.")
@click.option("--replace", is_flag=True, help="Delete an older state at URL first (asks for the recovery phrase).")
@click.option("--old-is-gone", is_flag=True, help="The old server does not answer any more: go without it.")
@click.option("--forget-old", is_flag=True, help="Have the old server delete everything (asks for the phrase).")
def move_command(url: str | None, token: str, replace: bool, old_is_gone: bool, forget_old: bool) -> None:
    """Move the address book with its mailboxes to the server at URL; other devices and all peers follow.

    Without URL: how far the peers are. The old server is still read, for 180 days at most, until every peer writes to
    the new one; those who come online weeks later need it. Where nobody can be asked, the phrase is read from standard
    input.
    """
    if forget_old and (url or replace or old_is_gone):
        raise click.UsageError("--forget-old stands alone: first move, then let the old server forget.")
    if (replace or old_is_gone) and not url:
        raise click.UsageError("Say to which URL.")
    out = Output(settings())
    if url is None:
        run_async(_forget(out) if forget_old else _tell(out))
    else:
        run_async(_move(out, url, one_line(token), replace, old_is_gone))


async def _move(out: Output, url: str, token: str, replace: bool, old_is_gone: bool) -> None:
    from kith_client.addresses import check_server_url
    from kith_client.lifecycle.moving import at_home, move
    from kith_client.sync.run import sync
    from kith_client.vault import Vault

    async with await Vault.open(home_of(settings()), ask_passphrase) as vault:
        _refuse_standing_still(vault, check_server_url(url))
        _warn(out, vault, check_server_url(url), old_is_gone)
        if not out.confirm(f"Move to {check_server_url(url)}?"):
            raise click.Abort
        if not old_is_gone:
            async with at_home(vault, {check_server_url(url): token}) as server:
                await sync(vault, server, patience=0)
        if replace:
            await _replace(out, vault, url)
        with out.counted("Moving") as progress:
            await move(vault, url, token=token, old_is_gone=old_is_gone, progress=progress)
        out.message(f"The address book lives on {vault.device.server} now.")
        out.message("Write the new server down beside the recovery phrase: 'kith recover' asks for it.")
        async with at_home(vault) as server:
            await sync(vault, server)
        _show(out, vault)


def _refuse_standing_still(vault: Vault, url: str) -> None:
    from kith_client.relations.homes import here

    place = here(vault.contents)
    if url == vault.device.server and (place is None or place.url == url):
        raise click.UsageError(f"The address book lives on {url} already.")


def _warn(out: Output, vault: Vault, url: str, old_is_gone: bool) -> None:
    from kith_client.lifecycle.moving import open_invites

    what = "What this device has of the address book" if old_is_gone else "The address book, with its whole history,"
    out.message(f"{what} goes to {url}, and is written there from then on; your other devices and all peers follow.")
    if not old_is_gone:
        out.message("The old server is read on until every peer writes to the new one, for 180 days at most.")
    links = len(open_invites(vault, vault.clock()))
    if links and old_is_gone:
        out.warn(f"Make open invites anew, {links} in all: they name the old server and cannot be used any more.")
    elif links:
        out.message(f"Open invites, {links} in all, name the old server; they work as long as it is read.")
    if old_is_gone:
        out.warn(f"If the old server comes back, what other devices wrote there meanwhile is not at {url}.")


async def _replace(out: Output, vault: Vault, url: str) -> None:
    from kith_client.addresses import check_server_url
    from kith_client.lifecycle.forgetting import forget_at, pinned

    place = await pinned(check_server_url(url), vault.clock)
    if place.host == vault.device.server.partition("://")[2]:
        raise click.UsageError("That is where the address book lives.")
    if not out.confirm(f"Delete what {place.host} has of this address book?"):
        raise click.Abort
    await forget_at(place, vault.id, ask_phrase(), vault.clock)


async def _tell(out: Output) -> None:
    from kith_client.vault import Vault

    async with await Vault.open(home_of(settings()), ask_passphrase) as vault:
        _show(out, vault)


async def _forget(out: Output) -> None:
    from kith_client.lifecycle.forgetting import give_up
    from kith_client.lifecycle.moving import at_home
    from kith_client.relations.homes import home_of as record_of
    from kith_client.sync.run import sync
    from kith_client.vault import Vault

    async with await Vault.open(home_of(settings()), ask_passphrase) as vault, at_home(vault) as server:
        await sync(vault, server)
        record = record_of(vault.contents)
        if record is None or not record.former:
            raise click.UsageError("The address book left no server, or the servers that it left forgot it already.")
        _warn_of_loss(out, vault, record.former)
        hosts = ", ".join(former.place.host for former in record.former)
        if not out.confirm(f"Have {hosts} delete everything of this address book?"):
            raise click.Abort
        phrase, forgotten = ask_phrase(), []
        for former in record.former:
            said = await _have_forgotten(vault, former, phrase)
            await vault.apply(give_up(vault.contents, vault.stamp(), former))
            forgotten.append({"server": former.place.url, "statement": said})
            word = "does not know the address book" if said is None else "signed that it keeps nothing"
            out.message(f"{former.place.host} {word}.")
        await sync(vault, server)
        out.message("Copies that its operator took aside, of the disk for one, no signature can rule out.")
        out.result({"forgotten": forgotten, **_shape(vault)})


def _warn_of_loss(out: Output, vault: Vault, former: tuple[Former, ...]) -> None:
    from kith_client.lifecycle.moving import progressed

    found = progressed(vault)
    if found.waiting:
        names = ", ".join(_names(vault, found.waiting))
        out.warn(
            f"Peers who do not write to the new server yet: {names}. They hear of it with their next "
            "sync; until then nothing of theirs arrives, and afterwards all of it."
        )
    if found.invites:
        out.warn(f"Open invites that name {former[0].place.host} are revoked, {found.invites} in all. Make them anew.")


async def _have_forgotten(vault: Vault, former: Former, phrase: str) -> str | None:
    """When the server signed that it forgot; None where it knows nothing of the vault already."""
    from kith_client.book.dates import iso_time
    from kith_client.lifecycle.forgetting import forget_at
    from kith_client.lifecycle.moving import is_member_at
    from kith_protocol.errors import Refused

    try:
        return iso_time((await forget_at(former.place, vault.id, phrase, vault.clock)).time)
    except Refused as refusal:
        if refusal.code != "nothing-there" or await is_member_at(vault, former.place):
            raise
    return None


def _names(vault: Vault, peers: tuple[bytes, ...]) -> list[str]:
    from kith_client.book.layers import Layers

    layers = Layers(vault.contents)
    return sorted(layers.peer_names(peer)[0] for peer in peers)


def _shape(vault: Vault) -> dict[str, Any]:
    from kith_client.book.dates import iso_time
    from kith_client.lifecycle.moving import progressed
    from kith_client.relations.homes import former_places

    found = progressed(vault)
    former = [
        {"server": each.place.url, "until": iso_time(each.until)}
        for each in former_places(vault.contents, vault.clock())
    ]
    return {
        "server": vault.device.server,
        "former": former,
        "peers_moved": found.done,
        "peers_waiting": _names(vault, found.waiting),
        "invites": found.invites,
    }


def _show(out: Output, vault: Vault) -> None:
    shape = _shape(vault)

    def show() -> None:
        out.line(f"The address book lives on {shape['server']}.")
        for former in shape["former"]:
            out.line(f"{former['server']} is read until {former['until']} at most.")
        if shape["peers_waiting"]:
            out.line(f"Peers who do not know yet: {', '.join(shape['peers_waiting'])}.")
        if shape["former"] and not shape["peers_waiting"]:
            out.line("Every peer writes to the new server: 'kith move --forget-old' may follow.")

    out.result(shape, show)
