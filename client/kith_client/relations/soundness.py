"""Whether a record that opens also says what its kind has to say.

A newer or broken program of one device may write what others cannot read; that must not stop their sync.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kith_client.relations.guardians.guarding import GUARDING, read_guarding
from kith_client.relations.guardians.splits import SPLIT, read_split
from kith_client.relations.handles import read_handle
from kith_client.relations.homes import read_home
from kith_client.relations.introductions.records import read_introducing, read_introduction
from kith_client.relations.pins import read_pin
from kith_client.relations.records import own_persona, read_channel, read_invite, read_peer, read_their_item
from kith_client.relations.requests.records import REQUEST, read_request
from kith_protocol.content import Content
from kith_protocol.errors import DecodingError

_READERS: Final[Mapping[str, Callable[[bytes, Content], object]]] = {
    "channel": read_channel,
    "handle": read_handle,
    "home": read_home,
    "introducing": read_introducing,
    "introduction": read_introduction,
    "invite": read_invite,
    "peer": read_peer,
    REQUEST: read_request,
    "server": read_pin,
    "persona": lambda record, content: own_persona({record: content}),
    "theirs": read_their_item,
    GUARDING: read_guarding,
    SPLIT: read_split,
}


def is_sound(record: bytes, content: Content) -> bool:
    """False where a record of a relationship lacks what relations read of it, or holds something else there."""
    reader = _READERS.get(content.kind)
    try:
        if reader is not None:
            reader(record, content)
    except DecodingError:
        return False
    return True
