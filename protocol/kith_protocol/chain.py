"""A vault's chain of commits: what a server and every client enforce, from the commits alone (spec: vault.md, Rules).

`begin` and `extend` verify one commit and give the next state, or raise. They say nothing about records: whoever holds
the change list and the records checks them against `changes` and `tree` of the verified body.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, NoReturn

from kith_protocol.commit import MAX_MEMBERS, Commit, CommitBody
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import BadSignature, Refused
from kith_protocol.member import Member, MemberKind
from kith_protocol.recordheader import MAX_EPOCH
from kith_protocol.sealedkeys import FIRST_EPOCH, SealedKeys, encode_keys, key_names
from kith_protocol.suite import HASH_BYTES, digest

ZERO: Final = bytes(HASH_BYTES)
MAX_EPOCH_STEP: Final = 1000
"""An epoch's number may skip some that were lost with a server, but not run to the end."""
MAX_STRANGERS: Final = 64
"""Ids that one member may shut out by repairs and that never were a member's: they are kept for ever."""


class Standing(Statement, frozen=True):
    """A member as the chain has it."""

    member: Member
    added: int
    """Number of the commit that added it."""
    last: int
    """Number of the last commit that it wrote."""
    strangers: int = 0
    """Ids that it shut out by repairs and that never were a member's."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What is known after the last verified commit."""

    vault: bytes
    number: int
    head: bytes
    """Hash of the last commit."""
    epoch: int
    tree: bytes
    members: Mapping[bytes, Standing]
    removed: frozenset[bytes]
    commitments: Mapping[int, bytes]
    """Commitment of each epoch's key."""

    @property
    def paper(self) -> bytes:
        """Id of the paper key."""
        return next(id_ for id_, standing in self.members.items() if standing.member.kind is MemberKind.PAPER)


def begin(commit: Commit, keys: SealedKeys) -> Chain:
    """The chain after genesis. Raises `Refused`, `BadKey` or `BadSignature`."""
    body = commit.body
    if (body.number, body.vault, body.parent, body.removed, body.abandoned) != (0, ZERO, ZERO, (), ()):
        _refuse("genesis", "This is not the first commit of a vault.")
    kinds = sorted(member.kind for member in body.added)
    if kinds != [MemberKind.DEVICE, MemberKind.PAPER]:
        _refuse("genesis", "A vault begins with one device and one paper key.")
    if len({member.id for member in body.added}) != len(body.added):
        _refuse("genesis", "The first device and the paper key have the same keys.")
    if body.epoch != FIRST_EPOCH or not body.epoch_commitment:
        _refuse("wrong-epoch", "A vault begins with epoch 1 and the commitment of its key.")
    author = next(member for member in body.added if member.kind is MemberKind.DEVICE)
    if body.author != author.id:
        _refuse("unknown-member", "The first commit is written by the first device.")
    for member in body.added:
        member.check_keys()
    commit.verify(author.sign_key)
    members = {member.id: Standing(member, 0, 0) for member in body.added}
    _check_keys(body, keys, frozenset(members), linked=False)
    vault = commit.hash
    return Chain(
        vault, 0, vault, body.epoch, body.tree, members, frozenset(), {body.epoch: body.epoch_commitment}
    )  # fmt: skip


def extend(chain: Chain, commit: Commit, keys: SealedKeys) -> Chain:
    """The chain after one more commit. Raises `Refused` with the rule's code, or `BadKey`.

    Codes: `fork` (does not follow the head), `unknown-member` (author or signature), `wrong-epoch`, `membership`.
    """
    body = commit.body
    if (body.vault, body.number, body.parent) != (chain.vault, chain.number + 1, chain.head):
        _refuse("fork", f"Commit {body.number} does not follow the head of this vault, commit {chain.number}.")
    author = chain.members.get(body.author)
    if author is None:
        _refuse("unknown-member", f"Commit {body.number} was not written by a member of this vault.")
    try:
        commit.verify(author.member.sign_key)
    except BadSignature:
        _refuse("unknown-member", f"Commit {body.number} was not signed by the member that it names.")
    members = _changed_members(chain, body, author)
    commitments = _changed_epoch(chain, body, keys, members)
    if body.author in members:  # a paper key that replaces itself is gone by now
        strangers = author.strangers + len(strangers_among(chain, body.removed))
        if strangers > MAX_STRANGERS:
            _refuse("membership", f"A member shuts out at most {MAX_STRANGERS} ids that never were a member's.")
        members[body.author] = Standing(author.member, author.added, body.number, strangers)
    return replace(
        chain,
        number=body.number,
        head=commit.hash,
        epoch=body.epoch,
        tree=body.tree,
        members=members,
        removed=chain.removed | frozenset(body.removed),
        commitments=commitments,
    )


def strangers_among(chain: Chain, ids: Iterable[bytes]) -> frozenset[bytes]:
    """Those of `ids` that never were a member's, nor were shut out."""
    return frozenset(id_ for id_ in ids if id_ not in chain.members and id_ not in chain.removed)


def _changed_members(chain: Chain, body: CommitBody, author: Standing) -> dict[bytes, Standing]:
    by_paper = author.member.kind is MemberKind.PAPER
    members = dict(chain.members)
    for removed in body.removed:
        if removed not in members and not body.abandoned:  # a repair also shuts out whom the server never knew
            _refuse("membership", "A commit removes somebody who is not a member.")
        if removed == body.author and not by_paper:
            _refuse("membership", "A device cannot remove itself: it would choose the key that shuts it out.")
        members.pop(removed, None)
    for added in body.added:
        if added.id in chain.removed or added.id in chain.members or added.id in body.removed:
            _refuse("membership", "A member that was added before cannot be added again.")
        if added.id in members:
            _refuse("membership", "A commit adds a member twice.")
        added.check_keys()
        members[added.id] = Standing(added, body.number, body.number)
    _check_paper(chain, body, by_paper, members)
    if not by_paper and len(body.added) > 1 and not body.abandoned:  # a repair adds again all that were lost
        _refuse("membership", "A device adds one device at a time.")
    if len(members) > MAX_MEMBERS:
        _refuse("membership", f"A vault has at most {MAX_MEMBERS} members.")
    return members


def _check_paper(chain: Chain, body: CommitBody, by_paper: bool, members: Mapping[bytes, Standing]) -> None:
    touches_paper = chain.paper in body.removed or any(member.kind is MemberKind.PAPER for member in body.added)
    if touches_paper and not by_paper:
        _refuse("membership", "Only the paper key can replace the paper key.")
    if sum(standing.member.kind is MemberKind.PAPER for standing in members.values()) != 1:
        _refuse("membership", "A vault has exactly one paper key.")


def _changed_epoch(
    chain: Chain, body: CommitBody, keys: SealedKeys, members: Mapping[bytes, Standing]
) -> dict[int, bytes]:
    begins = body.epoch != chain.epoch
    if begins != bool(body.epoch_commitment):
        _refuse("wrong-epoch", "A commit carries the commitment of a key exactly where it begins an epoch.")
    if begins and not chain.epoch < body.epoch <= min(chain.epoch + MAX_EPOCH_STEP, MAX_EPOCH):
        _refuse("wrong-epoch", f"Epoch {body.epoch} cannot follow epoch {chain.epoch}.")
    if (body.removed or body.abandoned) and not begins:
        _refuse("wrong-epoch", "Removing a member, or giving up commits, begins a new epoch.")
    receivers = frozenset(members) if begins else frozenset(member.id for member in body.added)
    _check_keys(body, keys, receivers, linked=begins)
    return {**chain.commitments, body.epoch: body.epoch_commitment} if begins else dict(chain.commitments)


def _check_keys(body: CommitBody, keys: SealedKeys, receivers: frozenset[bytes], *, linked: bool) -> None:
    if digest(encode_keys(keys)) != body.keys:
        _refuse("wrong-epoch", f"The sealed keys beside commit {body.number} are not the ones that it names.")
    if key_names(keys) != receivers:
        _refuse("wrong-epoch", f"Commit {body.number} does not seal the epoch's key to exactly those who need it.")
    if bool(keys.previous) != linked:
        _refuse("wrong-epoch", f"Commit {body.number} does not link its epoch to the one before.")


def _refuse(code: str, message: str) -> NoReturn:
    raise Refused(code, message)


class _Snapshot(Statement, frozen=True):
    vault: bytes
    number: int
    head: bytes
    epoch: int
    tree: bytes
    members: tuple[Standing, ...]
    removed: tuple[bytes, ...]
    commitments: tuple[tuple[int, bytes], ...]

    SIZES: ClassVar[Mapping[str, int]] = {"vault": HASH_BYTES, "head": HASH_BYTES, "tree": HASH_BYTES}


def freeze_chain(chain: Chain) -> bytes:
    """The chain's state as bytes, for a store that trusts itself; `thaw_chain` reads it."""
    return encode(
        _Snapshot(
            chain.vault,
            chain.number,
            chain.head,
            chain.epoch,
            chain.tree,
            tuple(chain.members.values()),
            tuple(sorted(chain.removed)),
            tuple(sorted(chain.commitments.items())),
        )
    )


def thaw_chain(raw: bytes) -> Chain:
    """The state that `freeze_chain` wrote. Raises `DecodingError`."""
    kept = decode(raw, _Snapshot)
    return Chain(
        kept.vault,
        kept.number,
        kept.head,
        kept.epoch,
        kept.tree,
        {standing.member.id: standing for standing in kept.members},
        frozenset(kept.removed),
        dict(kept.commitments),
    )
