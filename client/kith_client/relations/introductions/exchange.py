"""Taking in what peers say about introductions, and all that is decided about them before anything leaves.

A peer may send as many as it likes: of each only so many are looked at, and none hides those of others.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.inbox import Inbox
from kith_client.relations.introductions.introduced import my_person, plan_introductions, said_by_introduced
from kith_client.relations.introductions.introducing import hear, plan_introducings, said_by_introducer
from kith_client.relations.introductions.records import (
    introducings,
    introductions,
    link_value,
    read_introduction,
)
from kith_client.relations.introductions.suspicion import introducer_name
from kith_client.relations.joining import is_connected, open_channels, peer_of_person
from kith_client.relations.own_keys import PUT
from kith_client.relations.records import Channel, PeerRecord
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol import labels
from kith_protocol.commit import RECORD_ID_BYTES
from kith_protocol.introduction import (
    INTRODUCTION_LIFETIME,
    MAX_INTRODUCTIONS,
    Introduce,
    IntroduceAnswer,
    IntroduceInvite,
)
from kith_protocol.parcel import Message
from kith_protocol.suite import labelled_hash

INTRODUCE: Final = "introduce/"
"""What an outgoing parcel is about: `introduce/<introduction id in hex>`."""
_RECORD: Final = labels.PREFIX + "introduction"

Said = dict[bytes, dict[str, tuple[bytes, int, Message]]]
"""Channel id → what → the introduction's id, the parcel's sequence and its message."""


class Heard:
    """The messages about introductions in one batch of parcels."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._looked_at: dict[bytes, int] = {}

    @cached_property
    def _mine(self) -> dict[bytes, bytes]:
        """Introductions that I make: id → record."""
        return {each.introduction: each.id for each in introducings(self._inbox.draft.contents)}

    @cached_property
    def _kept(self) -> dict[bytes, int]:
        """How many there are through each channel."""
        kept: dict[bytes, int] = {}
        for each in introductions(self._inbox.draft.contents):
            kept[each.channel] = kept.get(each.channel, 0) + 1
        return kept

    def read(self, channel: Channel, message: Message) -> None:
        """Takes one message in; those that are about something else are left alone."""
        if isinstance(message, Introduce):
            self._offered(channel, message)
        elif isinstance(message, IntroduceAnswer | IntroduceInvite):
            mine = self._mine.get(message.introduction)
            if mine is not None:
                hear(self._inbox.draft, mine, channel.peer, message)
            else:
                self._answered(channel, message)

    def _offered(self, channel: Channel, message: Introduce) -> None:
        record = record_of(channel.id, message.introduction)
        if record in self._inbox.draft.contents:
            self._compare(record, message)
            return
        self._looked_at[channel.id] = self._looked_at.get(channel.id, 0) + 1
        if max(self._kept.get(channel.id, 0) + 1, self._looked_at[channel.id]) > MAX_INTRODUCTIONS:
            text = f"A peer introduces you to more than {MAX_INTRODUCTIONS} people at a time; the rest is not shown."
            self._inbox.tell("invite", channel.peer, text)
        elif self._is_wanted(channel, message):
            self._add(record, channel, message)

    def _add(self, record: bytes, channel: Channel, message: Introduce) -> None:
        draft = self._inbox.draft
        draft.add(
            "introduction",
            {
                "channel": channel.id,
                "introduction": message.introduction,
                "person": message.person,
                "label": message.label,
                "text": message.text,
                "expires": min(message.expires, draft.stamp.now + INTRODUCTION_LIFETIME),
            },
            record,
        )
        self._kept[channel.id] = self._kept.get(channel.id, 0) + 1
        self._inbox.event(channel.peer, "would like to introduce somebody to you")

    def _is_wanted(self, channel: Channel, message: Introduce) -> bool:
        """Whether there is anything to decide; what is not wanted is dropped, and nobody hears of it."""
        contents, now = self._inbox.draft.contents, self._inbox.draft.stamp.now
        introducer = records.peer_at(contents, channel.peer)
        if message.expires <= now or message.person in (my_person(contents), introducer.person):
            return False
        known = peer_of_person(contents, message.person)
        if known is not None and is_connected(open_channels(contents, known.id)):
            self._known_already(channel, known)
            return False
        return known is None or not known.blocked

    def _known_already(self, channel: Channel, known: PeerRecord) -> None:
        name = known.name or "somebody"
        self._inbox.event(channel.peer, f"introduced you to {name}, with whom you are connected already")

    def _compare(self, record: bytes, message: Introduce) -> None:
        """A known introduction comes again: the first counts, and another one under its id does not pass unseen."""
        each = read_introduction(record, self._inbox.draft.contents[record])
        if (each.person, each.label, each.text) != (message.person, message.label, message.text):
            self._blame(each.channel, record, "changed an introduction after making it. What they said first counts.")

    def _answered(self, channel: Channel, message: IntroduceAnswer | IntroduceInvite) -> None:
        draft, record = self._inbox.draft, record_of(channel.id, message.introduction)
        content = draft.contents.get(record)
        if content is None or content.kind != "introduction":
            return
        each = read_introduction(record, content)
        if isinstance(message, IntroduceAnswer) and not message.agreed:
            if not each.taken_back:
                draft.change(record, {"taken_back": True})
                self._inbox.event(channel.peer, "took an introduction back")
        elif not each.accepted:
            return  # nothing follows before the person has agreed
        elif isinstance(message, IntroduceAnswer):
            draft.change(record, {"agreed": True})
        elif each.link is None:
            draft.change(record, {"link": link_value(message)})
        elif each.link != message:
            text = "passed on two different invites for one introduction. Only the first counts; compare numbers."
            self._blame(each.channel, record, text)

    def _blame(self, channel: bytes, record: bytes, what: str) -> None:
        contents = self._inbox.draft.contents
        found = records.channel_at(contents, channel)
        if found is not None:
            name = introducer_name(contents, records.peer_at(contents, found.peer).person)
            self._inbox.tell("alarm", record, f"{name} {what}")


def record_of(channel: bytes, introduction: bytes) -> bytes:
    """The record of what a peer introduces: the same on every device."""
    return labelled_hash(_RECORD, channel, introduction)[:RECORD_ID_BYTES]


def plan(contents: Contents, stamp: Stamp) -> Edit:
    """What has to be committed before anything leaves. What lapsed for good is deleted."""
    if not of_kind(contents, "introducing") and not of_kind(contents, "introduction"):
        return {}
    draft = Draft(contents, stamp)
    forgotten = {*plan_introducings(draft), *plan_introductions(draft)}
    _forget_receipts(draft, forgotten)
    return {**draft.edit, **dict.fromkeys(forgotten)}


def said(contents: Contents, now: int) -> Said:
    """Everything that has to reach a peer about introductions at `now`, also what has its receipt."""
    found: Said = {}
    sides = [said_by_introducer(contents, each) for each in introducings(contents)]
    sides += [said_by_introduced(contents, each, now) for each in introductions(contents)]
    for channel, introduction, sequence, message in (each for side in sides for each in side):
        found.setdefault(channel, {})[INTRODUCE + introduction.hex()] = introduction, int(sequence), message
    return found


def _forget_receipts(draft: Draft, forgotten: set[bytes]) -> None:
    gone = {
        PUT + INTRODUCE + introduction.hex()
        for record in forgotten
        if isinstance(introduction := draft.contents[record].value("introduction"), bytes)
    }
    for channel in of_kind(draft.contents, "channel") if gone else ():
        if mine := gone.intersection(draft.contents[channel].units):
            draft.change(channel, {}, without=mine)
