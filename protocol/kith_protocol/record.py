"""Sealed records: one blob each, bound to their vault, id and epoch (spec: record.md)."""

from __future__ import annotations

from typing import Final

from kith_protocol import labels
from kith_protocol.encoding import Value, decode_map, encode_map
from kith_protocol.errors import Alarm, AlarmCode, LimitExceeded, Undecryptable
from kith_protocol.padding import pad_record, unpad
from kith_protocol.recordheader import HEADER_BYTES, MAX_RECORD_BYTES, header, read_header
from kith_protocol.suite import BOX_OVERHEAD, SUITE, decrypt, derive, encrypt

MAX_PLAINTEXT_BYTES: Final = 900_000
"""Room for the Padmé padding (12 % at most) inside `MAX_RECORD_BYTES`."""


def record_key(epoch_key: bytes, vault: bytes) -> bytes:
    """The key that seals the records of one epoch."""
    return derive(epoch_key, labels.RECORD_KEY, vault)


def seal_record(
    key: bytes, vault: bytes, record_id: bytes, epoch: int, content: dict[str, Value], *, nonce: bytes
) -> bytes:
    """`suite ‖ epoch ‖ nonce ‖ commitment ‖ AEAD(pad(content))`; `key` is `record_key` of the epoch.

    Raises `LimitExceeded` for content over `MAX_PLAINTEXT_BYTES`.
    """
    plaintext = encode_map(content)
    if len(plaintext) > MAX_PLAINTEXT_BYTES:
        raise LimitExceeded(f"A record holds at most {MAX_PLAINTEXT_BYTES} bytes; this one has {len(plaintext)}.")
    associated = header(SUITE, epoch) + vault + record_id
    return header(SUITE, epoch) + encrypt(key, labels.RECORD, associated, pad_record(plaintext), nonce=nonce)


def open_record(key: bytes, vault: bytes, record_id: bytes, blob: bytes) -> dict[str, Value]:
    """The content of a sealed record; `key` is `record_key` of the epoch that its header names.

    Raises `Undecryptable`, `DecodingError`, or the alarm `downgrade`.
    """
    suite, epoch = read_header(blob)
    if suite != SUITE:
        raise Alarm(AlarmCode.DOWNGRADE, f"A record names suite {suite}; this program knows suite 1.")
    if not HEADER_BYTES + BOX_OVERHEAD <= len(blob) <= MAX_RECORD_BYTES:
        raise Undecryptable("A record is too short or too long.")
    associated = header(suite, epoch) + vault + record_id
    return decode_map(unpad(decrypt(key, labels.RECORD, associated, blob[HEADER_BYTES:])))
