"""`kith import` and `kith export`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click

from kith_client.book.exporting import Version, cards, table
from kith_client.book.importing import Importer, Reported, Tally
from kith_client.book.listing import list_contacts
from kith_client.cli.files import Input, chunks_of, find_inputs, write_file
from kith_client.cli.options import command
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import with_book
from kith_client.contacts.vcard_read import read_cards
from kith_client.stamp import Contents
from kith_protocol.errors import KithError

_VERSIONS: Final[dict[str, Version]] = {"vcard4": "4.0", "vcard3": "3.0"}
_FORMATS: Final = (*_VERSIONS, "jscontact", "csv", "archive")
_SHOWN: Final = 10
"""Set-aside entries that a person is shown at once; `kith issues` has them all."""


class NotBuilt(KithError):
    """This format is not built yet."""

    code = "not-built"


@command("import", "kith import ~/Downloads/contacts.vcf", "kith import Takeout/Contacts --dry-run")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(["vcard"]), help="Format of the files, where it is not recognised.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@with_book
async def import_command(book: Book, out: Output, paths: tuple[str, ...], form: str | None, dry_run: bool) -> None:
    """Take contacts in from vCard files, or folders of them; '-' is standard input. Again the same changes nothing."""
    inputs = await asyncio.to_thread(find_inputs, paths, form)
    importer = await asyncio.to_thread(Importer, book.contents, book.stamp(), dry_run=dry_run)
    with out.progress("Importing", sum(each.size for each in inputs)) as advance:
        for each in inputs:
            await _import_one(book, importer, each, advance)
        if not dry_run:
            circles = await asyncio.to_thread(importer.circles)
            await book.apply(circles, [_sentence(importer.tally, inputs)])
    tally = importer.tally
    out.result(_document(tally), lambda: _report(out, tally, dry_run))


async def _import_one(book: Book, importer: Importer, source: Input, advance: Callable[[int], None]) -> None:
    batches = importer.batches(source.name, read_cards(chunks_of(source, advance)))
    while (edit := await asyncio.to_thread(next, batches, None)) is not None:
        if edit:
            await book.apply(edit)


def _document(tally: Tally) -> dict[str, Any]:
    return {
        "imported": tally.imported,
        "updated": tally.updated,
        "unchanged": tally.unchanged,
        "set_aside": [_reported(each) for each in tally.set_aside],
        "remarks": [_reported(each) for each in tally.remarks],
    }


def _reported(each: Reported) -> dict[str, Any]:
    return {"source": f"{each.file}:{each.line}", "reason": each.reason, "file": each.file, "line": each.line}


def _sentence(tally: Tally, inputs: list[Input]) -> str:
    names = ", ".join(each.name for each in inputs[:3]) + (" ..." if len(inputs) > 3 else "")
    return f"imported {names}: {_counts(tally)}"


def _counts(tally: Tally) -> str:
    counts = f"{tally.imported} imported, {tally.updated} updated, {tally.unchanged} unchanged"
    return counts + (f", {len(tally.set_aside)} set aside" if tally.set_aside else "")


def _report(out: Output, tally: Tally, dry_run: bool) -> None:
    out.line(("Would be: " if dry_run else "") + _counts(tally) + ".")
    for each in tally.set_aside[:_SHOWN]:
        out.message(f"{each.file}: {each.reason}")
    if len(tally.set_aside) > _SHOWN:
        out.message(f"... and {len(tally.set_aside) - _SHOWN} more.")
    if tally.set_aside and not dry_run:
        out.message("Nothing of what was set aside is lost: see 'kith issues'.")


@command("export", "kith export --output contacts.vcf", "kith export beck --format vcard3", "kith export --format csv")
@click.argument("query", nargs=-1)
@click.option("--format", "form", type=click.Choice(_FORMATS), default="vcard4", show_default=True)
@click.option("--output", metavar="FILE", help="Write to FILE instead of standard output.")
@with_book
async def export_command(book: Book, out: Output, query: tuple[str, ...], form: str, output: str | None) -> None:
    """Write out the contacts that QUERY means, or all, with everything known of them."""
    contacts = [bytes.fromhex(row.id) for row in list_contacts(book.contents, " ".join(query))]
    texts = _texts(book.contents, contacts, form)
    if output is None:
        head = {"header": next(texts)} if form == "csv" and out.json else {}
        found = list(texts)
        out.result({**head, "contacts": found}, lambda: out.verbatim(found))
        return
    await asyncio.to_thread(write_file, Path(output), texts)
    out.message(f"{len(contacts)} contacts written to {output}.")
    out.result({"written": len(contacts), "file": output})


def _texts(contents: Contents, contacts: list[bytes], form: str) -> Iterator[str]:
    if form in _VERSIONS:
        return cards(contents, contacts, _VERSIONS[form])
    if form == "csv":
        return table(contents, contacts)
    raise NotBuilt(f"Exports as {form} are not built yet. vcard4 keeps everything that is known of a contact.")
