"""`kith note` and `kith due`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from kith_client.book.dates import parse_date, parse_duration
from kith_client.book.due import Due, due
from kith_client.book.events import entry
from kith_client.book.layers import Layers
from kith_client.book.names import short_ids
from kith_client.book.notes import (
    KINDS,
    Note,
    add_note,
    list_notes,
    own_note,
    readers_of,
    remind_no_more,
    remove_note,
    subject_of,
)
from kith_client.book.resolve import resolve_contact
from kith_client.cli import shapes
from kith_client.cli.options import command, group, subcommand
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import one_line, today_of, with_book


@group("note", 'kith note add Carla "met at PyCon" --remind "in 3 weeks"', "kith note list Carla")
def note_command() -> None:
    """Notes on people. Nobody else sees them unless you share one."""


@subcommand(note_command, "add", 'kith note add "Carla Ruiz" "wants to try fencing" --remind "in 3 weeks"')
@click.argument("contact")
@click.argument("text")
@click.option("--kind", type=click.Choice(KINDS), default="note", show_default=True, help="What kind of note.")
@click.option("--at", metavar="DATE", default="today", show_default=True, help="When it was.")
@click.option("--remind", metavar="WHEN", help="When to be reminded.")
@with_book
async def note_add(book: Book, out: Output, contact: str, text: str, kind: str, at: str, remind: str | None) -> None:
    """Note TEXT about CONTACT; '-' reads one line of standard input."""
    today = today_of(book)
    when = parse_date(at, today)
    remind_at = None if remind is None else parse_date(remind, today)
    found = resolve_contact(book.contents, contact)
    edit, note = add_note(book.stamp(), found, one_line(text), kind, at=when, remind=remind_at)
    await book.apply(edit, [entry(f"added a note on {Layers(book.contents).name(found)}", found)])
    out.message(f"Noted ({note.hex()[:8]})." + (f" Reminder on {remind_at}." if remind_at else ""))
    out.result({"id": note.hex()})


@subcommand(note_command, "list", "kith note list", 'kith note list "Carla Ruiz" --json')
@click.argument("contact", required=False)
@with_book
async def note_list(book: Book, out: Output, contact: str | None) -> None:
    """List the notes on CONTACT, or all; the newest first."""
    notes = list_notes(book.contents, resolve_contact(book.contents, contact) if contact else None)
    out.result({"notes": [shapes.note(note) for note in notes]}, lambda: show_notes(out, notes))


@subcommand(note_command, "rm", "kith note rm 7f3a12bc")
@click.argument("note_id", metavar="ID")
@with_book
async def note_rm(book: Book, out: Output, note_id: str) -> None:
    """Remove a note."""
    note = own_note(book.contents, note_id)
    name, contact = subject_of(book.contents, note)
    have = readers_of(book.contents, note)
    if have:
        out.message(
            f"It disappears from the address book of {', '.join(have)} too. What was read or copied stays there."
        )
    if not out.confirm(f"Remove this note on {name} for good?", unattended=True):
        raise click.Abort
    await book.apply(remove_note(note), [entry(f"removed a note on {name}", contact)])
    out.message("Removed the note.")
    out.result({"id": note.hex()})


@subcommand(note_command, "done", "kith note done 7f3a12bc")
@click.argument("note_id", metavar="ID")
@with_book
async def note_done(book: Book, out: Output, note_id: str) -> None:
    """Keep a note, and be reminded of it no more."""
    note = own_note(book.contents, note_id)
    name, contact = subject_of(book.contents, note)
    edit = remind_no_more(book.contents, book.stamp(), note)
    await book.apply(edit, [entry(f"settled a reminder on {name}", contact)])
    out.message("The reminder is settled; the note stays.")
    out.result({"id": note.hex()})


def show_notes(out: Output, notes: Sequence[Note], names: bool = True) -> None:
    """A table of notes."""
    short = short_ids(note.id for note in notes)
    heads = ("Id", *(("Contact",) if names else ()), "Kind", "Date", "Text", "Remind")
    rows = [
        (short[note.id], *((note.name,) if names else ()), note.kind, note.at, note.text, note.remind or "")
        for note in notes
    ]
    if rows:
        out.table(heads, rows, whole=True)
    else:
        out.message("No notes.")


@command("due", "kith due", "kith due --within 4w")
@click.option("--within", metavar="TIME", default="7d", show_default=True, help="How far to look ahead.")
@with_book
async def due_command(book: Book, out: Output, within: str) -> None:
    """Reminders and birthdays that come up, and reminders that were missed."""
    today = today_of(book)
    found = due(book.contents, today, parse_duration(within, today))
    out.result({"due": [_shape(item) for item in found]}, lambda: _show_due(out, found))


def _shape(item: Due) -> dict[str, str | None]:
    return {
        "contact": item.contact,
        "name": item.name,
        "why": item.why,
        "at": item.at,
        "text": item.text,
        "note": item.note,
    }


def _show_due(out: Output, found: list[Due]) -> None:
    if found:
        out.table(("Date", "Name", "Why", "Text"), [(item.at, item.name, item.why, item.text) for item in found])
    else:
        out.message("Nothing is due.")
