"""How far a peer is trusted, as its record says it: `introduced:<person id>` names who introduced it."""

from __future__ import annotations

from kith_protocol.relationship import Trust, trust_after


def trust_of(text: str) -> Trust:
    """The trust that stands in a record; whatever is unknown counts as unverified."""
    try:
        return Trust(text.partition(":")[0])
    except ValueError:
        return Trust.UNVERIFIED


def introducer_of(text: str) -> bytes | None:
    """Person id of who introduced the peer, where that is all that vouches for it."""
    trust, _, person = text.partition(":")
    try:
        return bytes.fromhex(person) if trust == Trust.INTRODUCED.value and person else None
    except ValueError:
        return None


def introduced_by(person: bytes) -> str:
    """What stands in the record of a peer whom the peer with this person id introduced."""
    return f"{Trust.INTRODUCED.value}:{person.hex()}"


def raised(text: str, gained: str) -> str:
    """What stands in the record once `gained` was shown: it only rises."""
    before = trust_of(text)
    return gained if trust_after(before, trust_of(gained)) is not before else text
