"""What a server checks before it stores a commit: pure decisions over bytes (spec: vault.md, Pushing).

The chain's own rules are in `kith_protocol.chain`; here the records, the change list and the tree are held against
the verified body. Nothing here opens anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from kith_protocol.chain import Chain, Standing, begin, extend, freeze_chain, thaw_chain
from kith_protocol.commit import DELETED, ChangeList, Commit, CommitBody, parse_commit
from kith_protocol.encoding import decode, encode
from kith_protocol.errors import LimitExceeded, Refused
from kith_protocol.recordheader import MAX_RECORD_BYTES, read_header
from kith_protocol.sealedkeys import parse_keys
from kith_protocol.suite import HASH_BYTES, SUITE, digest
from kith_protocol.tree import BUCKETS, Tree, bucket_hash
from kith_protocol.wire import Push, Register
from kith_server.errors import HttpRefusal
from kith_server.storage.interface import RecordRow, Step, StoredCommit, StoredVault

NO_CHANGES: Final = ChangeList(())


@dataclass(frozen=True, slots=True)
class VaultState:
    """A vault at its head, ready to be extended."""

    chain: Chain
    tree: Tree
    records: int
    size: int
    """Bytes stored."""
    quota: int | None
    horizon: int
    followed: Chain | None = None
    """The chain at the server to which the vault moved, as it was told last (`following`)."""
    denied: frozenset[bytes] = frozenset()
    """Whom what was told before it had removed."""

    def member(self, id_: bytes) -> Standing | None:
        """A member; None for who is none, or was removed in anything that is known."""
        if id_ in self.denied or id_ in self.chain.removed:
            return None
        return self.known.members.get(id_)

    @property
    def paper(self) -> bytes:
        """Id of the paper key."""
        return self.known.paper

    @property
    def known(self) -> Chain:
        """The newest that is known of who is a member."""
        return self.followed or self.chain


@dataclass(frozen=True, slots=True)
class CheckedPush:
    """A push of which everything holds but the tree, for which the touched buckets have to be read."""

    commit: Commit
    push: Push
    chain: Chain
    """After the commit."""
    changes: ChangeList

    @property
    def buckets(self) -> frozenset[int]:
        """The buckets of the tree that it touches."""
        return frozenset(record[0] for record, _ in self.changes.changes)


def thaw(stored: StoredVault, chain: Chain) -> VaultState:
    """The state that `stored` keeps; `chain` is its thawed chain."""
    tree = Tree(tuple(stored.buckets[n * HASH_BYTES : (n + 1) * HASH_BYTES] for n in range(BUCKETS)))
    followed = thaw_chain(stored.followed) if stored.followed else None
    denied = frozenset(stored.denied[n : n + HASH_BYTES] for n in range(0, len(stored.denied), HASH_BYTES))
    return VaultState(chain, tree, stored.records, stored.size, stored.quota, stored.horizon, followed, denied)


def check_genesis(register: Register, now: int) -> tuple[StoredVault, StoredCommit]:
    """The vault that a registration begins. Raises `Refused`, `DecodingError`, `BadKey`, `BadSignature`."""
    commit = parse_commit(register.genesis)
    chain = begin(commit, parse_keys(register.keys))
    changes = encode(NO_CHANGES)
    if commit.body.changes != digest(changes):
        _refuse("wrong-changes", "The first commit of a vault changes no record.")
    tree = Tree()
    if commit.body.tree != tree.root:
        _refuse("wrong-tree", "The first commit of a vault names the tree of no records.")
    stored = StoredCommit(0, commit.hash, now, register.genesis, register.keys, changes)
    state = VaultState(chain, tree, 0, _weight(stored), None, -1)
    return freeze(state), stored


def check_push(chain: Chain, commit: Commit, push: Push) -> CheckedPush:
    """Holds the commit against the chain, and the records against the commit.

    Raises `Refused` (the chain's codes, `wrong-changes`, `wrong-records`, `wrong-epoch`), `LimitExceeded`,
    `DecodingError`, `BadKey`.
    """
    after = extend(chain, commit, parse_keys(push.keys))
    if digest(push.changes) != commit.body.changes:
        _refuse("wrong-changes", "The change list is not the one that the commit names.")
    changes = decode(push.changes, ChangeList)
    expected = [(record, hash_) for record, hash_ in changes.changes if hash_ != DELETED]
    if [record for record, _ in push.records] != [record for record, _ in expected]:
        _refuse("wrong-records", "The records are not those of the change list, in its order.")
    for (_, sealed), (_, hash_) in zip(push.records, expected, strict=True):
        _check_record(sealed, hash_, commit.body)
    return CheckedPush(commit, push, after, changes)


def plan_step(
    state: VaultState, checked: CheckedPush, standing: Iterable[RecordRow], quota: int, now: int
) -> tuple[Step, VaultState]:
    """What to store, and the state after it, given the records that stand in the touched buckets.

    Raises `Refused` (`wrong-tree`), or `quota-exceeded` where a push that adds something would pass `quota` bytes.
    """
    push, body = checked.push, checked.commit.body
    before = {row.record: row for row in standing}
    written = _written(checked)
    deleted = tuple(record for record, hash_ in checked.changes.changes if hash_ == DELETED and record in before)
    gone = [before[record] for record in [*deleted, *(row.record for row in written)] if record in before]
    after = {**before, **{row.record: row for row in written}}
    for record in deleted:
        del after[record]
    tree = _next_tree(state.tree, checked.buckets, after.values())
    if tree.root != body.tree:
        _refuse("wrong-tree", "The commit does not name the tree of the records that stand after it.")
    stored = StoredCommit(body.number, checked.chain.head, now, checked.commit.raw, push.keys, push.changes)
    grown = _weight(stored) + sum(row.size for row in written) - sum(row.size for row in gone)
    records = state.records + len(after) - len(before)
    next_state = replace(state, chain=checked.chain, tree=tree, records=records, size=state.size + grown)
    if written and next_state.size > quota:
        raise HttpRefusal(413, "quota-exceeded", f"The vault is full: it may have {quota} bytes on this server.")
    sealed = tuple((row, blob) for row, (_, blob) in zip(written, push.records, strict=True))
    return Step(state.chain.head, freeze(next_state), grown, stored, sealed, deleted, quota), next_state


def _check_record(sealed: bytes, hash_: bytes, body: CommitBody) -> None:
    if len(sealed) > MAX_RECORD_BYTES:
        raise LimitExceeded(f"A record has at most {MAX_RECORD_BYTES} bytes.")
    if digest(sealed) != hash_:
        _refuse("wrong-records", "A record is not the one that the change list names.")
    if read_header(sealed) != (SUITE, body.epoch):
        _refuse("wrong-epoch", "A record is not sealed in the suite and epoch of its commit.")


def _written(checked: CheckedPush) -> list[RecordRow]:
    hashes = dict(checked.changes.changes)
    return [RecordRow(record, hashes[record], len(sealed)) for record, sealed in checked.push.records]


def _next_tree(tree: Tree, buckets: frozenset[int], rows: Iterable[RecordRow]) -> Tree:
    pairs: dict[int, list[tuple[bytes, bytes]]] = {bucket: [] for bucket in buckets}
    for row in rows:
        pairs[row.record[0]].append((row.record, row.hash))
    return tree.with_buckets({bucket: bucket_hash(found) for bucket, found in pairs.items()})


def freeze(state: VaultState) -> StoredVault:
    """What `thaw` reads."""
    chain = state.chain
    return StoredVault(
        *(chain.vault, chain.number, chain.head, freeze_chain(chain), b"".join(state.tree.buckets)),
        *(state.records, state.size, state.quota, state.horizon),
        freeze_chain(state.followed) if state.followed else b"",
        b"".join(sorted(state.denied)),
    )


def _weight(commit: StoredCommit) -> int:
    return len(commit.raw) + len(commit.keys) + len(commit.changes)


def _refuse(code: str, message: str) -> NoReturn:
    raise Refused(code, message)
