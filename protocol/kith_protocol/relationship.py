"""Relationships: their states, how far a peer is trusted, and the slots of their parcels (spec: handshake.md).

Pure tables; what a state means for the person is left to the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, IntEnum, StrEnum, auto
from typing import Final

from kith_protocol import labels
from kith_protocol.errors import Refused
from kith_protocol.mailbox import SLOT_BYTES
from kith_protocol.suite import derive, mac


class Side(IntEnum):
    """How this person came into the relationship."""

    INVITER = 0
    ACCEPTER = 1

    @property
    def sends(self) -> Direction:
        return Direction(int(self))

    @property
    def receives(self) -> Direction:
        return Direction(1 - int(self))


class Direction(IntEnum):
    """Which way a parcel goes; part of every context, so that none can be turned back on its sender."""

    TO_ACCEPTER = 0
    TO_INVITER = 1


class RelationshipState(StrEnum):
    """Where a relationship stands."""

    REQUESTED = "requested"
    """An answer to a reusable invite waits for the person's decision."""
    ANSWERED = "answered"
    """Accepter: the answer is on its way; the finish is awaited."""
    FINISHED = "finished"
    """Inviter: the finish is on its way; parcels may follow; the confirmation is awaited."""
    CONNECTED = "connected"
    """Both have shown that they hold the shared secret."""
    ENDED = "ended"
    """By either side, or because nobody answered. Final: a new invite makes a new relationship."""

    @property
    def waiting(self) -> bool:
        """Whether no parcel can be sent yet."""
        return self in (RelationshipState.REQUESTED, RelationshipState.ANSWERED)


class RelationshipEvent(Enum):
    """What moves it."""

    REQUEST_ACCEPTED = auto()
    """The person accepted the request; the finish was made."""
    REQUEST_DECLINED = auto()
    FINISH_OPENED = auto()
    """The inviter's finish verified."""
    CONFIRMED = auto()
    """The accepter's confirmation verified."""
    PARCEL_OPENED = auto()
    BYE = auto()
    """Said or heard."""
    EXPIRED = auto()
    """The invite ran out before the finish came."""
    REPLACED = auto()
    """A later handshake with the same person took its place."""


_S = RelationshipState
_E = RelationshipEvent

TRANSITIONS: Final[Mapping[tuple[RelationshipState, RelationshipEvent], RelationshipState]] = {
    (_S.REQUESTED, _E.REQUEST_ACCEPTED): _S.FINISHED,
    (_S.REQUESTED, _E.REQUEST_DECLINED): _S.ENDED,
    (_S.REQUESTED, _E.EXPIRED): _S.ENDED,
    (_S.ANSWERED, _E.FINISH_OPENED): _S.CONNECTED,
    (_S.ANSWERED, _E.EXPIRED): _S.ENDED,
    (_S.ANSWERED, _E.BYE): _S.ENDED,
    (_S.ANSWERED, _E.REPLACED): _S.ENDED,
    (_S.FINISHED, _E.CONFIRMED): _S.CONNECTED,
    (_S.FINISHED, _E.PARCEL_OPENED): _S.FINISHED,
    (_S.FINISHED, _E.BYE): _S.ENDED,
    (_S.FINISHED, _E.REPLACED): _S.ENDED,
    (_S.CONNECTED, _E.CONFIRMED): _S.CONNECTED,
    (_S.CONNECTED, _E.PARCEL_OPENED): _S.CONNECTED,
    (_S.CONNECTED, _E.BYE): _S.ENDED,
    (_S.CONNECTED, _E.REPLACED): _S.ENDED,
}
"""Every step that is allowed. A relationship begins as `REQUESTED`, `ANSWERED` or `FINISHED`."""


def next_state(state: RelationshipState, event: RelationshipEvent) -> RelationshipState:
    """The state after `event`. Raises `Refused` (`relationship-state`)."""
    following = TRANSITIONS.get((state, event))
    if following is None:
        raise Refused("relationship-state", f"A relationship that is {state} cannot take this step.")
    return following


class Trust(StrEnum):
    """How sure this person may be who the peer is."""

    UNVERIFIED = "unverified"
    INTRODUCED = "introduced"
    """By a common peer, who could have cheated."""
    VERIFIED = "verified"
    """The safety numbers were compared."""
    MET = "met"
    """Paired side by side."""


_RANK: Final = {Trust.UNVERIFIED: 0, Trust.INTRODUCED: 1, Trust.VERIFIED: 2, Trust.MET: 2}


def trust_after(trust: Trust, gained: Trust) -> Trust:
    """The trust once `gained` was shown: it only rises, and what is known first-hand stays as it came about."""
    return gained if _RANK[gained] > _RANK[trust] else trust


class SlotKind(IntEnum):
    """What a slot is for; a newer parcel in a slot takes the place of the one before."""

    ITEM = 1
    """Named by the item id."""
    FINISH = 2
    STATE = 3
    """Acknowledgements and the list of versions."""
    REKEY = 4
    MOVED = 5
    INTRODUCE = 6
    """Named by the introduction's id."""
    BYE = 7
    GUARDIAN = 8
    """Named by who speaks: `guardian.TO_GUARDIAN` or `TO_PERSON`."""


def slot_of(rs: bytes, direction: Direction, kind: SlotKind, name: bytes = b"") -> bytes:
    """The slot in the peer's mailbox, 16 bytes: tells a server nothing but that two parcels are about one thing."""
    key = derive(rs, labels.SLOT_KEY)
    return mac(key, labels.SLOT, bytes([direction]), bytes([kind]), name)[:SLOT_BYTES]
