"""`kith requests`: people who wait for a decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kith_client.book.dates import iso_time
from kith_client.book.layers import Layers
from kith_client.book.resolve import resolve_contact, resolve_id
from kith_client.cli.online import with_server
from kith_client.cli.options import group, subcommand
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import with_book
from kith_client.relations.peers import list_peers
from kith_client.relations.requests.deciding import accept_request, decline_request, list_requests
from kith_client.relations.requests.rows import Decided, RequestRow

if TYPE_CHECKING:
    from kith_client.transport import HomeServer
    from kith_client.vault import Vault


@group("requests", "kith requests", "kith requests accept 7f3a12bc --facet work", alone=True)
@click.pass_context
def requests_command(ctx: click.Context) -> None:
    """The people who ask to be connected, and wait until you decide."""
    if ctx.invoked_subcommand is None:
        _list()


@with_book
async def _list(book: Book, out: Output) -> None:
    rows = list_requests(book.contents, book.stamp().now)
    out.result({"requests": [_shape(row) for row in rows]}, lambda: _show(out, rows))


def _shape(row: RequestRow) -> dict[str, Any]:
    return {
        "id": row.id.hex(),
        "kind": row.kind,
        "name": row.name,
        "person": row.person.hex(),
        "text": row.text,
        "at": iso_time(row.at),
        **row.more,
    }


def _show(out: Output, rows: list[RequestRow]) -> None:
    if not rows:
        out.message("Nobody waits for your decision.")
        return
    out.table(
        ("Id", "Name (unproven)", "Since", "What"),
        [(row.id.hex()[:8], row.name, iso_time(row.at).partition("T")[0], row.text) for row in rows],
    )
    out.message("'kith requests accept ID' connects you, 'kith requests decline ID' does not and tells nobody.")


@subcommand(requests_command, "accept", "kith requests accept 7f3a12bc --facet work")
@click.argument("request_id", metavar="ID")
@click.option(
    "--facet",
    "facets",
    multiple=True,
    metavar="F",
    help="A facet that the new peer sees beside the invite's; may be repeated.",
)
@click.option("--contact", metavar="CONTACT", help="The contact that this person is.")
@with_server
async def requests_accept(
    vault: Vault, server: HomeServer, out: Output, request_id: str, facets: tuple[str, ...], contact: str | None
) -> None:
    """Connect with the person who asks, or to whom you are introduced. The name is unproven: see 'kith verify'."""
    found = resolve_contact(vault.contents, contact) if contact else None
    row, decided = await _decide(
        vault, server, request_id, lambda row: accept_request(vault.contents, vault.stamp(), row, facets, found)
    )
    peer = next((each for each in list_peers(vault.contents) if each.id == row.person.hex()), None)
    name = Layers(vault.contents).peer_names(peer.record)[0] if peer else row.name
    then = decided.then or f"{name} hears of it at their next sync; compare numbers with 'kith verify'."
    out.message(f"Accepted. {then}")
    document = {"id": row.id.hex(), "kind": row.kind, "peer": row.person.hex(), "name": name}
    about = {"trust": peer.trust, "state": peer.state, "contact": peer.contact.hex()} if peer else {"state": "waiting"}
    out.result({**document, **about})


@subcommand(requests_command, "decline", "kith requests decline 7f3a12bc")
@click.argument("request_id", metavar="ID")
@with_server
async def requests_decline(vault: Vault, server: HomeServer, out: Output, request_id: str) -> None:
    """Say no. Nobody is told; who asked through an invite cannot ask again for a month."""
    row, _ = await _decide(vault, server, request_id, lambda row: decline_request(vault.contents, vault.stamp(), row))
    out.message("Declined. To the other side it looks as if you had not answered.")
    out.result({"id": row.id.hex(), "kind": row.kind})


async def _decide(
    vault: Vault, server: HomeServer, request_id: str, decide: Callable[[RequestRow], Decided]
) -> tuple[RequestRow, Decided]:
    """Makes the decision durable on this device, then carries it out with a sync."""
    from kith_client.sync.remembering import remembering
    from kith_client.sync.run import sync

    rows = {row.id.hex(): row for row in list_requests(vault.contents, vault.stamp().now)}
    where = "'kith requests' shows them all."
    row = rows[resolve_id(rows, request_id, "request", where, lambda given: rows[given].name)]
    async with remembering(vault):
        decided = decide(row)
    await vault.apply(decided.edit, [decided.event])
    await sync(vault, server)
    return row, decided
