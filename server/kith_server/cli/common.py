"""What the commands share: the data folder, `--json`, and the one way to answer."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import click

from kith_protocol.errors import KithError
from kith_server.storage.database import DATABASE_NAME, Database

DATA_VARIABLE: Final = "KITH_SERVER_DATA"

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])


class OperatorError(KithError):
    """Something that the operator can mend."""

    code = "operator"


def data_option(command: F) -> F:
    """Adds `--data DIR`; it may stand before or after a subcommand, or in the environment."""
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help=f"Folder of the server's data (else {DATA_VARIABLE}).",
    )(command)


def json_option(command: F) -> F:
    """Adds `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def data_dir(given: Path | None) -> Path:
    """The folder that the command is about. Raises `click.UsageError`, or `OperatorError` where there is none."""
    parent = click.get_current_context().parent
    inherited = parent.params.get("data") if parent is not None else None
    named = given or inherited or os.environ.get(DATA_VARIABLE)
    if not named:
        raise click.UsageError("Which server? Add --data DIR.")
    directory = Path(named)
    if not directory.is_dir():
        raise OperatorError(f"There is no folder {directory}. Make one with: kith-server init --data DIR --url URL")
    return directory


def with_database(directory: Path, work: Callable[[Database], Awaitable[T]]) -> T:
    """Runs `work` on the server's database, whether the server runs or not."""

    async def run() -> T:
        database = await Database.open(directory / DATABASE_NAME)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def tell(as_json: bool, document: Mapping[str, object], text: str) -> None:
    """The one answer of a command: a JSON document, or text for people."""
    if as_json or bool(click.get_current_context().find_root().params.get("as_json")):
        click.echo(json.dumps({"ok": True, **document}))
    elif text:
        click.echo(text)
