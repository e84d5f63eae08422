"""Where the vault lives, and the servers that it left but still reads, as its own record says (spec: move.md).

A device believes this record and nobody else: a server alone moves no device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kith_client.addresses import check_server_url
from kith_client.stamp import Contents, Edit, Stamp, the_one
from kith_protocol.content import Content
from kith_protocol.encoding import Value
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.host import host_of_url
from kith_protocol.mailbox import MailboxAddress
from kith_protocol.server_statement import FINGERPRINT_BYTES

HOME: Final = "home"
"""Kind of the record."""
HERE: Final = "here"
FORMER: Final = "former/"
"""Prefix of the units that name servers which the vault left."""
READ_FOR: Final = 180 * 24 * 3600 * 1000
"""Milliseconds for which a server that was left is read at most: as long as a replaced mailbox is kept."""
_CLOCKS_DIFFER: Final = 24 * 3600 * 1000
"""Milliseconds by which the device that wrote this may have been ahead."""


@dataclass(frozen=True, slots=True)
class Place:
    """A server: where it is, and which key it has to show."""

    url: str
    fingerprint: bytes

    @property
    def host(self) -> str:
        """In its normal form."""
        return host_of_url(self.url)

    def has(self, address: MailboxAddress) -> bool:
        """Whether a mailbox is there."""
        return (address.host, address.fingerprint) == (self.host, self.fingerprint)


@dataclass(frozen=True, slots=True)
class Former:
    """A server that the vault left."""

    place: Place
    until: int
    """Milliseconds since 1970: until then its mailboxes are read."""


@dataclass(frozen=True, slots=True)
class HomeRecord:
    """The `home` record."""

    here: Place
    since: int
    """Milliseconds since 1970."""
    former: tuple[Former, ...]
    """By host."""


def read_home(_record: bytes, content: Content) -> HomeRecord:
    """Raises `DecodingError` where it is damaged."""
    match content.value(HERE):
        case {"url": str(url), "fingerprint": bytes(fingerprint), "since": int(since)}:
            here = _place(url, fingerprint)
        case _:
            raise _damaged()
    named = sorted(key for key in content.units if key.startswith(FORMER))
    return HomeRecord(here, since, tuple(_former(content.value(key)) for key in named))


def home_of(contents: Contents) -> HomeRecord | None:
    """Where the vault lives; None where it never moved."""
    found = the_one(contents, HOME)
    return None if found is None else read_home(*found)


def here(contents: Contents) -> Place | None:
    """The server where the vault lives; None where it never moved."""
    home = home_of(contents)
    return None if home is None else home.here


def former_places(contents: Contents, now: int) -> tuple[Former, ...]:
    """The servers that are still to be read at `now` (ms); for longer than `READ_FOR` no program wants any read."""
    home = home_of(contents)
    last = now + READ_FOR + _CLOCKS_DIFFER
    return () if home is None else tuple(each for each in home.former if now < each.until <= last)


def moved(contents: Contents, stamp: Stamp, new: Place, old: Place | None) -> Edit:
    """The vault lives at `new` from now on; `old`, where it is still there, is read for a while."""
    found = the_one(contents, HOME)
    record, units = (stamp.record_id(), {}) if found is None else (found[0], dict(found[1].units))
    units.pop(FORMER + new.host, None)
    if old is not None and old != new:
        until = stamp.now + READ_FOR
        left: dict[str, Value] = {"url": old.url, "fingerprint": old.fingerprint, "until": until}
        units[FORMER + old.host] = stamp.unit(left)
    value: dict[str, Value] = {"url": new.url, "fingerprint": new.fingerprint, "since": stamp.now}
    units[HERE] = stamp.unit(value)
    return {record: Content(HOME, units, found[1].extra if found else {})}


def without_former(contents: Contents, host: str) -> Edit:
    """The server at `host` is not read any more."""
    found = the_one(contents, HOME)
    if found is None or FORMER + host not in found[1].units:
        return {}
    record, content = found
    units = {key: unit for key, unit in content.units.items() if key != FORMER + host}
    return {record: Content(content.kind, units, content.extra)}


def _former(value: Value) -> Former:
    match value:
        case {"url": str(url), "fingerprint": bytes(fingerprint), "until": int(until)}:
            return Former(_place(url, fingerprint), until)
        case _:
            raise _damaged()


def _place(url: str, fingerprint: bytes) -> Place:
    try:
        normal = check_server_url(url)
    except Refused:
        raise _damaged() from None
    if url != normal or len(fingerprint) != FINGERPRINT_BYTES:
        raise _damaged()
    return Place(url, fingerprint)


def _damaged() -> DecodingError:
    return DecodingError("The record that says where the address book lives is damaged.")
