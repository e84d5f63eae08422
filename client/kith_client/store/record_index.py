"""The hashes of all verified records, kept so that the next commit's `tree` costs only what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kith_protocol.commit import DELETED
from kith_protocol.tree import BUCKETS, Tree, bucket_hash


class RecordIndex:
    """Record id → hash, in the 256 buckets of the tree."""

    def __init__(self, records: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._buckets: list[dict[bytes, bytes]] = [{} for _ in range(BUCKETS)]
        for record, hash_ in records:
            self._buckets[record[0]][record] = hash_
        self._tree = Tree().with_buckets(
            {number: bucket_hash(bucket.items()) for number, bucket in enumerate(self._buckets) if bucket}
        )

    def __contains__(self, record: bytes) -> bool:
        return record in self._buckets[record[0]]

    @property
    def root(self) -> bytes:
        """The `tree` of what is held."""
        return self._tree.root

    def ids(self) -> set[bytes]:
        """The ids of all records held."""
        return {record for bucket in self._buckets for record in bucket}

    def root_with(self, changes: Mapping[bytes, bytes]) -> bytes:
        """The `tree` after `changes`: record id → hash, or `DELETED`. Changes nothing."""
        return self._changed(changes)[1].root

    def update(self, changes: Mapping[bytes, bytes]) -> None:
        """Takes `changes` in."""
        buckets, self._tree = self._changed(changes)
        for number, bucket in buckets.items():
            self._buckets[number] = bucket

    def _changed(self, changes: Mapping[bytes, bytes]) -> tuple[dict[int, dict[bytes, bytes]], Tree]:
        buckets: dict[int, dict[bytes, bytes]] = {}
        for record, hash_ in changes.items():
            bucket = buckets.setdefault(record[0], dict(self._buckets[record[0]]))
            if hash_ == DELETED:
                bucket.pop(record, None)
            else:
                bucket[record] = hash_
        return buckets, self._tree.with_buckets({n: bucket_hash(b.items()) for n, b in buckets.items()})
