"""Opening the book for a command, and running the command on it."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from kith_client.cli.asking import prompt
from kith_client.cli.options import Settings, settings
from kith_client.cli.output import Output
from kith_client.cli.seam import Book

if TYPE_CHECKING:
    from kith_client.store.home import Home

_PHRASE_CHARACTERS = 4096

P = ParamSpec("P")
T = TypeVar("T")


def home_of(chosen: Settings) -> Home:
    """The home folder that the person chose."""
    from kith_client.store.home import Home

    def tell() -> None:
        Output(chosen).message("Another kith is at work on this address book; waiting for it ...")

    return replace(Home.find(chosen.home), on_wait=tell)


def ask_passphrase() -> str:
    """Asks on the terminal. Raises `WrongPassphrase` where nobody can be asked."""
    if not sys.stdin.isatty():
        from kith_client.store.unlock import cannot_ask

        return cannot_ask()
    answer: str = prompt("Passphrase", hide_input=True)
    return answer


def ask_phrase() -> str:
    """The recovery phrase: asked for unseen; where nobody can be asked, from standard input."""
    if sys.stdin.isatty():
        typed: str = prompt("Recovery phrase (24 words)", hide_input=True)
        return typed
    return sys.stdin.read(_PHRASE_CHARACTERS)


@asynccontextmanager
async def _vault(chosen: Settings) -> AsyncIterator[Book]:
    from kith_client.vault import Vault

    async with await Vault.open(home_of(chosen), ask_passphrase) as vault:
        yield vault


@asynccontextmanager
async def open_book(chosen: Settings) -> AsyncIterator[Book]:
    """The book that the person chose. Raises `NoVault`, `WrongPassphrase`, `Busy`."""
    async with (chosen.opener or _vault)(chosen) as book:
        yield book


def with_book(work: Callable[Concatenate[Book, Output, P], Awaitable[None]]) -> Callable[P, None]:
    """Makes a plain function of an async command that works on the book."""

    @functools.wraps(work)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        chosen = settings()

        async def on_book() -> None:
            async with open_book(chosen) as book:
                await work(book, Output(chosen), *args, **kwargs)

        run_async(on_book())

    return command


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Runs the one coroutine of a command."""
    return asyncio.run(work)


def today_of(book: Book) -> date:
    """Today where the person is."""
    return datetime.fromtimestamp(book.stamp().now / 1000).astimezone().date()


def one_line(text: str) -> str:
    """`text`, or, for `-`, one line of standard input. Raises a usage error where that is empty."""
    if text != "-":
        return text
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.UsageError("'-' reads one line of standard input, and there was none.")
    return line
