"""What a command prints: one JSON document, or tables and lines for people. Nothing shown can drive the terminal."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click

from kith_client.cli import asking
from kith_client.cli.options import Settings
from kith_client.contacts.text import terminal_safe

MAX_CELL: Final = 60
"""Columns of a cell where the output is not a terminal, so that one long value does not spread the table."""

_ODD = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
"""Signs that JSON may hold as they are, but that drive a terminal, hide text, or are no characters."""


class Output:
    """Where a command's answer goes. Results to standard output, all else to standard error."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def json(self) -> bool:
        return self._settings.json

    def result(self, document: dict[str, Any], show: Callable[[], None] | None = None) -> None:
        """The command's answer: the document with --json, else whatever `show` prints."""
        if self.json:
            self._settings.answered = True
            _print_json({"ok": True, **document})
        elif show is not None:
            show()

    def failed(self, code: str, text: str, exit_code: int, **extra: Any) -> int:
        """Says why the command failed; returns `exit_code`."""
        if self.json and not self._settings.answered:
            _print_json({"ok": False, "error": code, "message": text, **extra})
        else:
            click.echo(terminal_safe(text, lines=True), err=True)
        return exit_code

    def line(self, text: str = "", lines: bool = False) -> None:
        """A line of the answer; `lines`: line feeds in it stay."""
        click.echo(terminal_safe(text, lines=lines))

    def verbatim(self, texts: Iterable[str]) -> None:
        """Texts for other programs, to the letter; made safe only where they go to a terminal."""
        for text in texts:
            click.echo(terminal_safe(text, lines=True) if sys.stdout.isatty() else text, nl=False)

    def message(self, text: str) -> None:
        """Something beside the answer: what was done. Left out with --json, which says it itself."""
        if not self.json:
            click.echo(terminal_safe(text, lines=True), err=True)

    def warn(self, text: str) -> None:
        """Something that the person must see, whatever the form of the answer."""
        click.echo(terminal_safe(text, lines=True), err=True)

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]], whole: bool = False) -> None:
        """A table of the answer; `whole`: no cell is cut short."""
        safe = [[terminal_safe(cell) for cell in row] for row in rows]
        if sys.stdout.isatty():
            _rich_table(heads, safe)
        else:
            for line in _plain_table(heads, safe if whole else [[_cut(cell) for cell in row] for row in safe]):
                click.echo(line)

    def confirm(self, question: str, unattended: bool = False) -> bool:
        """Asks on standard error; --yes answers yes. `unattended` is the answer where nobody can be asked."""
        settled = self._settled(question, unattended)
        return asking.confirm(question) if settled is None else settled

    async def confirm_meanwhile(self, question: str) -> bool:
        """As `confirm`, for a question during which somebody else waits for us: the loop goes on."""
        settled = self._settled(question, unattended=False)
        return await asking.confirm_meanwhile(question) if settled is None else settled

    def _settled(self, question: str, unattended: bool) -> bool | None:
        """The answer where nobody has to be asked, or can be."""
        if self._settings.yes:
            return True
        if sys.stdin.isatty():
            return None
        if not unattended:
            self.warn(f"{question} Nobody can be asked here; --yes says yes.")
        return unattended

    @contextmanager
    def progress(self, label: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A bar on standard error where that is a terminal; gives a function to call with the steps done."""
        if self.json or not sys.stderr.isatty():
            yield lambda _: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda steps: bar.advance(task, steps)

    @contextmanager
    def counted(self, label: str) -> Iterator[Callable[[int, int], None]]:
        """As `progress`, for work that tells (done, total) as it goes."""
        if self.json or not sys.stderr.isatty():
            yield lambda _done, _total: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total or None)


def _print_json(document: dict[str, Any]) -> None:
    text = json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)
    click.echo(_ODD.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text).encode("utf-8"))


def _rich_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _plain_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [[head.upper() for head in heads], *rows]
    widths = [max(_width(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cut(cell: str) -> str:
    return cell if len(cell) <= MAX_CELL else cell[: MAX_CELL - 1] + "…"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )
