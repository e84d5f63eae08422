"""Text from strangers, made fit to compare and fit to show. Knows nothing of properties."""

from __future__ import annotations

import unicodedata
from typing import Final

_BIDI: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)
_INVISIBLE: Final = (0x00AD, 0x200B, 0x2060, *range(0x2061, 0x2065), *range(0x206A, 0x2070), 0x180E, 0xFEFF)
_TAGS: Final = range(0xE0000, 0xE0080)
_SURROGATES: Final = range(0xD800, 0xE000)
_SEPARATORS: Final = (0x2028, 0x2029)
_REPLACEMENT: Final = "\ufffd"

_SAFE: Final[dict[int, str | None]] = {
    **{code: chr(0x2400 + code) for code in range(0x20)},
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), _REPLACEMENT),
    **dict.fromkeys((*_BIDI, *_INVISIBLE, *_TAGS)),
    **dict.fromkeys(_SURROGATES, _REPLACEMENT),
    **dict.fromkeys((ord("\t"), ord("\n"), ord("\r"), *_SEPARATORS), " "),
}
_SAFE_LINES: Final[dict[int, str | None]] = {key: to for key, to in _SAFE.items() if key != ord("\n")}
_IGNORED: Final = dict.fromkeys((*_BIDI, *_INVISIBLE, 0x200C, 0x200D, *_TAGS))
_PLAIN_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th"})


def terminal_safe(text: str, lines: bool = False) -> str:
    """`text` without the power to drive a terminal or to hide what it says.

    Control characters become visible signs, direction overrides and invisible characters vanish, line ends become
    blanks. `lines`: line feeds stay.
    """
    return text.translate(_SAFE_LINES if lines else _SAFE)


def search_key(text: str) -> str:
    """What two spellings of one text have in common: no case, accents, invisible characters or doubled blanks."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKD", text.translate(_IGNORED).casefold())
    plain = "".join(ch for ch in folded if not unicodedata.combining(ch))
    return " ".join(plain.translate(_PLAIN_LETTERS).split())


def without_marks(text: str) -> str:
    """`text` without direction marks and invisible characters, which copied phone numbers bring along."""
    return text if text.isascii() else text.translate(_IGNORED)
