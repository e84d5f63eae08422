"""Vaults whose whole history is made in a test: by honest members, or with any field of a commit turned.

Everything but the randomness inside sealing comes from fixed bytes. `seal` may be replaced by whoever needs that too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kith_protocol import wire
from kith_protocol.chain import ZERO, Chain, begin, extend
from kith_protocol.commit import DELETED, ChangeList, Commit, CommitBody, change_list, sign_commit
from kith_protocol.encoding import Value, encode
from kith_protocol.epoch import (
    FIRST_EPOCH,
    NO_KEYS,
    SealedKey,
    SealedKeys,
    encode_keys,
    epoch_commitment,
    seal_epoch_key,
)
from kith_protocol.member import Member, MemberKeys, MemberKind
from kith_protocol.record import record_key, seal_record
from kith_protocol.suite import KEY_BYTES, SEAL_OVERHEAD, SUITE, SealKey, SignKey, digest
from kith_protocol.tree import Tree
from tests.protocol.people import NOW, fixed

NO_CHANGES = change_list(())
Sealer = Callable[..., SealedKeys]


def keys_of(name: str, kind: MemberKind = MemberKind.DEVICE) -> MemberKeys:
    """A member's keys, the same for the same name."""
    return MemberKeys(kind, SignKey(fixed(name + "-sign")), SealKey(fixed(name + "-seal")))


def paper_of(name: str) -> MemberKeys:
    return keys_of(name + "-paper", MemberKind.PAPER)


def without_sealing(
    key: bytes, vault: bytes, epoch: int, members: Iterable[Member], *, previous: bytes = b"", nonce: bytes = b""
) -> SealedKeys:
    """Stands in for `seal_epoch_key` where only the chain's rules matter, which open nothing: it is much quicker."""
    ids = sorted(member.id for member in members)
    link = seal_epoch_key(key, vault, epoch, (), previous=previous, nonce=nonce).previous if previous else b""
    return SealedKeys(tuple(SealedKey(id_, bytes(KEY_BYTES + SEAL_OVERHEAD)) for id_ in ids), link)


@dataclass(frozen=True)
class Step:
    """A commit with what travels beside it."""

    commit: Commit
    keys: SealedKeys = NO_KEYS
    changes: ChangeList = NO_CHANGES
    records: Mapping[bytes, bytes] = field(default_factory=dict)


def genesis_body(device: Member, paper: Member, epoch_key: bytes, keys: SealedKeys, **fields: Any) -> CommitBody:
    """The body of an honest genesis, with `fields` turned."""
    body = CommitBody(
        suite=SUITE,
        vault=ZERO,
        number=0,
        parent=ZERO,
        author=device.id,
        time=NOW,
        epoch=FIRST_EPOCH,
        added=(device, paper),
        removed=(),
        abandoned=(),
        epoch_commitment=epoch_commitment(FIRST_EPOCH, epoch_key),
        keys=digest(encode_keys(keys)),
        changes=digest(encode(NO_CHANGES)),
        tree=Tree().root,
    )
    return msgspec.structs.replace(body, **fields)


class Story:
    """One vault, told commit by commit. `make_*` gives a step without taking it; the others take it too."""

    def __init__(self, name: str = "anna", *, seal: Sealer = seal_epoch_key) -> None:
        self.name = name
        self.seal = seal
        self.device = keys_of(name + "-laptop")
        self.paper = paper_of(name)
        self.epoch_keys = {FIRST_EPOCH: fixed(name + "-epoch-1")}
        keys = seal(self.epoch_keys[1], ZERO, FIRST_EPOCH, (self.device.public, self.paper.public))
        body = genesis_body(self.device.public, self.paper.public, self.epoch_keys[1], keys)
        self.steps = [Step(sign_commit(body, self.device.sign), keys)]
        self.chain = begin(self.steps[0].commit, keys)
        self.records: dict[bytes, bytes] = {}

    @property
    def vault(self) -> bytes:
        return self.chain.vault

    def record(self, record: bytes, content: dict[str, Value], *, epoch: int | None = None) -> bytes:
        """A sealed record of the epoch in force (or another)."""
        epoch = self.chain.epoch if epoch is None else epoch
        key = record_key(self.epoch_keys.get(epoch, fixed("no such epoch")), self.vault)
        nonce = fixed(f"{record.hex()}-{len(self.steps)}-{content}", 24)
        return seal_record(key, self.vault, record, epoch, content, nonce=nonce)

    def make(
        self,
        author: MemberKeys | None = None,
        *,
        records: Mapping[bytes, bytes | None] | None = None,
        sealed: SealedKeys = NO_KEYS,
        **fields: Any,
    ) -> Step:
        """A commit on the head, with `fields` of its body turned; `records`: id → sealed record or None (deleted)."""
        author, records = author or self.device, records or {}
        changes = change_list((id_, DELETED if blob is None else digest(blob)) for id_, blob in records.items())
        body = CommitBody(
            suite=SUITE,
            vault=self.vault,
            number=self.chain.number + 1,
            parent=self.chain.head,
            author=author.id,
            time=NOW + self.chain.number + 1,
            epoch=self.chain.epoch,
            added=(),
            removed=(),
            abandoned=(),
            epoch_commitment=b"",
            keys=digest(encode_keys(sealed)),
            changes=digest(encode(changes)),
            tree=Tree.of(self._hashes_after(records)).root,
        )
        commit = sign_commit(msgspec.structs.replace(body, **fields), author.sign)
        return Step(commit, sealed, changes, {id_: blob for id_, blob in sorted(records.items()) if blob is not None})

    def make_adding(self, member: MemberKeys, author: MemberKeys | None = None) -> Step:
        key = self.epoch_keys[self.chain.epoch]
        sealed = self.seal(key, self.vault, self.chain.epoch, [member.public])
        return self.make(author, sealed=sealed, added=(member.public,))

    def make_removing(
        self,
        *removed: MemberKeys,
        author: MemberKeys | None = None,
        added: tuple[MemberKeys, ...] = (),
        epoch: int = 0,
        strangers: tuple[bytes, ...] = (),
        **fields: Any,
    ) -> Step:
        """Removes members, and ids that never were one's (and adds some, as a paper key may), and begins the next
        epoch, or the one given."""
        epoch, gone = epoch or self.chain.epoch + 1, {member.id for member in removed}
        staying = [standing.member for id_, standing in self.chain.members.items() if id_ not in gone]
        new = tuple(member.public for member in added)
        self.epoch_keys[epoch] = fixed(f"{self.name}-epoch-{epoch}")
        sealed = self.seal(
            self.epoch_keys[epoch],
            self.vault,
            epoch,
            [*staying, *new],
            previous=self.epoch_keys[self.chain.epoch],
            nonce=fixed(f"{self.name}-link-{epoch}", 24),
        )
        return self.make(
            author,
            sealed=sealed,
            added=new,
            removed=tuple(sorted({*gone, *strangers})),
            epoch=epoch,
            epoch_commitment=epoch_commitment(epoch, self.epoch_keys[epoch]),
            **fields,
        )

    def take(self, step: Step) -> Step:
        """Extends the chain; raises what `extend` raises and then changes nothing."""
        self.chain = extend(self.chain, step.commit, step.keys)
        self.steps.append(step)
        for record, hash_ in step.changes.changes:
            if hash_ == DELETED:
                self.records.pop(record, None)
            else:
                self.records[record] = step.records[record]
        return step

    def write(self, records: Mapping[bytes, bytes | None], author: MemberKeys | None = None) -> Step:
        return self.take(self.make(author, records=records))

    def put(self, **texts: str) -> Step:
        """Writes a note for each name; the record's id comes from the name."""
        return self.write({id_of(name): self.record(id_of(name), note(text)) for name, text in texts.items()})

    def delete(self, *names: str) -> Step:
        return self.write({id_of(name): None for name in names})

    def add(self, member: MemberKeys, author: MemberKeys | None = None) -> Step:
        return self.take(self.make_adding(member, author))

    def remove(self, *removed: MemberKeys, author: MemberKeys | None = None) -> Step:
        return self.take(self.make_removing(*removed, author=author))

    def repair(
        self, lost: Iterable[Step], *removed: MemberKeys, author: MemberKeys | None = None, **fields: Any
    ) -> Step:
        """Gives up `lost` commits, and begins an epoch above those that were seen."""
        steps = list(lost)
        abandoned = tuple(sorted(step.commit.hash for step in steps))
        epoch = max([self.chain.epoch, *(step.commit.body.epoch for step in steps)]) + 1
        values = {"abandoned": abandoned, "epoch": epoch, **fields}
        return self.take(self.make_removing(*removed, author=author, **values))

    def fork(self) -> Story:
        """The same history so far, to be told differently from here."""
        other = object.__new__(Story)
        other.__dict__.update(self.__dict__)
        other.steps, other.records = list(self.steps), dict(self.records)
        other.epoch_keys = dict(self.epoch_keys)
        return other

    def _hashes_after(self, records: Mapping[bytes, bytes | None]) -> dict[bytes, bytes]:
        after: dict[bytes, bytes | None] = {**self.records, **records}
        return {id_: digest(blob) for id_, blob in after.items() if blob is not None}


def id_of(name: str) -> bytes:
    """A record's id, the same for the same name."""
    return fixed("record-" + name, 16)


def note(text: str) -> dict[str, Value]:
    """The map of a small record."""
    return {"kind": "note", "units": {"text": [NOW, b"annalapt", text]}}


def feed_of(story: Story, after: int = -1, *, horizon: int = -1) -> list[wire.Frame]:
    """What an honest server streams; change lists up to commit `horizon` are no longer there."""
    frames: list[wire.Frame] = []
    count = 0
    for number, step in enumerate(story.steps):
        if number <= after:
            continue
        changes = b"" if number <= horizon else encode(step.changes)
        frames.append(wire.FeedCommit(step.commit.raw, encode_keys(step.keys), changes))
        standing = tuple((id_, blob) for id_, blob in step.records.items() if story.records.get(id_) == blob)
        if standing:
            frames.append(wire.FeedRecords(standing))
        count += len(standing)
    head = wire.FeedHead(story.chain.number, story.chain.head, count)
    return [head, *frames, wire.FeedEnd(story.chain.number)]


def chain_of(steps: Iterable[Step]) -> Chain:
    """Verifies a whole history from its genesis."""
    first, *others = steps
    chain = begin(first.commit, first.keys)
    for step in others:
        chain = extend(chain, step.commit, step.keys)
    return chain
