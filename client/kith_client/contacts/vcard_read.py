"""Reads vCard 2.1, 3.0 and 4.0 as programs really write them: bytes to cards, and to what had to be set aside.

Streams, takes time linear in its input, never raises on any input, loses no line. What values mean is left to `views`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from kith_client.contacts.charset import codec_of, decode_text
from kith_client.contacts.escapes import escape
from kith_client.contacts.model import REGISTERS, STRUCTURAL, Card, Property, SetAside, Unit
from kith_client.contacts.vcard_header import Header, Params, read_header
from kith_client.contacts.vcard_legacy import breaks_escaped, from_21, from_quoted
from kith_client.contacts.vcard_lines import Original, open_stream
from kith_client.contacts.vcard_split import MAX_CARD, Kind, Piece, Splitter
from kith_client.contacts.vcard_unfold import Logical, unfold

MAX_PROPERTIES: Final = 10_000
"""Properties of one card; more are no address book but an attempt to fill memory, and no record holds so many."""

_VERSION = re.compile(rb"^[ \t]*version[^:\r\n]{0,20}:[ \t]*([0-9.]{0,8})", re.IGNORECASE | re.MULTILINE)
_ENCODED = re.compile(r"(?i)charset|quoted-printable|base64|;b:|=b[;:]|\"b\"")
_CHARSET = re.compile(rb"(?i);[ \t]*charset[ \t]*=[ \t]*\"?([^:;\",]{1,40})")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*+=*[\s=]*")
_BASE64_NAMES: Final = frozenset({"BASE64", "B"})
_ASIDE: Final = {
    Kind.OUTSIDE: "Line {line}: this text is not inside a card (BEGIN:VCARD ... END:VCARD) and was not imported. "
    "If it is about somebody, add it by hand.",
    Kind.TOO_LONG: f"Line {{line}}: this belongs to a card of more than {MAX_CARD >> 20} MiB. Split or shorten it.",
}
_REMARKS: Final = {
    Kind.CUT_OFF: "Line {line}: the card that begins here has no END:VCARD; the file may be cut off. "
    "What is there was imported.",
    Kind.HEADLESS: "Line {line}: the card that begins here has no BEGIN:VCARD. What is there was imported.",
}
_encode = msgspec.msgpack.Encoder().encode


def read_cards(chunks: Iterable[bytes]) -> Iterator[Card | SetAside]:
    """Reads a vCard file, given as chunks of bytes of any size, card by card in the order of the file.

    Holds one card in memory. Whatever is no card comes as `SetAside` with its bytes; bad lines inside a card are in
    the card's `leftovers`.
    """
    batches, original = open_stream(chunks)
    splitter = Splitter()
    for batch in batches:
        for piece in splitter.feed(batch):
            yield _read(piece, original)
    for piece in splitter.finish():
        yield _read(piece, original)


def _read(piece: Piece, original: Original) -> Card | SetAside:
    data = b"".join(piece.lines)
    if piece.kind in _ASIDE:
        return SetAside(_ASIDE[piece.kind].format(line=piece.line), original(data), piece.line)
    return _CardReader(piece, data, original).read()


class _CardReader:
    """Reads one card; holds what its lines share."""

    def __init__(self, piece: Piece, data: bytes, original: Original) -> None:
        self._piece = piece
        self._data = data
        self._original = original
        found = _VERSION.search(data)
        self._version = ""
        self._is_21 = found is not None and found[1] == b"2.1"
        declared = (codec_of(m[1].decode("latin-1")) for m in _CHARSET.finditer(data))
        self._fallback = None if data.isascii() else next((c for c in declared if c not in (None, "utf-8")), None)
        self._bad: list[tuple[int, int, str]] = []

    def read(self) -> Card | SetAside:
        lines = unfold(self._piece.lines, self._is_21, MAX_PROPERTIES + 3)
        source = self._original(self._data)
        if len(lines) > MAX_PROPERTIES + 3:  # BEGIN, VERSION, END
            reason = f"Line {self._piece.line}: this card has more than {MAX_PROPERTIES} properties. Shorten it."
            return SetAside(reason, source, self._piece.line)
        properties = [prop for logical, text in self._texts(lines) if (prop := self._line(logical, text)) is not None]
        leftovers = self._leftovers()
        units = group_units(properties)
        return Card(self._version, units, source, _fingerprint(units, leftovers), leftovers, self._piece.line)

    def _texts(self, lines: list[Logical]) -> Iterable[tuple[Logical, str]]:
        """One decoding for the whole card where that works, which is nearly always."""
        try:
            texts = b"\n".join([line.data for line in lines]).decode("utf-8").split("\n")
        except UnicodeDecodeError:
            texts = [decode_text(line.data, None, self._fallback) for line in lines]
        return zip(lines, texts, strict=True)

    def _line(self, line: Logical, text: str) -> Property | None:
        header = read_header(text, carets=not self._is_21)
        if header is None:
            self._reject(line, "this is not a property (NAME:value)")
            return None
        key = header.name.upper()
        if key in STRUCTURAL:
            self._delimiter(line, key, text[header.start :].strip(" \t\x00\x1a"))
            return None
        value, params = self._value(line, header, key, text)
        return Property(header.name, value, params, header.group)

    def _delimiter(self, line: Logical, key: str, value: str) -> None:
        if key == "VERSION" and not self._version:
            self._version = value
        elif key == "VERSION" or value.upper() != "VCARD":
            self._reject(line, f"a second or broken {key} stands inside the card")

    def _value(self, line: Logical, header: Header, key: str, text: str) -> tuple[str, Params]:
        if line.nested:
            body = b"\n".join(line.nested)
            return escape(decode_text(body, None, self._fallback)), header.params
        value = text[header.start :]
        if header.params and _ENCODED.search(text, 0, header.start):
            return self._encoded(line, header, key, value)
        return (from_21(key, value) if self._is_21 else value), header.params

    def _encoded(self, line: Logical, header: Header, key: str, value: str) -> tuple[str, Params]:
        encodings = {v.upper() for name, values in header.params if name.upper() == "ENCODING" for v in values}
        if encodings & _BASE64_NAMES:
            return _unspaced(value), header.params
        charset = next((v[0] for name, v in header.params if name.upper() == "CHARSET"), "")
        codec = codec_of(charset)
        params = tuple(p for p in header.params if not _is_transport(p))
        data = line.data[_value_start(line.data) :]
        if "QUOTED-PRINTABLE" in encodings:
            return from_quoted(key, data, lambda part: decode_text(part, codec, self._fallback), self._is_21), params
        if codec is not None:
            value = decode_text(data, codec, self._fallback)
        return (from_21(key, value) if self._is_21 else breaks_escaped(value)), params

    def _reject(self, line: Logical, why: str) -> None:
        self._bad.append((line.first, line.last, why))

    def _leftovers(self) -> tuple[SetAside, ...]:
        """Neighbouring bad lines as one, so that a broken card gives one message and not a thousand."""
        found: list[SetAside] = []
        if self._piece.kind in _REMARKS:
            found.append(SetAside(_REMARKS[self._piece.kind].format(line=self._piece.line), b"", self._piece.line))
        runs: list[tuple[int, int, str]] = []
        for first, last, why in self._bad:
            if runs and not any(line.strip() for line in self._piece.lines[runs[-1][1] + 1 : first]):
                runs[-1] = (runs[-1][0], last, runs[-1][2])
            else:
                runs.append((first, last, why))
        for first, last, why in runs:
            number = self._piece.line + first
            source = self._original(b"".join(self._piece.lines[first : last + 1]))
            found.append(
                SetAside(
                    f"Line {number}: {why}. This part was left out; add by hand what it says.",
                    source,
                    number,
                )
            )
        return tuple(found)


def _is_transport(param: tuple[str, tuple[str, ...]]) -> bool:
    name = param[0].upper()
    return name == "CHARSET" or (name == "ENCODING" and param[1][0].upper() == "QUOTED-PRINTABLE")


def _value_start(data: bytes) -> int:
    # Latin-1 has one character for each byte, so positions agree.
    header = read_header(data.decode("latin-1").removeprefix("\xef\xbb\xbf"), carets=False)
    skipped = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    return skipped + (header.start if header else 0)


def _unspaced(value: str) -> str:
    return re.sub(r"\s+", "", value) if _BASE64.fullmatch(value) else value


def group_units(properties: list[Property]) -> tuple[Unit, ...]:
    """Properties to units: those of one group (any case) stand together where the first of them stood.

    Registers (FN, N, UID, ...) stay units of their own even when a program puts them into a group.
    """
    units: list[list[Property]] = []
    groups: dict[str, list[Property]] = {}
    for prop in properties:
        name = prop.group.lower() if prop.group and prop.key not in REGISTERS else ""
        if name and name in groups:
            groups[name].append(prop)
            continue
        units.append([prop])
        if name:
            groups[name] = units[-1]
    return tuple(map(tuple, units))


def _fingerprint(units: tuple[Unit, ...], leftovers: tuple[SetAside, ...]) -> bytes:
    content = [
        [(p.group.upper(), p.key, [(n.upper(), v) for n, v in p.params], p.value) for p in unit] for unit in units
    ]
    rest = [bad.source.split() for bad in leftovers if bad.source]
    return hashlib.sha256(_encode([content, rest])).digest()
