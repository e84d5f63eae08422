"""`kith circle`."""

from __future__ import annotations

import click

from kith_client.book.circles import Circle, add_to_circle, list_circles, remove_circle, remove_from_circle
from kith_client.book.events import entry
from kith_client.book.layers import Layers
from kith_client.book.resolve import resolve_contact
from kith_client.cli.options import group, subcommand
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import with_book


@group("circle", "kith circle", 'kith circle add Fencing Carla "Anna Beck"', alone=True)
@click.pass_context
def circle_command(ctx: click.Context) -> None:
    """Circles: groups of contacts. A facet granted to a circle is seen by the peers in it."""
    if ctx.invoked_subcommand is None:
        _circles()


@with_book
async def _circles(book: Book, out: Output) -> None:
    _answer(book, out)


@subcommand(circle_command, "add", 'kith circle add Fencing Carla "Anna Beck"')
@click.argument("circle")
@click.argument("contacts", metavar="CONTACT...", nargs=-1, required=True)
@with_book
async def circle_add(book: Book, out: Output, circle: str, contacts: tuple[str, ...]) -> None:
    """Put contacts into CIRCLE, which is begun where there is none."""
    found = [resolve_contact(book.contents, contact) for contact in contacts]
    layers = Layers(book.contents)
    edit = add_to_circle(book.contents, book.stamp(), circle, found)
    await book.apply(edit, [entry(f"put {layers.name(each)} into {circle}", each) for each in found] if edit else [])
    out.message(f"In {circle}: {', '.join(layers.name(each) for each in found)}.")
    _answer(book, out, quiet=True)


@subcommand(circle_command, "remove", "kith circle remove Fencing Carla", "kith circle remove Fencing")
@click.argument("circle")
@click.argument("contacts", metavar="[CONTACT]...", nargs=-1)
@with_book
async def circle_remove(book: Book, out: Output, circle: str, contacts: tuple[str, ...]) -> None:
    """Take contacts out of CIRCLE; without any, remove the circle itself."""
    found = [resolve_contact(book.contents, contact) for contact in contacts]
    layers = Layers(book.contents)
    if found:
        edit = remove_from_circle(book.contents, book.stamp(), circle, found)
        said = [entry(f"took {layers.name(each)} out of {circle}", each) for each in found]
    else:
        edit, said = remove_circle(book.contents, circle), [f"removed the circle {circle}"]
        if not out.confirm(
            f"Remove the circle {circle}? Its contacts stay; what was granted to it ends.", unattended=True
        ):
            raise click.Abort
    await book.apply(edit, said)
    out.message("Done.")
    _answer(book, out, quiet=True)


def _answer(book: Book, out: Output, quiet: bool = False) -> None:
    circles = list_circles(book.contents)
    document = {"circles": [_shape(circle) for circle in circles]}
    out.result(document, None if quiet else lambda: _table(book, out, circles))


def _shape(circle: Circle) -> dict[str, object]:
    contacts = [contact.hex() for contact in circle.contacts]
    return {"name": circle.name, "contacts": contacts, "facets": list(circle.facets)}


def _table(book: Book, out: Output, circles: list[Circle]) -> None:
    layers = Layers(book.contents)
    if not circles:
        out.message("No circles. 'kith circle add CIRCLE CONTACT' begins one.")
        return
    rows = [(circle.name, ", ".join(map(layers.name, circle.contacts)), ", ".join(circle.facets)) for circle in circles]
    out.table(("Circle", "Contacts", "Facets granted"), rows)
