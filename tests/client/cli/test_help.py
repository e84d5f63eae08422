"""Help: there for every command, with an example, at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import click
import pytest

from kith_client.cli.main import COMMANDS, kith

HEAVY = (
    "aiohttp",
    "cryptography",
    "rich",
    "nacl",
    "pysqlite3",
    "msgspec",
    "asyncio",
    "phonenumbers",
    "kith_client.book",
)


def every_command() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(kith)
    for name in COMMANDS:
        command = kith.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for sub, inner in command.commands.items():
                yield f"{name} {sub}", inner


def test_every_command_has_help_with_an_example_of_itself() -> None:
    for name, command in every_command():
        text = command.get_help(click.Context(command, info_name=name))
        assert command.help, name
        assert "Example:" in text, name
        assert f"kith {name}" in (command.epilog or ""), name
        for option in ("--home", "--json", "--yes", "--help"):
            assert option in text, (name, option)


def test_no_command_speaks_of_keys_epochs_or_commits_but_doctor() -> None:
    for name, command in every_command():
        text = command.get_help(click.Context(command, info_name=name)).lower()
        for word in (" epoch", " commit ", "ciphertext", "hpke", "member"):
            assert word not in text, (name, word)


@pytest.mark.parametrize("args", [["--help"], ["--version"], []])
def test_help_loads_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys\n"
        "from kith_client.cli.main import run\n"
        f"code = run({args!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr == "[]\n"
    assert done.stdout.startswith(("Usage: kith", "kith "))
    assert time.monotonic() - begun < 5
