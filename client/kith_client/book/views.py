"""What one peer gets to see of my card. The one place that decides it; preview and sender ask here."""

from __future__ import annotations

from kith_client.book.facets import facets_of_peer
from kith_client.book.properties import facets_of, units_of
from kith_client.contacts.model import Property, Unit
from kith_client.stamp import Contents, the_one

ALWAYS = "fn"
"""The unit of my card that is in every view."""


def view_of(contents: Contents, peer: bytes) -> list[Property]:
    """The properties of my card that the peer with this `peer` record sees, in the order of my card.

    These are: FN, and every property in a facet granted to the peer or to a circle of its contact. A property without
    a facet is seen by nobody. Photos stand as references (`kith:photo:<sha256>`).
    """
    return [prop for unit in view_units(contents, peer).values() for prop in unit]


def view_units(contents: Contents, peer: bytes) -> dict[str, Unit]:
    """As `view_of`, by the key of the property."""
    me = the_one(contents, "me")
    if me is None:
        return {}
    seen = facets_of_peer(contents, peer)
    return {
        key: unit
        for key, unit in units_of(me[1]).items()
        if key == ALWAYS or not seen.isdisjoint(facets_of(me[1].units[key].value))
    }
