"""Granting facets to a peer or a circle, and taking them back. What follows for the peer is decided in `views`."""

from __future__ import annotations

from dataclasses import dataclass

from kith_client.book.circles import find_circle
from kith_client.book.facets import GRANTED, circles_with, facet_name, facets_on_my_card, granted
from kith_client.book.layers import Layers, peer_id
from kith_client.book.names import words
from kith_client.book.problems import Ambiguous, BookError, NotFound
from kith_client.book.properties import put_units
from kith_client.book.resolve import resolve_peer
from kith_client.book.views import view_of
from kith_client.contacts.model import Property
from kith_client.stamp import Contents, Edit, Stamp, of_kind


@dataclass(frozen=True, slots=True)
class Target:
    """Who is granted something: records of one peer, or of one circle (which two devices may both have begun)."""

    kind: str
    """`peer` or `circle`."""
    records: tuple[bytes, ...]
    name: str = ""
    """What the peer or the circle is called."""


def resolve_target(contents: Contents, text: str) -> Target:
    """The peer or circle that is meant. Raises `NotFound`, or `Ambiguous`, also where both have the name."""
    circle = find_circle(contents, text)
    try:
        found = resolve_peer(contents, text)
        peer = Target("peer", (found,), Layers(contents).peer_names(found)[0])
    except NotFound:
        peer = None
    except Ambiguous:
        if not circle:
            raise
        peer = None
    if peer and circle:
        raise Ambiguous("Both a peer and a circle have this name. Give the peer's id, which 'kith peers' shows.")
    if circle:
        return Target("circle", circle, words(contents[circle[0]], "name"))
    if peer:
        return peer
    raise NotFound(
        "No peer and no circle matches. 'kith peers' and 'kith circle' show them.",
        shown=f"No peer and no circle matches '{text.strip()}'. 'kith peers' and 'kith circle' show them.",
    )


def grant(contents: Contents, stamp: Stamp, target: Target, facet: str) -> Edit:
    """Lets the target see a facet of my card. Raises `NotFound` for a facet that no property is in."""
    name = facet_name(facet)
    known = facets_on_my_card(contents)
    if name not in known:
        raise _unknown_facet(name, known)
    record = target.records[0]
    if any(name in granted(contents[each]) for each in target.records):
        return {}
    return {record: put_units(contents[record], stamp, {GRANTED + name: True})}


def withdraw(contents: Contents, stamp: Stamp, target: Target, facet: str) -> Edit:
    """Takes a facet back from the target. Raises `NotFound` where it was not granted to it."""
    name = facet_name(facet)
    holding = [record for record in target.records if name in granted(contents[record])]
    if not holding:
        raise _not_granted(contents, target, name)
    return {record: put_units(contents[record], stamp, {GRANTED + name: None}) for record in holding}


def concerned(contents: Contents, target: Target) -> list[bytes]:
    """The `peer` records whose view depends on the target."""
    if target.kind == "peer":
        return list(target.records)
    members = {key for record in target.records for key in contents[record].units if key.startswith("member/")}
    return [record for record, peer in of_kind(contents, "peer").items() if _member(peer.value("contact")) in members]


def views(contents: Contents, target: Target) -> dict[str, list[Property]]:
    """Peer id → what that peer sees, for those that the target concerns."""
    return {peer_id(contents, record): view_of(contents, record) for record in concerned(contents, target)}


def still_granted_by(contents: Contents, target: Target, facet: str) -> list[str]:
    """Circles through which a peer goes on seeing a facet that it has itself no longer."""
    if target.kind != "peer":
        return []
    name = facet_name(facet)
    circles = circles_with(contents, contents[target.records[0]].value("contact"))
    return sorted(str(circle.value("name")) for circle in circles if name in granted(circle))


def _member(contact: object) -> str:
    return f"member/{contact.hex()}" if isinstance(contact, bytes) else ""


def _unknown_facet(name: str, known: frozenset[str]) -> BookError:
    exist = "Your card has these facets: " + ", ".join(sorted(known)) + "." if known else "Your card has no facets yet."
    return NotFound(
        f"No property of your card is in this facet. {exist}",
        shown=f"No property of your card is in the facet '{name}'. {exist}\n"
        f"'kith me set PROPERTY VALUE --facet {name}' puts one there.",
    )


def _not_granted(contents: Contents, target: Target, name: str) -> BookError:
    through = still_granted_by(contents, target, name)
    if through:
        return NotFound(
            "This facet was not granted to the peer itself, but through a circle.",
            shown=f"'{name}' was granted through the circle {', '.join(through)}. Withdraw it there, "
            "or take the contact out with 'kith circle remove'.",
        )
    have = sorted({facet for record in target.records for facet in granted(contents[record])})
    exist = f"Granted are: {', '.join(have)}." if have else "Nothing is granted."
    return NotFound("This facet was not granted.", shown=f"The facet '{name}' was not granted. {exist}")
