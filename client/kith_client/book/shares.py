"""Letting a peer have a note or somebody's card: each by an act that names it. Sending is left to `relations`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kith_client.book.layers import Layers
from kith_client.book.names import record_of
from kith_client.book.problems import NotAllowed, NotFound
from kith_client.book.properties import put_units
from kith_client.stamp import Contents, Edit, Stamp

SHARE: Final = "share/"
"""Prefix of units of a peer: `share/<record id in hex>` → true."""
ITEM: Final = "item/"

_KINDS: Final = {"note": "note", "contact": "card"}


@dataclass(frozen=True, slots=True)
class Shared:
    """One thing that a peer has from me, beside my card."""

    kind: str
    """`note` or `card`; in a preview also `introduction` and `guardian`."""
    id: str
    name: str
    version: int


def share(contents: Contents, stamp: Stamp, item: bytes, peer: bytes) -> Edit:
    """Lets the peer have a note or a contact's card. Raises `NotAllowed` for the peer's own card."""
    if contents[peer].value("contact") == item:
        raise NotAllowed("This card is the peer's own.")
    return {peer: put_units(contents[peer], stamp, {SHARE + item.hex(): True})}


def unshare(contents: Contents, stamp: Stamp, item: bytes, peer: bytes) -> Edit:
    """Takes it back. Raises `NotFound` where it was not shared."""
    if SHARE + item.hex() not in contents[peer].units:
        raise NotFound("This was not shared with the peer. 'kith preview PEER' shows what is.")
    return {peer: put_units(contents[peer], stamp, {SHARE + item.hex(): None})}


def shared_with(contents: Contents, peer: bytes) -> list[Shared]:
    """What the peer has from me beside my card, as far as it still exists."""
    layers = Layers(contents)
    found = []
    for key in sorted(contents[peer].units):
        item = record_of(key.removeprefix(SHARE)) if key.startswith(SHARE) else None
        content = contents.get(item) if item else None
        if item and content and content.kind in _KINDS:
            contact = item if content.kind == "contact" else content.value("contact")
            found.append(Shared(_KINDS[content.kind], item.hex(), layers.name(contact), version(contents, peer, item)))
    return found


def version(contents: Contents, peer: bytes, item: bytes) -> int:
    """The version of a share: what stands in the relationship's channel; 1 before it was planned for sending.

    What was taken back and is shared again gets the next version.
    """
    channel = contents[peer].value("channel")
    content = contents.get(channel) if isinstance(channel, bytes) else None
    for key, unit in content.units.items() if content else ():
        if key.startswith(ITEM) and isinstance(unit.value, dict) and unit.value.get("ref") == item.hex():
            number = unit.value.get("version")
            shared = SHARE + item.hex() in contents[peer].units
            if isinstance(number, int):
                return number + (shared == (unit.value.get("gone") is True))
    return 1
