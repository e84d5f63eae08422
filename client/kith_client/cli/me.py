"""`kith me`: my card."""

from __future__ import annotations

import click

from kith_client.book.dates import dated
from kith_client.book.me import Mine, my_card, set_mine, unset_mine
from kith_client.cli import shapes
from kith_client.cli.files import value_of
from kith_client.cli.options import group, subcommand
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import today_of, with_book
from kith_client.contacts.model import lead_property
from kith_client.contacts.views import text_of


@group("me", "kith me", "kith me set email anna@work.example --facet work", alone=True)
@click.pass_context
def me_command(ctx: click.Context) -> None:
    """My card. Each facet of it is seen by those it was granted to; the name by every peer."""
    if ctx.invoked_subcommand is None:
        _me()


@with_book
async def _me(book: Book, out: Output) -> None:
    card = my_card(book.contents)
    out.result({"properties": [shapes.mine(each) for each in card]}, lambda: _table(out, card))


def _table(out: Output, card: list[Mine]) -> None:
    rows = [(each.id, lead_property(each.unit).key, text_of(lead_property(each.unit)), _seen_by(each)) for each in card]
    out.table(("Id", "Property", "Value", "Facets"), rows, whole=True)


def _seen_by(each: Mine) -> str:
    if each.id == "fn":
        return "(every peer)"
    return ", ".join(each.facets) or "(nobody)"


@subcommand(me_command, "set", 'kith me set tel "+49 40 1234" --facet private --facet family')
@click.argument("prop", metavar="PROPERTY")
@click.argument("value")
@click.option("--facet", "facets", multiple=True, metavar="F", help="A facet that shows it; may be repeated.")
@click.option("--add", is_flag=True, help="Add one more instead of replacing.")
@click.option("--type", "types", multiple=True, metavar="T", help="Kind of it, such as work, home, cell.")
@with_book
async def me_set(
    book: Book, out: Output, prop: str, value: str, facets: tuple[str, ...], add: bool, types: tuple[str, ...]
) -> None:
    """Set PROPERTY (a vCard name, or a property's id) of my card to VALUE, in these facets."""
    params = (("TYPE", tuple(types)),) if types else ()
    text = dated(prop, value_of(prop, value), today_of(book))
    edit, key = set_mine(book.contents, book.stamp(), prop, text, facets, params, add)
    await book.apply(edit, [f"set {key.partition('-')[0]} on my card"])
    await _answer(book, out, "Set.", key)


@subcommand(me_command, "unset", "kith me unset tel", "kith me unset email anna@old.example")
@click.argument("prop", metavar="PROPERTY")
@click.argument("value", required=False)
@with_book
async def me_unset(book: Book, out: Output, prop: str, value: str | None) -> None:
    """Take PROPERTY (a name, or an id) off my card; VALUE chooses among several."""
    edit, key = unset_mine(book.contents, book.stamp(), prop, value)
    await book.apply(edit, [f"removed {key.partition('-')[0]} from my card"])
    await _answer(book, out, "Removed.", key)


async def _answer(book: Book, out: Output, said: str, key: str) -> None:
    card = my_card(book.contents)
    hidden = next((each for each in card if each.id == key and not each.facets and key != "fn"), None)
    out.message(said + (" It is in no facet, so nobody sees it; --facet FACET shows it." if hidden else ""))
    out.result({"id": key, "properties": [shapes.mine(each) for each in card]})
