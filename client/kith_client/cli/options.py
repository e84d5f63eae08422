"""What every command shares: --home, --json and --yes, before or after its name, and an example in its help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from kith_client.cli.seam import Book

_HELP: Final = {
    "home": "Folder of the address book (else KITH_HOME, else the platform's data folder).",
    "json": "Print one JSON document.",
    "yes": "Answer every question with yes.",
}


@dataclass
class Settings:
    """What the person said for the whole command line."""

    home: str | None = None
    json: bool = False
    yes: bool = False
    answered: bool = False
    """Whether the one document was printed: what goes wrong later is said on standard error."""
    opener: Callable[[Settings], AbstractAsyncContextManager[Book]] | None = None
    """Opens the book; None is the vault in the home folder."""


def settings() -> Settings:
    """The settings of the command that runs."""
    found: Settings = click.get_current_context().obj
    return found


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value and param.name:
        setattr(ctx.obj, param.name, value)


def _shared() -> list[click.Parameter]:
    home = click.Option(["--home"], metavar="DIR", expose_value=False, callback=_remember, help=_HELP["home"])
    flags = [
        click.Option([f"--{name}"], is_flag=True, expose_value=False, callback=_remember, help=_HELP[name])
        for name in ("json", "yes")
    ]
    return [home, *flags]


class KithCommand(click.Command):
    """A command with the shared options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_shared())


class KithGroup(click.Group):
    """A group with the shared options; its commands get them too."""

    command_class = KithCommand

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_shared())


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def command(name: str, *lines: str) -> Callable[[Callable[..., None]], click.Command]:
    """Declares a command with examples."""
    return click.command(name, cls=KithCommand, epilog=examples(*lines))


def group(name: str, *lines: str, alone: bool = False) -> Callable[[Callable[..., None]], click.Group]:
    """Declares a group with examples; `alone`: it does something without a subcommand too."""
    return click.group(name, cls=KithGroup, epilog=examples(*lines), invoke_without_command=alone)


def subcommand(of: click.Group, name: str, *lines: str) -> Callable[[Callable[..., None]], click.Command]:
    """Declares a command of a group, with examples."""
    return of.command(name, cls=KithCommand, epilog=examples(*lines))
