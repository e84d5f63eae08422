"""A stream of bytes to physical lines, each with the bytes it came from. Cards and folding are left to others.

UTF-16 is turned into UTF-8 here, line by line and reversibly, so that everything above sees one kind of bytes.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from typing import Final

SLICE: Final = 1 << 16
"""Bytes that are split into lines at a time."""
MAX_LINE: Final = 8 << 20
"""Bytes of a physical line; a longer one is handed on in pieces, and its card is too long anyway."""
_PROBE: Final = 8
"""Bytes that are enough to tell UTF-16."""

Original = Callable[[bytes], bytes]
"""Lines as handed on → the bytes in the file."""


def open_stream(chunks: Iterable[bytes]) -> tuple[Iterator[list[bytes]], Original]:
    """Lines in batches, their ends kept (LF, CRLF or CR only), and the way back to the original bytes."""
    stream = (bytes(chunk) for chunk in chunks)
    head = b""
    for chunk in stream:
        head += chunk
        if len(head) >= _PROBE:
            break
    codec = utf16_codec(head)
    rest = _slices(_before(head, stream))
    if codec is None:
        return _batches(rest), _same
    return _batches(_to_utf8(rest, codec)), lambda data: _to_utf16(data, codec)


def utf16_codec(head: bytes) -> str | None:
    """The Python codec when `head` is the beginning of UTF-16 text, with or without a byte order mark."""
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    probe = head[:_PROBE]
    if len(probe) < _PROBE:
        return None
    even, odd = probe[0::2], probe[1::2]
    if not any(even) and all(odd):
        return "utf-16-be"
    return "utf-16-le" if not any(odd) and all(even) else None


def _same(data: bytes) -> bytes:
    return data


def _before(head: bytes, stream: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from stream


def _slices(stream: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in stream:
        for start in range(0, len(chunk), SLICE):
            yield chunk[start : start + SLICE]


def _to_utf8(stream: Iterator[bytes], codec: str) -> Iterator[bytes]:
    # Lone surrogates pass as three bytes each, so that `_to_utf16` finds them again.
    decoder = codecs.getincrementaldecoder(codec)("surrogatepass")
    odd = b""
    for chunk in stream:
        data = odd + chunk
        even = len(data) & ~1
        odd = data[even:]
        yield decoder.decode(data[:even]).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=False).encode("utf-8")
    held = decoder.getstate()[0]
    if held:
        yield held.decode(codec, "surrogatepass").encode("utf-8", "surrogatepass")
    if odd:
        # Half a character at the end cannot be told from its other half: it stays a byte that no UTF-8 has.
        yield b"\n\xff" + odd


def _to_utf16(data: bytes, codec: str) -> bytes:
    text, mark, odd = data.partition(b"\n\xff")
    if not mark and data.startswith(b"\xff"):
        text, odd = b"", data[1:]
    return text.decode("utf-8", "surrogatepass").encode(codec, "surrogatepass") + odd


def _batches(stream: Iterator[bytes]) -> Iterator[list[bytes]]:
    pending: list[bytes] = []
    size = 0
    for chunk in stream:
        if not pending or b"\n" in chunk or b"\r" in chunk or pending[-1].endswith(b"\r"):
            lines = b"".join([*pending, chunk]).splitlines(keepends=True)
            pending = [lines.pop()] if lines and not lines[-1].endswith(b"\n") else []
            size = sum(map(len, pending))
            if lines:
                yield lines
        else:
            pending.append(chunk)
            size += len(chunk)
        if size > MAX_LINE:
            yield [b"".join(pending)]
            pending, size = [], 0
    if pending:
        yield b"".join(pending).splitlines(keepends=True)
