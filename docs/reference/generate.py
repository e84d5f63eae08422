"""Brings the usage parts of `commands.md` up to date with the programs: `python docs/reference/generate.py`.

Everything outside the marked parts is written by hand and left as it is. `tests/test_docs.py` checks that the page is
current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from kith_client.cli.main import kith
from kith_client.cli.options import Settings
from kith_server.cli.main import cli as kith_server

PAGE: Final = Path(__file__).with_name("commands.md")
WIDTH: Final = 110
"""Columns of a usage part; what the terminal happens to have must not matter."""

_SHARED: Final = {"--home", "--json", "--yes", "--help"}
"""Options that every command of `kith` has; the page names them once."""
_PART: Final = re.compile(r"(<!-- usage: (?P<path>[a-z -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def contexts() -> dict[str, click.Context]:
    """The context of each command, by what one types: `kith device add`."""
    roots = [click.Context(kith, info_name="kith", obj=Settings()), click.Context(kith_server, info_name="kith-server")]
    return {found.command_path: found for root in roots for found in _below(root)}


def usage(context: click.Context) -> str:
    """Usage, meaning, own options and examples of one command, as its `--help` has them."""
    command, formatter = context.command, click.HelpFormatter(width=WIDTH)
    command.format_usage(context, formatter)
    command.format_help_text(context, formatter)
    records = [record for option in _own_options(context) if (record := option.get_help_record(context))]
    if records:
        with formatter.section("Options"):
            formatter.write_dl(records)
    command.format_epilog(context, formatter)
    return formatter.getvalue().rstrip() + "\n"


def refreshed(text: str) -> str:
    """The page with every usage part as it is now. Raises `KeyError` for a command that does not exist."""
    known = contexts()
    return _PART.sub(lambda part: f"{part[1]}```text\n{usage(known[part['path']])}```\n{part[3]}", text)


def described(text: str) -> set[str]:
    """The commands that have a usage part on the page."""
    return {part["path"] for part in _PART.finditer(text)}


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(refreshed(text), encoding="utf-8")
    missing = sorted(contexts().keys() - described(text))
    if missing:
        sys.stderr.write(f"Commands without a part on the page: {', '.join(missing)}\n")
    return 1 if missing else 0


def _below(context: click.Context) -> Iterator[click.Context]:
    yield context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _below(click.Context(found, info_name=name, parent=context, obj=context.obj))


def _own_options(context: click.Context) -> list[click.Option]:
    whole = context.find_root().info_name == "kith-server" or context.parent is None
    options = [each for each in context.command.get_params(context) if isinstance(each, click.Option)]
    return [each for each in options if whole or not _SHARED.intersection(each.opts)]


if __name__ == "__main__":
    sys.exit(main())
