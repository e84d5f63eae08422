"""`kith introduce` and `introductions`. What becomes of an introduction at who is introduced is in `requests`."""

from __future__ import annotations

from typing import Any

import click

from kith_client.book.dates import iso_time
from kith_client.book.events import entry
from kith_client.book.resolve import resolve_id, resolve_peer
from kith_client.cli.options import command, group, subcommand
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import one_line, with_book
from kith_client.relations.introductions.introduced import IntroductionRow, decline_introduction, list_introductions
from kith_client.relations.introductions.introducing import (
    IntroducingRow,
    Shown,
    introduce,
    list_introducings,
    take_back,
)


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
        "Nobody gets an address or anything else of the contact. If both agree, your program passes an invite of the "
        "one on to the other, and they are connected. Nobody hears of a decline. After 30 days it lapses."
    )
    if not out.confirm("Introduce them?", unattended=True):
        raise click.Abort
    names = " and ".join(shown.to for shown in made.shown)
    await book.apply(made.edit, [entry(f"introduced {names} to each other")])
    out.message("It goes out at the next sync; 'kith introductions' shows how far it is.")
    out.result({"id": made.id.hex(), "shown": [_shown(each) for each in made.shown]})


def _sentence(shown: Shown) -> str:
    if not shown.text:
        return f"{shown.to} sees the name '{shown.label}' and that person's id."
    return f"{shown.to} sees the name '{shown.label}', that person's id, and your message: {shown.text}"


def _shown(shown: Shown) -> dict[str, str]:
    return {"to": shown.to, "label": shown.label, "text": shown.text}


@group("introductions", "kith introductions", "kith introductions take-back 7f3a12bc", alone=True)
@click.pass_context
def introductions_command(ctx: click.Context) -> None:
    """The introductions that you made, and those that you agreed to."""
    if ctx.invoked_subcommand is None:
        _list()


@with_book
async def _list(book: Book, out: Output) -> None:
    now = book.stamp().now
    made = [_made(row) for row in list_introducings(book.contents, now)]
    agreed = [_agreed(row) for row in list_introductions(book.contents, now) if row.state != "open"]
    out.result({"introductions": [*made, *agreed]}, lambda: _show(out, [*made, *agreed]))


def _made(row: IntroducingRow) -> dict[str, Any]:
    return {
        "id": row.id.hex(),
        "by": "me",
        "names": list(row.names),
        "text": row.text,
        "state": row.state,
        "expires": iso_time(row.expires),
    }


def _agreed(row: IntroductionRow) -> dict[str, Any]:
    return {
        "id": row.id.hex(),
        "by": row.by_name,
        "names": [row.label],
        "text": row.text,
        "state": row.state,
        "expires": iso_time(row.expires),
    }


def _show(out: Output, rows: list[dict[str, Any]]) -> None:
    if not rows:
        out.message("No introductions. 'kith introduce PEER PEER' makes one, 'kith requests' shows those made to you.")
        return
    table = [
        (row["id"][:8], row["by"], " and ".join([*row["names"], "me"][:2]), row["state"], row["expires"])
        for row in rows
    ]
    out.table(("Id", "By", "Who", "State", "Until"), table)


def _who(names: list[str]) -> str:
    return " and ".join([*names, "me"][:2])


@subcommand(introductions_command, "take-back", "kith introductions take-back 7f3a12bc")
@click.argument("introduction_id", metavar="ID")
@with_book
async def introductions_take_back(book: Book, out: Output, introduction_id: str) -> None:
    """Take an introduction back that you made, or your consent to one. Too late once both agreed and are connected."""
    contents, stamp = book.contents, book.stamp()
    made = {row.id.hex() for row in list_introducings(contents, stamp.now)}
    agreed = {row.id.hex() for row in list_introductions(contents, stamp.now)}
    ids = dict.fromkeys([*made, *agreed])
    found = resolve_id(ids, introduction_id, "introduction", "'kith introductions' shows them all.", lambda _: "")
    if found in made:
        edit, text = take_back(contents, stamp, bytes.fromhex(found)), "Taken back; both hear of it at the next sync."
    else:
        edit = decline_introduction(contents, stamp, bytes.fromhex(found))
        text = "Your consent is taken back; nobody is told, and nothing more is sent."
    await book.apply(edit, [entry("took an introduction back")])
    out.message(text)
    out.result({"id": found})
