"""The epoch keys that a device holds, from the commits that bring them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from kith_protocol.chain import ZERO
from kith_protocol.commit import CommitBody, parse_commit
from kith_protocol.epoch import SealedKeys, key_names, open_epoch_key, open_previous_key, parse_keys
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.member import MemberKeys


def open_epochs(
    vault: bytes, commits: Iterable[tuple[bytes, bytes]], member: MemberKeys, commitments: dict[int, bytes]
) -> dict[int, bytes]:
    """Epoch → its key, for every epoch that `member` may read.

    `commits` are verified `(commit, sealed keys)` in order. A member holds what was sealed to it, and from each epoch
    the one before. Raises the alarm `wrong-epoch` for a key that is not the one the chain names.
    """
    known: dict[int, bytes] = {}
    begun: list[tuple[CommitBody, SealedKeys]] = []
    for raw, raw_keys in commits:
        body, keys = parse_commit(raw).body, parse_keys(raw_keys)
        if body.epoch_commitment:
            begun.append((body, keys))
        if member.id in key_names(keys):
            scope = vault if body.number else ZERO
            known[body.epoch] = open_epoch_key(keys, scope, body.epoch, member, commitments[body.epoch])
    for (before, _), (body, keys) in reversed(list(pairwise(begun))):
        if body.epoch in known and before.epoch not in known:
            key, commitment = known[body.epoch], commitments[before.epoch]
            known[before.epoch] = open_previous_key(keys, vault, body.epoch, key, before.epoch, commitment)
    if begun and begun[-1][0].epoch not in known:
        raise Alarm(
            AlarmCode.WRONG_EPOCH, "This device cannot read the vault's newest records; it may have been removed."
        )
    return known
