"""From an error to what the person sees and the exit code. Bad input never shows a stack trace."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path
from typing import Final

import click

from kith_client.cli.options import Settings
from kith_client.cli.output import Output
from kith_client.store.home import Home
from kith_protocol.errors import Alarm, KithError

MENDABLE: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
ALARM: Final = 4

_TRACE: Final = "last-error.txt"


def report(error: BaseException, settings: Settings) -> int:
    """Says what went wrong, as text or as the JSON document of a failure, and returns the exit code."""
    out = Output(settings)
    if isinstance(error, SystemExit):
        # click ends so where whoever read our output had enough of it
        return error.code if isinstance(error.code, int) else MENDABLE
    if isinstance(error, KithError):
        return _known(error, out)
    if isinstance(error, click.UsageError):
        return _usage(error, out)
    if isinstance(error, click.Abort | KeyboardInterrupt | EOFError):
        return out.failed("stopped", "Stopped. Nothing more was done.", MENDABLE)
    if isinstance(error, click.ClickException):
        return out.failed("file", error.format_message(), MENDABLE)
    if isinstance(error, OSError):
        return out.failed("file", _about_file(error), MENDABLE)
    where = _write_trace(error, settings)
    return out.failed("internal", f"Something went wrong inside Kithbook. Details without your data: {where}", MENDABLE)


def exit_code(error: KithError) -> int:
    """The exit code of an error."""
    if isinstance(error, Alarm):
        return ALARM
    return UNREACHABLE if error.code == "unreachable" else MENDABLE


def _known(error: KithError, out: Output) -> int:
    shown = getattr(error, "shown", "") or str(error)
    choices = getattr(error, "choices", ())
    matches = [{"id": choice.id, "name": choice.name} for choice in choices]
    lines = [shown, *(f"  {choice.id}  {choice.name}".rstrip() for choice in choices)]
    extra = {"matches": matches} if matches else {}
    return out.failed(error.code, "\n".join(lines), exit_code(error), **extra)


def _usage(error: click.UsageError, out: Output) -> int:
    hint = f" See '{error.ctx.command_path} --help'." if error.ctx else ""
    return out.failed("usage", error.format_message() + hint, USAGE)


def _about_file(error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    return f"{error.filename}: {reason}." if error.filename else f"{reason}."


def _write_trace(error: BaseException, settings: Settings) -> Path:
    """Frames and kinds of errors only: texts of errors may hold what a person entered."""
    lines = []
    link: BaseException | None = error
    while link is not None:
        lines += [f"{type(link).__module__}.{type(link).__qualname__}", *traceback.format_tb(link.__traceback__)]
        link = link.__cause__ or link.__context__
    home = Home.find(settings.home)
    folder = home.path if home.exists else Path(tempfile.mkdtemp(prefix="kith-"))
    path = folder / _TRACE
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    return path
