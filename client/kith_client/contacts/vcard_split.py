"""Physical lines to raw cards and the text around them: finds BEGIN:VCARD and END:VCARD. Reads no property.

Every line goes into exactly one piece, so nothing is lost. Pieces are bounded, whatever the input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAX_CARD: Final = 8 << 20
"""Bytes of one card. A photo of a few megabytes in base64 fits."""
MAX_CARD_LINES: Final = 400_000
"""Physical lines of one card: 8 MiB folded after every 20 bytes. Bounds memory, as each line is an object."""
MAX_OUTSIDE: Final = 1 << 20
"""Bytes of text between cards that are set aside as one piece."""

_MARK = re.compile(
    rb"(?:\xef\xbb\xbf|\x00)*+(?:(begin)|end)[ \t]*+:[ \t]*+vcard[ \t\x00\x1a]*+[\r\n]*+\Z", re.IGNORECASE
)
_AGENT = re.compile(rb"(?:[a-z0-9_-]++\.)?agent(?:;[^:]*+)?:[ \t]*+[\r\n]*+\Z", re.IGNORECASE)
_VERSION = re.compile(rb"(?:\xef\xbb\xbf)?version[ \t]*+:", re.IGNORECASE)
_BLANK: Final = b" \t\r\n"
_NOTHING: Final = (b"", b"\xef\xbb\xbf")
"""What a line may hold and yet say nothing: not even a byte order mark does."""
_SPACE: Final = (0x20, 0x09)
_MARK_STARTS: Final = frozenset(b"\x00\xefBbEe")
_LONGEST_MARK: Final = 64
"""Bytes of a line that may be a mark, stray blanks included."""
_LONGEST_PART: Final = 14
"""Bytes of a line that may be the folded beginning of BEGIN:VCARD, with its line end."""


class Kind(Enum):
    """What a piece of the input is."""

    CARD = auto()
    """From BEGIN to END."""
    CUT_OFF = auto()
    """A card without its END."""
    HEADLESS = auto()
    """A card without its BEGIN: from VERSION to END."""
    OUTSIDE = auto()
    """Text between cards."""
    TOO_LONG = auto()
    """A part of a card that is beyond the limits."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines with their ends, and the number of the first, counted from 1."""

    kind: Kind
    lines: list[bytes]
    line: int


class Splitter:
    """Takes lines, gives pieces. `feed` every batch, then `finish` once."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._size = 0
        self._first = 1
        self._number = 0
        self._depth = 0
        self._too_long = False
        self._limit = MAX_OUTSIDE
        self._searched = 0

    def feed(self, batch: Iterable[bytes]) -> Iterator[Piece]:
        """Pieces that the lines of `batch` complete."""
        for line in batch:
            self._number += 1
            if line[0] in _SPACE:
                if len(line) <= _LONGEST_PART and self._lines and self._lines[-1][0] in _MARK_STARTS:
                    yield from self._fold(line)
                    continue
            elif len(line) < _LONGEST_MARK and line[0] in _MARK_STARTS:
                mark = _MARK.match(line)
                if mark is not None:
                    yield from self._marked(line, begins=mark[1] is not None)
                    continue
            self._add(line)
            if self._size > self._limit or len(self._lines) > MAX_CARD_LINES:
                yield from self._overflow()

    def finish(self) -> Iterator[Piece]:
        """What is left when the input ends."""
        yield from self._close(Kind.CUT_OFF if self._depth else Kind.OUTSIDE)

    def _fold(self, line: bytes) -> Iterator[Piece]:
        begins = self._folded_mark(line)
        self._add(line)
        if begins is False and self._depth:
            yield from self._ended()
        elif begins and not self._depth:
            yield from self._begun_by_fold()
        elif len(self._lines) > MAX_CARD_LINES:
            yield from self._overflow()

    def _overflow(self) -> Iterator[Piece]:
        self._too_long = self._depth > 0
        yield from self._flush(Kind.OUTSIDE)

    def _marked(self, line: bytes, begins: bool) -> Iterator[Piece]:
        if begins:
            if self._depth and self._after_agent():
                self._depth += 1
            else:
                yield from self._close(Kind.CUT_OFF if self._depth else Kind.OUTSIDE)
                self._depth, self._limit = 1, MAX_CARD
            self._add(line)
            return
        self._add(line)
        if self._depth:
            yield from self._ended()
        else:
            yield from self._end_without_begin()

    def _ended(self) -> Iterator[Piece]:
        self._depth -= 1
        if self._depth == 0:
            yield from self._close(Kind.CARD)

    def _end_without_begin(self) -> Iterator[Piece]:
        lines, self._searched = range(self._searched, len(self._lines)), len(self._lines)
        start = next((i for i in lines if _VERSION.match(self._lines[i])), None)
        if start is None:
            return
        inside, first = self._lines[start:], self._first + start
        del self._lines[start:]
        yield from self._close(Kind.OUTSIDE)
        yield Piece(Kind.HEADLESS, inside, first)

    def _begun_by_fold(self) -> Iterator[Piece]:
        head = self._lines[-2:]
        del self._lines[-2:]
        yield from self._close(Kind.OUTSIDE)
        self._depth, self._limit = 1, MAX_CARD
        self._lines, self._size, self._first = head, sum(map(len, head)), self._number - 1

    def _folded_mark(self, line: bytes) -> bool | None:
        """True where this fold completes BEGIN:VCARD, False for END:VCARD: names may be folded anywhere."""
        if not self._lines or len(line) > _LONGEST_PART or len(self._lines[-1]) > _LONGEST_PART:
            return None
        mark = _MARK.match(self._lines[-1].rstrip(b"\r\n") + line[1:])
        return None if mark is None or _MARK.match(self._lines[-1]) else mark[1] is not None

    def _after_agent(self) -> bool:
        for line in reversed(self._lines[-3:]):
            if line.strip(_BLANK):
                return _AGENT.match(line) is not None
        return False

    def _add(self, line: bytes) -> None:
        if not self._lines:
            self._first = self._number
        self._lines.append(line)
        self._size += len(line)

    def _close(self, kind: Kind) -> Iterator[Piece]:
        yield from self._flush(kind)
        self._depth, self._too_long, self._limit = 0, False, MAX_OUTSIDE

    def _flush(self, kind: Kind) -> Iterator[Piece]:
        lines, self._lines, self._size, self._searched = self._lines, [], 0, 0
        if any(line.strip(_BLANK) not in _NOTHING for line in lines):
            yield Piece(Kind.TOO_LONG if self._too_long else kind, lines, self._first)
