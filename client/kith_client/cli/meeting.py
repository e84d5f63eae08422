"""`kith invite`, `invites`, `accept`, `peers`, `verify`."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kith_client.book.dates import iso_time, parse_duration
from kith_client.book.events import entry
from kith_client.book.facets import facet_name, facets_of_peer, facets_on_my_card
from kith_client.book.layers import BY_PEER, Layers
from kith_client.book.resolve import resolve_contact, resolve_peer, resolve_record
from kith_client.cli.codes import check_picture_place, draw_on_terminal, given_code, write_picture
from kith_client.cli.online import with_server
from kith_client.cli.options import command, group, subcommand
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import one_line, today_of, with_book
from kith_client.relations.introductions.suspicion import vouched_by
from kith_client.relations.invites import InviteRow, NewInvite, list_invites, revoke_invite, web_link
from kith_client.relations.peers import PeerRow, list_peers
from kith_client.relations.records import peer_at
from kith_client.relations.requests.through_invites import waiting_through
from kith_client.relations.verify import (
    NumbersDiffer,
    mark_verified,
    mark_verified_by_code,
    safety_code_of,
    safety_number_of,
)
from kith_protocol.codes import CodeKind, check_kind
from kith_protocol.handle import looks_like_address, parse_address

if TYPE_CHECKING:
    from kith_client.relations.accepting import Accepted
    from kith_client.stamp import Edit, Stamp
    from kith_client.transport import HomeServer
    from kith_client.vault import Vault
    from kith_protocol.handle import Address

_DAY_MS = 86_400_000


@command(
    "invite",
    "kith invite --facet work",
    "kith invite --contact Bob --facet private --qr bob.png",
    "kith invite --reusable --facet work --qr card.png",
)
@click.option("--facet", "facets", multiple=True, metavar="F", help="A facet that the new peer sees; may be repeated.")
@click.option("--contact", metavar="CONTACT", help="The contact whom this is for.")
@click.option("--reusable", is_flag=True, help="For several people: each asks, and you accept or decline.")
@click.option("--expires", metavar="TIME", help="How long it can be used (else 7d; with --reusable 1y).")
@click.option("--qr", metavar="FILE.png", help="Write it as a QR code too, good for print.")
@with_server
async def invite_command(
    vault: Vault,
    server: HomeServer,
    out: Output,
    facets: tuple[str, ...],
    contact: str | None,
    reusable: bool,
    expires: str | None,
    qr: str | None,
) -> None:
    """Make a link that connects one person with you. Whoever has the link can use it, so hand it over privately.

    With --reusable it is for several people, such as those who get your printed card: they ask, and 'kith requests'
    shows you who.
    """
    from kith_client.sync.befriend import make_invite

    if qr is not None:
        await asyncio.to_thread(check_picture_place, qr)
    until = None
    if expires is not None:
        until = vault.stamp().now + parse_duration(expires, today_of(vault)) * _DAY_MS
    found = resolve_contact(vault.contents, contact) if contact else None
    for unused in sorted({facet_name(facet) for facet in facets} - facets_on_my_card(vault.contents)):
        out.message(f"Nothing on your card is in the facet '{unused}' yet; the peer sees what you put there later.")
    made = await make_invite(vault, server, facets, found, reusable=reusable, expires=until)
    if qr is not None:
        await write_picture(web_link(made.link), qr)
    document = {"id": made.id.hex(), "link": made.link, "expires": iso_time(made.expires), "reusable": reusable}
    out.result(document, lambda: _show_link(out, made, reusable))


def _show_link(out: Output, made: NewInvite, reusable: bool) -> None:
    out.line(made.link)
    draw_on_terminal(made.link, out)
    who = "For several people; 'kith requests' shows who asks" if reusable else "For one person"
    out.message(f"{who}, until {iso_time(made.expires)}. They accept it with: kith accept LINK")


@group("invites", "kith invites", "kith invites revoke 7f3a12bc", alone=True)
@click.pass_context
def invites_command(ctx: click.Context) -> None:
    """The invites that were made."""
    if ctx.invoked_subcommand is None:
        _invites()


@with_book
async def _invites(book: Book, out: Output) -> None:
    rows = list_invites(book.contents, book.stamp().now)
    out.result({"invites": [_invite(row) for row in rows]}, lambda: _show_invites(book, out, rows))


def _invite(row: InviteRow) -> dict[str, Any]:
    return {
        "id": row.id.hex(),
        "state": row.state,
        "reusable": row.reusable,
        "introduced": row.introduced,
        "handle": row.handle,
        "created": iso_time(row.created),
        "expires": iso_time(row.expires),
        "facets": list(row.facets),
        "contact": row.contact.hex() if row.contact else None,
        "link": row.link or None,
    }


def _show_invites(book: Book, out: Output, rows: list[InviteRow]) -> None:
    if not rows:
        out.message("No invites. 'kith invite' makes one.")
        return
    layers = Layers(book.contents)
    table = [
        (row.id.hex()[:8], row.state, iso_time(row.expires), ", ".join(row.facets), _for(layers, row)) for row in rows
    ]
    out.table(("Id", "State", "Until", "Facets", "For"), table)


def _for(layers: Layers, row: InviteRow) -> str:
    if row.handle is not None:
        return f"those who find your handle {row.handle}"
    if row.reusable:
        return "several people"
    if row.introduced:
        return "an introduction"
    return "" if row.contact is None else layers.name(row.contact)


@subcommand(invites_command, "revoke", "kith invites revoke 7f3a12bc")
@click.argument("invite_id", metavar="ID")
@with_book
async def invites_revoke(book: Book, out: Output, invite_id: str) -> None:
    """Make an invite unusable, from the next sync on. Who asked through it and still waits is dropped."""
    found = resolve_record(book.contents, "invite", invite_id, "invite", "'kith invites' shows them all.")
    waiting = waiting_through(book.contents, found)
    if waiting and not out.confirm(f"Requests through it that still wait, and would be dropped: {waiting}. Go on?"):
        raise click.Abort
    await book.apply(revoke_invite(book.contents, book.stamp(), found), [entry("revoked an invite")])
    out.message("Revoked; the server hears of it at the next sync.")
    out.result({"id": found.hex()})


@command(
    "accept",
    "kith accept 'https://anna.example/i#1...'",
    "kith accept - --facet private",
    "kith accept card.jpg",
    "kith accept anna@anna.example",
)
@click.argument("link")
@click.option("--facet", "facets", multiple=True, metavar="F", help="A facet that the new peer sees; may be repeated.")
@click.option("--contact", metavar="CONTACT", help="The contact that this person is.")
@with_server
async def accept_command(
    vault: Vault, server: HomeServer, out: Output, link: str, facets: tuple[str, ...], contact: str | None
) -> None:
    """Accept the invite behind LINK ('-' reads it), or ask the person who can be found under an address.

    LINK may be a picture of the QR code of an invite.
    """
    from kith_client.sync.befriend import accept_invite

    code = await given_code(link, CodeKind.INVITE)
    found = resolve_contact(vault.contents, contact) if contact else None
    if looks_like_address(code):
        accepted = await _ask(vault, server, out, parse_address(code), facets, found)
    else:
        accepted = await accept_invite(vault, server, code, facets, found)
    row = next(row for row in list_peers(vault.contents) if row.record == accepted.peer)
    peer = _peer(Layers(vault.contents), row)
    if accepted.reusable:
        out.message(f"{peer['name']} has to say yes first; until then 'kith peers' shows 'waiting'.")
    else:
        out.message(f"Accepted. {peer['name']} hears of it at their next sync; compare numbers with 'kith verify'.")
    out.result({"peer": peer["id"], **{key: peer[key] for key in ("name", "trust", "via", "state", "contact")}})


async def _ask(
    vault: Vault, server: HomeServer, out: Output, address: Address, facets: tuple[str, ...], contact: bytes | None
) -> Accepted:
    from kith_client.sync.befriend import ask_by_address

    accepted, found = await ask_by_address(vault, server, address, facets, contact)
    if found.is_new_server:
        out.message(f"The server {address.host} was not known here. The key that it showed is remembered from now on.")
    out.message("Servers handed the key out, so this is unverified: compare numbers before you share what matters.")
    return accepted


@command("peers", "kith peers")
@with_book
async def peers_command(book: Book, out: Output) -> None:
    """List the people I am connected with."""
    layers = Layers(book.contents)
    peers = [_peer(layers, row) for row in list_peers(book.contents)]
    out.result({"peers": peers}, lambda: _show_peers(out, peers))


def _peer(layers: Layers, row: PeerRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "contact": row.contact.hex(),
        "name": layers.peer_names(row.record)[0],
        "named_by": "me" if layers.peer_called(row.record).own else "peer",
        "host": row.host,
        "state": row.state,
        "trust": row.trust,
        "introduced_by": vouched_by(layers.contents, peer_at(layers.contents, row.record).trust),
        "via": row.via,
        "facets": sorted(facets_of_peer(layers.contents, row.record)),
        "updated": iso_time(row.updated) if row.updated is not None else None,
        "missing": row.missing,
    }


def _show_peers(out: Output, peers: list[dict[str, Any]]) -> None:
    if not peers:
        out.message("No peers. 'kith invite' makes a link that connects somebody with you.")
        return
    columns = ("host", "state")
    rows = [
        (peer["id"][:8], _named(peer), *(peer[key] for key in columns), _trust(peer), ", ".join(peer["facets"]))
        for peer in peers
    ]
    out.table(("Id", "Name", "Server", "State", "Trust", "Facets granted"), rows)


def _named(peer: dict[str, Any]) -> str:
    """A peer may call itself anything, so its own word is marked as such."""
    return f"{peer['name']} {BY_PEER}" if peer["named_by"] == "peer" else str(peer["name"])


def _trust(peer: dict[str, Any]) -> str:
    if peer["introduced_by"]:
        return f"{peer['trust']} by {peer['introduced_by']}"
    # How a person came does not matter any more once numbers were compared.
    return f"{peer['trust']} ({peer['via']})" if peer["via"] and peer["trust"] == "unverified" else str(peer["trust"])


@command("verify", "kith verify Bob", "kith verify Bob --number '12345 67890 ...'", "kith verify Bob --photo bob.jpg")
@click.argument("peer")
@click.option("--number", metavar="N", help="The number that the peer reads out; '-' reads it.")
@click.option("--photo", metavar="FILE", help="A picture of the code on the peer's screen.")
@click.option("--qr", metavar="FILE.png", help="Write the number as a QR code too, for the peer to photograph.")
@with_book
async def verify_command(
    book: Book, out: Output, peer: str, number: str | None, photo: str | None, qr: str | None
) -> None:
    """Show the safety number that I share with PEER, or say that the peer sees the same one."""
    found = resolve_peer(book.contents, peer)
    if qr is not None:
        await asyncio.to_thread(check_picture_place, qr)
    if number is not None and photo is not None:
        raise click.UsageError("Give the number or the picture, not both.")
    if photo is not None:
        code = await given_code(photo, CodeKind.SAFETY_NUMBER)
        await _compare(book, out, found, lambda stamp: mark_verified_by_code(book.contents, stamp, found, code))
    elif number is not None:
        given = one_line(number)
        check_kind(given, CodeKind.SAFETY_NUMBER)
        await _compare(book, out, found, lambda stamp: mark_verified(book.contents, stamp, found, given))
    else:
        await _show_number(book, out, found, qr)


async def _show_number(book: Book, out: Output, peer: bytes, qr: str | None) -> None:
    name, code = Layers(book.contents).peer_names(peer)[0], safety_code_of(book.contents, peer)
    shown = safety_number_of(book.contents, peer)
    if qr is not None:
        await write_picture(code, qr)
    out.message(f"Compare this with what {name} sees, by telephone or in person:")
    out.result({"safety_number": shown}, lambda: out.line(shown))
    draw_on_terminal(code, out)
    command = f"kith verify {shlex.quote(name)}"
    out.message(f"If it is the same: {command} --number 'NUMBER'")
    out.message(f"With a picture of the other's screen instead: {command} --photo FILE")


async def _compare(book: Book, out: Output, peer: bytes, decide: Callable[[Stamp], Edit]) -> None:
    name, contact = Layers(book.contents).peer_names(peer)[0], book.contents[peer].value("contact")
    about = contact if isinstance(contact, bytes) else None
    try:
        edit = decide(book.stamp())
    except NumbersDiffer as differ:
        await book.apply(differ.edit, [entry(f"saw another safety number than {name}", about)])
        raise
    await book.apply(edit, [entry(f"compared safety numbers with {name}", about)])
    trust = str(book.contents[peer].units["trust"].value)
    out.message(f"The numbers agree: {name} is {trust}.")
    out.result({"safety_number": safety_number_of(book.contents, peer), "trust": trust})
