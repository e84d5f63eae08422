"""Comparing safety numbers with a peer: the one proof that nobody sits in between."""

from __future__ import annotations

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.joining import persona_in
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.errors import Refused
from kith_protocol.persona import safety_number
from kith_protocol.relationship import Trust, trust_after
from kith_protocol.suite import equal

DIGITS = 60


def safety_number_of(contents: Contents, peer: bytes) -> str:
    """60 digits in 12 groups of 5, which the peer sees as well. Raises `Refused` (`no-such-peer`)."""
    channel = records.channel_at(contents, records.peer_at(contents, peer).channel)
    if channel is None:
        raise Refused("no-such-peer", "Nothing is known yet of this peer's keys.")
    mine = records.persona_of(records.own_persona(contents).raw)
    return safety_number(mine.root, records.persona_of(persona_in(channel)).root)


def mark_verified(contents: Contents, stamp: Stamp, peer: bytes, number: str) -> Edit:
    """Remembers that both read the same number; spaces and hyphens do not count.

    Raises `Refused` (`safety-number` where it has not 60 digits, `safety-number-differs`).
    """
    digits = "".join(sign for sign in number if sign not in " -\t\u00a0\n")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()):
        raise Refused("safety-number", f"A safety number has {DIGITS} digits. Ask the other to read out all of them.")
    if not equal(digits.encode(), safety_number_of(contents, peer).replace(" ", "").encode()):
        raise Refused(
            "safety-number-differs",
            "The numbers differ: somebody may sit between you, or the other began anew. Do not share anything with "
            "this peer before you know why.",
        )
    trust = trust_after(_trust(records.peer_at(contents, peer).trust), Trust.VERIFIED)
    draft = Draft(contents, stamp)
    draft.change(peer, {"trust": trust.value})
    return draft.edit


def _trust(text: str) -> Trust:
    """`introduced:<person id>` counts as introduced; whatever is unknown, as unverified."""
    try:
        return Trust(text.partition(":")[0])
    except ValueError:
        return Trust.UNVERIFIED
