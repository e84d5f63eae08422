"""Tells what format a file has by its beginning. Its name is a hint at most. Further formats are added here."""

from __future__ import annotations

import re
from typing import Final, Literal

from kith_client.contacts.vcard_lines import utf16_codec

HEAD: Final = 65_536
"""Bytes of a file's beginning that are looked at."""

_VCARD = re.compile(r"^[\ufeff\x00 \t]*begin[ \t]*:[ \t]*vcard", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(r"(?:\r\n|\r|\n)[ \t]")
_LINE_END = re.compile(r"\r\n?")
_VCARD_NAMES: Final = (".vcf", ".vcard", ".contact")


def recognise(path_name: str, head: bytes) -> Literal["vcard", "unknown"]:
    """The format of a file that begins with `head`.

    An empty file with the name of a vCard counts as one: Google Takeout has such, and they are no error.
    """
    codec = utf16_codec(head)
    data = head[:HEAD]
    text = data[: len(data) & ~1].decode(codec, "replace") if codec else data.decode("utf-8", "replace")
    if _VCARD.search(_LINE_END.sub("\n", text)) or _VCARD.search(_LINE_END.sub("\n", _FOLD.sub("", text))):
        return "vcard"
    empty = not text.strip("\ufeff \t\r\n\x00")
    return "vcard" if empty and path_name.lower().endswith(_VCARD_NAMES) else "unknown"
