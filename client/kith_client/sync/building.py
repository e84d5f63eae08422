"""Building commits: what a member signs to change records or members. Pure but for the randomness of sealing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kith_protocol.chain import ZERO, Chain
from kith_protocol.commit import DELETED, Commit, CommitBody, change_list, sign_commit
from kith_protocol.encoding import encode
from kith_protocol.epoch import FIRST_EPOCH, NO_KEYS, SealedKeys, encode_keys, epoch_commitment, seal_epoch_key
from kith_protocol.errors import Refused
from kith_protocol.member import Member, MemberKeys, MemberKind
from kith_protocol.suite import SUITE, digest
from kith_protocol.tree import Tree
from kith_protocol.wire import Push


@dataclass(frozen=True, slots=True)
class MembershipStep:
    """A change of members, with the keys that go with it."""

    added: tuple[Member, ...] = ()
    removed: tuple[bytes, ...] = ()
    keys: SealedKeys = NO_KEYS
    epoch_commitment: bytes = b""
    """Of the new epoch's key; empty where no epoch begins."""
    abandoned: tuple[bytes, ...] = ()
    """Hashes of the commits that a repair gives up, sorted."""


NO_STEP = MembershipStep()


def genesis(device: MemberKeys, paper: Member, epoch_key: bytes, now: int) -> tuple[Commit, SealedKeys]:
    """The first commit of a vault, by its first device; it changes no record."""
    members = (device.public, paper)
    keys = seal_epoch_key(epoch_key, ZERO, FIRST_EPOCH, members)
    body = CommitBody(
        suite=SUITE,
        vault=ZERO,
        number=0,
        parent=ZERO,
        author=device.id,
        time=now,
        epoch=FIRST_EPOCH,
        added=members,
        removed=(),
        abandoned=(),
        epoch_commitment=epoch_commitment(FIRST_EPOCH, epoch_key),
        keys=digest(encode_keys(keys)),
        changes=digest(encode(change_list(()))),
        tree=Tree().root,
    )
    return sign_commit(body, device.sign), keys


def adding(chain: Chain, member: Member, epoch_key: bytes) -> MembershipStep:
    """Adds one device; the current epoch's key is sealed to it. Raises `Refused` for anything but a device."""
    if member.kind is not MemberKind.DEVICE:
        raise Refused("membership", "Only a device can be added here; the paper key is replaced by the paper key.")
    return MembershipStep(added=(member,), keys=seal_epoch_key(epoch_key, chain.vault, chain.epoch, [member]))


def removing(
    chain: Chain,
    removed: frozenset[bytes],
    old_key: bytes,
    new_key: bytes,
    nonce: bytes,
    added: tuple[Member, ...] = (),
) -> tuple[MembershipStep, int]:
    """Removes members, adds some, and begins an epoch that those who went cannot read. The step, and the new epoch's
    number."""
    epoch = chain.epoch + 1
    remaining = [standing.member for id_, standing in chain.members.items() if id_ not in removed]
    keys = seal_epoch_key(new_key, chain.vault, epoch, [*remaining, *added], previous=old_key, nonce=nonce)
    step = MembershipStep(added, tuple(sorted(removed)), keys, epoch_commitment(epoch, new_key))
    return step, epoch


def added_since(chain: Chain, member: bytes) -> frozenset[bytes]:
    """Those that `member` may have let in, directly or not: all devices added after it, unless by commits before."""
    return frozenset(id_ for id_, standing in chain.members.items() if standing.added > chain.members[member].added)


def build_push(
    chain: Chain,
    author: MemberKeys,
    records: Mapping[bytes, bytes | None],
    tree: bytes,
    now: int,
    *,
    step: MembershipStep = NO_STEP,
    epoch: int | None = None,
) -> Push:
    """One commit on `chain` with its records: id → sealed record, or None where it is deleted.

    `tree` is the root after it. The records must be sealed for `epoch`, by default the chain's.
    """
    changes = encode(change_list((id_, DELETED if blob is None else digest(blob)) for id_, blob in records.items()))
    body = CommitBody(
        suite=SUITE,
        vault=chain.vault,
        number=chain.number + 1,
        parent=chain.head,
        author=author.id,
        time=now,
        epoch=chain.epoch if epoch is None else epoch,
        added=step.added,
        removed=step.removed,
        abandoned=step.abandoned,
        epoch_commitment=step.epoch_commitment,
        keys=digest(encode_keys(step.keys)),
        changes=digest(changes),
        tree=tree,
    )
    commit = sign_commit(body, author.sign)
    stand = tuple((id_, blob) for id_, blob in sorted(records.items()) if blob is not None)
    return Push(commit.raw, encode_keys(step.keys), changes, stand)
