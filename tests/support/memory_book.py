"""A book in memory: what the commands need of a vault, without keys, disk or server. Not a mock: edits take effect."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kith_client.cli.options import Settings
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.content import Content, content_of
from kith_protocol.encoding import decode_map, encode_map

NOON = 1_795_435_200_000
"""2026-11-23 12:00 UTC, a Monday, in milliseconds."""
DEVICE = bytes(range(32))


def seeded(seed: str) -> Callable[[int], bytes]:
    """Random bytes that are the same in every run."""
    counter = 0

    def random(size: int) -> bytes:
        nonlocal counter
        counter += 1
        return hashlib.shake_256(f"{seed}/{counter}".encode()).digest(size)

    return random


@dataclass(frozen=True, slots=True)
class Logged:
    at: int
    what: str
    by: str


@dataclass
class MemoryBook:
    """Records in a dict. What is applied passes through the encoding of records, as in a vault."""

    now: int = NOON
    records: dict[bytes, Content] = field(default_factory=dict)
    log: list[Logged] = field(default_factory=list)
    edits: int = 0
    random: Callable[[int], bytes] = field(default_factory=lambda: seeded("book"))

    @property
    def contents(self) -> Contents:
        return self.records

    def stamp(self) -> Stamp:
        return Stamp(self.now, DEVICE[:8], self.random)

    def put(self, edit: Edit) -> None:
        for record, content in edit.items():
            if content is None:
                self.records.pop(record, None)
            else:
                self.records[record] = content_of(decode_map(encode_map(content.to_map())))

    async def apply(self, edit: Edit, what: Iterable[str] = ()) -> None:
        self.put(edit)
        self.edits += 1
        self.log += [Logged(self.now, text, "me") for text in what]
        self.now += 1000

    async def events(self, last: int = 500) -> list[Logged]:
        return self.log[-last:]

    @asynccontextmanager
    async def open(self, _: Settings) -> AsyncIterator[MemoryBook]:
        yield self
