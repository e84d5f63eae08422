"""`kith-server token`, `vaults` and `backup`: what the operator does with a server that may be running."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from kith_protocol.chain import thaw_chain
from kith_protocol.suite import digest
from kith_server.cli.common import OperatorError, data_dir, data_option, json_option, tell, with_database
from kith_server.clock import system_clock
from kith_server.settings_table import parse_size
from kith_server.storage.database import Database
from kith_server.storage.interface import VaultFigures
from kith_server.storage.sessions import SqliteTokens
from kith_server.storage.vaults import SqliteVaults

TOKEN_BYTES: Final = 16
MAX_TOKENS: Final = 1000
DEFAULT_QUOTA: Final = "default"


@click.command()
@data_option
@click.option("--count", type=click.IntRange(1, MAX_TOKENS), default=1, show_default=True, help="How many.")
@json_option
def token(data: Path | None, count: int, as_json: bool) -> None:
    """Make registration tokens, each good for one vault. They are shown once; the server keeps hashes.

    Example: kith-server token --data ./anna-server --count 3
    """
    tokens = [secrets.token_hex(TOKEN_BYTES) for _ in range(count)]
    hashes = [digest(made.encode()) for made in tokens]
    with_database(data_dir(data), lambda database: SqliteTokens(database).add(hashes, system_clock()))
    tell(as_json, {"tokens": tokens}, "\n".join(tokens))


@click.group(invoke_without_command=True)
@data_option
@json_option
@click.pass_context
def vaults(context: click.Context, data: Path | None, as_json: bool) -> None:
    """List the vaults, in numbers only.

    Example: kith-server vaults --data ./anna-server
    """
    if context.invoked_subcommand is not None:
        return
    found = with_database(data_dir(data), lambda database: SqliteVaults(database).figures())
    rows = [_describe(vault) for vault in found]
    lines = [
        f"{row['id']}  {row['members']} members  {row['records']} records  {row['bytes']} bytes"
        f"  {row['handles']} handles  last {row['last']}"
        for row in rows
    ]
    tell(as_json, {"vaults": rows}, "\n".join(lines) or "There are no vaults yet.")


@vaults.command()
@click.argument("vault")
@data_option
@json_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(vault: str, data: Path | None, as_json: bool, yes: bool) -> None:
    """Delete a vault with its mailboxes, at once and for good.

    Example: kith-server vaults delete 3f2a --data ./anna-server
    """
    directory = data_dir(data)
    found = with_database(directory, lambda database: _find(database, vault))
    if not yes:
        click.confirm(f"Delete vault {found.vault.hex()} with {found.records} records?", abort=True, err=True)
    with_database(directory, lambda database: SqliteVaults(database).delete(found.vault))
    tell(as_json or _json_above(), {"deleted": found.vault.hex()}, "Deleted.")


@vaults.command()
@click.argument("vault")
@click.argument("size")
@data_option
@json_option
def quota(vault: str, size: str, data: Path | None, as_json: bool) -> None:
    """Set how large a vault may become; "default" goes back to the setting.

    Example: kith-server vaults quota 3f2a "4 GiB" --data ./anna-server
    """
    bytes_ = None if size == DEFAULT_QUOTA else parse_size(size)

    async def change(database: Database) -> bytes:
        found = await _find(database, vault)
        await SqliteVaults(database).set_quota(found.vault, bytes_)
        return found.vault

    changed = with_database(data_dir(data), change)
    tell(as_json or _json_above(), {"vault": changed.hex(), "quota": bytes_}, "Done; in force within seconds.")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@data_option
@json_option
def backup(file: Path, data: Path | None, as_json: bool) -> None:
    """Write a consistent copy of the database, also while the server runs. Keep config.toml and the key as well.

    Example: kith-server backup /backups/kith-monday.db --data ./anna-server
    """
    with_database(data_dir(data), lambda database: database.backup(file))
    tell(as_json, {"written": str(file), "bytes": file.stat().st_size}, f"Written: {file}")


async def _find(database: Database, start: str) -> VaultFigures:
    """The one vault whose id begins so. Raises `OperatorError`."""
    found = [vault for vault in await SqliteVaults(database).figures() if vault.vault.hex().startswith(start.lower())]
    if len(found) != 1:
        raise OperatorError(f"{len(found)} vaults have an id that begins with {start}; name one.")
    return found[0]


def _describe(vault: VaultFigures) -> dict[str, object]:
    return {
        "id": vault.vault.hex(),
        "members": len(thaw_chain(vault.chain).members),
        "records": vault.records,
        "bytes": vault.size,
        "quota": vault.quota,
        "handles": vault.handles,
        "last": datetime.fromtimestamp(vault.last / 1000, UTC).date().isoformat(),
    }


def _json_above() -> bool:
    parent = click.get_current_context().parent
    return parent is not None and bool(parent.params.get("as_json"))
