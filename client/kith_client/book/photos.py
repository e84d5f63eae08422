"""Pictures of contacts: kept in records of their own, put back where a whole card is wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kith_client.book.parts import Parts, cut
from kith_client.book.problems import NotFound
from kith_client.contacts.model import Unit
from kith_client.contacts.photos import join_photo, photo_reference, split_photo
from kith_client.relations.peers import TheirLayer
from kith_client.stamp import Contents, Edit, Stamp

PHOTO: Final = "photo"
"""Kind of the records that hold pictures (spec: content.md)."""


def apart(stamp: Stamp, unit: Unit) -> tuple[Unit, Edit]:
    """A unit whose large picture was cut off, and the records that hold the picture."""
    split = split_photo(unit)
    return (unit, {}) if split is None else (split[0], cut(stamp, PHOTO, "data", split[1], {}))


class Photos:
    """The pictures of a book."""

    def __init__(self, contents: Contents) -> None:
        self._parts = Parts(contents, PHOTO, "data")
        self._shared = TheirLayer(contents)

    def joined(self, units: Iterable[Unit]) -> list[Unit]:
        """The units with their pictures inside. A picture that is missing here leaves its property out."""
        found = []
        for unit in units:
            digest = photo_reference(unit)
            if digest is None:
                found.append(unit)
            elif (data := self._data(digest)) is not None:
                found.append(join_photo(unit, data))
        return found

    def _data(self, digest: bytes) -> bytes | None:
        if digest not in self._parts:
            shared = self._shared.photo(digest)
            return None if shared is None else shared.data
        try:
            return self._parts.joined(digest)
        except NotFound:
            return None
