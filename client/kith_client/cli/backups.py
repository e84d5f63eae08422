"""`kith backup` and `kith restore`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kith_client.cli.online import default_device_name, new_passphrase
from kith_client.cli.options import command, settings
from kith_client.cli.output import Output
from kith_client.cli.recovery import asked_about_devices, go_on
from kith_client.cli.session import ask_passphrase, ask_phrase, home_of, run_async

if TYPE_CHECKING:
    from kith_client.lifecycle.backup import Backup
    from kith_client.stamp import Contents


@command("backup", "kith backup ~/anna.kithbackup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--without-unsent", is_flag=True, help="Leave out edits that were not sent yet.")
def backup_command(file: Path, without_unsent: bool) -> None:
    """Write the whole address book to FILE, sealed: only the recovery phrase and your devices can read it.

    Works offline, from this device's copy. The device's own key is not in it.
    """
    run_async(_backup(Output(settings()), file, without_unsent))


async def _backup(out: Output, file: Path, without_unsent: bool) -> None:
    from kith_client.doctor import head_words
    from kith_client.lifecycle.backup import make_backup
    from kith_client.vault import Vault

    async with await Vault.open(home_of(settings()), ask_passphrase) as vault:
        made = await make_backup(vault, file, without_unsent=without_unsent)
    out.message(f"Written and verified: {made.records} records, {made.chain.number + 1} commits.")
    out.message(f"Its head: {head_words(made.chain.head)}.")
    out.message("It opens with the recovery phrase alone: keep file and phrase in different places.")
    out.result({"written": str(file), "vault": made.chain.vault.hex(), "records": made.records})


@command("restore", "kith restore ~/anna.kithbackup --server https://new.example")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--server", required=True, metavar="URL", help="The new home server.")
@click.option("--token", default="", metavar="T", help="A registration token, where the server asks for one.")
@click.option("--name", metavar="NAME", help="What to call this device (else the machine's name).")
@click.option("--keep", multiple=True, metavar="DEVICE", help="A device that is not lost, and stays.")
@click.option("--no-passphrase", is_flag=True, help="Keep the device's key in a file that only you can read.")
def restore_command(
    file: Path, server: str, token: str, name: str | None, keep: tuple[str, ...], no_passphrase: bool
) -> None:
    """The home server is gone: put the address book of a backup on another one, with the recovery phrase.

    The phrase is asked for; where nobody can be asked, it is read from standard input. Where the old server still
    works, 'kith move' loses nothing that was written since the backup.
    """
    from kith_client.lifecycle.backup import read_backup

    out = Output(settings())
    passphrase = new_passphrase(no_passphrase)
    _tell(out, read_backup(file))
    run_async(_restore(out, file, server, token, ask_phrase(), name, keep, passphrase))


async def _restore(
    out: Output,
    file: Path,
    server: str,
    token: str,
    phrase: str,
    name: str | None,
    keep: tuple[str, ...],
    passphrase: str | None,
) -> None:
    from kith_client.lifecycle.restoring import restore

    with ExitStack() as stack:
        progress = stack.enter_context(out.counted("Restoring"))
        agree_to_removal = asked_about_devices(out)

        def agree(contents: Contents, gone: tuple[str, ...]) -> None:
            stack.close()  # a bar would write over the question
            agree_to_removal(contents, gone)

        made = await restore(
            home_of(settings()),
            file,
            server,
            phrase,
            name or default_device_name(),
            keep=keep,
            token=token,
            agree=agree,
            passphrase=passphrase,
            progress=progress,
        )
    await go_on(out, made, "The phrase stays valid; keep the paper.")


def _tell(out: Output, backup: Backup) -> None:
    from kith_client.book.dates import iso_time
    from kith_client.doctor import head_words

    out.message(f"The backup holds {backup.records} records, as of {iso_time(backup.last)}.")
    out.message(f"Its head: {head_words(backup.chain.head)}. What was written after it is not in it.")
