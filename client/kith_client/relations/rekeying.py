"""When my side of a relationship gets a new key and mailbox, and what becomes of the old ones (spec: parcel.md).

A new key is announced; what the peer puts into the mailbox announced with it shows that the peer has it. Then older
mailboxes are retired: for parcels they are closed, and only the word of the peer's root is still taken there.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from msgspec.structs import replace

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.homes import here
from kith_client.relations.own_keys import ACKNOWLEDGED, PUT, OwnKey, Retired, Told
from kith_client.relations.records import RECEIPT, Channel
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.encoding import Value, encode
from kith_protocol.handshake import Established
from kith_protocol.mailbox import NEW_MAILBOX_RANDOM_BYTES, OwnMailbox, new_mailbox
from kith_protocol.parcel import MAX_RECEIVER_KEYS
from kith_protocol.relationship import RelationshipState
from kith_protocol.suite import SEED_BYTES

DAY: Final = 24 * 3600 * 1000
"""All times are in milliseconds."""
EARLIEST: Final = 20 * DAY
LATEST: Final = 40 * DAY
ANSWER_AFTER: Final = 7 * DAY
"""A peer's new key is answered with one of mine unless mine is younger: so two never answer each other for ever."""
AGAIN_AFTER: Final = 60 * DAY
"""What has a receipt and was not acknowledged is put again."""
RETIRED_FOR: Final = 180 * DAY
MAX_RETIRED: Final = 16
"""Retired mailboxes of one relationship; beyond it the oldest goes early."""
BYE_FOR: Final = 180 * DAY
"""A farewell that does not arrive is given up."""
REKEY: Final = "rekey"
STANDING: Final = frozenset({RelationshipState.FINISHED, RelationshipState.CONNECTED})


def plan_rekeys(contents: Contents, stamp: Stamp, *, forced: bool = False) -> Edit:
    """New keys where they are due, and what has to be put again; to be committed before anything leaves.

    `forced` (after the removal of a device, which had all keys): every relationship gets one, those that are still
    waiting as soon as they stand, whatever is under way.
    """
    draft = Draft(contents, stamp)
    for channel in records.channels(contents):
        if channel.ended:
            _give_up_farewell(draft, channel)
            continue
        if forced:
            draft.change(channel.id, {"forced": stamp.now})
        if channel.state in STANDING and records.has_peer(contents, channel):
            _close_old(draft, channel)
            _put_again(draft, channel)
            _renew(draft, channel.id)
    return draft.edit


def demand_rekeys(contents: Contents, stamp: Stamp) -> Edit:
    """Marks every relationship for a new key, to be made by the plan that follows.

    For a device that is about to be removed: the marks are made before, so that no crash in between forgets them, and
    the keys after, so that the device never sees them.
    """
    draft = Draft(contents, stamp)
    for channel in records.channels(contents):
        if not channel.ended:
            draft.change(channel.id, {"forced": stamp.now})
    return draft.edit


def rekeying(contents: Contents) -> dict[bytes, bool]:
    """Of the last re-keying that was forced, and of what was taken back: id of each `peer` record → whether the peer
    uses my new key."""
    found: dict[bytes, bool] = {}
    for channel in records.channels(contents):
        mine = channel.mine
        if channel.ended:
            continue
        if channel.reclaim is not None:
            found[channel.peer] = not channel.is_reclaiming
        elif mine.forced:
            found[channel.peer] = any(key.used and key.at >= mine.forced for key in mine.keys)
    return found


def mark_used(draft: Draft, channel: Channel, key: OwnKey) -> None:
    """A parcel came where `key` was announced: the peer has it, so what is older goes."""
    if key.used:
        return
    keys = channel.mine.keys
    place = keys.index(key)
    used = dataclasses.replace(key, used=True)
    _store(draft, channel, (*keys[:place], used), keys[place + 1 :])


def address_changed(draft: Draft, channel: Channel, *, repeated: bool) -> None:
    """The peer has another mailbox: receipts of the old one say nothing of what is not acknowledged.

    My own key is renewed with it. Otherwise whoever lost a device could shut it out only in one direction: the device
    knows where its person writes to me.

    `repeated`: the peer announces again what I knew, because nothing came there. Receipts that I have from there are
    worth nothing then, and what is put again needs sequences of its own: under the old ones its server would say once
    more that it has them.
    """
    mine = channel.mine
    pending = [key for key in channel.receipts if mine.acknowledged.get(key, 0) < channel.items[key].version]
    gone = [RECEIPT + key.hex() for key in pending] + [PUT + what for what in mine.put]
    values: dict[str, Value] = {"told": Told(mine.told.sequence + repeated, mine.told.at).to_value()}
    if not mine.under_way and mine.keys and mine.keys[0].at + ANSWER_AFTER <= draft.stamp.now:
        values["rekey_at"] = draft.stamp.now
    draft.change(channel.id, values, without=[*gone, "step"])
    if repeated and mine.under_way:
        _announce_anew(draft, channel)


def _renew(draft: Draft, record: bytes) -> None:
    channel = records.read_channel(record, draft.contents[record])
    mine, now = channel.mine, draft.stamp.now
    home = here(draft.contents)
    has_moved = home is not None and not home.has(mine.keys[0].inbox.address)
    # Where there is no room for another, the demand waits until the peer shows which it has: it may have any of them,
    # and if both sides dropped the one that the other has, neither would ever hear of the other again.
    is_forced = (mine.forced > mine.keys[0].at or has_moved) and len(mine.keys) < MAX_RECEIVER_KEYS
    if is_forced or (mine.rekey_at and now >= mine.rekey_at and not mine.under_way):
        _begin(draft, channel)
    if is_forced or not mine.rekey_at or now >= mine.rekey_at:
        draft.change(record, {"rekey_at": _date(draft.stamp)})


def fresh_inbox(draft: Draft, channel: Channel) -> OwnMailbox:
    """A new mailbox of mine for a relationship, where the vault lives."""
    home, last = here(draft.contents), channel.inbox.address
    place = (last.host, last.fingerprint) if home is None else (home.host, home.fingerprint)
    return new_mailbox(*place, draft.stamp.random(NEW_MAILBOX_RANDOM_BYTES))


def _begin(draft: Draft, channel: Channel) -> None:
    keys, stamp = channel.mine.keys, draft.stamp
    inbox = fresh_inbox(draft, channel)
    new = OwnKey(stamp.random(SEED_BYTES), inbox, keys[0].sequence + 1, stamp.now, False)
    _store(draft, channel, (new, *keys), ())


def _store(draft: Draft, channel: Channel, keys: tuple[OwnKey, ...], replaced: tuple[OwnKey, ...]) -> None:
    """`established` always holds the newest key and mailbox."""
    established = channel.established
    if established is None:
        return
    retired = (*(Retired(key.inbox, draft.stamp.now) for key in replaced), *channel.mine.retired)
    values: dict[str, Value] = {
        "own": [key.to_value() for key in keys],
        "established": encode(_with_key(established, keys[0])),
    }
    if replaced:
        values["retired"] = [each.to_value() for each in retired]
    draft.change(channel.id, values)


def _with_key(established: Established, key: OwnKey) -> Established:
    return replace(established, seal_seed=key.seed, inbox=key.inbox)


def _close_old(draft: Draft, channel: Channel) -> None:
    retired = channel.mine.retired
    kept = [each for each in retired[:MAX_RETIRED] if each.at + RETIRED_FOR > draft.stamp.now]
    gone = [each.inbox.read_id for each in retired if each not in kept]
    if gone:
        closing: list[Value] = [*channel.mine.closing, *gone]
        draft.change(channel.id, {"retired": [each.to_value() for each in kept], "closing": closing})


def _put_again(draft: Draft, channel: Channel) -> None:
    """Forgets receipts that are old and were not followed by an acknowledgement."""
    units, before = draft.contents[channel.id].units, draft.stamp.now - AGAIN_AFTER
    mine = channel.mine
    waiting = [
        RECEIPT + key.hex() for key, item in channel.items.items() if mine.acknowledged.get(key, 0) < item.version
    ]
    waiting += [PUT + what for what in mine.put if channel.is_reclaiming]
    old = {name for name in (*waiting, PUT + REKEY) if name in units and units[name].at <= before}
    if old.difference([PUT + REKEY]):
        draft.change(channel.id, {}, without=old - {PUT + REKEY})
    if mine.under_way and PUT + REKEY in old:
        _announce_anew(draft, channel)


def _announce_anew(draft: Draft, channel: Channel) -> None:
    """With a sequence of its own, so that a server which lost the announcement takes it once more."""
    newest, *older = channel.mine.keys
    _store(draft, channel, (dataclasses.replace(newest, sequence=newest.sequence + 1), *older), ())


def _give_up_farewell(draft: Draft, channel: Channel) -> None:
    if channel.mine.bye and channel.mine.bye + BYE_FOR <= draft.stamp.now:
        draft.change(channel.id, {}, without=["bye"])


def _date(stamp: Stamp) -> int:
    return stamp.now + EARLIEST + int.from_bytes(stamp.random(8), "big") % (LATEST - EARLIEST)


def acknowledge(draft: Draft, channel: Channel, versions: dict[bytes, int]) -> None:
    """Remembers what the peer says it has of my items; never more than it was sent, and never less than before."""
    known = channel.mine.acknowledged
    heard = {key: version for key, version in versions.items() if key in channel.items}
    new = {key: v for key, v in heard.items() if known.get(key, 0) < v <= channel.items[key].version}
    if new:
        draft.change(channel.id, {ACKNOWLEDGED + key.hex(): version for key, version in new.items()})
