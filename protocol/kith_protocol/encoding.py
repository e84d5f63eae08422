"""MessagePack, strict: one encoding for each value, and one error for everything else (spec: encoding.md).

Statements are array-like structs that are signed and hashed as the bytes that travelled. Records are maps of plain
values, read by members only, in which unknown keys are carried along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, TypeVar

import msgspec

from kith_protocol.errors import DecodingError

MAX_DEPTH: Final = 32
"""Levels of nesting in a record; deeper ones are refused before anything walks them."""

Value = None | bool | int | float | str | bytes | list["Value"] | dict[str, "Value"]


class Statement(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Base of everything that is signed, hashed or sent: fields in a fixed order, none unknown."""

    SIZES: ClassVar[Mapping[str, int]] = {}
    """Byte fields of one exact size."""

    def __repr__(self) -> str:
        """Names the kind alone: many statements carry keys, and a repr ends up in logs and traces."""
        return f"{type(self).__name__}(...)"

    def check(self) -> None:
        """Raises `DecodingError` where a field is out of its bounds; annotations are not relied upon."""
        for name, size in self.SIZES.items():
            if len(getattr(self, name)) != size:
                raise DecodingError(f"The field {name} of a {type(self).__name__} must have {size} bytes.")


T = TypeVar("T", bound=Statement)

_LEAVES: Final = frozenset({str, bytes, int, float, bool, type(None)})

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type[Any], msgspec.msgpack.Decoder[Any]] = {}


def encode(statement: Statement) -> bytes:
    """The one encoding of `statement`."""
    return _encoder.encode(statement)


def decode(data: bytes | bytearray, kind: type[T]) -> T:
    """Decodes, refuses any other encoding of the same value, and checks bounds. Raises `DecodingError`."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        statement: T = decoder.decode(data)
        canonical = _encoder.encode(statement) == data
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError, ValueError):
        raise DecodingError(f"This is not a {kind.__name__}.") from None
    if not canonical:
        raise DecodingError(f"This {kind.__name__} is not encoded in the one allowed way.")
    statement.check()
    return statement


def encode_map(values: Mapping[str, Value]) -> bytes:
    """Encodes a record's map of plain values."""
    return _encoder.encode(values)


def decode_map(data: bytes) -> dict[str, Value]:
    """Decodes a record's map of plain values; unknown keys stay. Raises `DecodingError`."""
    try:
        values = msgspec.msgpack.decode(data, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        raise DecodingError("A record is not a map of plain values.") from None
    _check_plain(values, MAX_DEPTH)
    return values


def _check_plain(value: object, depth: int) -> None:
    """Walks containers only: a call for every leaf would cost more than decrypting the record."""
    if depth == 0:
        raise DecodingError("A record is nested too deeply.")
    if type(value) is dict:
        if not all(type(key) is str for key in value):
            raise DecodingError("A record has a key that is not text.")
        items: Iterable[object] = value.values()
    elif type(value) is list:
        items = value
    else:
        raise DecodingError("A record holds something that is not a plain value.")
    for item in items:
        if type(item) not in _LEAVES:
            _check_plain(item, depth - 1)
