"""The hash over all records: kept up to date or made anew, it is the same (spec: vault.md, Tree)."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.tree import BUCKETS, EMPTY_BUCKET, Tree, bucket_hash
from tests.protocol.people import fixed

# Few first bytes, so that several records fall into one bucket.
_ids = st.tuples(st.sampled_from([0, 1, 7, 255]), st.binary(min_size=15, max_size=15)).map(
    lambda parts: bytes([parts[0]]) + parts[1]
)
_hashes = st.binary(min_size=32, max_size=32)
_records = st.dictionaries(_ids, _hashes, max_size=20)


def flat(records: dict[bytes, bytes]) -> bytes:
    """The root by the spec's words, all at once."""
    buckets = [hashlib.sha256() for _ in range(256)]
    for record in sorted(records):
        buckets[record[0]].update(record + records[record])
    return hashlib.sha256(b"".join(bucket.digest() for bucket in buckets)).digest()


@given(_records)
def test_the_root_is_what_the_spec_says(records: dict[bytes, bytes]) -> None:
    assert Tree.of(records).root == flat(records)


@given(_records, st.dictionaries(_ids, st.one_of(st.none(), _hashes), max_size=20))
def test_changing_only_the_touched_buckets_gives_the_root_of_all(
    before: dict[bytes, bytes], changes: dict[bytes, bytes | None]
) -> None:
    after = {id_: hash_ for id_, hash_ in {**before, **changes}.items() if hash_ is not None}
    touched = {id_[0] for id_ in changes}
    renewed = {n: bucket_hash((id_, hash_) for id_, hash_ in after.items() if id_[0] == n) for n in touched}
    assert Tree.of(before).with_buckets(renewed).root == flat(after)


@given(_records)
def test_the_order_of_records_does_not_matter(records: dict[bytes, bytes]) -> None:
    assert Tree.of(dict(reversed(list(records.items())))).root == Tree.of(records).root


@given(_records.filter(bool), st.data())
def test_swapping_altering_or_dropping_a_record_changes_the_root(
    records: dict[bytes, bytes], data: st.DataObject
) -> None:
    root, victim = Tree.of(records).root, data.draw(st.sampled_from(sorted(records)))
    assert Tree.of({**records, victim: fixed("altered")}).root != root
    assert Tree.of({id_: hash_ for id_, hash_ in records.items() if id_ != victim}).root != root


def test_an_empty_vault_has_256_empty_buckets() -> None:
    assert Tree().buckets == (EMPTY_BUCKET,) * BUCKETS
    assert Tree().root == Tree.of({}).root == hashlib.sha256(hashlib.sha256(b"").digest() * 256).digest()


def test_a_tree_is_not_changed_by_making_the_next_one() -> None:
    tree = Tree()
    assert tree.with_buckets({3: fixed("bucket")}).root != tree.root
    assert tree.root == Tree().root
