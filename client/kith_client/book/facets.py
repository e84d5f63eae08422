"""Facets: their names, those that exist on my card, and those that a peer or a circle was granted."""

from __future__ import annotations

import unicodedata
from typing import Final

from kith_client.book.problems import BadValue, checked_text
from kith_client.book.properties import facets_of, is_property
from kith_client.stamp import Contents, of_kind, the_one
from kith_protocol.content import Content

GRANTED: Final = "facet/"
"""Prefix of units of a peer or a circle: `facet/<facet>` → true."""
MAX_FACET_CHARS: Final = 64


def facet_name(text: str) -> str:
    """The facet that a person means: case does not count. Raises `BadValue`."""
    name = unicodedata.normalize("NFC", " ".join(checked_text(text).split()).casefold())
    if (
        not 1 <= len(name) <= MAX_FACET_CHARS
        or "/" in name
        or any(unicodedata.category(sign)[0] == "C" for sign in name)
    ):
        raise BadValue(f"A facet's name has 1 to {MAX_FACET_CHARS} characters and no '/', such as work or family.")
    return name


def granted(content: Content) -> frozenset[str]:
    """The facets that a `peer` or `circle` record was granted."""
    return frozenset(
        key.removeprefix(GRANTED)
        for key, unit in content.units.items()
        if key.startswith(GRANTED) and unit.value is True
    )


def facets_on_my_card(contents: Contents) -> frozenset[str]:
    """The facets that at least one property of my card is in."""
    me = the_one(contents, "me")
    if me is None:
        return frozenset()
    return frozenset(facet for key, unit in me[1].units.items() if is_property(key) for facet in facets_of(unit.value))


def circles_with(contents: Contents, contact: object) -> list[Content]:
    """The circles that a contact is in."""
    member = f"member/{contact.hex()}" if isinstance(contact, bytes) else ""
    return [content for content in of_kind(contents, "circle").values() if member in content.units]


def facets_of_peer(contents: Contents, peer: bytes) -> frozenset[str]:
    """What a peer may see: the facets granted to the peer itself and to the circles of its contact."""
    content = contents[peer]
    through = (granted(circle) for circle in circles_with(contents, content.value("contact")))
    return granted(content).union(*through)
