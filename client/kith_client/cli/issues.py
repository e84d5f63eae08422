"""`kith issues`."""

from __future__ import annotations

import base64
import sys
from typing import Any

import click

from kith_client.book.dates import iso_time
from kith_client.book.issues import Issue, Keep, find_issue, list_issues, original, resolve_issue
from kith_client.book.names import short_ids
from kith_client.cli.options import group, subcommand
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import with_book


@group("issues", "kith issues", "kith issues resolve 7f3a12bc --keep other", alone=True)
@click.pass_context
def issues_command(ctx: click.Context) -> None:
    """What waits for you: conflicts of edits made apart, cards that were set aside, invites, alarms."""
    if ctx.invoked_subcommand is None:
        _issues()


@with_book
async def _issues(book: Book, out: Output) -> None:
    issues = list_issues(book.contents)
    out.result({"issues": [_shape(issue) for issue in issues]}, lambda: _table(out, issues))


def _table(out: Output, issues: list[Issue]) -> None:
    if not issues:
        out.message("Nothing waits for you.")
        return
    short = short_ids(issue.id for issue in issues)
    rows = [
        (short[issue.id], issue.kind, issue.text, " | ".join(each.value for each in issue.values)) for issue in issues
    ]
    out.table(("Id", "Kind", "What", "Current | other"), rows)


@subcommand(issues_command, "show", "kith issues show 7f3a12bc", "kith issues show 7f3a12bc > card.vcf")
@click.argument("issue_id", metavar="ID")
@with_book
async def issues_show(book: Book, out: Output, issue_id: str) -> None:
    """Show both values of a conflict, or the original bytes of what was set aside."""
    issue = find_issue(book.contents, issue_id)
    if issue.kind == "set_aside":
        source = original(book.contents, issue)
        out.result(_shape(issue) | _bytes(source), lambda: _show_source(out, issue, source))
    else:
        out.result(_shape(issue) | {"versions": _versions(issue)}, lambda: _show_values(out, issue))


def _show_source(out: Output, issue: Issue, source: bytes) -> None:
    out.message(issue.text)
    if sys.stdout.isatty():
        out.line(source.decode("utf-8", "replace"), lines=True)
    else:
        sys.stdout.buffer.write(source)


def _show_values(out: Output, issue: Issue) -> None:
    out.line(issue.text)
    which = zip(("current", "other"), issue.values, strict=False)
    rows = [(name, each.value, iso_time(each.at) if each.at else "", each.by) for name, each in which]
    if rows:
        out.table(("Which", "Value", "Entered", "By"), rows, whole=True)


@subcommand(issues_command, "resolve", "kith issues resolve 7f3a12bc --keep both")
@click.argument("issue_id", metavar="ID")
@click.option("--keep", type=click.Choice(["current", "other", "both"]), help="Which value of a conflict stands.")
@with_book
async def issues_resolve(book: Book, out: Output, issue_id: str, keep: Keep | None) -> None:
    """Settle a conflict, or be done with what was set aside."""
    issue = find_issue(book.contents, issue_id)
    edit = resolve_issue(book.contents, book.stamp(), issue, keep)
    if issue.kind == "set_aside" and not out.confirm(
        "Its original bytes are removed from your address book. Go on?", unattended=True
    ):
        raise click.Abort
    await book.apply(edit, [f"settled an issue: {issue.text}"])
    out.message("Settled.")
    out.result({"id": issue.id})


def _shape(issue: Issue) -> dict[str, Any]:
    return {"id": issue.id, "kind": issue.kind, "text": issue.text, "values": [each.value for each in issue.values]}


def _versions(issue: Issue) -> list[dict[str, Any]]:
    which = zip(("current", "other"), issue.values, strict=False)
    return [
        {"which": name, "value": each.value, "at": iso_time(each.at) if each.at else None, "by": each.by}
        for name, each in which
    ]


def _bytes(source: bytes) -> dict[str, str]:
    return {"source": source.decode("utf-8", "replace"), "source_base64": base64.b64encode(source).decode()}
