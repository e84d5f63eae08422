"""`kith introduce` and `introductions`. What becomes of an introduction at who is introduced is in `requests`."""

from __future__ import annotations

from typing import Any

import click

from kith_client.book.dates import iso_time
from kith_client.book.events import entry
from kith_client.book.resolve import resolve_peer, resolve_record
from kith_client.cli.options import command, group, subcommand
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import one_line, with_book
from kith_client.relations.introducing import IntroducingRow, Shown, introduce, list_introducings, take_back


@command(
    "introduce",
    'kith introduce Bob "Carla Ruiz" --message "You both fence."',
    "kith introduce Bob Carla",
)
@click.argument("one", metavar="PEER")
@click.argument("other", metavar="PEER")
@click.option("--message", default="", metavar="TEXT", help="What both of them read; '-' reads it.")
@with_book
async def introduce_command(book: Book, out: Output, one: str, other: str, message: str) -> None:
    """Introduce two peers to each other. Each learns what you call the other, and nothing else unless both agree."""
    both = resolve_peer(book.contents, one), resolve_peer(book.contents, other)
    made = introduce(book.contents, book.stamp(), *both, one_line(message) if message else "")
    for shown in made.shown:
        out.message(_sentence(shown))
    out.message(
        "Nobody gets an address or anything else of the contact. If both agree, your program passes an invite of the one "
        "on to the other, and they are connected. Nobody hears of a decline. After 30 days it lapses."
    )
    if not out.confirm("Introduce them?", unattended=True):
        raise click.Abort
    names = " and ".join(shown.to for shown in made.shown)
    await book.apply(made.edit, [entry(f"introduced {names} to each other")])
    out.message("It goes out at the next sync; 'kith introductions' shows how far it is.")
    out.result({"id": made.id.hex(), "shown": [_shown(each) for each in made.shown]})


def _sentence(shown: Shown) -> str:
    text = f", and your message: {shown.text}" if shown.text else ""
    return f"{shown.to} sees the name '{shown.label}', that person's id{text}"


def _shown(shown: Shown) -> dict[str, str]:
    return {"to": shown.to, "label": shown.label, "text": shown.text}


@group("introductions", "kith introductions", "kith introductions take-back 7f3a12bc", alone=True)
@click.pass_context
def introductions_command(ctx: click.Context) -> None:
    """The introductions that you made."""
    if ctx.invoked_subcommand is None:
        _list()


@with_book
async def _list(book: Book, out: Output) -> None:
    rows = list_introducings(book.contents, book.stamp().now)
    out.result({"introductions": [_row(row) for row in rows]}, lambda: _show(out, rows))


def _row(row: IntroducingRow) -> dict[str, Any]:
    return {
        "id": row.id.hex(),
        "names": list(row.names),
        "text": row.text,
        "state": row.state,
        "expires": iso_time(row.expires),
    }


def _show(out: Output, rows: list[IntroducingRow]) -> None:
    if not rows:
        out.message("No introductions. 'kith introduce PEER PEER' makes one.")
        return
    table = [(row.id.hex()[:8], *row.names, row.state, iso_time(row.expires)) for row in rows]
    out.table(("Id", "One", "Other", "State", "Until"), table)


@subcommand(introductions_command, "take-back", "kith introductions take-back 7f3a12bc")
@click.argument("introduction_id", metavar="ID")
@with_book
async def introductions_take_back(book: Book, out: Output, introduction_id: str) -> None:
    """Take an introduction back, unless both agreed to it already."""
    where = "'kith introductions' shows them all."
    found = resolve_record(book.contents, "introducing", introduction_id, "introduction", where)
    await book.apply(take_back(book.contents, book.stamp(), found), [entry("took an introduction back")])
    out.message("Taken back; both hear of it at the next sync.")
    out.result({"id": found.hex()})
