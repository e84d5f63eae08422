"""The hash over all records of a vault, cheap to keep up to date (spec: vault.md, Tree).

`tree = SHA-256(bucket 0 ‖ ... ‖ bucket 255)`; a bucket holds the records whose id begins with its number, and is the
SHA-256 over its sorted `record id ‖ SHA-256(record)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from kith_protocol.suite import digest

BUCKETS: Final = 256

EMPTY_BUCKET: Final = digest(b"")


def bucket_hash(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Hash of one bucket's `(record id, record hash)` pairs."""
    return digest(b"".join(record + hash_ for record, hash_ in sorted(records)))


class Tree:
    """The 256 bucket hashes of one vault state. Immutable; `with_buckets` gives the next one."""

    __slots__ = ("_buckets",)

    def __init__(self, buckets: tuple[bytes, ...] = (EMPTY_BUCKET,) * BUCKETS) -> None:
        self._buckets = buckets

    @classmethod
    def of(cls, records: Mapping[bytes, bytes]) -> Tree:
        """The tree over all records, given as id → hash."""
        sorted_into: dict[int, list[tuple[bytes, bytes]]] = {}
        for record, hash_ in records.items():
            sorted_into.setdefault(record[0], []).append((record, hash_))
        return cls().with_buckets({n: bucket_hash(pairs) for n, pairs in sorted_into.items()})

    def with_buckets(self, changed: Mapping[int, bytes]) -> Tree:
        """The same tree with the hashes of some buckets replaced."""
        buckets = list(self._buckets)
        for number, hash_ in changed.items():
            buckets[number] = hash_
        return Tree(tuple(buckets))

    @property
    def buckets(self) -> tuple[bytes, ...]:
        return self._buckets

    @property
    def root(self) -> bytes:
        """What a commit names as `tree`."""
        return digest(b"".join(self._buckets))
