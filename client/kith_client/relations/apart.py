"""Two states of one record that programs keep, which devices reached apart and none of which is the other's base.

That happens only where a server lost commits (spec: repair.md). Merging unit by unit could make a state that no program
decided; joining makes one that is true whichever of the two the peer knows: versions and sequences never go back, what
only one side is sure of is sent again, and every key that the peer may have is kept. The same in either order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from kith_client.relations.own_keys import ACKNOWLEDGED, PUT, OwnKey, Retired, Told
from kith_client.relations.records import ANNOUNCED, ITEM, RECEIPT, Channel, Item, read_channel
from kith_client.relations.rekeying import MAX_RETIRED
from kith_protocol.content import Content, Unit
from kith_protocol.encoding import Value, encode, encode_map
from kith_protocol.errors import DecodingError
from kith_protocol.parcel import MAX_RECEIVER_KEYS
from kith_protocol.relationship import RelationshipState
from kith_protocol.share import WITHDRAWN

KINDS: Final = frozenset({"channel", "theirs"})
TWICE: Final = "twice/"
"""Prefix of the `ref` of an item that carries what another one carries as well: nobody wants it, so it is withdrawn."""

_STATES: Final = list(RelationshipState)
_Choice = Callable[[Unit, Unit], Unit]


def join(one: Content, other: Content) -> Content:
    """What stands of two states of a `channel` or `theirs` record. Where one cannot be read, the other stands."""
    newer, older = sorted((one, other), key=_rank, reverse=True)
    if one.kind != "channel":
        return newer
    try:
        channels = read_channel(b"", newer), read_channel(b"", older)
    except DecodingError:
        return newer
    units = _each(newer.units, older.units)
    units.update(_items(units, *channels))
    units.update(_keys(units, *channels))
    if any(channel.established is not None for channel in channels):
        units.pop("pending", None)
    return Content(newer.kind, units, {**older.extra, **newer.extra})


def _rank(content: Content) -> tuple[int, int, int, bytes]:
    """Which of two is the newer: a peer's item by its version; a channel by what was heard of the peer last."""
    heard = "version" if content.kind == "theirs" else "address_sequence"
    sequence, persona = content.value(heard), content.value("persona")
    return (
        persona if isinstance(persona, int) else 0,
        sequence if isinstance(sequence, int) else 0,
        max((unit.at for unit in content.units.values()), default=0),
        encode_map(content.to_map()),
    )


def _each(newer: Mapping[str, Unit], older: Mapping[str, Unit]) -> dict[str, Unit]:
    """Unit by unit: what both have by the rule of its name; what one has stands, unless both must be sure of it."""
    found: dict[str, Unit] = {}
    for name in sorted({*newer, *older}):
        one, two = newer.get(name), older.get(name)
        if one is not None and two is not None:
            found[name] = one if one == two else _choice(name)(one, two)
        elif not name.startswith((RECEIPT, PUT)) and name != "cleared":
            found[name] = one or two  # type: ignore[assignment]  # one of them is there
    return found


def _choice(name: str) -> _Choice:
    if name.startswith((RECEIPT, PUT)) or name == "rekey_at":
        return _lesser
    if name.startswith((ACKNOWLEDGED, ANNOUNCED)) or name in ("address_sequence", "persona", "forced", "bye"):
        return _greater
    return {"state": _further, "told": _told}.get(name, _first)


def _first(newer: Unit, _older: Unit) -> Unit:
    return newer


def _lesser(one: Unit, two: Unit) -> Unit:
    return min(one, two, key=_number)


def _greater(one: Unit, two: Unit) -> Unit:
    return max(one, two, key=_number)


def _number(unit: Unit) -> tuple[int, int, bytes]:
    return (unit.value if isinstance(unit.value, int) else 0, unit.at, unit.by)


def _further(one: Unit, two: Unit) -> Unit:
    return max(one, two, key=lambda unit: (_STATES.index(RelationshipState(str(unit.value))), unit.at, unit.by))


def _told(one: Unit, two: Unit) -> Unit:
    """The peer has to be told again, with a sequence that neither used."""
    values = [unit.value if isinstance(unit.value, dict) else {} for unit in (one, two)]
    sequences = [value.get("sequence") for value in values]
    told = Told(max((number for number in sequences if isinstance(number, int)), default=0) + 1)
    stamp = max(one, two, key=lambda unit: (unit.at, unit.by))
    return Unit(told.to_value(), stamp.at, stamp.by)


def _items(units: Mapping[str, Unit], newer: Channel, older: Channel) -> dict[str, Unit]:
    """Items on which the two differ are planned anew, above both versions; of two that carry the same, one goes."""
    found: dict[str, Unit] = {}
    carried: set[str] = set()
    for key in sorted({*newer.items, *older.items}):
        name, sides = ITEM + key.hex(), [c.items[key] for c in (newer, older) if key in c.items]
        item = sides[0]
        if any(side != item for side in sides):
            ref = next((side.ref for side in sides if not side.gone), item.ref)
            item = Item(ref, max(side.version for side in sides), WITHDRAWN, False)
        if not item.gone and item.ref in carried:
            item = dataclasses.replace(item, ref=TWICE + key.hex())
        if not item.gone:
            carried.add(item.ref)
        found[name] = Unit(item.to_value(), units[name].at, units[name].by)
    return found


def _keys(units: Mapping[str, Unit], newer: Channel, older: Channel) -> dict[str, Unit]:
    """Every key that the peer may have, newest first, up to the one that it is known to use; `established` has the
    newest. What is announced again has a sequence above all that either side used."""
    known = newer.established or older.established
    if known is None:
        return {}
    keys = _united(newer, older)
    used = next((place for place, key in enumerate(keys) if key.used), len(keys) - 1)
    stay = keys[: used + 1]
    # Too many: the newest, and the one that the peer had for certain.
    kept = stay if len(stay) <= MAX_RECEIVER_KEYS else [*stay[: MAX_RECEIVER_KEYS - 1], stay[-1]]
    gone = [key for key in keys if key not in kept]
    live = {key.inbox.read_id for key in kept}
    if newer.mine.keys != older.mine.keys and not kept[0].used:
        kept[0] = dataclasses.replace(kept[0], sequence=max(key.sequence for key in keys) + 1)
    retired = {each.inbox.read_id: each for c in (older, newer) for each in c.mine.retired}
    retired.update({key.inbox.read_id: Retired(key.inbox, kept[0].at) for key in gone})
    left = [each for read_id, each in retired.items() if read_id not in live]
    left.sort(key=lambda each: (-each.at, each.inbox.read_id))
    closing = sorted({*newer.mine.closing, *older.mine.closing} - live)
    closing += sorted(each.inbox.read_id for each in left[MAX_RETIRED:])
    values: dict[str, Value] = {
        "established": encode(replace(known, seal_seed=kept[0].seed, inbox=kept[0].inbox)),
        "own": [key.to_value() for key in kept],
        "retired": [each.to_value() for each in left[:MAX_RETIRED]],
        "closing": list[Value](closing),
    }
    stamp = max(units.values(), key=lambda unit: (unit.at, unit.by))
    return {name: Unit(value, stamp.at, stamp.by) for name, value in values.items()}


def _united(newer: Channel, older: Channel) -> list[OwnKey]:
    """The keys of both, newest first. One that the peer used on either side is used."""
    found: dict[bytes, OwnKey] = {}
    for key in (*older.mine.keys, *newer.mine.keys):
        before = found.get(key.seed, key)
        found[key.seed] = dataclasses.replace(
            key, used=key.used or before.used, sequence=max(key.sequence, before.sequence)
        )
    return sorted(found.values(), key=lambda key: (-key.at, -key.sequence, key.seed))
