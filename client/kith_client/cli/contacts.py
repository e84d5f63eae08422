"""`kith list`, `show`, `add`, `set`, `unset`, `rm`."""

from __future__ import annotations

import click

from kith_client.book.choosing import given_property
from kith_client.book.contacts import add_contact, remove_contact, set_property, unset_property
from kith_client.book.dates import dated
from kith_client.book.events import entry
from kith_client.book.layers import MINE, Layers
from kith_client.book.listing import Row, list_contacts
from kith_client.book.names import short_ids
from kith_client.book.resolve import resolve_contact, resolve_shown
from kith_client.book.showing import ContactPage, show_contact
from kith_client.cli import shapes
from kith_client.cli.files import value_of
from kith_client.cli.notes import show_notes
from kith_client.cli.options import command
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import today_of, with_book
from kith_client.contacts.views import text_of
from kith_client.stamp import Edit

_TYPED = {"email": "EMAIL", "tel": "TEL", "org": "ORG", "title": "TITLE", "bday": "BDAY", "url": "URL", "adr": "ADR"}


@command("list", "kith list", 'kith list "beck hamburg"', "kith list --circle Fencing --json")
@click.argument("query", nargs=-1)
@click.option("--circle", metavar="CIRCLE", help="Only contacts in this circle.")
@with_book
async def list_command(book: Book, out: Output, query: tuple[str, ...], circle: str | None) -> None:
    """List the contacts that QUERY means: each word is in a name, address, number, organisation or circle."""
    rows = list_contacts(book.contents, " ".join(query), circle)
    asked = bool(query or circle)
    out.result({"contacts": [shapes.contact_row(row) for row in rows]}, lambda: _table(out, rows, asked))


def _table(out: Output, rows: list[Row], asked: bool) -> None:
    if not rows and asked:
        out.message("No contact matches. 'kith list' shows all.")
    elif not rows:
        out.message("No contacts. 'kith add NAME' or 'kith import FILE' brings some.")
        return
    short = short_ids(row.id for row in rows)
    lines = ((short[row.id], row.name, _some(row.emails), _some(row.phones), row.org) for row in rows)
    out.table(("Id", "Name", "E-mail", "Phone", "Organisation"), lines)


def _some(texts: tuple[str, ...]) -> str:
    return ", ".join(texts[:2]) + (" ..." if len(texts) > 2 else "")


@command("show", 'kith show "Anna Beck"', "kith show 7f3a12bc --json")
@click.argument("contact")
@with_book
async def show_command(book: Book, out: Output, contact: str) -> None:
    """Show everything about CONTACT: properties, notes, circles, and what it was before."""
    page = show_contact(book.contents, resolve_shown(book.contents, contact))
    out.result(shapes.page(page), lambda: _page(out, page))


def _page(out: Output, page: ContactPage) -> None:
    out.line(f"{page.name}  ({page.id})")
    by = f" by {page.introducer}" if page.introducer else ""
    peer = f"peer, {page.trust}{by}" if page.peer else ""
    for head, text in (("Relationship", peer), ("Circles", ", ".join(page.circles))):
        if text:
            out.line(f"{head}: {text}")
    rows = [(shown.id, shown.property.key, text_of(shown.property), _origin(shown.origin)) for shown in page.properties]
    out.table(("Id", "Property", "Value", "From"), rows, whole=True)
    if page.notes:
        out.line()
        show_notes(out, page.notes, names=False)
    if page.history:
        out.line()
        rows_before = [(past["at"], past["what"], past["by"]) for past in map(shapes.past, page.history)]
        out.table(("Changed", "Before", "By"), rows_before, whole=True)


def _origin(origin: str) -> str:
    return origin if origin == MINE else "peer"


@command("add", 'kith add "Anna Beck" --email anna@work.example --tel "+49 40 1234"')
@click.argument("name")
@click.option("--email", multiple=True, metavar="E", help="An e-mail address; may be repeated.")
@click.option("--tel", multiple=True, metavar="T", help="A phone number; may be repeated.")
@click.option("--org", multiple=True, metavar="O", help="The organisation.")
@click.option("--title", multiple=True, help="The position there.")
@click.option("--bday", multiple=True, metavar="DATE", help="The birthday, such as 1990-05-01 or --0501.")
@click.option("--url", multiple=True, help="A web address; may be repeated.")
@click.option("--adr", multiple=True, help="An address: ';;street;town;region;code;country'.")
@click.option("--property", "others", nargs=2, multiple=True, metavar="NAME VALUE", help="Any other property.")
@with_book
async def add_command(
    book: Book, out: Output, /, name: str, others: tuple[tuple[str, str], ...], **typed: tuple[str, ...]
) -> None:
    """Add a contact called NAME."""
    given = [(prop, text) for option, prop in _TYPED.items() for text in typed[option]]
    today = today_of(book)
    properties = [given_property(prop, dated(prop, value_of(prop, text), today)) for prop, text in (*given, *others)]
    edit, contact = add_contact(book.stamp(), name, properties)
    await book.apply(edit, [entry(f"added contact {name}", contact)])
    out.message(f"Added {name} ({contact.hex()[:8]}).")
    out.result({"id": contact.hex()})


@command("set", "kith set Anna email anna@new.example", 'kith set Anna tel "+49 40 5678" --add --type work')
@click.argument("contact")
@click.argument("prop", metavar="PROPERTY")
@click.argument("value")
@click.option("--add", is_flag=True, help="Add one more instead of replacing.")
@click.option("--type", "types", multiple=True, metavar="T", help="Kind of it, such as work, home, cell.")
@with_book
async def set_command(
    book: Book, out: Output, contact: str, prop: str, value: str, add: bool, types: tuple[str, ...]
) -> None:
    """Set PROPERTY (a vCard name, or a property's id) of CONTACT to VALUE."""
    found = resolve_contact(book.contents, contact)
    params = (("TYPE", tuple(types)),) if types else ()
    text = dated(prop, value_of(prop, value), today_of(book))
    edit, key = set_property(book.contents, book.stamp(), found, prop, text, params, add)
    await _changed(book, out, found, edit, f"set {key.partition('-')[0]} of", key)


@command("unset", "kith unset Anna org", "kith unset Anna tel-0001a2b3c4d5")
@click.argument("contact")
@click.argument("prop", metavar="PROPERTY")
@click.argument("value", required=False)
@with_book
async def unset_command(book: Book, out: Output, contact: str, prop: str, value: str | None) -> None:
    """Take PROPERTY (a name, or an id) of CONTACT away; VALUE chooses among several."""
    found = resolve_contact(book.contents, contact)
    edit, key = unset_property(book.contents, book.stamp(), found, prop, value)
    await _changed(book, out, found, edit, f"removed {key.partition('-')[0]} of", key)


@command("rm", 'kith rm "Anna Beck"')
@click.argument("contact")
@with_book
async def rm_command(book: Book, out: Output, contact: str) -> None:
    """Remove CONTACT. It stays in the trash for 180 days."""
    found = resolve_contact(book.contents, contact)
    name = Layers(book.contents).name(found)
    edit = remove_contact(book.contents, book.stamp(), found)
    if not out.confirm(f"Remove {name}?", unattended=True):
        raise click.Abort
    await book.apply(edit, [entry(f"removed contact {name}", found)])
    out.message(f"Removed {name}.")
    out.result({"id": found.hex()})


async def _changed(book: Book, out: Output, contact: bytes, edit: Edit, what: str, key: str) -> None:
    name = Layers(book.contents).name(contact)
    await book.apply(edit, [entry(f"{what} {name}", contact)])
    out.message(f"{what[0].upper()}{what[1:]} {name}.")
    out.result({"id": contact.hex(), "property": key})
