"""Which key a server has to show that no invite told us of: remembered in the vault at the first use (directory.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.content import Content
from kith_protocol.errors import DecodingError
from kith_protocol.host import check_host
from kith_protocol.server_statement import FINGERPRINT_BYTES

SERVER: Final = "server"
"""Kind of the record."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One `server` record."""

    id: bytes
    host: str
    fingerprint: bytes


def read_pin(record: bytes, content: Content) -> Pin:
    """Raises `DecodingError` where it is damaged."""
    host, fingerprint = content.value("host"), content.value("fingerprint")
    if not isinstance(host, str) or not isinstance(fingerprint, bytes) or len(fingerprint) != FINGERPRINT_BYTES:
        raise DecodingError("A record that says which key a server has is damaged.")
    check_host(host)
    return Pin(record, host, fingerprint)


def pin_of(contents: Contents, host: str) -> Pin | None:
    """What is remembered of the server at `host`; of two, the record with the smaller id counts."""
    pins = (read_pin(record, content) for record, content in sorted(of_kind(contents, SERVER).items()))
    return next((pin for pin in pins if pin.host == host), None)


def known_fingerprints(contents: Contents, host: str) -> list[bytes]:
    """What the server at `host` may show: what was pinned, else what peers said who have a mailbox there.

    Empty where the server was never seen. A peer may say anything of a server, so one of several has to be right.
    """
    pin = pin_of(contents, host)
    if pin is not None:
        return [pin.fingerprint]
    standing = [channel.established for channel in records.channels(contents) if not channel.ended]
    outboxes = [established.outbox for established in standing if established is not None]
    return sorted({outbox.fingerprint for outbox in outboxes if outbox.host == host})


def pin(contents: Contents, stamp: Stamp, host: str, fingerprint: bytes) -> Edit:
    """Remembers the key of the server at `host`, or the one that followed it; empty where that is known."""
    draft, known = Draft(contents, stamp), pin_of(contents, host)
    if known is None:
        draft.add(SERVER, {"host": host, "fingerprint": fingerprint, "since": stamp.now})
    else:
        draft.change(known.id, {"fingerprint": fingerprint})
    return draft.edit
