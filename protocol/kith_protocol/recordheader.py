"""The part of a sealed record that a server may look at: suite and epoch (spec: record.md)."""

from __future__ import annotations

from typing import Final

from kith_protocol.errors import DecodingError

HEADER_BYTES: Final = 5
MAX_RECORD_BYTES: Final = 1024 * 1024
MAX_EPOCH: Final = 2**32 - 1


def header(suite: int, epoch: int) -> bytes:
    """`suite (1 byte) ‖ epoch (4 bytes, big-endian)`."""
    return bytes([suite]) + epoch.to_bytes(4, "big")


def read_header(blob: bytes) -> tuple[int, int]:
    """Suite and epoch of a sealed record. Raises `DecodingError`."""
    if len(blob) < HEADER_BYTES:
        raise DecodingError("A record is too short.")
    return blob[0], int.from_bytes(blob[1:HEADER_BYTES], "big")
