"""Commands that need the vault itself and its home server, not only the book."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import click

from kith_client.cli.asking import prompt
from kith_client.cli.options import settings
from kith_client.cli.output import Output
from kith_client.cli.session import ask_passphrase, home_of, run_async

if TYPE_CHECKING:
    from kith_client.transport import HomeServer
    from kith_client.vault import Vault

P = ParamSpec("P")


def with_server(work: Callable[Concatenate[Vault, HomeServer, Output, P], Awaitable[None]]) -> Callable[P, None]:
    """Makes a plain function of an async command that works on the vault and talks to its home server."""

    @functools.wraps(work)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        chosen = settings()

        async def on_server() -> None:
            from kith_client.errors import HomeMoved
            from kith_client.lifecycle.moving import at_home
            from kith_client.vault import Vault

            async with await Vault.open(home_of(chosen), ask_passphrase) as vault:
                try:
                    async with at_home(vault) as server:
                        return await work(vault, server, Output(chosen), *args, **kwargs)
                except HomeMoved:
                    # It heard of the move only now, and has committed nothing yet: once more, at the new server.
                    async with at_home(vault) as server:
                        return await work(vault, server, Output(chosen), *args, **kwargs)

        run_async(on_server())

    return command


def with_own_server(work: Callable[Concatenate[Vault, HomeServer, Output, P], Awaitable[None]]) -> Callable[P, None]:
    """As `with_server`, at the server in this device's key file, whatever the vault's record says of another one."""

    @functools.wraps(work)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        chosen = settings()

        async def on_server() -> None:
            from kith_client.online import home_server
            from kith_client.vault import Vault

            async with await Vault.open(home_of(chosen), ask_passphrase) as vault, home_server(vault) as server:
                await work(vault, server, Output(chosen), *args, **kwargs)

        run_async(on_server())

    return command


def default_device_name() -> str:
    """What this machine calls itself."""
    import socket

    return socket.gethostname().partition(".")[0][:60] or "device"


def new_passphrase(none: bool) -> str | None:
    """The passphrase for a new key file: `KITH_PASSPHRASE`, else what the person types twice; None with `none`."""
    import os
    import sys

    if none:
        return None
    given = os.environ.get("KITH_PASSPHRASE")
    if given:
        return given
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked for a passphrase: set KITH_PASSPHRASE, or say --no-passphrase.")
    typed: str = prompt("New passphrase for this device", hide_input=True, confirmation_prompt=True)
    return typed
