"""Comparing safety numbers with a peer: the one proof that nobody sits in between."""

from __future__ import annotations

from kith_client.book.layers import Layers
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.introductions.suspicion import doubted
from kith_client.relations.joining import persona_in
from kith_client.relations.trust import raised
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.codes import parse_safety_code, safety_code
from kith_protocol.errors import Refused
from kith_protocol.persona import safety_number
from kith_protocol.relationship import Trust
from kith_protocol.suite import equal

DIGITS = 60
_DIFFERS = "safety-number-differs"


class NumbersDiffer(Refused):
    """The peer sees another safety number (`safety-number-differs`)."""

    def __init__(self, edit: Edit, blame: str = "") -> None:
        text = (
            "The numbers differ, so the peer counts as unverified again. Before anything else read all 60 digits once "
            "more. If they still differ, somebody may sit between you, or the other began anew: share nothing with "
            "this peer before you know why."
        )
        super().__init__(_DIFFERS, text)
        self.edit = edit
        """What has to be remembered of it: the peer is unverified, and an issue is left."""
        self.shown = f"{text} {blame}".rstrip()
        """The sentence for the person, with the name of who introduced the two. Never logged."""


def safety_number_of(contents: Contents, peer: bytes) -> str:
    """60 digits in 12 groups of 5, which the peer sees as well. Raises `Refused` (`no-such-peer`)."""
    channel = records.channel_at(contents, records.peer_at(contents, peer).channel)
    if channel is None:
        raise Refused("no-such-peer", "Nothing is known yet of this peer's keys.")
    mine = records.persona_of(records.own_persona(contents).raw)
    return safety_number(mine.root, records.persona_of(persona_in(channel)).root)


def mark_verified(contents: Contents, stamp: Stamp, peer: bytes, number: str) -> Edit:
    """Remembers that both read the same number; spaces and hyphens do not count. An earlier mismatch is settled.

    Raises `Refused` (`safety-number` where it has not 60 digits), `NumbersDiffer`, whose edit is to be applied.
    """
    digits = "".join(sign for sign in number if sign not in " -\t\u00a0\n")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        raise Refused("safety-number", f"A safety number has {DIGITS} digits. Ask the other to read out all of them.")
    if not equal(digits.encode(), safety_number_of(contents, peer).replace(" ", "").encode()):
        raise NumbersDiffer(*_distrust(contents, stamp, peer))
    trust = raised(records.peer_at(contents, peer).trust, Trust.VERIFIED.value)
    draft = Draft(contents, stamp)
    draft.change(peer, {"trust": trust})
    draft.untell(_DIFFERS, peer)
    return draft.edit


def safety_code_of(contents: Contents, peer: bytes) -> str:
    """The same as the text of a QR code, shown by me. Raises `Refused` (`no-such-peer`)."""
    return safety_code(safety_number_of(contents, peer), records.own_persona(contents).person).text


def mark_verified_by_code(contents: Contents, stamp: Stamp, peer: bytes, text: str) -> Edit:
    """As `mark_verified`, with what a picture of the other's screen shows.

    Raises `Refused` (`wrong-code`, `safety-code`, `own-safety-code`), `NumbersDiffer`, whose edit is to be applied.
    """
    code = parse_safety_code(text)
    if code.shown_by == records.own_persona(contents).person:
        # It would agree with itself, whoever sits in between.
        raise Refused("own-safety-code", "This is a picture of your own code; photograph the other's screen.")
    if code.shown_by != records.peer_at(contents, peer).person:
        raise NumbersDiffer(*_distrust(contents, stamp, peer))
    return mark_verified(contents, stamp, peer, code.number)


def _distrust(contents: Contents, stamp: Stamp, peer: bytes) -> tuple[Edit, str]:
    draft = Draft(contents, stamp)
    blame = doubted(draft, records.peer_at(contents, peer))
    draft.change(peer, {"trust": Trust.UNVERIFIED.value})
    name = Layers(contents).peer_names(peer)[0]
    text = (
        f"The safety number of {name} was another one than yours. Read all 60 digits once more: an agreement settles "
        f"this. If they still differ, somebody may sit between you, or {name} began anew. Until you know why, share "
        "nothing. 'kith forget' ends the relationship."
    )
    draft.tell("alarm", peer, f"{text} {blame}".rstrip(), code=_DIFFERS)
    return draft.edit, blame
