"""What a thief wrote about relationships is undone: they stand again as if removed devices had not (spec: stolen.md).

Of what the person decides (`decided`), what removed devices changed in the last 30 days is left out, and
what others changed is kept. Of what the programs keep (`channel`), only this counts: who the peer is, the keys that the
peer's root signed, and every mailbox that is known; enough to take the relationship back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from kith_client.relations import records
from kith_client.relations.handles import HANDLE
from kith_client.relations.own_keys import Retired
from kith_client.relations.records import FORMER, RECLAIM, UNREADABLE_KIND, Channel, PeerRecord
from kith_client.relations.rekeying import MAX_RETIRED, STANDING
from kith_client.relations.theft.decided import DECIDED, Version, as_decided
from kith_client.relations.theft.reclaiming import MAX_FORMER
from kith_client.stamp import Contents, Edit, Stamp, overlay
from kith_protocol.content import Content
from kith_protocol.encoding import Value, encode
from kith_protocol.errors import KithError
from kith_protocol.mailbox import MailboxAddress
from kith_protocol.persona import verify_persona
from kith_protocol.relationship import RelationshipState

UNDER_WAY: Final = frozenset({"request", "introduction", "introducing"})
"""What goes if a thief wrote any of it: nothing of it can go on under a new persona but what the person does anew, and
left behind it would let in, grant or say what she likes."""
_CHANNEL_UNITS: Final = frozenset(
    {"peer", "state", "pending", "established", "step", "own", "retired", FORMER, RECLAIM, "parted"}
)
FAREWELLS: Final = 30 * 24 * 3600 * 1000
"""Milliseconds. A younger farewell of a peer may be the thief's: she can seal to me in the peer's name."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What has to change so that relationships stand as before."""

    edit: Edit
    put_back: tuple[bytes, ...]
    """`peer` records that a removed device had changed or deleted, or whose relationship it had ended."""
    strangers: tuple[bytes, ...]
    """`peer` records that came about on a removed device: who they are nobody else can say."""
    dropped: int
    """How many requests and introductions went."""
    handles: tuple[str, ...]
    """Names of handles that are otherwise than a removed device left them."""


def worth_keeping(content: Content) -> Content | None:
    """What of a version `undo` looks at."""
    if content.kind in DECIDED or content.kind in ("persona", UNREADABLE_KIND):
        return content
    if content.kind in UNDER_WAY:
        return Content(content.kind, {})
    if content.kind != "channel":
        return None
    return Content(content.kind, {name: unit for name, unit in content.units.items() if name in _CHANNEL_UNITS})


def undo(contents: Contents, histories: Mapping[bytes, Sequence[Version]], stamp: Stamp) -> Undone:
    """Goes through the versions of every record, oldest first."""
    edit: Edit = {}
    strangers = set()
    for record, versions in histories.items():
        readable = [each for each in versions if _readable(each)]
        kind = next((each.content.kind for each in readable if each.content), "")
        if kind in UNDER_WAY and record in contents and any(each.suspect for each in versions):
            edit[record] = None
        if kind not in DECIDED:
            continue
        edit[record] = as_decided(readable, stamp)
        if kind == "peer" and readable[0].suspect:
            strangers.add(record)
    edit |= dict.fromkeys(_twice(contents, edit, strangers))
    edit = {record: content for record, content in edit.items() if content != contents.get(record)}
    changed = {record for record, content in edit.items() if (content or contents[record]).kind == "peer"}
    gone = {record for record, content in edit.items() if content is None}
    peers = {r: c for r, c in overlay(contents, edit).items() if c.kind == "peer" and r not in gone}
    channels, known = {}, _by_peer(histories)
    for record, content in peers.items():
        peer = records.read_peer(record, content)
        whole = _channel(peer, known.get(record, ()), stamp)
        if whole is not None:
            channels[peer.channel] = whole
            changed |= {record} if _is_over(contents.get(peer.channel)) else set()
    put_back = changed.intersection(peers) - strangers
    edit |= channels | _others_ended(contents, peers, channels, stamp)
    dropped = sum(contents[record].kind in UNDER_WAY for record in gone)
    handles = {str(c.value("name")) for c in edit.values() if c is not None and c.kind == HANDLE}
    unsure = strangers.intersection(peers)
    return Undone(edit, tuple(sorted(put_back)), tuple(sorted(unsure)), dropped, tuple(sorted(handles)))


def _by_peer(histories: Mapping[bytes, Sequence[Version]]) -> dict[bytes, list[tuple[int, bool, Channel]]]:
    """`peer` record → number, suspect and what it says, of each version of a channel that ever named that peer.

    All of them, because a program that takes a false channel back puts another one in its place.
    """
    found: dict[bytes, list[tuple[int, bool, Channel]]] = {}
    for record, versions in histories.items():
        read = [(each.number, each.suspect, channel) for each in versions if (channel := _read(record, each))]
        for peer in {channel.peer for _, _, channel in read}:
            found.setdefault(peer, []).extend(read)
    return found


def _channel(peer: PeerRecord, versions: Sequence[tuple[int, bool, Channel]], stamp: Stamp) -> Content | None:
    """The peer's relationship as it is to be taken back; None where there was none, or it is over."""
    # Those of the channel that the peer names before others, which it replaced.
    in_order = sorted(versions, key=lambda each: (each[2].id != peer.channel, -each[0]))
    newest_first = [(suspect, channel) for _, suspect, channel in in_order]
    # Last what a thief may have written.
    known = [channel for _, channel in sorted(newest_first, key=lambda each: each[0])]
    same = [each for each in known if each.established is not None and each.established.peer == peer.person]
    persona = _newest_persona(same, peer.person)
    parted = max((each.parted for each in same if each.id == peer.channel), default=0)
    if persona is None or peer.is_over(peer.channel) or 0 < parted <= stamp.now - FAREWELLS:
        return None
    honestly = [channel for suspect, channel in newest_first if not suspect and channel in same]
    whole = _whole(peer, same, persona, _mailboxes(honestly, same), stamp)
    honest = next(iter(honestly), None)
    return whole if honest is None else _with_finish(whole, honest, stamp)


def _with_finish(whole: Content, channel: Channel, stamp: Stamp) -> Content:
    """A handshake whose finish has no receipt is done first: the peer knows of no relationship yet."""
    if channel.state is not RelationshipState.FINISHED or not channel.step or channel.is_reclaiming:
        return whole
    units = {"state": stamp.unit(channel.state.value), "step": stamp.unit(channel.step)}
    return Content(whole.kind, {**whole.units, **units}, whole.extra)


def _newest_persona(channels: Iterable[Channel], person: bytes) -> bytes | None:
    """Of the peer's statements that its root really signed, the one with the highest number."""
    raws = {each.established.peer_persona for each in channels if each.established is not None}
    numbers = {raw: number for raw in raws if (number := _number(raw, person))}
    return max(numbers, key=numbers.__getitem__, default=None)


def _number(raw: bytes, person: bytes) -> int:
    try:
        persona = verify_persona(raw)
    except KithError:
        return 0
    return persona.number if persona.person == person else 0


def _mailboxes(honest: Sequence[Channel], same: Sequence[Channel]) -> list[MailboxAddress]:
    """Where the peer may read: first what stood in versions that are not suspect, the newest and the oldest, so that
    neither a few new ones nor a flood of them pushes the others out; then the rest, in the same way."""
    first = _spread(_known(honest), 3 * MAX_FORMER // 4)
    return first + _spread([each for each in _known(same) if each not in first], MAX_FORMER - len(first))


def _known(channels: Sequence[Channel]) -> list[MailboxAddress]:
    """Newest first."""
    return list(dict.fromkeys(box for each in channels for box in (*_outbox(each), *each.former)))


def _spread(known: Sequence[MailboxAddress], most: int) -> list[MailboxAddress]:
    if len(known) <= most:
        return list(known)
    return [*known[: most - most // 2], *known[len(known) - most // 2 :]]


def _whole(
    peer: PeerRecord, same: Sequence[Channel], persona: bytes, to: Sequence[MailboxAddress], stamp: Stamp
) -> Content:
    """The relationship as far as it counts, as if under my first persona: any other is higher."""
    known = next(each.established for each in same if each.established is not None)
    mine = [key.inbox for each in same for key in each.mine.keys]
    mine += [each.inbox for channel in same for each in channel.mine.retired]
    former: list[Value] = [encode(each) for each in to]
    retired: list[Value] = [Retired(each, stamp.now).to_value() for each in dict.fromkeys(mine) if each != known.inbox]
    values: dict[str, Value] = {
        "peer": peer.id,
        "state": RelationshipState.CONNECTED.value,
        "established": encode(replace(known, peer_persona=persona, outbox=to[0])),
        "retired": retired[:MAX_RETIRED],
        FORMER: former,
    }
    return stamp.content("channel", values)


def _outbox(channel: Channel) -> list[MailboxAddress]:
    return [] if channel.established is None else [channel.established.outbox]


def _others_ended(contents: Contents, peers: Contents, rebuilt: Contents, stamp: Stamp) -> Edit:
    """Every relationship that stands beside those that are taken back; who is behind it, only a thief said. What the
    person ended is left alone: it ends with a farewell."""
    edit: Edit = {}
    for channel in records.channels(contents):
        content = peers.get(channel.peer)
        is_over = content is not None and records.read_peer(channel.peer, content).is_over(channel.id)
        rests = records.is_unreadable(contents, channel.peer) and content is None
        if channel.state in STANDING and channel.id not in rebuilt and not is_over and not rests:
            edit[channel.id] = _with_state(contents[channel.id], RelationshipState.ENDED, stamp)
    return edit


def _with_state(content: Content, state: RelationshipState, stamp: Stamp) -> Content:
    return Content(content.kind, {**content.units, "state": stamp.unit(state.value)}, content.extra)


def _read(record: bytes, version: Version) -> Channel | None:
    if version.content is None or version.content.kind != "channel":
        return None
    try:
        return records.read_channel(record, version.content)
    except KithError:
        return None


def _readable(version: Version) -> bool:
    return version.content is None or version.content.kind != UNREADABLE_KIND


def _is_over(channel: Content | None) -> bool:
    return channel is None or channel.value("state") == RelationshipState.ENDED.value


def _twice(contents: Contents, edit: Edit, strangers: set[bytes]) -> set[bytes]:
    """Those of `strangers` that stand for a person who has another record: that one counts."""
    after = {**{record: content for record, content in contents.items() if content.kind == "peer"}, **edit}
    others = {c.value("person") for record, c in after.items() if c and c.kind == "peer" and record not in strangers}
    return {record for record in strangers if (content := after.get(record)) and content.value("person") in others}
