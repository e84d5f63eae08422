"""`kith meet`: two people who are in one place become peers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kith_client.book.layers import Layers
from kith_client.book.resolve import resolve_contact
from kith_client.cli.codes import draw_on_terminal, given_code
from kith_client.cli.online import with_server
from kith_client.cli.options import command, settings
from kith_client.cli.output import Output
from kith_client.relations.peers import list_peers
from kith_protocol.codes import CodeKind

if TYPE_CHECKING:
    from kith_client.relations.meeting import Wishes
    from kith_client.sync.meet import Confirm, Outcome
    from kith_client.transport import HomeServer
    from kith_client.vault import Vault
    from kith_protocol.link_code import LinkCode


@command(
    "meet",
    "kith meet --facet private",
    "kith meet 427316-museum-better-van@anna.example",
    "kith meet photo.png --contact Anna",
)
@click.argument("code", required=False)
@click.option("--facet", "facets", multiple=True, metavar="F", help="A facet that the new peer sees; may be repeated.")
@click.option("--contact", metavar="CONTACT", help="The contact that this person is.")
@click.option("--nearby", is_flag=True, help="On the local network only, without any server.")
@with_server
async def meet_command(
    vault: Vault,
    server: HomeServer,
    out: Output,
    code: str | None,
    facets: tuple[str, ...],
    contact: str | None,
    nearby: bool,
) -> None:
    """Become peers with somebody who is here: one shows a code, the other types CODE ('-' reads it) or gives a picture
    of it. Both are asked before anything is kept."""
    from kith_client.relations.meeting import Wishes
    from kith_client.sync.remembering import remembering

    if not settings().yes and not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked here whether this is the right person; --yes says yes.")
    found = resolve_contact(vault.contents, contact) if contact else None
    wishes = Wishes.of(vault.contents, facets, found)

    async def agree(question: str) -> bool:
        return await out.confirm_meanwhile(question)

    async with remembering(vault):
        await _meet(vault, server, out, code, agree, wishes, nearby=nearby)


async def _meet(
    vault: Vault, server: HomeServer, out: Output, code: str | None, agree: Confirm, wishes: Wishes, *, nearby: bool
) -> None:
    from kith_client.sync.meet import show_code, type_code
    from kith_protocol.link_code import parse_meeting_code

    if code is not None:
        typed = parse_meeting_code(await given_code(code, CodeKind.MEETING))
        met = await type_code(vault, server, typed, agree, wishes, nearby_only=nearby)
        _say_who(vault, out, met)
        return
    met = await show_code(vault, server, lambda shown: _show_code(out, shown), agree, wishes, nearby_only=nearby)
    _say_how(vault, out, met)


def _show_code(out: Output, code: LinkCode) -> None:
    def show() -> None:
        out.line(code.meeting)
        draw_on_terminal(code.meeting_qr, out)
        out.message("The other types: kith meet CODE. Waiting for them, at most ten minutes ...")
        if not code.host:
            out.message("The home server is not asked: both have to be on the same local network.")

    out.result({"code": code.meeting, "qr": code.meeting_qr}, show)
    sys.stdout.flush()


def _say_who(vault: Vault, out: Output, met: Outcome) -> None:
    row = next(row for row in list_peers(vault.contents) if row.record == met.peer)
    name = Layers(vault.contents).peer_names(met.peer)[0]
    _say_how(vault, out, met)
    document = {"peer": row.id, "name": name, "trust": row.trust, "state": row.state, "synced": met.synced}
    out.result({**document, "contact": row.contact.hex()})


def _say_how(vault: Vault, out: Output, met: Outcome) -> None:
    name = Layers(vault.contents).peer_names(met.peer)[0]
    later = "" if met.synced else " Run 'kith sync' when the home server can be reached; what you share goes out then."
    out.message(f"You met {name}: you are peers now.{later}")
