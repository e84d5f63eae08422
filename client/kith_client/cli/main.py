"""The command line as a whole: which commands there are, and what becomes of errors. Commands load when they are used.

Help must appear at once, so nothing here imports more than click.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import click

from kith_client.cli.options import KithGroup, Settings, examples


class Entry(NamedTuple):
    """Where a command is, and its line in the list."""

    module: str
    help: str


COMMANDS: Final[dict[str, Entry]] = {
    "init": Entry("setup", "Begin an address book on a home server."),
    "import": Entry("carrying", "Take contacts in from files."),
    "export": Entry("carrying", "Write contacts out."),
    "list": Entry("contacts", "List contacts."),
    "show": Entry("contacts", "Show everything about one contact."),
    "add": Entry("contacts", "Add a contact."),
    "set": Entry("contacts", "Set a property of a contact."),
    "unset": Entry("contacts", "Take a property of a contact away."),
    "rm": Entry("contacts", "Remove a contact."),
    "note": Entry("notes", "Notes on people."),
    "due": Entry("notes", "Reminders and birthdays that come up."),
    "me": Entry("me", "My card and its facets."),
    "circle": Entry("circles", "Circles of contacts."),
    "invite": Entry("meeting", "Make a link that connects somebody with you."),
    "invites": Entry("meeting", "List or revoke invites."),
    "accept": Entry("meeting", "Accept somebody's invite, or ask somebody by an address."),
    "requests": Entry("requests", "Accept or decline people who ask to be connected."),
    "handle": Entry("handle", "Be found under a handle, if you want to."),
    "meet": Entry("meet", "Become peers with somebody who is here."),
    "peers": Entry("meeting", "List peers."),
    "verify": Entry("meeting", "Compare safety numbers with a peer."),
    "grant": Entry("granting", "Let a peer or a circle see a facet."),
    "withdraw": Entry("granting", "Take a facet back."),
    "preview": Entry("granting", "Show exactly what a peer sees."),
    "share": Entry("granting", "Let a peer have a note or somebody's card."),
    "unshare": Entry("granting", "Take a shared note or card back."),
    "introduce": Entry("introducing", "Introduce two peers to each other."),
    "introductions": Entry("introducing", "List introductions that you made, or take one back."),
    "forget": Entry("ending", "End the relationship with a peer."),
    "block": Entry("ending", "Shut a peer out."),
    "device": Entry("devices", "List, add and remove devices."),
    "recover": Entry("recovery", "Get the address book back with the recovery phrase."),
    "guardians": Entry("guardians", "Friends who keep shares of the recovery phrase."),
    "move": Entry("moves", "Move to another server."),
    "backup": Entry("backups", "Write the whole address book to a file, sealed."),
    "restore": Entry("backups", "Put a backup on a new server with the recovery phrase."),
    "sync": Entry("syncing", "Send and fetch."),
    "log": Entry("syncing", "What happened."),
    "issues": Entry("issues", "What waits for you: conflicts, set-aside cards, alarms."),
    "repair": Entry("repairing", "Put right what the server lost when it was put back to an earlier day."),
    "doctor": Entry("syncing", "Check this device, the address book and the server."),
}


class LazyGroup(KithGroup):
    """Loads a command's module when the command is used; the list comes from `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"kith_client.cli.{entry.module}")
        found: click.Command = getattr(module, f"{cmd_name}_command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(
    "kith",
    cls=LazyGroup,
    invoke_without_command=True,
    epilog=examples(
        'kith init --server https://anna.example --name "Anna Beck"', "kith import contacts.vcf", "kith list"
    ),
)
@click.option("--version", is_flag=True, help="Show the version.")
@click.pass_context
def kith(ctx: click.Context, version: bool) -> None:
    """Your address book, kept by you and your friends, readable by nobody in between."""
    if version:
        from importlib.metadata import version as version_of

        found = version_of("kithbook")
        click.echo(f'{{"ok": true, "version": "{found}"}}' if ctx.obj.json else f"kith {found}")
    elif ctx.invoked_subcommand is None:
        if ctx.obj.json:
            raise click.UsageError("No command was given.", ctx)
        click.echo(ctx.get_help())


def run(args: Sequence[str], settings: Settings | None = None) -> int:
    """Carries a command line out and returns its exit code; whatever goes wrong is said in plain words."""
    chosen = settings or Settings()
    chosen.json = chosen.json or "--json" in _before_dashes(args)
    try:
        code = kith.main(args=list(args), prog_name="kith", standalone_mode=False, obj=chosen)
    except BaseException as error:  # noqa: BLE001  # the outermost border: `report` sorts them out
        from kith_client.cli.failure import report

        return report(error, chosen)
    return code if isinstance(code, int) else 0


def _before_dashes(args: Sequence[str]) -> Sequence[str]:
    return args[: args.index("--")] if "--" in args else args
