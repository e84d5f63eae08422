"""`kith recover`: all devices are lost, and the recovery phrase is there."""

from __future__ import annotations

import sys

import click

from kith_client.cli.online import default_device_name, new_passphrase
from kith_client.cli.options import command, settings
from kith_client.cli.output import Output
from kith_client.cli.session import home_of, run_async

_VAULT_DIGITS = 64


@command("recover", "kith recover --server https://anna.example --vault 5c0f...")
@click.option("--server", required=True, metavar="URL", help="The home server.")
@click.option("--vault", required=True, metavar="ID", help="The id that was shown with the phrase.")
@click.option("--name", metavar="NAME", help="What to call this device (else the machine's name).")
@click.option("--keep", multiple=True, metavar="DEVICE", help="A device that is not lost, and stays.")
@click.option("--no-passphrase", is_flag=True, help="Keep the device's key in a file that only you can read.")
def recover_command(server: str, vault: str, name: str | None, keep: tuple[str, ...], no_passphrase: bool) -> None:
    """Get the address book back with the recovery phrase, and remove all devices that are not kept.

    The phrase is asked for; where nobody can be asked, it is read from standard input.
    """
    id_ = _vault_id(vault)
    run_async(_recover(Output(settings()), server, id_, _phrase(), name, keep, new_passphrase(no_passphrase)))


async def _recover(
    out: Output, server: str, vault: bytes, phrase: str, name: str | None, keep: tuple[str, ...], passphrase: str | None
) -> None:
    from kith_client.errors import ServerUnreachable
    from kith_client.online import home_server
    from kith_client.recovering import recover
    from kith_client.sync.run import sync

    with out.counted("Fetching") as progress:
        made = await recover(
            home_of(settings()),
            server,
            vault,
            phrase,
            name or default_device_name(),
            keep=keep,
            passphrase=passphrase,
            progress=progress,
        )
    async with made.vault as opened, home_server(opened) as home:
        contacts = sum(content.kind == "contact" for content in opened.contents.values())
        out.message(f"The address book is here again: {contacts} contacts.")
        if made.gone:
            out.message(f"Removed: {', '.join(made.gone)}. What is written from now on cannot be read there.")
        out.message("The phrase stays valid; keep the paper.")
        try:
            await sync(opened, home)
        except ServerUnreachable as error:
            out.warn(f"{error} The next 'kith sync' gives your peers new keys.")
        out.result({"vault": opened.id.hex(), "contacts": contacts, "removed": list(made.gone)})


def _vault_id(text: str) -> bytes:
    try:
        found = bytes.fromhex(text.strip())
    except ValueError:
        found = b""
    if len(found) * 2 != _VAULT_DIGITS:
        raise click.UsageError(f"The id of an address book has {_VAULT_DIGITS} digits from 0 to 9 and a to f.")
    return found


def _phrase() -> str:
    if sys.stdin.isatty():
        typed: str = click.prompt("Recovery phrase (24 words)", hide_input=True, err=True)
        return typed
    return sys.stdin.read(4096)
