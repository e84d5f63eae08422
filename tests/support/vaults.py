"""Builds real vaults for tests: members, signed commits, sealed records and the pushes that carry them.

`VaultBuilder` is a member's side without network or store: it keeps the chain, the epoch keys and the records' hashes
as a client would, and answers with what a client would send.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kith_protocol.chain import ZERO, Chain, begin, extend
from kith_protocol.commit import DELETED, Commit, CommitBody, change_list, sign_commit
from kith_protocol.encoding import Value, encode
from kith_protocol.epoch import epoch_commitment, seal_epoch_key
from kith_protocol.member import Member, MemberKeys, MemberKind
from kith_protocol.record import record_key, seal_record
from kith_protocol.sealedkeys import FIRST_EPOCH, NO_KEYS, SealedKeys, encode_keys
from kith_protocol.session import sign_session
from kith_protocol.suite import SUITE, SealKey, SignKey, digest
from kith_protocol.tree import Tree
from kith_protocol.wire import Push, Register, SessionRequest

Changes = Mapping[bytes, dict[str, Value] | None]
"""Record id → content, or None to delete it."""


def new_member(kind: MemberKind = MemberKind.DEVICE) -> MemberKeys:
    """Fresh keys."""
    return MemberKeys(kind, SignKey(secrets.token_bytes(32)), SealKey(secrets.token_bytes(32)))


def record_id() -> bytes:
    return secrets.token_bytes(16)


@dataclass
class VaultBuilder:
    """A vault as its first device knows it. Start with `VaultBuilder.new()`."""

    device: MemberKeys
    paper: MemberKeys
    chain: Chain
    register: Register
    genesis: Draft
    epoch_keys: dict[int, bytes]
    hashes: dict[bytes, bytes] = field(default_factory=dict)
    """Of the records that stand."""
    sealed: dict[bytes, bytes] = field(default_factory=dict)
    """The records that stand."""
    time: int = 1_800_000_000_000

    @classmethod
    def new(cls, token: str = "", device: MemberKeys | None = None) -> VaultBuilder:
        """A vault with genesis only, and the registration that begins it at a server."""
        device, paper = device or new_member(), new_member(MemberKind.PAPER)
        key = secrets.token_bytes(32)
        members = (device.public, paper.public)
        keys = seal_epoch_key(key, ZERO, FIRST_EPOCH, members)
        body = CommitBody(
            suite=SUITE,
            vault=ZERO,
            number=0,
            parent=ZERO,
            author=device.id,
            time=1_800_000_000_000,
            epoch=FIRST_EPOCH,
            added=members,
            removed=(),
            abandoned=(),
            epoch_commitment=epoch_commitment(FIRST_EPOCH, key),
            keys=digest(encode_keys(keys)),
            changes=digest(encode(change_list(()))),
            tree=Tree().root,
        )
        genesis = Draft(body, device.sign, keys, encode(change_list(())), (), {}, {})
        commit = genesis.sign()
        register = Register(token, commit.raw, encode_keys(keys))
        return cls(device, paper, begin(commit, keys), register, genesis, {FIRST_EPOCH: key})

    @property
    def vault(self) -> bytes:
        return self.chain.vault

    def session(self, origin: str, now: int, member: MemberKeys | None = None, nonce: bytes = b"") -> SessionRequest:
        """A request for a session of `member` (this device) at the server `origin`."""
        member = member or self.device
        nonce = nonce or secrets.token_bytes(16)
        return SessionRequest(*sign_session(self.vault, member.id, origin, now, nonce, member.sign))

    def push(self, changes: Changes | None = None, author: MemberKeys | None = None) -> Push:
        """Commits `changes` and moves on."""
        return self.advance(self.draft(changes or {}, author))

    def draft(self, changes: Changes, author: MemberKeys | None = None) -> Draft:
        """The next commit, not yet applied, so that a test can spoil it."""
        return self._draft(changes, author or self.device, self.chain.epoch, (), (), NO_KEYS, b"")

    def add_device(self, member: Member, author: MemberKeys | None = None) -> Push:
        """Adds a device; the current epoch's key is sealed to it."""
        return self.advance(self.draft_addition(member, author))

    def draft_addition(self, member: Member, author: MemberKeys | None = None) -> Draft:
        """The commit that adds `member`, not yet applied, be it allowed or not."""
        epoch = self.chain.epoch
        keys = seal_epoch_key(self.epoch_keys[epoch], self.vault, epoch, [member])
        return self._draft({}, author or self.device, epoch, (member,), (), keys, b"")

    def remove_member(self, member: bytes, author: MemberKeys | None = None) -> Push:
        """Removes a member and begins a new epoch."""
        return self.advance(self.draft_removal(member, author))

    def draft_removal(self, member: bytes, author: MemberKeys | None = None) -> Draft:
        """The commit that removes `member`, not yet applied."""
        before, epoch, key = self.chain.epoch, self.chain.epoch + 1, secrets.token_bytes(32)
        left = [standing.member for id_, standing in self.chain.members.items() if id_ != member]
        keys = seal_epoch_key(
            key, self.vault, epoch, left, previous=self.epoch_keys[before], nonce=secrets.token_bytes(24)
        )
        self.epoch_keys[epoch] = key
        commitment = epoch_commitment(epoch, key)
        return self._draft({}, author or self.device, epoch, (), (member,), keys, commitment)

    def advance(self, draft: Draft) -> Push:
        """Takes a draft as committed."""
        commit = draft.sign()
        self.chain = extend(self.chain, commit, draft.keys)
        self.hashes, self.sealed = draft.hashes, draft.sealed
        return draft.push(commit)

    def _draft(
        self,
        changes: Changes,
        author: MemberKeys,
        epoch: int,
        added: tuple[Member, ...],
        removed: tuple[bytes, ...],
        keys: SealedKeys,
        commitment: bytes,
    ) -> Draft:
        self.time += 1000
        key = record_key(self.epoch_keys[epoch], self.vault)
        blobs = {
            id_: seal_record(key, self.vault, id_, epoch, content, nonce=secrets.token_bytes(24))
            for id_, content in changes.items()
            if content is not None
        }
        gone = {id_ for id_, content in changes.items() if content is None}
        sealed = {id_: blob for id_, blob in {**self.sealed, **blobs}.items() if id_ not in gone}
        hashes = {id_: hash_ for id_, hash_ in self.hashes.items() if id_ not in gone}
        hashes.update({id_: digest(blob) for id_, blob in blobs.items()})
        listed = change_list([*((id_, digest(blob)) for id_, blob in blobs.items()), *((id_, DELETED) for id_ in gone)])
        body = CommitBody(
            suite=SUITE,
            vault=self.vault,
            number=self.chain.number + 1,
            parent=self.chain.head,
            author=author.id,
            time=self.time,
            epoch=epoch,
            added=added,
            removed=tuple(sorted(removed)),
            abandoned=(),
            epoch_commitment=commitment,
            keys=digest(encode_keys(keys)),
            changes=digest(encode(listed)),
            tree=Tree.of(hashes).root,
        )
        return Draft(body, author.sign, keys, encode(listed), tuple(sorted(blobs.items())), hashes, sealed)


@dataclass(frozen=True)
class Draft:
    """A commit before it is signed, and what travels with it; `replace` what should be wrong."""

    body: CommitBody
    key: SignKey
    keys: SealedKeys
    changes: bytes
    records: tuple[tuple[bytes, bytes], ...]
    hashes: dict[bytes, bytes]
    sealed: dict[bytes, bytes]

    def sign(self) -> Commit:
        return sign_commit(self.body, self.key)

    def push(self, commit: Commit | None = None) -> Push:
        return Push((commit or self.sign()).raw, encode_keys(self.keys), self.changes, self.records)

    def with_body(self, **fields: object) -> Draft:
        """The same with other fields in the signed body."""
        values = {name: getattr(self.body, name) for name in self.body.__struct_fields__}
        return replace(self, body=CommitBody(**{**values, **fields}))
