"""Merging edits that were made apart: a rebase of local edits onto what the vault now holds (spec: merge.md).

Pure: (base, local, remote) → what stands, and what was displaced. Whatever can be decided by base is; the clock only
chooses between two edits of the same unit, and then the other value is kept beside it as a conflict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kith_protocol.content import Content, Unit, same_value
from kith_protocol.encoding import Value
from kith_protocol.suite import digest

CONFLICT: Final = "conflict/"
"""Prefix of units that keep the value that did not stand: `conflict/<16 hex digits>` → [unit, value, at, by]."""
PAST: Final = "past/"
"""Prefix of units that keep replaced values: `past/<16 hex digits>` → [unit, value, at, by]."""
KINDS_WITH_CONFLICTS: Final = frozenset({"contact", "note", "me"})
"""Kinds whose units hold what a person typed; elsewhere both values of a switch need not be kept."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What stands after a merge. `content` is None where the record stays deleted."""

    content: Content | None
    conflicts: int = 0
    """Values that were kept as conflicts by this merge."""


def merge(base: Content | None, local: Content | None, remote: Content | None, *, latest: int) -> Merged:
    """Rebases `local` (made on `base`) onto `remote`. None stands for a record that is not there.

    `latest` is the server's time in milliseconds: an edit's clock ahead of it counts as `latest`.
    An edit stands against a deletion, of a unit as of a record.
    """
    if local is None or remote is None:
        return Merged(_against_deletion(base, local, remote))
    units: dict[str, Unit] = {}
    displaced: dict[str, Unit] = {}
    idle: set[str] = set()  # conflicts over a value that stands by now: there is nothing left to decide
    base_units = base.units if base else {}
    for key in sorted({*base_units, *local.units, *remote.units}):
        stands, loser = _merge_unit(base_units.get(key), local.units.get(key), remote.units.get(key), latest)
        if stands is not None:
            units[key] = stands
        if stands is not None and loser is not None and _keeps_conflicts(remote.kind, key):
            name = conflict_name(key, loser)
            displaced[name] = Unit([key, loser.value, loser.at, loser.by], stands.at, stands.by)
            idle.add(conflict_name(key, stands))
    extra = {**remote.extra, **_changed_extra(base, local)}
    kept = {name: unit for name, unit in {**units, **displaced}.items() if name not in idle}
    return Merged(Content(remote.kind, kept, extra), len(displaced))


def conflict_name(key: str, loser: Unit) -> str:
    """The same on every device, so that two that merge the same edits keep one conflict."""
    return CONFLICT + digest(key.encode() + b"\x00" + loser.fingerprint).hex()[:16]


def past_name(key: str, unit: Unit) -> str:
    """The unit under which a replaced value is kept."""
    return PAST + digest(key.encode() + b"\x00" + unit.at.to_bytes(8, "big") + unit.fingerprint).hex()[:16]


def _against_deletion(base: Content | None, local: Content | None, remote: Content | None) -> Content | None:
    kept = local if local is not None else remote
    if kept is None or base is None:
        return kept
    edited = kept.units != base.units or not same_value(dict(kept.extra), dict(base.extra))
    return kept if edited else None


def _merge_unit(
    base: Unit | None, local: Unit | None, remote: Unit | None, latest: int
) -> tuple[Unit | None, Unit | None]:
    """What stands, and what it displaced."""
    if local in (base, remote):
        return remote, None
    if remote == base:
        return local, None
    if local is None or remote is None:
        return local or remote, None
    winner, loser = sorted((local, remote), key=lambda unit: _rank(unit, latest), reverse=True)
    return winner, loser if winner.fingerprint != loser.fingerprint else None


def _rank(unit: Unit, latest: int) -> tuple[int, bytes, int, bytes]:
    """A total order, so that every device chooses the same whichever side it stands on."""
    return min(unit.at, latest), unit.fingerprint, unit.at, unit.by


def _keeps_conflicts(kind: str, key: str) -> bool:
    return kind in KINDS_WITH_CONFLICTS and not key.startswith((CONFLICT, PAST))


def _changed_extra(base: Content | None, local: Content) -> dict[str, Value]:
    before = base.extra if base else {}
    return {key: value for key, value in local.extra.items() if not same_value(before.get(key), value)}
