"""Where the vault lives after a theft: where the phrase is used, whatever a thief wrote (spec: stolen.md)."""

from __future__ import annotations

from kith_client.relations.homes import HOME, Place, home_of, moved
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.errors import Refused


def settled_at(contents: Contents, left: Contents, stamp: Stamp, place: Place) -> Edit:
    """The record of the vault's home; `left` are the records without what removed devices wrote.

    `place` is the server in use, which showed the whole history. Raises `Refused` (`moved`) where the person's own
    record names another one: behind a move there is one history, and that is there.
    """
    home = home_of(left)
    if home is not None and home.here == place:
        return {}
    if home is not None:
        raise Refused(
            "moved",
            f"This address book moved to {home.here.url}, and no stolen device said so. Take it back there: 'kith "
            "sync' brings a device there, and 'kith recover' takes it as --server.",
        )
    # Named, and not only left out: a device that followed the thief's record to her server comes back by it.
    return moved(left, stamp, place, None) if of_kind(contents, HOME) else {}
