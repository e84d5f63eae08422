"""What waits for the person's decision, of whatever kind: listing, accepting, declining.

Each kind brings three pure functions. A decision is an edit that can be made offline; it is carried out with the next
sync, by whoever brings the kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kith_client.relations.introductions import requests as introduction_requests
from kith_client.relations.requests import through_invites as invite_requests
from kith_client.relations.requests.rows import Decided, RequestRow
from kith_client.stamp import Contents, Stamp


@dataclass(frozen=True, slots=True)
class RequestKind:
    """One kind of request."""

    rows: Callable[[Contents, int], list[RequestRow]]
    """(contents, now in milliseconds) → those that wait."""
    accept: Callable[[Contents, Stamp, bytes, tuple[str, ...], bytes | None], Decided]
    """(contents, stamp, id, facets to grant, contact that this person is) → the edit."""
    decline: Callable[[Contents, Stamp, bytes], Decided]
    """(contents, stamp, id) → the edit. The other side is told nothing."""


KINDS: Final[Mapping[str, RequestKind]] = {
    invite_requests.KIND: RequestKind(invite_requests.rows, invite_requests.accept, invite_requests.decline),
    introduction_requests.KIND: RequestKind(
        introduction_requests.rows, introduction_requests.accept, introduction_requests.decline
    ),
}
"""What `RequestRow.kind` says → its functions."""


def list_requests(contents: Contents, now: int) -> list[RequestRow]:
    """Everything that waits for a decision, oldest first; `now` in milliseconds."""
    found = [row for kind in KINDS.values() for row in kind.rows(contents, now)]
    return sorted(found, key=lambda row: (row.at, row.id))


def accept_request(
    contents: Contents, stamp: Stamp, row: RequestRow, facets: Iterable[str] = (), contact: bytes | None = None
) -> Decided:
    """Lets the person in. Raises what the kind's function raises."""
    return KINDS[row.kind].accept(contents, stamp, row.id, tuple(facets), contact)


def decline_request(contents: Contents, stamp: Stamp, row: RequestRow) -> Decided:
    """Says no, which the other side sees as silence."""
    return KINDS[row.kind].decline(contents, stamp, row.id)
