"""Bytes too large for one record, cut into parts: records with the same `sha256`, numbered, put together on reading."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from kith_client.book.problems import NotFound
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.encoding import Value

PART_BYTES: Final = 512 * 1024
"""Bytes in one part (spec: content.md, `photo`)."""


def cut(stamp: Stamp, kind: str, field: str, data: bytes, values: Mapping[str, Value]) -> Edit:
    """Records of `kind` that together hold `data` in `field`; each also holds `values`."""
    digest = hashlib.sha256(data).digest()
    starts = range(0, len(data), PART_BYTES) if data else (0,)
    parts: list[dict[str, Value]] = [
        {**values, "sha256": digest, "part": part, "parts": len(starts), field: data[start : start + PART_BYTES]}
        for part, start in enumerate(starts)
    ]
    return {stamp.record_id(): stamp.content(kind, part) for part in parts}


class Parts:
    """What is kept in parts, found by its hash."""

    def __init__(self, contents: Contents, kind: str, field: str) -> None:
        self._contents = contents
        self._field = field
        self._records: dict[bytes, dict[int, bytes]] = {}
        for record, content in of_kind(contents, kind).items():
            digest, part = content.value("sha256"), content.value("part", 0)
            if isinstance(digest, bytes) and isinstance(part, int):
                self._records.setdefault(digest, {})[part] = record

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._records

    def records(self, digest: bytes) -> list[bytes]:
        """The records that hold the parts, in order."""
        return [record for _, record in sorted(self._records.get(digest, {}).items())]

    def joined(self, digest: bytes) -> bytes:
        """The whole. Raises `NotFound` where a part is missing or was altered."""
        data = b"".join(self._pieces(digest))
        if hashlib.sha256(data).digest() != digest:
            raise NotFound("Part of a picture or file is missing here. 'kith sync' may bring it.")
        return data

    def _pieces(self, digest: bytes) -> Iterator[bytes]:
        for record in self.records(digest):
            piece = self._contents[record].value(self._field)
            yield piece if isinstance(piece, bytes) else b""
