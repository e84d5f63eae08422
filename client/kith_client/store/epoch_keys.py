"""The epoch keys that a device holds, from the commits that bring them (spec: vault.md, Epochs)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kith_protocol.chain import ZERO
from kith_protocol.commit import CommitBody, parse_commit
from kith_protocol.epoch import SealedKeys, key_names, open_epoch_key, open_previous_key, parse_keys
from kith_protocol.errors import Alarm, AlarmCode, Refused
from kith_protocol.member import MemberKeys


@dataclass(frozen=True, slots=True)
class EpochKeys:
    """What a device can open of a vault's epochs."""

    known: Mapping[int, bytes]
    """Epoch → its key."""
    linked: int
    """The newest epoch whose key is known and from which the links lead to the first; 0 where there is none."""
    authors: Mapping[int, bytes]
    """Epoch → the member that began it."""

    def check_passed_over(self, gone: frozenset[bytes]) -> None:
        """No device follows a link that passes over an epoch whose author stays; `gone` are those who do not.

        Raises `Refused` (`unread-epoch`).
        """
        for epoch, author in self.authors.items():
            if epoch > self.linked and author not in gone:
                raise Refused(
                    "unread-epoch",
                    f"What the device {device_digits(author)} began to write cannot be read here; remove that one too.",
                )


@dataclass(frozen=True, slots=True)
class _Begun:
    epoch: int
    keys: SealedKeys
    author: bytes
    gone: frozenset[bytes]
    """Members that were removed up to then."""


def find_epochs(
    vault: bytes, commits: Iterable[tuple[bytes, bytes]], member: MemberKeys, commitments: Mapping[int, bytes]
) -> EpochKeys:
    """The keys of every epoch that `member` may read, each as the chain names it; what does not open is left out.

    `commits` are verified `(commit, sealed keys)` in order; those without keys may be missing. A member holds what was
    sealed to it, and from each epoch the one that it links to.
    """
    known: dict[int, bytes] = {}
    begun: list[_Begun] = []
    gone: frozenset[bytes] = frozenset()
    for raw, raw_keys in commits:
        body, keys = parse_commit(raw).body, parse_keys(raw_keys)
        gone |= frozenset(body.removed)
        if body.epoch_commitment:
            begun.append(_Begun(body.epoch, keys, body.author, gone))
        if member.id in key_names(keys):
            known.update(_own_key(vault, body, keys, member, commitments))
    targets: dict[int, int] = {}
    for place in reversed(range(1, len(begun))):
        epoch = begun[place].epoch
        found = _follow_link(vault, begun[place], begun[:place], known.get(epoch), commitments)
        if found is not None:
            targets[epoch], known[found[0]] = found
    return EpochKeys(known, _newest_linked(begun, known, targets), {each.epoch: each.author for each in begun})


def open_epochs(
    vault: bytes, commits: Iterable[tuple[bytes, bytes]], member: MemberKeys, commitments: Mapping[int, bytes]
) -> dict[int, bytes]:
    """Epoch → its key, as `find_epochs`. Raises the alarm `wrong-epoch` where the newest epoch is not among them, or
    does not lead to the first."""
    found = find_epochs(vault, commits, member, commitments)
    newest = max(found.authors, default=0)
    if found.linked != newest:
        raise Alarm(
            AlarmCode.WRONG_EPOCH,
            f"What the device {device_digits(found.authors[newest])} began to write cannot be read here. Nothing here "
            "was changed. If that device is not in your hands any more, 'kith device remove' shuts it out.",
        )
    return dict(found.known)


def device_digits(member: bytes) -> str:
    """How a device is called where its name cannot be read; `kith device` takes it."""
    return member.hex()[:8]


def _own_key(
    vault: bytes, body: CommitBody, keys: SealedKeys, member: MemberKeys, commitments: Mapping[int, bytes]
) -> dict[int, bytes]:
    scope = vault if body.number else ZERO
    try:
        return {body.epoch: open_epoch_key(keys, scope, body.epoch, member, commitments[body.epoch])}
    except Alarm:
        return {}  # an older epoch may be passed over; `linked` says whether the newest one is readable


def _follow_link(
    vault: bytes, begun: _Begun, earlier: list[_Begun], key: bytes | None, commitments: Mapping[int, bytes]
) -> tuple[int, bytes] | None:
    """The epoch that `begun`, whose key is `key`, links to, and its key: the one before, or an older one.

    Only epochs whose authors were removed may be passed over, or any member could cut later devices off from the rest.
    """
    if key is None:
        return None
    for before in reversed(earlier):
        try:
            commitment = commitments[before.epoch]
            return before.epoch, open_previous_key(begun.keys, vault, begun.epoch, key, before.epoch, commitment)
        except Alarm:
            if before.author not in begun.gone:
                return None
    return None


def _newest_linked(begun: list[_Begun], known: Mapping[int, bytes], targets: Mapping[int, int]) -> int:
    linked = {each.epoch for each in begun[:1] if each.epoch in known}
    for each in begun[1:]:
        if targets.get(each.epoch) in linked:
            linked.add(each.epoch)
    return max(linked, default=0)
