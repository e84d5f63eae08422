"""What I keep for others as their guardian: taking a share in, handing it out, giving the office back.

One record for each person, whatever becomes of the relationship: a share outlasts it by 180 days (spec: guardian.md).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from kith_client.book.layers import Layers
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.inbox import Inbox
from kith_client.relations.joining import (
    has_ended,
    host_of_peer,
    is_connected,
    open_channels,
    peer_of_person,
    persona_in,
)
from kith_client.relations.records import Channel
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol import labels
from kith_protocol.commit import RECORD_ID_BYTES
from kith_protocol.content import Content
from kith_protocol.encoding import Value
from kith_protocol.errors import BadSignature, DecodingError, Refused, Undecryptable
from kith_protocol.guardian import (
    Guard,
    GuardAnswer,
    GuardianShare,
    GuardState,
    Release,
    ShareLink,
    check_release,
    open_share,
)
from kith_protocol.splitting import read_share
from kith_protocol.suite import labelled_hash

GUARDING: Final = "guarding"
"""Kind of the record: one for each person for whom I am a guardian."""
GIVEN: Final = "given/"
"""On such a record: when the share was handed out; once more for each time."""
KEPT_FOR: Final = 180 * 24 * 3600 * 1000
"""Milliseconds for which a share is kept after the office ended: whoever steals an unlocked device could end it."""
_MARK_BYTES: Final = 8
_GUARDING: Final = labels.PREFIX + GUARDING
_NOT_BY_THE_ROOT: Final = (
    "a share of a recovery phrase came that was not made with that phrase. It was not taken; a share that you kept "
    "before stays. Somebody may have a device of theirs: ask them, by other means than messages."
)

_NOT_ENDED_BY_THE_ROOT: Final = (
    "a message came that your office as their guardian is over, and it was not made with their phrase. Nothing "
    "changed. Somebody may have a device of theirs: ask them, by other means than messages."
)

_T = TypeVar("_T", int, bytes, str)


@dataclass(frozen=True, slots=True)
class Guarding:
    """One `guarding` record."""

    id: bytes
    person: bytes
    made: int
    """Of the split; 0 where none was ever taken."""
    since: int
    vault: bytes
    needed: int
    """How many shares give the phrase."""
    words: str
    """The share; empty once it was erased."""
    released: int
    """When the office ended, in milliseconds since 1970; 0 while it lasts."""
    parted: int
    """When the relationship ended, likewise: if it stands again, so does the office."""
    resigned: int
    """`made` of the split of which I gave the share back."""
    refused: int
    """`made` of the last split whose share could not be taken."""
    given: tuple[int, ...]
    """When I handed a share out, oldest first."""

    def __repr__(self) -> str:
        return f"Guarding({self.id.hex()}, {self.made})"

    @property
    def answer(self) -> GuardAnswer:
        """How things stand, for the person to hear."""
        given = len(self.given), max(self.given, default=0)
        if self.refused > self.made:
            return GuardAnswer(self.refused, GuardState.UNREADABLE, *given)
        if self.resigned == self.made or not (self.words or self.released):
            return GuardAnswer(self.made, GuardState.RESIGNED, *given)
        return GuardAnswer(self.made, GuardState.RELEASED if self.released else GuardState.KEPT, *given)


def read_guarding(record: bytes, content: Content) -> Guarding:
    """Raises `DecodingError` where it is damaged."""
    return Guarding(
        record,
        _value(content, "person", b""),
        _value(content, "made", 0),
        _value(content, "since", 0),
        _value(content, "vault", b""),
        _value(content, "needed", 0),
        _value(content, "words", ""),
        _value(content, "released", 0) or _value(content, "parted", 0),
        _value(content, "parted", 0),
        _value(content, "resigned", 0),
        _value(content, "refused", 0),
        tuple(sorted(_value(content, key, 0) for key in content.units if key.startswith(GIVEN))),
    )


def guardings(contents: Contents) -> dict[bytes, Guarding]:
    """Person id → what I keep for that person, or kept."""
    found = [read_guarding(record, content) for record, content in sorted(of_kind(contents, GUARDING).items())]
    return {guarding.person: guarding for guarding in found}


def take_guard(inbox: Inbox, channel: Channel, message: Guard) -> None:
    """A share for me: kept if it is newer than the one I have, and really by the person's root."""
    if channel.established is None:
        return
    draft, person = inbox.draft, channel.established.peer
    before = guardings(draft.contents).get(person)
    if before is not None and message.made <= before.made:
        return
    root = records.persona_of(persona_in(channel)).root
    try:
        share = _opened(draft.contents, root, message)
    except (Undecryptable, DecodingError, BadSignature, Refused) as problem:
        _change(draft, person, {"refused": message.made})
        if isinstance(problem, BadSignature):
            name = Layers(draft.contents).peer_names(channel.peer)[0]
            inbox.tell("alarm", channel.id, f"In the name of {name}, {_NOT_BY_THE_ROOT}")
        return
    office: dict[str, Value] = {"made": share.made, "since": draft.stamp.now, "vault": share.vault}
    office |= {"needed": share.share.needed, "words": share.words}
    _change(draft, person, office, without=["released", "parted", "resigned", "refused"])
    inbox.event(channel.peer, "made you a guardian of their recovery phrase ('kith guardians')")


def take_release(inbox: Inbox, channel: Channel, message: Release) -> None:
    """The office is over, by the root's word. What I keep stays for a while, as after every end."""
    if channel.established is None:
        return
    draft, person = inbox.draft, channel.established.peer
    before = guardings(draft.contents).get(person)
    try:
        check_release(records.persona_of(persona_in(channel)).root, records.own_persona(draft.contents).person, message)
    except BadSignature:
        name = Layers(draft.contents).peer_names(channel.peer)[0]
        inbox.tell("alarm", channel.id, f"In the name of {name}, {_NOT_ENDED_BY_THE_ROOT}")
        return
    # `made` stays that of the share: the answer is about what is kept.
    if before is not None and before.words and not before.released and message.made >= before.made:
        draft.change(before.id, {"released": draft.stamp.now})
        inbox.event(channel.peer, "ended your office as their guardian; the share is kept for 180 days")


def plan_guardings(draft: Draft) -> None:
    """An office rests while the relationship is over; 180 days after its end the share is erased.

    A thief ends relationships too; the person's word, by the root, makes them stand again.
    """
    now = draft.stamp.now
    for guarding in guardings(draft.contents).values():
        peer = peer_of_person(draft.contents, guarding.person)
        stands = peer is not None and is_connected(open_channels(draft.contents, peer.id))
        if guarding.parted and stands:
            draft.change(guarding.id, {}, without=["parted"])
        elif guarding.words and not guarding.released and peer is not None and has_ended(draft.contents, peer):
            draft.change(guarding.id, {"parted": now})
        elif guarding.words and guarding.released and guarding.released + KEPT_FOR <= now:
            draft.change(guarding.id, {}, without=["words", "vault"])


def share_of(contents: Contents, peer: bytes) -> Guarding:
    """The share that I keep for a peer (the id of its record). Raises `Refused` (`no-share`)."""
    found = guardings(contents).get(records.peer_at(contents, peer).person)
    if found is None or not found.words:
        raise Refused(
            "no-share", "You keep no share of this peer's recovery phrase. 'kith guardians' shows whose you keep."
        )
    return found


def keeps_share(contents: Contents, peer: bytes) -> bool:
    """Whether I keep a share for this peer (the id of its record)."""
    found = guardings(contents).get(records.peer_at(contents, peer).person)
    return found is not None and bool(found.words)


def give(contents: Contents, stamp: Stamp, peer: bytes) -> tuple[Edit, ShareLink]:
    """Hands the share out: the edit has to be durable before it is shown. Raises `Refused` (`no-share`)."""
    guarding = share_of(contents, peer)
    draft = Draft(contents, stamp)
    draft.change(guarding.id, {GIVEN + stamp.random(_MARK_BYTES).hex(): stamp.now})
    return draft.edit, ShareLink(host_of_peer(contents, peer), guarding.vault, read_share(guarding.words))


def resign(contents: Contents, stamp: Stamp, peer: bytes) -> Edit:
    """Erases the share and tells the person. Raises `Refused` (`no-share`)."""
    guarding = share_of(contents, peer)
    draft = Draft(contents, stamp)
    draft.change(guarding.id, {"resigned": guarding.made}, without=["words", "vault"])
    return draft.edit


def _opened(contents: Contents, root: bytes, message: Guard) -> GuardianShare:
    """With a former persona key too: the person may have sealed it before she heard of the newest."""
    me, (newest, *former) = records.own_persona(contents).person, records.persona_seals(contents)
    for key in former:
        with suppress(Undecryptable):
            return open_share(key, me, root, message)
    return open_share(newest, me, root, message)


def _change(draft: Draft, person: bytes, values: dict[str, Value], without: list[str] | None = None) -> None:
    record = labelled_hash(_GUARDING, person)[:RECORD_ID_BYTES]
    if record in draft.contents:
        draft.change(record, values, without=without or [])
    else:
        draft.add(GUARDING, {"person": person, **values}, record)


def _value(content: Content, name: str, missing: _T) -> _T:
    value = content.value(name)
    if value is None:
        return missing
    if type(value) is not type(missing):
        raise _damaged()
    return value  # of the same type, as compared


def _damaged() -> DecodingError:
    return DecodingError("A record of the kind guarding is damaged.")
