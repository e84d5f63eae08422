"""Values as vCard 2.1 and old telephones write them: quoted-printable, and escapes that differ from vCard 3 and 4.

Gives raw values in the escapes of vCard 3 and 4. Which line is in which encoding is decided in `vcard_read`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from kith_client.contacts.escapes import escape, map_parts, split_raw, unescape

STRUCTURED: Final = frozenset({"N", "ADR", "ORG", "GENDER", "CLIENTPIDMAP"})
"""Values made of components between semicolons."""
LISTS: Final = frozenset({"CATEGORIES", "NICKNAME"})
"""Values made of texts between commas."""
TEXTS: Final = frozenset({"FN", "NOTE", "TITLE", "ROLE", "LABEL", "MAILER", "NAME", "SORT-STRING"})
"""Values that are one text."""

_HEX: Final = {f"{i:02X}".encode(): bytes([i]) for i in range(256)}
_BREAK = re.compile(r"\r\n|\r|\n")


def quoted_printable(data: bytes) -> bytes:
    """Decodes; what is no valid escape (`=ZZ`, a lone `=`) stands for itself."""
    head, *parts = data.split(b"=")
    out = [head]
    for part in parts:
        byte = _HEX.get(part[:2].upper())
        out.append(b"=" + part if byte is None else byte + part[2:])
    return b"".join(out)


def from_21(name: str, value: str) -> str:
    """The raw value of a 2.1 property that is in no transport encoding."""
    if name in STRUCTURED:
        return map_parts(value, ";", lambda part: escape(unescape(part)))
    if name in TEXTS:
        return escape(unescape(value))
    if name in LISTS:
        return escape(unescape(value), keep=",")
    return breaks_escaped(value)


def from_quoted(name: str, data: bytes, decode: Callable[[bytes], str], is_21: bool) -> str:
    """The raw value of a quoted-printable property: split at the semicolons first, so that =3B is no separator."""
    if name in TEXTS or name in LISTS:
        return _quoted_text(decode(quoted_printable(data)), "," if name in LISTS else "", is_21)
    if b"=" not in data:
        return from_21(name, decode(data)) if is_21 else breaks_escaped(decode(data))
    if name in STRUCTURED or b";" in data:
        parts = split_raw(data.decode("latin-1"), ";")
        keep = "" if name in STRUCTURED else ","
        return ";".join(_quoted_part(decode(quoted_printable(part.encode("latin-1"))), keep, is_21) for part in parts)
    return breaks_escaped(decode(quoted_printable(data)))


def _quoted_text(text: str, keep: str, is_21: bool) -> str:
    # vCard 3 has its own escapes inside the quoted text; in 2.1 only the semicolon had one.
    return escape(text.replace("\\;", ";"), keep) if is_21 else breaks_escaped(text)


def _quoted_part(text: str, keep: str, is_21: bool) -> str:
    return escape(text.replace("\\;", ";") if is_21 else unescape(text), keep)


def breaks_escaped(value: str) -> str:
    """A raw value keeps no line end: those that an encoding hid become escapes."""
    return _BREAK.sub(r"\\n", value) if "\n" in value or "\r" in value else value
