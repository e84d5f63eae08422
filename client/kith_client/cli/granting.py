"""`kith grant`, `withdraw`, `preview`, `share`, `unshare`."""

from __future__ import annotations

from typing import Any

import click

from kith_client.book.events import entry
from kith_client.book.facets import facet_name
from kith_client.book.grants import grant, resolve_target, still_granted_by, views, withdraw
from kith_client.book.layers import Layers, peer_id
from kith_client.book.resolve import resolve_contact, resolve_peer, resolve_record
from kith_client.book.shares import Shared, share, shared_with, unshare, version
from kith_client.book.views import view_of
from kith_client.cli import shapes
from kith_client.cli.options import command
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import with_book
from kith_client.contacts.model import Property
from kith_client.contacts.views import text_of
from kith_client.relations.guardians.splits import splits
from kith_client.relations.introductions.introducing import offers_to
from kith_client.relations.payloads import wanted
from kith_client.relations.peers import shared_properties
from kith_client.relations.records import peer_at
from kith_client.stamp import Contents, of_kind, overlay
from kith_protocol.share import ContactCard, SharedNote

Views = dict[str, list[Property]]
"""Peer id → what that peer sees."""


@command("grant", "kith grant Bob private", "kith grant Fencing family")
@click.argument("target", metavar="PEER|CIRCLE")
@click.argument("facet")
@with_book
async def grant_command(book: Book, out: Output, target: str, facet: str) -> None:
    """Let a peer, or the peers in a circle, see FACET of my card from the next sync on."""
    found = resolve_target(book.contents, target)
    edit = grant(book.contents, book.stamp(), found, facet)
    await book.apply(edit, [f"granted {facet_name(facet)} to {found.name}"] if edit else [])
    out.message("Granted." if edit else "This was granted already.")
    _answer(book, out, views(book.contents, found))


@command("withdraw", "kith withdraw Bob private")
@click.argument("target", metavar="PEER|CIRCLE")
@click.argument("facet")
@with_book
async def withdraw_command(book: Book, out: Output, target: str, facet: str) -> None:
    """Take FACET back from a peer or a circle. What somebody has read cannot be unread."""
    found = resolve_target(book.contents, target)
    edit = withdraw(book.contents, book.stamp(), found, facet)
    _say_what_goes(out, book.contents, views(book.contents, found), views(overlay(book.contents, edit), found))
    await book.apply(edit, [f"withdrew {facet_name(facet)} from {found.name}"])
    through = still_granted_by(book.contents, found, facet)
    out.message("Withdrawn.")
    if through:
        out.warn(f"The peer still sees it through: {', '.join(through)}.")
    _answer(book, out, views(book.contents, found))


def _say_what_goes(out: Output, contents: Contents, now: Views, then: Views) -> None:
    """Before it is done: what disappears from whose address book."""
    lost = {peer: [prop for prop in view if prop not in then[peer]] for peer, view in now.items()}
    names = _names(contents, lost)
    for peer, props in lost.items():
        if props:
            what = ", ".join(f"{prop.key} {text_of(prop)}" for prop in props)
            out.message(f"At the next syncs this disappears from the address book of {names[peer]}: {what}.")
    if any(lost.values()):
        out.message("What was read or copied stays with them.")


@command("preview", "kith preview Bob")
@click.argument("peer")
@with_book
async def preview_command(book: Book, out: Output, peer: str) -> None:
    """Show exactly what PEER sees: of my card, and what else I share."""
    found = resolve_peer(book.contents, peer)
    view = view_of(book.contents, found)
    shared = [*shared_with(book.contents, found), *_introductions(book, found), *_guardian(book, found)]
    payloads = wanted(book.contents, peer_at(book.contents, found)).payloads
    inside = {each.id: _inside(payloads.get(each.id)) for each in shared}

    def show() -> None:
        _show_view(out, view)
        _show_shared(out, shared, inside)

    out.result({"view": shapes.view(view), "shared": [{**_shape(each), **inside[each.id]} for each in shared]}, show)


def _inside(payload: object) -> dict[str, Any]:
    """What goes to the peer of a shared card or note, exactly."""
    match payload:
        case ContactCard():
            return {"properties": shapes.view(shared_properties(payload.properties))}
        case SharedNote():
            return {"text": payload.text}
        case _:
            return {}


def _introductions(book: Book, peer: bytes) -> list[Shared]:
    """The people to whom the peer is being introduced: a name and a message of mine is all that it gets of them."""
    offers = offers_to(book.contents, peer, book.stamp().now)
    return [Shared("introduction", id_, f"{label}: {text}" if text else label, 1) for id_, label, text in offers]


def _guardian(book: Book, peer: bytes) -> list[Shared]:
    """The share of my recovery phrase that the peer keeps, or is about to get, as my guardian."""
    about = "a share of my recovery phrase, and the id of my address book"
    kept = [split for split in splits(book.contents)[:1] if split.has(peer)]
    return [Shared("guardian", split.id.hex(), about, split.made) for split in kept]


@command("share", "kith share note 7f3a12bc --with Bob", 'kith share card "Carla Ruiz" --with Bob')
@click.argument("kind", type=click.Choice(["card", "note"]))
@click.argument("item")
@click.option("--with", "peer", required=True, metavar="PEER", help="Who gets it.")
@with_book
async def share_command(book: Book, out: Output, kind: str, item: str, peer: str) -> None:
    """Let PEER have a note, or the card of a contact."""
    found, to = _item(book.contents, kind, item), resolve_peer(book.contents, peer)
    name = Layers(book.contents).peer_names(to)[0]
    what, about = _what(book.contents, kind, found)
    await book.apply(share(book.contents, book.stamp(), found, to), [entry(f"shared {what} with {name}", about)])
    out.message(f"Shared with {name}; it goes out at the next sync.")
    out.result({"version": version(book.contents, to, found)})


@command("unshare", "kith unshare note 7f3a12bc --with Bob")
@click.argument("kind", type=click.Choice(["card", "note"]))
@click.argument("item")
@click.option("--with", "peer", required=True, metavar="PEER", help="Who has it.")
@with_book
async def unshare_command(book: Book, out: Output, kind: str, item: str, peer: str) -> None:
    """Take a note or card back from PEER. What somebody has read cannot be unread."""
    found, to = _item(book.contents, kind, item), resolve_peer(book.contents, peer)
    name = Layers(book.contents).peer_names(to)[0]
    edit = unshare(book.contents, book.stamp(), found, to)
    out.message(
        f"At the next syncs the {kind} disappears from the address book of {name}. What was read or copied stays there."
    )
    what, about = _what(book.contents, kind, found)
    await book.apply(edit, [entry(f"took {what} back from {name}", about)])
    out.message(f"Taken back from {name} at the next sync.")
    out.result({"version": version(book.contents, to, found)})


def _what(contents: Contents, kind: str, item: bytes) -> tuple[str, bytes | None]:
    """What is shared, for the log, and whom it is about."""
    contact = item if kind == "card" else contents[item].value("contact")
    name = Layers(contents).name(contact)
    return f"the card of {name}" if kind == "card" else f"a note on {name}", (
        contact if isinstance(contact, bytes) else None
    )


def _item(contents: Contents, kind: str, item: str) -> bytes:
    if kind == "card":
        return resolve_contact(contents, item)
    return resolve_record(contents, "note", item, "note", "'kith note list' shows them all.")


def _answer(book: Book, out: Output, found: Views) -> None:
    names = _names(book.contents, found)

    def show() -> None:
        for peer, view in found.items():
            out.line(f"{names[peer]} sees:")
            _show_view(out, view)

    out.result({"views": {peer: shapes.view(view) for peer, view in found.items()}}, show)


def _names(contents: Contents, of: Views) -> dict[str, str]:
    """Peer id → what the peer is called."""
    layers, peers = Layers(contents), of_kind(contents, "peer")
    named = {peer_id(contents, record): layers.peer_names(record)[0] for record in peers}
    return {peer: named[peer] for peer in of}


def _show_view(out: Output, view: list[Property]) -> None:
    out.table(("Property", "Value"), [(prop.key, text_of(prop)) for prop in view], whole=True)


def _show_shared(out: Output, shared: list[Shared], inside: dict[str, dict[str, Any]]) -> None:
    if shared:
        out.line()
        rows = [(each.kind, each.id[:8], each.name, _version(each)) for each in shared]
        out.table(("Shared", "Id", "About", "Version"), rows)
    for each in shared:
        if "properties" in inside[each.id]:
            out.line(f"\nThe card of {each.name} as the peer has it:", lines=True)
            values = [(prop["name"], prop["value"]) for prop in inside[each.id]["properties"]]
            out.table(("Property", "Value"), values, whole=True)
        elif "text" in inside[each.id]:
            out.line(f"\nThe note on {each.name}: {inside[each.id]['text']}", lines=True)


def _version(each: Shared) -> str:
    """A share of a phrase has none for people: what stands there is a time."""
    return "" if each.kind == "guardian" else str(each.version)


def _shape(each: Shared) -> dict[str, object]:
    return {"kind": each.kind, "id": each.id, "name": each.name, "version": each.version}
