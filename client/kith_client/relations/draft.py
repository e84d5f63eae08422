"""A working copy of the vault's contents: edits are laid over it, so that later steps see the earlier ones.

Nothing is stored here; whoever asked commits the edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.content import Content
from kith_protocol.encoding import Value

MAX_TOLD: Final = 4
"""Issues about one record."""


class Draft:
    """Contents with edits on top."""

    def __init__(self, contents: Contents, stamp: Stamp) -> None:
        self.stamp = stamp
        self._base = contents
        self.contents = dict(contents)
        self._touched: set[bytes] = set()
        self._told: dict[bytes, list[Value]] | None = None

    @property
    def edit(self) -> Edit:
        """What has changed since the draft was begun."""
        changed = sorted(record for record in self._touched if self.contents.get(record) != self._base.get(record))
        return {record: self.contents.get(record) for record in changed}

    def add(self, kind: str, values: Mapping[str, Value], record: bytes | None = None) -> bytes:
        """A new record; returns its id. Values that are None are left out."""
        record = self.stamp.record_id() if record is None else record
        self.contents[record] = self.stamp.content(kind, {k: v for k, v in values.items() if v is not None})
        self._touched.add(record)
        return record

    def change(self, record: bytes, values: Mapping[str, Value], without: Iterable[str] = ()) -> None:
        """Changes units of a record; those in `without` go. A unit whose value stays keeps its origin."""
        before = self.contents[record]
        dropped = set(without)
        units = {key: unit for key, unit in before.units.items() if key not in dropped}
        for key, value in values.items():
            if key not in units or units[key].value != value:
                units[key] = self.stamp.unit(value)
        self.contents[record] = Content(before.kind, units, before.extra)
        self._touched.add(record)

    def remove(self, record: bytes) -> None:
        """Deletes a record."""
        del self.contents[record]
        self._touched.add(record)

    def tell(self, kind: str, about: bytes, text: str, *, code: str | None = None, at_most: int = MAX_TOLD) -> bool:
        """Leaves the person an issue about a record; False where it, or enough of them, is there already.

        `code` is for `untell`, where something that comes later can settle the issue.

        Bounded, because whoever holds an invite or is a peer can cause them as often as they like.
        """
        if self._told is None:
            self._told = {}
            for content in of_kind(self.contents, "issue").values():
                whose = content.value("about")
                if isinstance(whose, bytes):
                    self._told.setdefault(whose, []).append(content.value("text"))
        told = self._told.setdefault(about, [])
        if text in told or len(told) >= at_most:
            return False
        told.append(text)
        self.add("issue", {"kind": kind, "text": text, "at": self.stamp.now, "about": about, "code": code})
        return True

    def untell(self, code: str, about: bytes) -> None:
        """Settles the issues with this code about a record."""
        for record, content in of_kind(self.contents, "issue").items():
            if content.value("code") == code and content.value("about") == about:
                self.remove(record)

    def keep_told(self, record: bytes, kind: str, about: bytes, text: str) -> bool:
        """One issue with an id of its own that is brought up to date; False where it says so already.

        Nothing else keeps it from being told: whoever asks bounds how many ids there are.
        """
        before = self.contents.get(record)
        if before is not None and before.value("text") == text:
            return False
        self.add("issue", {"kind": kind, "text": text, "at": self.stamp.now, "about": about}, record)
        return True
