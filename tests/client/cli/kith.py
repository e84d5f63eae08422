"""Runs `kith` in this process on a book in memory."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from kith_client.cli.main import run
from kith_client.cli.options import Settings
from tests.client.book.library import new_book
from tests.support.memory_book import MemoryBook


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        assert self.out.count("\n") == 1
        return found


@dataclass
class Kith:
    """`kith`, with a book and a keyboard at which nobody sits."""

    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    book: MemoryBook = field(default_factory=new_book)

    def __call__(self, *args: str, given: str = "") -> Said:
        self.patch.setattr(sys, "stdin", io.StringIO(given))
        self.capture.readouterr()
        code = run(args, Settings(opener=self.book.open))
        printed = self.capture.readouterr()
        return Said(code, printed.out, printed.err)

    def do(self, *args: str, given: str = "") -> dict[str, Any]:
        """Runs a command that has to succeed; its document."""
        said = self(*args, "--json", given=given)
        assert said.code == 0, said
        document = said.document
        assert document.pop("ok") is True
        return document

    def fail(self, *args: str, code: int = 1, given: str = "") -> tuple[str, str]:
        """Runs a command that has to fail, for people and as JSON; the error's code and text."""
        said = self(*args, "--json", given=given)
        assert said.code == code, said
        assert said.document["ok"] is False
        plain = self(*args, given=given)
        assert (plain.code, plain.out) == (code, "")
        assert plain.err.strip() == said.document["message"].strip()
        return said.document["error"], said.document["message"]

    def add(self, *names: str) -> list[str]:
        """Adds contacts; their ids."""
        return [self.do("add", name)["id"] for name in names]


def lines(text: str) -> list[str]:
    """The lines of a table, blanks between columns made one."""
    return [" ".join(line.split()) for line in text.splitlines()]


def keys(items: Iterable[dict[str, Any]]) -> set[str]:
    """The keys that all items have."""
    return set.intersection(*(set(item) for item in items))
