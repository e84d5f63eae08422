"""Asking the person at the terminal, so that one Ctrl-C ends the command. All questions go through here.

The event loop answers Ctrl-C by cancelling its task, which cannot happen while a question holds the loop up. So as long
as one is open, Ctrl-C is an exception again, as in a program without a loop.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from kith_client.contacts.text import terminal_safe


def prompt(text: str, **options: Any) -> Any:
    """What the person types, asked for on standard error; options as of `click.prompt`. Raises `click.Abort`.

    The loop stands still meanwhile. Call it in the loop's own thread: no other is told of Ctrl-C.
    """
    with _stoppable():
        return click.prompt(terminal_safe(text), err=True, **options)


def confirm(question: str) -> bool:
    """Yes or no; else as `prompt`."""
    with _stoppable():
        return click.confirm(terminal_safe(question), err=True)


async def confirm_meanwhile(question: str) -> bool:
    """As `confirm`, while the loop goes on: for a question during which somebody else waits for us."""
    while True:
        click.echo(f"{terminal_safe(question)} [y/N]: ", nl=False, err=True)
        try:
            line = await _typed_line()
        except asyncio.CancelledError:
            click.echo(err=True)
            raise
        if not line:
            raise click.Abort
        answer = line.strip().lower()
        if answer in ("y", "yes", "n", "no", ""):
            return answer.startswith("y")
        click.echo("Error: invalid input", err=True)


async def _typed_line() -> str:
    """A terminal gives whole lines, so that reading does not wait once there is something. Empty at its end."""
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


@contextmanager
def _stoppable() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except click.Abort:
        click.echo(err=True)  # what follows does not stand behind the "^C"
        raise
    finally:
        signal.signal(signal.SIGINT, before)
