"""`kith guardians`: friends who keep shares of my recovery phrase, and the shares that I keep for others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from kith_client.book.dates import iso_time
from kith_client.book.events import entry
from kith_client.book.layers import Layers, peer_id
from kith_client.book.resolve import resolve_peer
from kith_client.cli.codes import check_picture_place, write_picture
from kith_client.cli.online import with_server
from kith_client.cli.options import group, subcommand
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import ask_phrase, with_book
from kith_client.cli.setup import numbered
from kith_client.relations import records
from kith_client.relations.guardians import guarding, splits
from kith_client.relations.joining import peer_of_person
from kith_client.stamp import Contents, Edit
from kith_protocol.errors import KithError
from kith_protocol.relationship import Trust
from kith_protocol.splitting import check_counts

if TYPE_CHECKING:
    from kith_client.transport import HomeServer
    from kith_client.vault import Vault

_SAID = {
    "waiting": "the share is on its way",
    "kept": "keeps a share",
    "resigned": "gave the office back",
    "unreadable": "could not open the share: make a new split",
    "removed": "removed; has not heard of it yet",
    "released": "no guardian any more",
    "disconnected": "not connected with you any more",
}


@group("guardians", "kith guardians", "kith guardians add Bob Carla Dora --needed 2", alone=True)
@click.pass_context
def guardians_command(ctx: click.Context) -> None:
    """Friends who keep shares of my recovery phrase, and for whom I keep one."""
    if ctx.invoked_subcommand is None:
        _list()


@with_book
async def _list(book: Book, out: Output) -> None:
    _answer(book.contents, out)


@subcommand(guardians_command, "add", "kith guardians add Bob Carla Dora --needed 2", "kith guardians add Ella")
@click.argument("peers", metavar="PEER...", nargs=-1, required=True)
@click.option("--needed", type=int, metavar="N", help="How many of them give the phrase (else as before).")
@with_server
async def guardians_add(
    vault: Vault, server: HomeServer, out: Output, peers: tuple[str, ...], needed: int | None
) -> None:
    """Split the recovery phrase among these peers and those who are guardians already; everybody gets a new share.

    The phrase is asked for; where nobody can be asked, it is read from standard input.
    """
    found = dict.fromkeys([*splits.guardians_now(vault.contents), *(resolve_peer(vault.contents, p) for p in peers)])
    before = splits.splits(vault.contents)
    if needed is None and not before:
        raise click.UsageError("Say how many guardians are needed together, for example --needed 2.")
    count = before[0].needed if needed is None else needed
    check_counts(count, len(found))
    _say_what_it_means(vault.contents, out, list(found), count)
    if not out.confirm("Split the phrase among them?", unattended=True):
        raise click.Abort
    phrase = ask_phrase()

    def work() -> Edit:
        entropy = splits.check_phrase(vault.contents, vault.chain.paper, phrase)
        return splits.make_split(vault.contents, vault.stamp(), vault.id, entropy, list(found), count)

    edit = await asyncio.to_thread(work)
    await vault.apply(edit, [entry(f"split the recovery phrase among {_names(vault.contents, found)}")])
    await _send(vault, server, out, "the shares go out with the next 'kith sync'")
    _answer(vault.contents, out)


@subcommand(guardians_command, "remove", "kith guardians remove Dora")
@click.argument("peer")
@with_server
async def guardians_remove(vault: Vault, server: HomeServer, out: Output, peer: str) -> None:
    """Tell PEER that the office is over. A share that was handed out cannot be called back.

    The phrase is asked for: who only has a device of yours removes no guardian. Where nobody can be asked, it is read
    from standard input.
    """
    found = resolve_peer(vault.contents, peer)
    name = Layers(vault.contents).peer_names(found)[0]
    splits.check_guardian(vault.contents, found)
    needed = splits.splits(vault.contents)[0].needed
    out.message(
        f"{name}'s program deletes the share after 180 days. A copy stays good: {needed} shares of one split give your "
        "phrase, also old ones, and no new split changes that. You are safe while fewer than that are in wrong hands. "
        "The phrase itself cannot be exchanged; only a new address book ('kith init') has another."
    )
    if not out.confirm(f"Remove {name} from your guardians?", unattended=True):
        raise click.Abort
    phrase = ask_phrase()

    def work() -> Edit:
        entropy = splits.check_phrase(vault.contents, vault.chain.paper, phrase)
        return splits.remove_guardian(vault.contents, vault.stamp(), entropy, found)

    await vault.apply(await asyncio.to_thread(work), [entry(f"removed {name} from the guardians")])
    left = len(splits.guardians_now(vault.contents))
    if left < needed:
        out.warn(f"{needed} are needed, and only {left} left: 'kith guardians add' makes a new split.")
    await _send(vault, server, out, f"{name} hears of it with the next 'kith sync'")
    _answer(vault.contents, out)


@subcommand(guardians_command, "give", "kith guardians give Anna", "kith guardians give Anna --qr share.png")
@click.argument("peer")
@click.option("--qr", metavar="FILE.png", help="Write it as a QR code too, with server and address book in it.")
@with_server
async def guardians_give(vault: Vault, server: HomeServer, out: Output, peer: str, qr: str | None) -> None:
    """Hand out the share that I keep for PEER, who lost everything, after I made sure who is asking."""
    from kith_client.addresses import url_of
    from kith_protocol.guardian import format_share_link

    if qr is not None:
        await asyncio.to_thread(check_picture_place, qr)
    found = resolve_peer(vault.contents, peer)
    name = Layers(vault.contents).peer_names(found)[0]
    _warn_before_giving(out, name, guarding.share_of(vault.contents, found))
    if not out.confirm(
        f"Did you meet {name}, see them by video, or know their voice, and did they ask you themselves?"
    ):
        raise click.Abort
    edit, link = guarding.give(vault.contents, vault.stamp(), found)
    # Noted before it is shown: whatever happens then, it was handed out.
    await vault.apply(edit, [entry(f"handed out the share of {name}'s recovery phrase")])
    await _send(vault, server, out, f"{name} is told with the next 'kith sync'")
    document: dict[str, Any] = {"peer": peer_id(vault.contents, found), "server": url_of(link.host)}
    document |= {"vault": link.vault.hex(), "share": link.share.words, "needed": link.share.needed}
    if qr is not None:
        await write_picture(format_share_link(link), qr)
        document["file"] = qr

    def show() -> None:
        numbered(out, link.share.words)
        out.line(f"Server   {document['server']}\nVault    {link.vault.hex()}", lines=True)

    out.result(document, show)
    out.message(f"Read it out to {name}, or let them photograph it, for: kith recover --guardians")


@subcommand(guardians_command, "resign", "kith guardians resign Anna")
@click.argument("peer")
@with_server
async def guardians_resign(vault: Vault, server: HomeServer, out: Output, peer: str) -> None:
    """Give the office back: the share of PEER's phrase is erased here, and they are told."""
    found = resolve_peer(vault.contents, peer)
    name = Layers(vault.contents).peer_names(found)[0]
    edit = guarding.resign(vault.contents, vault.stamp(), found)
    out.message(f"The share is erased for good. {name} can count on one guardian less, and is told.")
    if not out.confirm(f"Stop being a guardian of {name}?"):
        raise click.Abort
    await vault.apply(edit, [entry(f"stopped being a guardian of {name}")])
    await _send(vault, server, out, f"{name} hears of it with the next 'kith sync'")
    _answer(vault.contents, out)


async def _send(vault: Vault, server: HomeServer, out: Output, later: str) -> None:
    """What was decided stands already; that it cannot go out now is no failure."""
    from kith_client.sync.run import sync

    try:
        report = await sync(vault, server)
    except KithError as error:
        out.warn(f"{error} Nothing is lost: {later}.")
        return
    for text in (*report.alarms, *report.issues):
        out.warn(text)


def _say_what_it_means(contents: Contents, out: Output, peers: list[bytes], needed: int) -> None:
    names = _names(contents, dict.fromkeys(peers))
    out.message(
        f"Each gets one share of your recovery phrase: {names}.\nAny {needed} of them together can bring your address "
        "book back, and could do so behind your back: then they read all of it and can speak in your name. So choose "
        "people who would not.\nOne alone learns nothing of the phrase, but that you chose them, how many are needed, "
        "and the id of your address book. Shares cannot be called back. Nothing keeps the phrase itself."
    )
    strangers = [peer for peer in peers if records.peer_at(contents, peer).trust not in (Trust.VERIFIED, Trust.MET)]
    if strangers:
        out.warn(
            f"You never compared numbers with {_names(contents, dict.fromkeys(strangers))}: if somebody sits in "
            "between, they get the share. 'kith verify' first is safer."
        )


def _warn_before_giving(out: Output, name: str, kept: guarding.Guarding) -> None:
    ended = ""
    if kept.released:
        ended = f"\nThe office ended on {iso_time(kept.released)[:10]}; ask {name} about that, too."
    out.message(
        f"You are about to hand out your share of {name}'s recovery phrase. With {kept.needed} such shares anybody can "
        f"read {name}'s address book and speak in {name}'s name. Messages, mails, accounts and numbers can be stolen "
        f"or faked, and so can messages in this program, by whoever has a device of {name}'s. So hand it out only to "
        f"{name} in person, or after a call in which you see them or know their voice for sure.\nThe devices that "
        f"{name} has left, if any, are told at once that you handed it out.{ended}"
    )


def _names(contents: Contents, peers: dict[bytes, None]) -> str:
    layers = Layers(contents)
    names = [layers.peer_names(peer)[0] for peer in peers]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _answer(contents: Contents, out: Output) -> None:
    mine, others, known = _mine(contents), _others(contents), splits.splits(contents)
    needed = known[0].needed if known else None
    out.result({"guardians": mine, "needed": needed, "guarding": others}, lambda: _show(out, mine, others, needed))


def _mine(contents: Contents) -> list[dict[str, Any]]:
    layers = Layers(contents)
    return [
        {
            "peer": peer_id(contents, row.peer),
            "name": layers.peer_names(row.peer)[0],
            "since": iso_time(row.since),
            "state": row.state,
            "given": row.given,
            "given_at": iso_time(row.given_at) if row.given else None,
        }
        for row in splits.list_guardians(contents)
        if row.peer in contents
    ]


def _others(contents: Contents) -> list[dict[str, Any]]:
    layers, found = Layers(contents), []
    for kept in guarding.guardings(contents).values():
        peer = peer_of_person(contents, kept.person)
        if kept.words and peer is not None:
            ended = iso_time(kept.released) if kept.released else None
            row = {"peer": kept.person.hex(), "name": layers.peer_names(peer.id)[0], "since": iso_time(kept.since)}
            given = [iso_time(each) for each in kept.given]
            found.append({**row, "needed": kept.needed, "ended": ended, "given": given})
    return found


def _show(out: Output, mine: list[dict[str, Any]], others: list[dict[str, Any]], needed: int | None) -> None:
    if not mine and not others:
        out.message(
            "You have no guardians, and are none. 'kith guardians add' splits your recovery phrase among friends."
        )
    if mine:
        out.line(f"My guardians ({needed} are needed together):")
        rows = [(each["name"], each["since"][:10], _SAID[each["state"]], _given(each)) for each in mine]
        out.table(("Name", "Since", "State", "Handed out"), rows)
    for each in others:
        until = (
            f"; the office ended on {each['ended'][:10]}, and the share goes 180 days later" if each["ended"] else ""
        )
        handed = f"; handed out {each['given'][-1][:10]}" if each["given"] else ""
        out.line(f"You are a guardian for {each['name']} since {each['since'][:10]}{until}{handed}.")


def _given(row: dict[str, Any]) -> str:
    last = (row["given_at"] or "")[:10]
    return {0: "", 1: f"once, {last}"}.get(row["given"], f"{row['given']} times, last {last}")
