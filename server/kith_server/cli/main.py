"""The entry point: finds the command, and turns every error into a sentence and an exit code.

Exit codes: 0 done; 1 the operator can mend it; 2 wrong usage.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from kith_protocol.errors import KithError
from kith_server.cli.admin import backup, token, vaults
from kith_server.cli.checking import check, doctor
from kith_server.cli.serve import init, run


@click.group()
def cli() -> None:
    """The Kithbook server: stores sealed address books and forwards sealed parcels.

    \b
    Example:
      kith-server init --data ./anna-server --url https://anna.example
      kith-server run --data ./anna-server
    """


for _command in (init, run, token, vaults, backup, check, doctor):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command that `arguments` (else the command line) name, and exits."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = cli.main(words, prog_name="kith-server", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except click.UsageError as error:
        if "--json" not in words:
            error.show()
        _fail(words, 2, "usage", error.format_message(), shown=True)
    except click.ClickException as error:
        _fail(words, 1, "operator", error.format_message())
    except click.Abort:
        _fail(words, 1, "aborted", "Nothing was changed.")
    except KithError as error:
        _fail(words, 1, error.code, str(error))


def _fail(words: Sequence[str], status: int, code: str, message: str, *, shown: bool = False) -> NoReturn:
    if "--json" in words:
        click.echo(json.dumps({"ok": False, "error": code, "message": message}))
    elif not shown:
        click.echo(f"kith-server: {message}", err=True)
    sys.exit(status)
