"""Introducing two of my peers to each other: what I say of each, what they answer, and when it is over.

Only the name by which I call somebody, and the person id that I have pinned, leave my address book.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kith_client.book.layers import Layers
from kith_client.book.problems import BadValue, checked_text
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.introductions.records import (
    AGREED,
    Introduced,
    Introducing,
    introducings,
    link_value,
    read_introducing,
)
from kith_client.relations.joining import is_connected, open_channels, shortened
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.errors import Refused
from kith_protocol.introduction import (
    INTRODUCTION_ID_BYTES,
    INTRODUCTION_LIFETIME,
    MAX_INTRODUCTIONS,
    MAX_LABEL_BYTES,
    MAX_TEXT_BYTES,
    Introduce,
    IntroduceAnswer,
    IntroduceInvite,
    IntroductionSequence,
    makes_invite,
)
from kith_protocol.parcel import Message


@dataclass(frozen=True, slots=True)
class Shown:
    """What one of two peers gets to see of the other, before it is sent."""

    to: str
    """Name of the peer who sees it."""
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class NewIntroduction:
    """An introduction that is ready to be committed."""

    edit: Edit
    id: bytes
    shown: tuple[Shown, Shown]


@dataclass(frozen=True, slots=True)
class IntroducingRow:
    """One of the introductions that I made."""

    id: bytes
    names: tuple[str, str]
    text: str
    expires: int
    """Milliseconds since 1970."""
    state: str
    """`waiting`, `passed on`, `taken back` or `lapsed`. Who of the two agreed is not said."""


def introduce(contents: Contents, stamp: Stamp, one: bytes, other: bytes, text: str = "") -> NewIntroduction:
    """Introduces two peers, `one` and `other` their records, to each other.

    Raises `Refused` (`no-such-peer`, `not-connected`, `one-person`, `introduced-already`, `too-many-introductions`)
    and `BadValue` for a text that is too long.
    """
    if len(checked_text(text).encode()) > MAX_TEXT_BYTES:
        raise BadValue(f"The message of an introduction has at most {MAX_TEXT_BYTES} bytes.")
    both = (_introduced(contents, one), _introduced(contents, other))
    if both[0].person == both[1].person:
        raise Refused("one-person", "Name two different peers to introduce to each other.")
    _check_room(contents, stamp.now, both)
    draft = Draft(contents, stamp)
    record = draft.add(
        "introducing",
        {
            "introduction": stamp.random(INTRODUCTION_ID_BYTES),
            "one": both[0].to_value(),
            "other": both[1].to_value(),
            "text": text,
            "expires": stamp.now + INTRODUCTION_LIFETIME,
        },
    )
    first, second = (each.label for each in both)
    return NewIntroduction(draft.edit, record, (Shown(first, second, text), Shown(second, first, text)))


def take_back(contents: Contents, stamp: Stamp, record: bytes) -> Edit:
    """Takes an introduction back; who has agreed by then is not brought together any more.

    Raises `Refused` (`no-such-introduction`, `passed-on`).
    """
    content = contents.get(record)
    if content is None or content.kind != "introducing":
        raise Refused("no-such-introduction", "There is no such introduction. 'kith introductions' shows them.")
    if read_introducing(record, content).link is not None:
        raise Refused("passed-on", "Both agreed, and the invite was passed on: it cannot be taken back any more.")
    draft = Draft(contents, stamp)
    draft.change(record, {"taken_back": True})
    return draft.edit


def list_introducings(contents: Contents, now: int) -> list[IntroducingRow]:
    """The introductions that I made, as long as they are kept."""
    return [
        IntroducingRow(each.id, (each.one.label, each.other.label), each.text, each.expires, _state(each, now))
        for each in introducings(contents)
    ]


def offers_to(contents: Contents, peer: bytes, now: int) -> list[tuple[str, str, str]]:
    """What `kith preview` shows of introductions: id in hex, label and text of each that is open to the peer."""
    return [
        (each.id.hex(), them.label, each.text)
        for each in introducings(contents)
        for me, them in _pairs(each)
        if me.peer == peer and not each.taken_back and now < each.expires
    ]


def hear(draft: Draft, record: bytes, peer: bytes, message: IntroduceAnswer | IntroduceInvite) -> None:
    """What one of the two whom I introduce says; `peer` is their record."""
    each = read_introducing(record, draft.contents[record])
    me = next((one for one in each.both if one.peer == peer), None)
    if me is None or each.taken_back:
        return
    if isinstance(message, IntroduceAnswer):
        if message.agreed:
            draft.change(record, {AGREED + me.person.hex(): True})
        return
    them = each.other if me is each.one else each.one
    # Nothing is passed on before both agreed, and nothing that comes from the wrong one or a second time.
    if each.all_agreed and each.link is None and makes_invite(me.person, them.person):
        draft.change(record, {"link": link_value(message)})


def plan_introducings(draft: Draft) -> list[bytes]:
    """What is decided before anything leaves; returns the records that are to be forgotten."""
    forgotten = []
    for each in introducings(draft.contents):
        if each.forgotten_at <= draft.stamp.now:
            forgotten.append(each.id)
        elif not each.taken_back and any(_is_over(draft.contents, one.peer) for one in each.both):
            draft.change(each.id, {"taken_back": True})
        elif not each.taken_back and not each.offered:
            draft.change(each.id, {"offered": True})
    return forgotten


def said_by_introducer(
    contents: Contents, each: Introducing
) -> Iterator[tuple[bytes, bytes, IntroductionSequence, Message]]:
    """What each of the two has to hear now: id of the channel, the introduction, sequence and message."""
    if not each.offered:
        return
    for me, them in _pairs(each):
        channel = _channel(contents, me.peer)
        said = _said(each, me, them)
        if channel is not None and said is not None:
            yield channel, each.introduction, *said


def _said(each: Introducing, me: Introduced, them: Introduced) -> tuple[IntroductionSequence, Message] | None:
    if each.taken_back:
        return IntroductionSequence.TAKEN_BACK, IntroduceAnswer(each.introduction, False)
    if each.all_agreed:
        if makes_invite(me.person, them.person):
            return (
                (IntroductionSequence.INVITE, IntroduceAnswer(each.introduction, True)) if each.link is None else None
            )
        return None if each.link is None else (IntroductionSequence.INVITE, each.link)
    if me.person in each.agreed:
        return None
    offer = Introduce(each.introduction, them.label, them.person, each.text, each.expires)
    return IntroductionSequence.OFFER, offer


def _pairs(each: Introducing) -> tuple[tuple[Introduced, Introduced], tuple[Introduced, Introduced]]:
    return (each.one, each.other), (each.other, each.one)


def _introduced(contents: Contents, record: bytes) -> Introduced:
    peer = records.peer_at(contents, record)
    if not is_connected(open_channels(contents, record)):
        raise Refused("not-connected", "You can introduce peers only with whom you are connected.")
    name = " ".join(Layers(contents).peer_names(record)[0].split())
    return Introduced(record, peer.person, shortened(name, MAX_LABEL_BYTES))


def _check_room(contents: Contents, now: int, both: tuple[Introduced, Introduced]) -> None:
    lately = introducings(contents)
    persons = {one.person for one in both}
    for each in lately:
        if {one.person for one in each.both} == persons and not each.taken_back and now < each.expires:
            raise Refused("introduced-already", "You introduced these two lately. 'kith introductions' shows it.")
    for one in both:
        mine = [each for each in lately if one.person in (each.one.person, each.other.person)]
        if len(mine) >= MAX_INTRODUCTIONS:
            text = f"A peer keeps at most {MAX_INTRODUCTIONS} of your introductions at a time. Wait until some lapse."
            raise Refused("too-many-introductions", text)


def _state(each: Introducing, now: int) -> str:
    if each.taken_back:
        return "taken back"
    if each.link is not None:
        return "passed on"
    return "waiting" if now < each.expires else "lapsed"


def _is_over(contents: Contents, peer: bytes) -> bool:
    """Whether the relationship with a peer ended; not where its record cannot be read here."""
    content = contents.get(peer)
    return content is not None and content.kind == "peer" and not open_channels(contents, peer)


def _channel(contents: Contents, peer: bytes) -> bytes | None:
    content = contents.get(peer)
    if content is None or content.kind != "peer":
        return None
    found = records.read_peer(peer, content)
    return None if found.is_over(found.channel) else found.channel
