"""The physical lines of one card to logical lines: folds, soft breaks, base64 blocks, nested cards.

Works on bytes, because programs fold inside UTF-8 sequences. What a logical line says is left to `vcard_read`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_LABEL: Final = rb"(?:[A-Za-z0-9_-]++\.)?"
_KNOWN = re.compile(
    _LABEL + rb"(?:x-[a-z0-9_-]++|adr|agent|anniversary|bday|begin|caladruri|caluri|categories|class|email|end|fburl|fn"
    rb"|gender|geo|impp|key|kind|label|lang|logo|mailer|member|n|name|nickname|note|org|photo|prodid|profile|related"
    rb"|rev|role|sort-string|sound|source|tel|title|tz|uid|url|version)[ \t]*+[;:]",
    re.IGNORECASE,
)
"""Beginnings that no continuation is believed to have: a broken value must not swallow the next property."""
_HEADER = re.compile(_LABEL + rb"[A-Za-z0-9_-]++[ \t]*+[;:]")
_QP_HEADER = re.compile(rb"[^:]*?;[ \t]*(?:encoding[ \t]*=[ \t]*\"?)?quoted-printable", re.IGNORECASE)
_BASE64_HEADER = re.compile(rb"[^:]*?;[ \t]*(?:encoding[ \t]*=[ \t]*\"?)?(?:base64|b)\"?[;:]", re.IGNORECASE)
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]++={0,2}[ \t]*\Z")
_QP_LINE = re.compile(rb"=[0-9A-Fa-f]{2}")
_BEGIN = re.compile(rb"(?:\xef\xbb\xbf|\x00)*+begin[ \t]*+:[ \t]*+vcard", re.IGNORECASE)
_END = re.compile(rb"end[ \t]*+:[ \t]*+vcard", re.IGNORECASE)
_SPACE: Final = (0x20, 0x09)


@dataclass(slots=True)
class Logical:
    """One logical line. `nested` holds the text of a card inside an AGENT, `first` and `last` its physical lines."""

    parts: list[bytes]
    first: int
    last: int
    nested: list[bytes] = field(default_factory=list)
    ended: bool = False
    """A blank line came after it: nothing continues it without a fold."""
    _quoted: bool | None = None
    _base64: bool | None = None

    @property
    def data(self) -> bytes:
        """The unfolded bytes."""
        return self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)

    def quoted(self) -> bool:
        """Whether the value is declared quoted-printable. Looked up once: folds may be many."""
        if self._quoted is None:
            self._quoted = _QP_HEADER.match(self.data) is not None
        return self._quoted

    def base64(self) -> bool:
        """Whether the value is declared base64."""
        if self._base64 is None:
            self._base64 = _BASE64_HEADER.match(self.data) is not None
        return self._base64


def unfold(lines: list[bytes], keep_blank: bool, limit: int) -> list[Logical]:
    """Logical lines of a card, BEGIN and END included where they stand; stops when there are more than `limit`.

    `keep_blank`: the blank that begins a continuation belongs to the value (vCard 2.1); else it is the fold itself.
    """
    logical: list[Logical] = []
    current: Logical | None = None
    skip = 0 if keep_blank else 1
    depth = 1
    for number, raw in enumerate(lines):
        line = raw.rstrip(b"\r\n")
        if current is not None and depth == 1 and line and line[0] in _SPACE:
            # First, because a value may be folded a hundred thousand times.
            if current.parts[-1].endswith(b"=") and current.quoted():
                current.parts[-1] = current.parts[-1][:-1]
            current.parts.append(line[skip:])
            current.last = number
            continue
        if depth > 1 or (number and _BEGIN.match(line)):
            depth += _nest(logical[-1], line, number)
            current = None
        elif not line:
            _end_block(current, raw, lines, number)
        elif current is None or not _continues(current, line):
            started = Logical([line.lstrip(b" \t")], number, number)
            logical.append(started)
            # Some programs indent the line after BEGIN: it is no fold of it.
            current = None if number == 0 and _BEGIN.match(line) else started
            if len(logical) > limit:
                break
        else:
            current.last = number
    return logical


def _nest(agent: Logical, line: bytes, number: int) -> int:
    agent.nested.append(line)
    agent.last = number
    if _BEGIN.match(line):
        return 1
    return -1 if _END.match(line) else 0


def _end_block(current: Logical | None, raw: bytes, lines: list[bytes], number: int) -> None:
    # CR CR LF and LF CR are single line ends of some programs, not blank lines.
    before = lines[number - 1] if number else b""
    double = (raw == b"\r\n" and before.endswith(b"\r")) or (raw == b"\r" and before.endswith(b"\n"))
    if current is not None and not (double and not before.endswith(b"\r\n")):
        current.ended = True


def _continues(current: Logical, line: bytes) -> bool:
    """Adds `line` to `current` where it continues it though nothing indents it."""
    tail = current.parts[-1]
    if current.ended or _KNOWN.match(line):
        return False
    if tail.endswith(b"=") and current.quoted():
        current.parts[-1] = tail[:-1]
    elif tail.endswith(b"\\") and not _HEADER.match(line) and _odd_backslashes(tail):
        # Old telephones end a line with a backslash where a line break is meant.
        current.parts[-1] = tail + b"n"
    elif not (_BASE64_LINE.match(line) and current.base64()) and not (_QP_LINE.match(line) and current.quoted()):
        return False
    current.parts.append(line)
    return True


def _odd_backslashes(tail: bytes) -> bool:
    return (len(tail) - len(tail.rstrip(b"\\"))) % 2 == 1
