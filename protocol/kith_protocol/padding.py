"""Lengths that tell little: Padmé for records, four fixed classes for what crosses servers (spec: padding.md).

The padding itself is one 0x80 byte and then zeros, so that it is removed without a length field.
"""

from __future__ import annotations

from typing import Final

from kith_protocol.errors import DecodingError, LimitExceeded

RECORD_MINIMUM: Final = 256
"""Bytes of the smallest padded record."""
CLASSES: Final = (4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024)
"""Bytes of a sealed request, and of a server's reply."""
INNER_ALLOWANCE: Final = 1536
"""Bytes that a sealed request adds around the parcel or answer inside it, rounded up."""
INNER_CLASSES: Final = tuple(size - INNER_ALLOWANCE for size in CLASSES)
"""Bytes of a parcel or an answer."""

_MARK: Final = b"\x80"


def padme(length: int) -> int:
    """The Padmé length for `length` bytes: at most 12 % more, and only O(log log) bits of it leak.

    Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019, §4.
    """
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    zero_bits = exponent - exponent.bit_length()
    mask = (1 << zero_bits) - 1
    return (length + mask) & ~mask


def pad_record(plaintext: bytes) -> bytes:
    """Pads to the Padmé length, at least `RECORD_MINIMUM`."""
    return pad_to(plaintext, max(RECORD_MINIMUM, padme(len(plaintext) + 1)))


def pad_to(plaintext: bytes, length: int) -> bytes:
    """Pads to exactly `length` bytes. Raises `LimitExceeded` where there is no room for the mark."""
    room = length - len(plaintext)
    if room < 1:
        raise LimitExceeded(f"This is {1 - room} bytes too long.")
    return plaintext + _MARK + bytes(room - 1)


def smallest_class(length: int, classes: tuple[int, ...], overhead: int) -> int:
    """The first of `classes` that holds `length` bytes, a mark and `overhead`. Raises `LimitExceeded`."""
    for size in classes:
        if length + 1 + overhead <= size:
            return size
    raise LimitExceeded(f"This is too long: {length} bytes, at most {classes[-1] - overhead - 1} are possible.")


def unpad(padded: bytes) -> bytes:
    """Removes the padding. Raises `DecodingError` where there is none."""
    stripped = padded.rstrip(b"\x00")
    if stripped[-1:] != _MARK:
        raise DecodingError("The padding is damaged.")
    return stripped[:-1]
