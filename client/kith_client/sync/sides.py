"""Two histories of one vault that parted, record by record: which side changed what (spec: repair.md, Following).

Pure. A record counts as changed on a side if a commit of that side, after the last common one, wrote it; the side that
did not change is the base of the merge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kith_client.relations.apart import KINDS, join
from kith_client.sync.applying import rebase
from kith_protocol.content import Content
from kith_protocol.merge import Merged


@dataclass(frozen=True, slots=True)
class Sides:
    """What is known of the two."""

    fork: int
    """Number of the last common commit."""
    repair: int
    """Number of the repair: what is written from it on was written by those who knew both sides."""
    here: Mapping[bytes, int]
    """Of this device's records: the commit that wrote each."""
    there: Mapping[bytes, int]
    """Of the server's: the commit that wrote or deleted each."""
    void: frozenset[int]
    """Shown commits after the fork whose authors had been removed: what they wrote counts for nothing."""
    unlisted: int
    """The last shown commit whose list of changes the server did not have: who deleted what before it is unknown."""

    def is_settled(self, record: bytes) -> bool:
        """Whether the server's copy was written, or deleted, by somebody who knew both sides."""
        return self.there.get(record, -1) >= self.repair

    def changed_here(self, record: bytes) -> bool:
        """Whether this device's side changed it; a record that is missing here was deleted, or is none of ours."""
        return self.here.get(record, self.fork + 1) > self.fork

    def changed_there(self, record: bytes) -> bool:
        """Whether the server's side changed it, by somebody whose word counts."""
        number = self.there.get(record)
        if number is None:  # deleted there, by a commit without its list, or never there
            return not self.changed_here(record) and not self.void
        if self.void and self.unlisted > self.fork:  # a server may have hidden which commit is whose
            return False
        return number > self.fork and number not in self.void

    def merge(
        self, record: bytes, kept: Content | None, local: Content | None, remote: Content | None, latest: int
    ) -> Merged:
        """What stands of a record: `kept` is this device's verified copy, `local` that with unsent edits."""
        if self.is_settled(record):
            return rebase(kept, local, remote, latest)
        if not self.changed_there(record):
            return rebase(remote, local, remote, latest)
        if not self.changed_here(record):
            return rebase(kept, local, remote, latest)
        if local is not None and remote is not None and local.kind == remote.kind and local.kind in KINDS:
            return Merged(join(local, remote))
        return rebase(None, local, remote, latest)
