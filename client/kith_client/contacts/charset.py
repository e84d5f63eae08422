"""Bytes of a card to text: declared charsets, UTF-8, and what programs write when they know neither.

Never fails and never puts U+FFFD in place of something readable. Which bytes form a value is decided elsewhere.
"""

from __future__ import annotations

import re
from typing import Final

_ALIASES: Final = {
    "utf8": "utf-8", "usascii": "utf-8", "ascii": "utf-8", "unicode11utf8": "utf-8",
    # As on the web: who declares Latin-1 means Windows-1252, which only adds to it.
    "iso88591": "cp1252", "latin1": "cp1252", "iso8859": "cp1252",
    "shiftjis": "cp932", "sjis": "cp932", "xsjis": "cp932", "windows31j": "cp932", "mskanji": "cp932",
    "eucjp": "euc_jp", "iso2022jp": "iso2022_jp",
    "gb2312": "gb18030", "gbk": "gb18030", "cp936": "gb18030", "gb18030": "gb18030", "euccn": "gb18030",
    "big5": "big5hkscs", "big5hkscs": "big5hkscs",
    "euckr": "cp949", "ksc56011987": "cp949", "uhc": "cp949",
    "koi8r": "koi8_r", "koi8u": "koi8_u", "macintosh": "mac_roman", "macroman": "mac_roman",
    "tis620": "cp874", "windows874": "cp874", "latin9": "iso8859_15",
}  # fmt: skip
_NUMBERED = re.compile(r"(?:windows|cp|ibm|xcp)(125[0-8]|437|85[0258]|86[0-6]|874|932|949|950)|iso8859(1[0-6]|[2-9])")
_ESCAPED: Final = {0xDC00 + byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(128, 256)}
"""How Python's "surrogateescape" leaves a byte that is no UTF-8 → what it says in Windows-1252."""


def codec_of(declared: str) -> str | None:
    """The Python codec for a CHARSET parameter, or None when it is unknown.

    A fixed list, because Python's own look-up also knows codecs that are slow (idna) or no charsets (unicode_escape).
    """
    plain = re.sub(r"[^a-z0-9]", "", declared.lower()[:40])
    known = _ALIASES.get(plain)
    if known is not None:
        return known
    numbered = _NUMBERED.fullmatch(plain)
    if numbered is None:
        return None
    return f"cp{numbered[1]}" if numbered[1] else f"iso8859_{numbered[2]}"


def decode_text(data: bytes, codec: str | None = None, fallback: str | None = None) -> str:
    """Decodes with the declared `codec`, else UTF-8, else `fallback` (what the rest of the card declares), else a mix
    in which every byte that is no UTF-8 is read as Windows-1252."""
    for candidate in (codec, "utf-8", fallback):
        if candidate is None:
            continue
        try:
            return data.decode(candidate)
        except UnicodeDecodeError:
            continue
    return _cesu8(data) or data.decode("utf-8", "surrogateescape").translate(_ESCAPED)


def _cesu8(data: bytes) -> str | None:
    # Some Java programs write characters beyond U+FFFF as two surrogates, each in three bytes.
    if b"\xed" not in data:
        return None
    try:
        return data.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeError:
        return None
