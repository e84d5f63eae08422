"""The backslash escapes of vCard 3 and 4 and the caret escapes of RFC 6868. What a value means is left to `views`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_ESCAPED = re.compile(r"\\([\\;,:nN])")
_SPECIAL = re.compile(r"\r\n|[\\,;\r\n]")
_SEPARATORS: Final = {mark: re.compile(r"\\.|" + mark, re.DOTALL) for mark in ";,"}
_CARET = re.compile(r"\^([n'^])")
_CARET_SPECIAL = re.compile(r"\r\n|[\r\n\"^]")
_UNCARET: Final = {"n": "\n", "'": '"', "^": "^"}


def unescape(value: str) -> str:
    r"""Text of a raw value. An unknown escape (`\x`) and a lone backslash at the end stand for themselves."""
    if "\\" not in value:
        return value
    return _ESCAPED.sub(lambda m: "\n" if m[1] in "nN" else m[1], value)


def escape(text: str, keep: str = "") -> str:
    """Raw value of `text`: backslash, comma, semicolon and line ends escaped, except the characters in `keep`."""

    def one(match: re.Match[str]) -> str:
        found = match[0]
        if found in keep:
            return found
        return "\\n" if found[0] in "\r\n" else "\\" + found

    return _SPECIAL.sub(one, text)


def split_raw(value: str, separator: str) -> list[str]:
    """Parts of a raw value between separators that no backslash escapes; the parts stay raw."""
    if "\\" not in value:
        return value.split(separator)
    parts, start = [], 0
    for match in _SEPARATORS[separator].finditer(value):
        if match[0] == separator:
            parts.append(value[start : match.start()])
            start = match.end()
    parts.append(value[start:])
    return parts


def map_parts(value: str, separator: str, change: Callable[[str], str]) -> str:
    """`value` with `change` done to each part between unescaped separators."""
    return separator.join(change(part) for part in split_raw(value, separator))


def caret_decode(text: str) -> str:
    """A parameter's text (RFC 6868); an unknown caret stands for itself."""
    return _CARET.sub(lambda m: _UNCARET[m[1]], text) if "^" in text else text


def caret_encode(text: str) -> str:
    """The reverse of `caret_decode`."""

    def one(match: re.Match[str]) -> str:
        found = match[0]
        return "^^" if found == "^" else "^'" if found == '"' else "^n"

    return _CARET_SPECIAL.sub(one, text)
