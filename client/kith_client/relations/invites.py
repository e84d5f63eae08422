"""Making, listing and revoking invites. What comes back through one is left to `answers`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kith_client.book.facets import facet_name
from kith_client.book.me import my_name
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.joining import open_peer_of_contact, shortened
from kith_client.relations.records import Expected, InviteRecord, InviteState
from kith_client.stamp import Contents, Edit, Stamp
from kith_protocol.encoding import encode
from kith_protocol.errors import Refused
from kith_protocol.invite import INVITE_LIFETIME, NEW_INVITE_RANDOM_BYTES, format_link, new_invite, seal_greeting
from kith_protocol.suite import NONCE_BYTES


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

    `host` and `fingerprint` are my home server's. Raises `Refused` (`already-connected` where `contact` is a peer's,
    `no-name`, `invite-expired`, `not-yet`), `BadValue` for a facet that cannot be.
    """
    if reusable:
        raise Refused("not-yet", "Invites that several people can use come with a later version.")
    expires = stamp.now + INVITE_LIFETIME if expires is None else expires
    if expires <= stamp.now:
        raise Refused("invite-expired", "An invite has to expire in the future.")
    if contact is not None and open_peer_of_contact(contents, contact):
        raise Refused("already-connected", "This contact is a peer's already; 'kith peers' shows how far it is.")
    draft = Draft(contents, stamp)
    record = add_invite(draft, host, fingerprint, facets, contact, expires)
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
) -> bytes:
    """The record of a fresh invite; `expected` alone may answer it, where given.

    Raises `Refused` (`no-name`), `BadValue` for a facet that cannot be.
    """
    stamp = draft.stamp
    persona, name = records.own_persona(draft.contents), display_name_of_mine(draft.contents)
    randomness = stamp.random(NEW_INVITE_RANDOM_BYTES)
    own = new_invite(host, fingerprint, persona.raw, name, expires, reusable=False, randomness=randomness)
    return draft.add(
        "invite",
        {
            "invite": encode(own),
            "nonce": stamp.random(NONCE_BYTES),
            "expires": expires,
            "facets": [*sorted({facet_name(facet) for facet in facets})],
            "contact": contact,
            "reusable": False,
            "state": InviteState.OPEN.value,
            "created": stamp.now,
            "expected": None if expected is None else expected.to_value(),
        },
    )


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


def _row(invite: InviteRecord, now: int) -> InviteRow:
    is_open = invite.state is InviteState.OPEN
    state = "expired" if is_open and invite.expires <= now else invite.state.value
    link = format_link(invite.own.invite) if state == "open" else ""
    return InviteRow(invite.id, link, invite.created, invite.expires, invite.facets, invite.contact, state)
