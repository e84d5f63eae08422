"""Introductions as requests: what waits for the person, and the two answers. What follows is `introduced`'s."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kith_client.book.dates import iso_time
from kith_client.book.events import entry
from kith_client.relations.introductions.introduced import (
    IntroductionRow,
    agree,
    decline_introduction,
    list_introductions,
)
from kith_client.relations.requests.rows import Decided, RequestRow
from kith_client.stamp import Contents, Stamp

KIND: Final = "introduction"


def rows(contents: Contents, now: int) -> list[RequestRow]:
    """The introductions that wait for a decision; `now` in milliseconds."""
    return [_row(contents, row) for row in list_introductions(contents, now) if row.state == "open"]


def accept(
    contents: Contents, stamp: Stamp, request: bytes, facets: Iterable[str] = (), contact: bytes | None = None
) -> Decided:
    """I want to know this person. Raises what `agree` raises."""
    row = _find(contents, stamp.now, request)
    edit = agree(contents, stamp, request, facets, contact)
    return Decided(
        edit,
        entry(
            f"agreed to be introduced to {row.label} by {row.by_name}" if row else "agreed to an introduction", contact
        ),
        "You are connected once the other agrees as well; 'kith introductions' shows how far it is.",
    )


def decline(contents: Contents, stamp: Stamp, request: bytes) -> Decided:
    """I do not. Raises what `decline_introduction` raises."""
    row = _find(contents, stamp.now, request)
    edit = decline_introduction(contents, stamp, request)
    return Decided(edit, entry(f"declined an introduction by {row.by_name}" if row else "declined an introduction"))


def _find(contents: Contents, now: int, request: bytes) -> IntroductionRow | None:
    return next((row for row in list_introductions(contents, now) if row.id == request), None)


def _row(contents: Contents, row: IntroductionRow) -> RequestRow:
    says = f" {row.text}" if row.text else ""
    return RequestRow(
        row.id,
        KIND,
        row.label,
        row.person,
        f"{row.by_name} calls them so, and would like to introduce you.{says}",
        contents[row.id].units["person"].at,
        {"by": row.by.hex(), "by_name": row.by_name, "message": row.text, "until": iso_time(row.expires)},
    )
