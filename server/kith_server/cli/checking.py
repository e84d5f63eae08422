"""`kith-server check` and `kith-server doctor`: is what is stored whole, and is the server set up well."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from kith_protocol.errors import KithError
from kith_server.cli.common import data_dir, data_option, json_option, tell, with_database
from kith_server.clock import system_clock
from kith_server.config import Config, load_config
from kith_server.server_keys import load_server_key
from kith_server.storage.check import Finding, check_file, check_vault, vault_ids
from kith_server.storage.database import DATABASE_NAME, Database
from kith_server.storage.sqlite import check_version, sqlite_version

if TYPE_CHECKING:
    from sqlite3 import Connection

REACH_SECONDS: Final = 5.0
BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock before it is wrong."""
FAILED: Final = 1

Check = tuple[str, bool, str]
"""Name, whether it is well, what was found and what to do."""


@click.command()
@data_option
@json_option
def check(data: Path | None, as_json: bool) -> int:
    """Verify every stored hash, every tree and every chain. Reads everything and changes nothing.

    Example: kith-server check --data ./anna-server
    """
    found, count = with_database(data_dir(data), _verify)
    if not found:
        tell(as_json, {"vaults": count, "findings": []}, f"{count} vaults: everything is as it should be.")
        return 0
    rows = [{"vault": finding.vault.hex(), "text": finding.text} for finding in found]
    message = f"{len(found)} things are not as they should be; restore a backup."
    if as_json:
        click.echo(json.dumps({"ok": False, "error": "damaged", "message": message, "findings": rows}))
    else:
        for row in rows:
            click.echo(f"{row['vault'] or 'the file'}: {row['text']}")
        click.echo(message, err=True)
    return FAILED


@click.command()
@data_option
@json_option
def doctor(data: Path | None, as_json: bool) -> int:
    """Look at settings, key, clock, database, and whether the public address answers.

    Example: kith-server doctor --data ./anna-server
    """
    checks = list(_examine(data_dir(data)))
    rows = [{"name": name, "ok": ok, "text": text} for name, ok, text in checks]
    lines = [f"{'ok  ' if ok else 'MEND'}  {name}: {text}" for name, ok, text in checks]
    tell(as_json, {"ok": all(ok for _, ok, _ in checks), "checks": rows}, "\n".join(lines))
    return 0 if all(ok for _, ok, _ in checks) else FAILED


async def _verify(database: Database) -> tuple[list[Finding], int]:
    found = await database.read(lambda connection: list(check_file(connection)))
    vaults = await database.read(vault_ids)
    for vault in vaults:
        found += await database.read(partial(_check_one, vault))
    return found, len(vaults)


def _check_one(vault: bytes, connection: Connection) -> list[Finding]:
    return list(check_vault(connection, vault))


def _examine(directory: Path) -> Iterator[Check]:
    try:
        config = load_config(directory)
    except KithError as error:
        yield "settings", False, str(error)
        return
    yield "settings", True, f"url {config.url}, registration {config.registration}"
    yield "handles", True, "people may choose one" if config.handles else "off: nobody is found by one"
    yield from _examine_holes(config)
    try:
        load_server_key(directory)
        yield "key", True, "can be read"
    except KithError as error:
        yield "key", False, str(error)
    yield _examine_sqlite()
    yield from _examine_database(directory)
    yield asyncio.run(_reach(config.url))


def _examine_holes(config: Config) -> Iterator[Check]:
    """These are settings for tests and home labs; they are named so that nobody forgets them."""
    federation = config.federation
    if federation.also_allow:
        yield "also_allow", True, f"may reach {', '.join(map(str, federation.also_allow))} although it is not public"
    if federation.plain_http_hosts:
        yield "plain_http_hosts", True, f"reaches {', '.join(federation.plain_http_hosts)} without TLS"


def _examine_sqlite() -> Check:
    try:
        check_version(sqlite_version())
    except KithError as error:
        return "sqlite", False, str(error)
    return "sqlite", True, ".".join(map(str, sqlite_version()))


def _examine_database(directory: Path) -> Iterator[Check]:
    now = system_clock()
    if not (directory / DATABASE_NAME).exists():
        yield "database", True, "there is none yet; the first run makes it"
        last = 0
    else:
        try:
            last = with_database(directory, lambda database: database.read(_last_commit))
        except KithError as error:
            yield "database", False, str(error)
            return
        yield "database", True, "opens"
    clock = datetime.fromtimestamp(now / 1000, UTC)
    well = clock > BUILT and now >= last
    hint = "" if well else "; it is behind, so sessions will fail: set it (NTP)"
    yield "clock", well, clock.isoformat(timespec="seconds") + hint


def _last_commit(connection: Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(received), 0) FROM commits").fetchone()[0])


async def _reach(url: str) -> Check:
    """Asks the public address the way a client would; the certificate is checked."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=REACH_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url + "/healthz") as response:
            well = response.status == 200
            return "reachability", well, f"{url} answers with status {response.status}"
    except aiohttp.ClientConnectorCertificateError:
        return "reachability", False, f"{url} has a certificate that cannot be verified"
    except (aiohttp.ClientError, TimeoutError) as error:
        return "reachability", False, f"{url} cannot be reached from here ({type(error).__name__}); is it running?"
