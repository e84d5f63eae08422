"""The index of record hashes gives the same tree as counting everything anew (spec: vault.md, Tree)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kith_client.store.record_index import RecordIndex
from kith_protocol.commit import DELETED
from kith_protocol.tree import Tree

_ids = st.tuples(st.sampled_from([0, 9, 255]), st.binary(min_size=15, max_size=15)).map(
    lambda parts: bytes([parts[0]]) + parts[1]
)
_hashes = st.binary(min_size=32, max_size=32)
_changes = st.dictionaries(_ids, st.one_of(st.just(DELETED), _hashes), max_size=12)


@given(st.dictionaries(_ids, _hashes, max_size=12), st.lists(_changes, max_size=4))
def test_after_any_changes_the_tree_is_that_of_what_stands(
    start: dict[bytes, bytes], steps: list[dict[bytes, bytes]]
) -> None:
    index, standing = RecordIndex(start.items()), dict(start)
    for changes in steps:
        before = index.root
        after = {record: hash_ for record, hash_ in {**standing, **changes}.items() if hash_ != DELETED}
        assert index.root_with(changes) == Tree.of(after).root
        assert index.root == before, "asking changed something"
        index.update(changes)
        standing = after
        assert index.root == Tree.of(standing).root
    assert index.ids() == standing.keys()
    assert all(record in index for record in standing)
    assert bytes(16) not in index or bytes(16) in standing
