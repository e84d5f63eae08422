"""Making, listing and revoking invites. What comes back through one is left to `answers`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kith_client.book.facets import facet_name
from kith_client.book.me import my_name
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.joining import open_peer_of_contact, shortened
from kith_client.relations.records import Expected, InviteRecord, InviteState
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.encoding import encode
from kith_protocol.errors import Refused
from kith_protocol.invite import (
    INVITE_LIFETIME,
    NEW_INVITE_RANDOM_BYTES,
    format_link,
    new_invite,
    parse_link,
    seal_greeting,
)
from kith_protocol.suite import NONCE_BYTES

REUSABLE_LIFETIME: Final = 365 * 24 * 3600 * 1000
"""Milliseconds that a reusable invite lives by default."""
MAX_LIFETIME: Final = 400 * 24 * 3600 * 1000
"""Milliseconds that a home server keeps a greeting at most (spec: mail.md)."""


@dataclass(frozen=True, slots=True)
class NewInvite:
    """A fresh invite. The link is a secret: show it once, log it never."""

    edit: Edit
    id: bytes
    link: str
    expires: int

    def __repr__(self) -> str:
        return f"NewInvite({self.id.hex()})"


@dataclass(frozen=True, slots=True)
class InviteRow:
    """One invite of the list."""

    id: bytes
    link: str
    """Empty where it can no longer be used."""
    created: int
    expires: int
    facets: tuple[str, ...]
    contact: bytes | None
    state: str
    """`open`, `used`, `revoked` or `expired`."""
    reusable: bool
    introduced: bool
    """Made by an introduction, for one person alone; its link is not shown, since nobody else can use it."""
    handle: str | None
    """The handle of mine behind which it stands."""

    def __repr__(self) -> str:
        return f"InviteRow({self.id.hex()}, {self.state})"


def create_invite(
    contents: Contents,
    stamp: Stamp,
    host: str,
    fingerprint: bytes,
    facets: Iterable[str] = (),
    contact: bytes | None = None,
    reusable: bool = False,
    expires: int | None = None,
) -> NewInvite:
    """An invite that grants `facets`, by default for seven days; `expires` is in milliseconds since 1970.

    A `reusable` one is for several people, by default for a year: their answers are requests, and the facets are
    granted to whom I accept. `host` and `fingerprint` are my home server's. Raises `Refused` (`already-connected` where
    `contact` is a peer's, `reusable-contact`, `no-name`, `invite-expired`, `invite-expiry`), `BadValue` for a facet
    that cannot be.
    """
    if expires is None:
        expires = stamp.now + (REUSABLE_LIFETIME if reusable else INVITE_LIFETIME)
    _check_expiry(expires - stamp.now)
    if reusable and contact is not None:
        raise Refused("reusable-contact", "An invite for several people cannot be for one contact.")
    if contact is not None and open_peer_of_contact(contents, contact):
        raise Refused("already-connected", "This contact is a peer's already; 'kith peers' shows how far it is.")
    draft = Draft(contents, stamp)
    record = add_invite(draft, host, fingerprint, facets, contact, expires, reusable=reusable)
    return NewInvite(
        draft.edit, record, format_link(records.read_invite(record, draft.contents[record]).own.invite), expires
    )


def add_invite(
    draft: Draft,
    host: str,
    fingerprint: bytes,
    facets: Iterable[str],
    contact: bytes | None,
    expires: int,
    expected: Expected | None = None,
    *,
    reusable: bool = False,
) -> bytes:
    """The record of a fresh invite; `expected` alone may answer it, where given.

    Raises `Refused` (`no-name`), `BadValue` for a facet that cannot be.
    """
    stamp = draft.stamp
    persona, name = records.own_persona(draft.contents), display_name_of_mine(draft.contents)
    randomness = stamp.random(NEW_INVITE_RANDOM_BYTES)
    own = new_invite(host, fingerprint, persona.raw, name, expires, reusable=reusable, randomness=randomness)
    return draft.add(
        "invite",
        {
            "invite": encode(own),
            "nonce": stamp.random(NONCE_BYTES),
            "expires": expires,
            "facets": [*sorted({facet_name(facet) for facet in facets})],
            "contact": contact,
            "reusable": reusable,
            "state": InviteState.OPEN.value,
            "created": stamp.now,
            "expected": None if expected is None else expected.to_value(),
        },
    )


def web_link(link: str) -> str:
    """The `https:` form, for pictures: without a client, a telephone's camera opens a page that says what it is."""
    return format_link(parse_link(link), web=True)


def greeting_for(invite: InviteRecord) -> tuple[bytes, bytes, int]:
    """(link id, sealed greeting, expiry in milliseconds): what the home server keeps; the same bytes each time."""
    return invite.own.invite.link_id, seal_greeting(invite.own, nonce=invite.nonce), invite.expires


def revoke_invite(contents: Contents, stamp: Stamp, invite: bytes) -> Edit:
    """Nobody can use the invite any more. Raises `Refused` (`no-such-invite`, `invite-used`)."""
    content = contents.get(invite)
    if content is None or content.kind != "invite":
        raise Refused("no-such-invite", "There is no such invite. 'kith invites' shows them.")
    if records.read_invite(invite, content).state is InviteState.USED:
        raise Refused("invite-used", "Somebody has used this invite. 'kith peers' shows who.")
    draft = Draft(contents, stamp)
    draft.change(invite, {"state": InviteState.REVOKED.value})
    return draft.edit


def list_invites(contents: Contents, now: int) -> list[InviteRow]:
    """All invites, oldest first; `now` in milliseconds."""
    return [_row(invite, now) for invite in records.invites(contents)]


def display_name_of_mine(contents: Contents) -> str:
    """What I call myself towards somebody who is not a peer yet. Raises `Refused` (`no-name`)."""
    name = my_name(contents).strip()
    if not name:
        raise Refused("no-name", "Your card has no name yet: 'kith me set fn NAME'.")
    return shortened(name)


def _check_expiry(lifetime: int) -> None:
    if lifetime <= 0:
        raise Refused("invite-expired", "An invite has to expire in the future.")
    if lifetime > MAX_LIFETIME:
        raise Refused("invite-expiry", "An invite lives 400 days at most; make a new one then.")


def _row(invite: InviteRecord, now: int) -> InviteRow:
    is_open = invite.state is InviteState.OPEN
    state = "expired" if is_open and invite.expires <= now else invite.state.value
    introduced = invite.expected is not None
    link = format_link(invite.own.invite) if state == "open" and not introduced else ""
    values = invite.facets, invite.contact, state, invite.reusable, introduced, invite.handle
    return InviteRow(invite.id, link, invite.created, invite.expires, *values)
