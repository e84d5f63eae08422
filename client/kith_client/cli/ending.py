"""`kith forget` and `kith block`."""

from __future__ import annotations

import click

from kith_client.book.events import entry
from kith_client.book.layers import Layers, peer_id
from kith_client.book.resolve import resolve_peer
from kith_client.cli.options import command
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import with_book
from kith_client.relations.ending import block_peer, end_relationship, unblock_peer
from kith_client.relations.guardians.guarding import keeps_share
from kith_client.relations.guardians.splits import guardians_now
from kith_client.stamp import Edit


@command("forget", "kith forget Bob")
@click.argument("peer")
@with_book
async def forget_command(book: Book, out: Output, peer: str) -> None:
    """End the relationship with PEER and say so to them. The contact stays, with what you know yourself."""
    found = resolve_peer(book.contents, peer)
    name = Layers(book.contents).peer_names(found)[0]
    edit = end_relationship(book.contents, book.stamp(), found)
    out.message(
        f"{name} will be told that you are not connected any more. What {name} shares with you disappears here, and "
        "what you share disappears there; what was read or copied stays. Your own entries on the contact stay."
    )
    _say_of_guardians(book, out, found, name)
    if not out.confirm(f"End the relationship with {name}?", unattended=True):
        raise click.Abort
    await _decide(book, out, found, edit, f"ended the relationship with {name}")
    out.message("Ended; the other hears of it at the next sync. A new invite can connect you again.")


@command("block", "kith block Bob", "kith block Bob --undo")
@click.argument("peer")
@click.option("--undo", is_flag=True, help="Let this person connect with you again by a new invite.")
@with_book
async def block_command(book: Book, out: Output, peer: str, undo: bool) -> None:
    """Shut PEER out without a word: nothing of theirs arrives any more, and no invite connects them with you."""
    found = resolve_peer(book.contents, peer)
    name = Layers(book.contents).peer_names(found)[0]
    if undo:
        edit = unblock_peer(book.contents, book.stamp(), found)
        await _decide(book, out, found, edit, f"stopped blocking {name}")
        out.message(f"{name} may connect with you again, by a new invite.")
        return
    edit = block_peer(book.contents, book.stamp(), found)
    out.message(
        f"{name} is not told. What {name} shares with you disappears here; what they have of you stays with them, and "
        "gets no more changes. 'kith forget' would also take it back. Your own entries on the contact stay."
    )
    _say_of_guardians(book, out, found, name)
    if not out.confirm(f"Block {name}?", unattended=True):
        raise click.Abort
    await _decide(book, out, found, edit, f"blocked {name}")
    out.message("Blocked; from the next sync on nothing of theirs is taken. 'kith block PEER --undo' takes it back.")


def _say_of_guardians(book: Book, out: Output, peer: bytes, name: str) -> None:
    """What keeps a share of a recovery phrase, either way, goes on for a while."""
    if peer in guardians_now(book.contents):
        out.message(f"{name} is your guardian and keeps that share for 180 days more; it stays good with the others.")
    if keeps_share(book.contents, peer):
        out.message(f"You are a guardian for {name}: the share is erased 180 days from now.")


async def _decide(book: Book, out: Output, peer: bytes, edit: Edit, what: str) -> None:
    contact = book.contents[peer].value("contact")
    await book.apply(edit, [entry(what, contact if isinstance(contact, bytes) else None)])
    out.result({"peer": peer_id(book.contents, peer)})
