"""The part of a logical line before its value: group, name, parameters. Values are left to `vcard_read`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from kith_client.contacts.escapes import caret_decode
from kith_client.contacts.model import NAME

Params = tuple[tuple[str, tuple[str, ...]], ...]

MAX_NAME: Final = 200
"""Characters of group and name together; a longer one would only be a burden to show."""

MAX_PARAMS: Final = 1 << 16
"""Characters of a parameter list; an address as a LABEL is the longest honest one."""

_HEAD = re.compile(r"(?:\ufeff)?[ \t]*+(?:([A-Za-z0-9_-]++)\.)?([A-Za-z0-9_-]++)[ \t]*+([;:])")
_QUOTED_END = re.compile(r'(?:[^":]++|"[^"]*+")*+:')
_PART = re.compile(r'((?:[^";]++|"[^"]*+")*+)(?:;|\Z)')
_VALUE = re.compile(r'((?:[^",]++|"[^"]*+")*+)(?:,|\Z)')
_ENCODINGS: Final = frozenset({"QUOTED-PRINTABLE", "BASE64", "B", "7BIT", "8BIT"})
_PLACES: Final = frozenset({"INLINE", "URL", "URI", "CID", "CONTENT-ID"})
_CACHED_LENGTH: Final = 48
"""Characters of a parameter list that is worth remembering: addresses have few of them, again and again."""


class Header(NamedTuple):
    """What stands before a value, and where in the line the value begins."""

    group: str
    name: str
    params: Params
    start: int


def read_header(line: str, carets: bool) -> Header | None:
    """The header of a logical line, or None where it is no property. `carets`: RFC 6868 is in force (not in 2.1)."""
    head = _HEAD.match(line)
    if head is None:
        return None
    if head.end() > MAX_NAME:
        return None
    if head[3] == ":":
        return Header(head[1] or "", head[2], (), head.end())
    start = head.end()
    end = line.find(":", start, start + MAX_PARAMS)
    if end < 0:
        return None
    quoted = line.find('"', start, end) >= 0
    if quoted:
        whole = _QUOTED_END.match(line, start, start + MAX_PARAMS)
        # A quote that is never closed is taken as an ordinary character.
        quoted = whole is not None
        end = whole.end() - 1 if whole else end
    text = line[start:end]
    parse = _cached_params if len(text) <= _CACHED_LENGTH else _params
    return Header(head[1] or "", head[2], parse(text, quoted, carets), end + 1)


def _params(text: str, quoted: bool, carets: bool) -> Params:
    parts = _split(text, _PART, ";") if quoted else text.split(";")
    return tuple(_param(part.strip(), quoted, carets) for part in parts if part and not part.isspace())


_cached_params = lru_cache(maxsize=1024)(_params)


def _param(part: str, quoted: bool, carets: bool) -> tuple[str, tuple[str, ...]]:
    name, equals, rest = part.partition("=")
    name = name.strip()
    if not equals or not NAME.fullmatch(name):
        return _bare_name(part), (_plain(part, quoted, carets),)
    values = _split(rest, _VALUE, ",") if quoted else rest.split(",")
    return name, tuple(_plain(value, quoted, carets) for value in values)


def _bare_name(value: str) -> str:
    """vCard 2.1 leaves out the names of the parameters TYPE, ENCODING and VALUE."""
    upper = value.upper()
    return "ENCODING" if upper in _ENCODINGS else "VALUE" if upper in _PLACES else "TYPE"


def _plain(value: str, quoted: bool, carets: bool) -> str:
    value = value.strip()
    if quoted and '"' in value:
        value = value[1:-1] if value[0] == value[-1] == '"' and value.count('"') == 2 else value.replace('"', "")
    return caret_decode(value) if carets else value


def _split(text: str, pattern: re.Pattern[str], mark: str) -> list[str]:
    parts, position = [], 0
    while (match := pattern.match(text, position)) is not None:
        parts.append(match[1])
        position = match.end()
        if not match[0].endswith(mark) or match.end(1) == match.end():
            return parts
    return [*parts, text[position:]]
