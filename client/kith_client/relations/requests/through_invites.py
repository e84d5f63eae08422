"""Requests through my reusable invites, as the person sees and decides them. What comes of a decision is `asking`'s."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kith_client.book.dates import iso_time
from kith_client.book.events import entry
from kith_client.book.facets import facet_name
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.introductions.suspicion import person_changed
from kith_client.relations.joining import open_peer_of_contact
from kith_client.relations.requests.records import Decision, Request, request_at, requests
from kith_client.relations.requests.rows import Decided, RequestRow
from kith_client.relations.requests.rules import Persons, is_void
from kith_client.stamp import Contents, Stamp
from kith_protocol.suite import digest

KIND: Final = "invite"


def rows(contents: Contents, now: int) -> list[RequestRow]:
    """The requests that wait for a decision, oldest first; `now` in milliseconds."""
    persons = Persons(contents)
    waiting = [request for request in requests(contents) if request.decision is None]
    return [_row(contents, each, persons) for each in waiting if not is_void(contents, each, persons, now)]


def accept(
    contents: Contents, stamp: Stamp, request: bytes, facets: Iterable[str] = (), contact: bytes | None = None
) -> Decided:
    """Decides to let the person in; with the next sync the finish goes out.

    `facets` are granted beside those of the invite. Raises `Refused` (`no-such-request`), `BadValue` for a facet that
    cannot be, and `PersonChanged` where `contact` is another person's.
    """
    found = request_at(contents, request)
    other = open_peer_of_contact(contents, contact) if contact is not None else None
    if other is not None and other.person != found.person:
        text = (
            "The contact you named belongs to another person than the one who asks. Ask them before you go on; accept "
            "without a contact to keep the two apart."
        )
        raise person_changed(contents, stamp, other, text)
    granted = tuple(sorted({facet_name(facet) for facet in facets}))
    decision = Decision(True, found.number, found.invite, digest(found.answer), granted, contact)
    return _decided(contents, stamp, found, decision, f"accepted the request of {found.name}")


def decline(contents: Contents, stamp: Stamp, request: bytes) -> Decided:
    """Decides against it; the other side is told nothing. Raises `Refused` (`no-such-request`)."""
    found = request_at(contents, request)
    decision = Decision(False, found.number, found.invite, digest(found.answer))
    return _decided(contents, stamp, found, decision, f"declined the request of {found.name}")


def waiting_through(contents: Contents, invite: bytes) -> int:
    """How many requests through an invite wait; revoking it drops them."""
    return sum(request.invite == invite and request.decision is None for request in requests(contents))


def _row(contents: Contents, request: Request, persons: Persons) -> RequestRow:
    invite = records.read_invite(request.invite, contents[request.invite])
    known = persons.peers.get(request.person)
    made = iso_time(invite.created).partition("T")[0]
    way = f"invite of {made}" if invite.handle is None else f"handle {invite.handle}"
    return RequestRow(
        request.id,
        KIND,
        request.name,
        request.person,
        f"Asks through your {way}, from {request.host}.",
        request.at,
        {
            "host": request.host,
            "invite": invite.id.hex(),
            "via": None if invite.handle is None else records.DIRECTORY,
            "facets": list(invite.facets),
            "contact": known.contact.hex() if known is not None else None,
        },
    )


def _decided(contents: Contents, stamp: Stamp, request: Request, decision: Decision, event: str) -> Decided:
    draft = Draft(contents, stamp)
    draft.change(request.id, {"decision": decision.to_value()})
    return Decided(draft.edit, entry(event, decision.contact))
