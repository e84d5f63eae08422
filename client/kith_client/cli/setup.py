"""`kith init`: a new address book, and the recovery phrase, shown once."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Final

import click

from kith_client.cli.asking import prompt
from kith_client.cli.online import default_device_name, new_passphrase
from kith_client.cli.options import command, settings
from kith_client.cli.output import Output
from kith_client.cli.session import home_of, one_line, run_async

if TYPE_CHECKING:
    from kith_client.lifecycle.setup import Created

_COLUMNS: Final = 4
_TESTED: Final = 3
_TRIES: Final = 3


@command("init", 'kith init --server https://anna.example --name "Anna Beck"')
@click.option("--server", required=True, metavar="URL", help="The home server.")
@click.option("--name", required=True, help="Your name, as every peer sees it.")
@click.option("--device", metavar="NAME", help="What to call this device (else the machine's name).")
@click.option("--token", default="", metavar="T", help="A registration token, where the server asks for one.")
@click.option("--no-passphrase", is_flag=True, help="Keep the device's key in a file that only you can read.")
def init_command(server: str, name: str, device: str | None, token: str, no_passphrase: bool) -> None:
    """Begin an address book on a home server, and get the recovery phrase."""
    from kith_client.lifecycle.setup import create_vault

    chosen = settings()
    out = Output(chosen)
    home = home_of(chosen)
    passphrase = new_passphrase(no_passphrase)
    made = run_async(
        create_vault(home, server, name, device or default_device_name(), token=one_line(token), passphrase=passphrase)
    )
    document = {"person": made.person.hex(), "vault": made.vault.hex(), "recovery_phrase": made.recovery_phrase}
    out.result(document, lambda: _show_kit(out, server, made))
    if no_passphrase:
        out.message(f"The device's key is in {home.key_file}, which only you can read. Whoever gets it can read all.")
    if not chosen.json and not chosen.yes and sys.stdin.isatty():
        try:
            _ask_words(out, made.recovery_phrase.split())
        except click.Abort:
            out.warn("The address book is made. The phrase above is not shown again: write it down now.")


def _show_kit(out: Output, server: str, made: Created) -> None:
    out.message("Your recovery phrase. Write it down on paper; it is shown only now, and kept nowhere.")
    out.message("When all devices are lost, 'kith recover' brings your address book back with it. Whoever has it can")
    out.message("read everything.")
    out.message("It cannot be replaced: without it, a new address book is the only way, and peers see the change.\n")
    numbered(out, made.recovery_phrase)
    out.message("\nWrite these down beside it, for 'kith recover':")
    out.line(f"Server   {server}\nVault    {made.vault.hex()}", lines=True)


def numbered(out: Output, text: str) -> None:
    """Words with their numbers, as they are written down."""
    words = text.split()
    for start in range(0, len(words), _COLUMNS):
        row = [f"{start + place + 1:2}. {word:<10}" for place, word in enumerate(words[start : start + _COLUMNS])]
        out.line("  ".join(row).rstrip())


def _ask_words(out: Output, words: list[str]) -> None:
    """A phrase that was not written down is worth nothing: three of its words are asked for."""
    out.message("")
    for place in sorted(secrets.SystemRandom().sample(range(len(words)), _TESTED)):
        for _ in range(_TRIES):
            typed: str = prompt(f"To be sure, type word {place + 1}")
            if typed.strip().lower() == words[place]:
                break
            out.message("That is not the word that stands on the list.")
        else:
            out.warn("Please look at the list above once more, and write it down.")
            return
    out.message("Good. Keep the paper in a safe place.")
