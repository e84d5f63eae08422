"""My handles: choosing one, making it private, giving it up, and the invites behind it (spec: directory.md).

Pure: what the home server is to hold follows from the records. Asking it is left to `sync/handles` and `sync/places`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kith_client.book.facets import facet_name
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.homes import Place, here
from kith_client.relations.invites import create_invite
from kith_client.relations.records import InviteRecord, InviteState
from kith_client.relations.requests.records import is_full
from kith_client.stamp import Contents, Edit, Stamp, of_kind, overlay, the_one
from kith_protocol.content import Content
from kith_protocol.encoding import Value, decode
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.handle import handle_id, parse_handle, parse_new_handle
from kith_protocol.invite import Greeting

HANDLE: Final = "handle"
"""Kind of the record, and the unit of an invite that names the handle it stands behind."""
LIFETIME: Final = 365 * 24 * 3600 * 1000
"""Milliseconds that the invite behind a handle lasts."""
RENEW_BEFORE: Final = 180 * 24 * 3600 * 1000
"""Milliseconds before its end in which a sync makes the next one: who stays away for half a year is still found."""


class HandleState(StrEnum):
    PUBLIC = "public"
    """Who knows the address can ask."""
    PRIVATE = "private"
    """Mine, and found by nobody."""
    REMOVED = "removed"
    """To be given up at the server; then the record goes."""
    LOST = "lost"
    """The server refuses it."""


@dataclass(frozen=True, slots=True)
class HandleRecord:
    """One `handle` record."""

    id: bytes
    name: str
    host: str
    """Of the server at which it is."""
    state: HandleState
    facets: tuple[str, ...]

    @property
    def address(self) -> str:
        return f"{self.name}@{self.host}"


@dataclass(frozen=True, slots=True)
class HandleToPut:
    """A handle that the home server must hold."""

    record: bytes
    handle: bytes
    """Its id."""
    secret: bytes
    """Of the invite behind it; empty where it is private."""

    def __repr__(self) -> str:
        return "HandleToPut(...)"


def read_handle(record: bytes, content: Content) -> HandleRecord:
    """Raises `DecodingError` where it is damaged."""
    match [content.value(unit) for unit in ("name", "host", "state", "facets")]:
        case [str(name), str(host), str(state), list(facets)]:
            pass
        case _:
            raise DecodingError("A record of the kind handle is damaged.")
    try:
        named, known = parse_handle(name), HandleState(state)
    except (ValueError, Refused):
        raise DecodingError("A record of the kind handle has an unknown state or name.") from None
    return HandleRecord(record, named, host, known, tuple(facet for facet in facets if isinstance(facet, str)))


def handles(contents: Contents) -> list[HandleRecord]:
    """My handles by name; of two records of one name (two devices chose it) the one with the smaller id counts."""
    found: dict[str, HandleRecord] = {}
    for record, content in sorted(of_kind(contents, HANDLE).items()):
        handle = read_handle(record, content)
        found.setdefault(handle.name, handle)
    return [found[name] for name in sorted(found)]


def find(contents: Contents, text: str) -> HandleRecord:
    """My handle of this name. Raises `Refused` (`no-such-handle`)."""
    found = next((handle for handle in handles(contents) if handle.name == text.lower()), None)
    if found is None or found.state is HandleState.REMOVED:
        raise Refused("no-such-handle", "You have no such handle. 'kith handle' shows yours.")
    return found


def invite_behind(contents: Contents, handle: HandleRecord, now: int) -> InviteRecord | None:
    """The invite that whoever looks a handle up gets, if there is a good one."""
    good = [
        invite
        for invite in _invites_of(contents, handle.name)
        if invite.state is InviteState.OPEN
        and now < invite.expires
        and invite.own.host == handle.host
        and _is_mine(contents, invite)
    ]
    return good[-1] if good else None


def choose(contents: Contents, stamp: Stamp, text: str, home: Place, facets: Iterable[str], *, private: bool) -> Edit:
    """I want to be found under a handle at my server `home`, or to keep it for myself.

    Whom I let in gets `facets`. Raises `Refused` (`bad-handle`, `handle-reserved`, `no-name`), `BadValue`.
    """
    name, draft = parse_new_handle(text), Draft(contents, stamp)
    state = HandleState.PRIVATE if private else HandleState.PUBLIC
    granted: list[Value] = [*sorted({facet_name(facet) for facet in facets})]
    values: dict[str, Value] = {"name": name, "host": home.host, "state": state.value, "facets": granted}
    known = next((handle for handle in handles(contents) if handle.name == name), None)
    if known is None:
        record = draft.add(HANDLE, values)
    else:
        record = known.id
        draft.change(record, values)
    _revoke(draft, name, but_for=None if private else tuple(str(facet) for facet in granted))
    handle = read_handle(record, draft.contents[record])
    if private or invite_behind(draft.contents, handle, stamp.now):
        return draft.edit
    return {**draft.edit, **_invite(draft.contents, stamp, handle, home)}


def give_up(contents: Contents, stamp: Stamp, text: str) -> Edit:
    """I do not want a handle any more: its invites are revoked, and anybody may take it.

    Raises `Refused` (`no-such-handle`).
    """
    name, draft = find(contents, text).name, Draft(contents, stamp)
    for record in _records_of(contents, name):
        draft.change(record, {"state": HandleState.REMOVED.value})
    _revoke(draft, name)
    return draft.edit


def lose(contents: Contents, stamp: Stamp, record: bytes, why: str) -> Edit:
    """The server refuses a handle of mine: it is not asked again, and the person hears of it."""
    draft, handle = Draft(contents, stamp), read_handle(record, contents[record])
    draft.change(record, {"state": HandleState.LOST.value})
    _revoke(draft, handle.name)
    draft.tell("invite", record, f"Nobody finds you as {handle.address} any more. {why}")
    return draft.edit


def plan_handles(contents: Contents, stamp: Stamp) -> Edit:
    """Handles go where the vault lives, and a public one whose invite ends soon or is good no longer gets another."""
    edit, home = _moved(contents, stamp), here(contents)
    if the_one(contents, "persona") is None:
        return edit
    for handle in handles(overlay(contents, edit)):
        if handle.state is HandleState.PUBLIC:
            edit |= _renewed(overlay(contents, edit), stamp, handle, home)
    return edit


def handles_to_put(contents: Contents, now: int, at: Place | None = None) -> list[HandleToPut]:
    """What the home server is to hold at `now` (ms); `at`: where the vault has several, what this one is to hold."""
    wanted = []
    for handle in handles(contents):
        behind = invite_behind(contents, handle, now) if handle.state is HandleState.PUBLIC else None
        if at is not None and handle.host != at.host:
            continue
        if behind is not None:
            wanted.append(HandleToPut(handle.id, handle_id(handle.name), behind.own.secret))
        elif handle.state is HandleState.PRIVATE:
            wanted.append(HandleToPut(handle.id, handle_id(handle.name), b""))
    return wanted


def handles_to_delete(contents: Contents) -> list[bytes]:
    """Ids of the handles that I gave up."""
    return [handle_id(handle.name) for handle in handles(contents) if handle.state is HandleState.REMOVED]


def given_up(contents: Contents, deleted: Iterable[bytes]) -> Edit:
    """Once the server deleted these: their records go."""
    gone = set(deleted)
    removed = [handle for handle in handles(contents) if handle.state is HandleState.REMOVED]
    names = [handle.name for handle in removed if handle_id(handle.name) in gone]
    return {record: None for name in names for record in _records_of(contents, name)}


def _moved(contents: Contents, stamp: Stamp) -> Edit:
    """Handles that I have at a server that the vault left are wanted at the new one; there they may be taken."""
    home, draft = here(contents), Draft(contents, stamp)
    for handle in handles(contents):
        mine = handle.state in (HandleState.PUBLIC, HandleState.PRIVATE)
        if home is not None and mine and handle.host != home.host:
            draft.change(handle.id, {"host": home.host})
    return draft.edit


def _renewed(contents: Contents, stamp: Stamp, handle: HandleRecord, home: Place | None) -> Edit:
    former, behind = _invites_of(contents, handle.name), invite_behind(contents, handle, stamp.now)
    if not former or (behind is not None and _serves_on(contents, behind, stamp.now)):
        return {}
    place = home or Place(f"https://{former[-1].own.host}", former[-1].own.fingerprint)
    try:
        return _invite(contents, stamp, handle, place)
    except Refused:
        return {}  # the card lost its name; there is one again some day


def _serves_on(contents: Contents, behind: InviteRecord, now: int) -> bool:
    return behind.expires - now >= RENEW_BEFORE and not is_full(contents[behind.id])


def _invite(contents: Contents, stamp: Stamp, handle: HandleRecord, home: Place) -> Edit:
    expires = stamp.now + LIFETIME
    made = create_invite(contents, stamp, home.host, home.fingerprint, handle.facets, reusable=True, expires=expires)
    draft = Draft(overlay(contents, made.edit), stamp)
    draft.change(made.id, {HANDLE: handle.name})
    return {**made.edit, **draft.edit}


def _revoke(draft: Draft, name: str, but_for: Sequence[str] | None = None) -> None:
    """Nobody gets in by the invites of a handle any more, but for those that grant the facets `but_for`."""
    for invite in _invites_of(draft.contents, name):
        if invite.state is InviteState.OPEN and (but_for is None or invite.facets != tuple(but_for)):
            draft.change(invite.id, {"state": InviteState.REVOKED.value})


def _invites_of(contents: Contents, name: str) -> list[InviteRecord]:
    """Oldest first."""
    return [invite for invite in records.invites(contents) if invite.handle == name]


def _records_of(contents: Contents, name: str) -> list[bytes]:
    return [record for record, content in of_kind(contents, HANDLE).items() if content.value("name") == name]


def _is_mine(contents: Contents, invite: InviteRecord) -> bool:
    """Whether the greeting shows my present persona: answers to an older one cannot be finished."""
    return decode(invite.own.greeting, Greeting).persona == records.own_persona(contents).raw
