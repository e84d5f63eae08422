"""Which commit puts a vault right after its server lost some: what a device demands before it leaves its own history
for another one (spec: repair.md, Following)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from kith_protocol.chain import Chain
from kith_protocol.commit import Commit
from kith_protocol.errors import Refused


def find_repair(known: Chain, lost: Sequence[Commit], shown: Sequence[Commit]) -> Commit:
    """The commit among `shown` that a device which verified `lost` may follow.

    `known` is the device's own chain. `lost` are its last commits, from the fork point on; `shown` those that the
    server has in their place, all of them verified on the commits that both share. Raises `Refused`, `not-repaired`.
    """
    missing = {commit.hash for commit in lost}
    gone = {member for commit in lost for member in commit.body.removed}
    shut_out: set[bytes] = set()
    why = "Nobody has repaired it yet."
    for commit in shown:
        body = commit.body
        shut_out.update(body.removed)
        if not body.abandoned:
            continue
        if body.author not in known.members:
            why = "Somebody who is no member, or was removed, tried to give up what this device has."
        elif not missing <= set(body.abandoned):
            why = "The device that repaired it had not seen everything that this one has."
        elif not gone <= shut_out:
            why = "The repair would let a removed device in again."
        elif body.epoch <= known.epoch:
            why = "The repair begins no epoch above those that were seen."
        else:
            return commit
    raise Refused("not-repaired", why)


def shut_out(removed: Collection[bytes], shown: Iterable[Commit]) -> frozenset[bytes]:
    """`removed`, and everybody whom they, or those whom they let in, added in `shown` commits.

    What such a member wrote there counts for nothing: it had been removed, only the server did not know.
    """
    found = set(removed)
    for commit in shown:
        if commit.body.author in found:
            found.update(member.id for member in commit.body.added)
    return frozenset(found)
