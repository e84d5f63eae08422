"""Which key a server has to show that no invite told us of: remembered in the vault at the first use (directory.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.records import Channel
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.content import Content
from kith_protocol.errors import DecodingError
from kith_protocol.host import check_host
from kith_protocol.server_statement import FINGERPRINT_BYTES

SERVER: Final = "server"
"""Kind of the record."""
SHOWN: Final = "shown"
"""On a channel: host and fingerprint of the peer's server, once it showed that key."""


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
    """What the server at `host` may show: what was pinned, else what it showed when parcels went to peers there.

    Empty where the server was never seen: what a peer says of a server, which may have nothing to do with it, proves
    nothing. Of several, one has to be right.
    """
    pin = pin_of(contents, host)
    if pin is not None:
        return [pin.fingerprint]
    standing = [(each.id, _place(each)) for each in records.channels(contents) if not each.ended]
    shown = [place for channel, place in standing if place and contents[channel].value(SHOWN) == [*place]]
    return sorted({fingerprint for at, fingerprint in shown if at == host})


def note_shown(contents: Contents, stamp: Stamp, channel: bytes, host: str, fingerprint: bytes) -> Edit:
    """The server at `host` showed a statement that the key with this fingerprint stands behind, when something went to
    the peer of `channel` there. Empty where that is known, or the peer is somewhere else by now."""
    found = records.channel_at(contents, channel)
    if found is None or _place(found) != (host, fingerprint):
        return {}
    draft = Draft(contents, stamp)
    draft.change(channel, {SHOWN: [host, fingerprint]})
    return draft.edit


def pin(contents: Contents, stamp: Stamp, host: str, fingerprint: bytes) -> Edit:
    """Remembers the key of the server at `host`, or the one that followed it; empty where that is known."""
    draft, known = Draft(contents, stamp), pin_of(contents, host)
    if known is None:
        draft.add(SERVER, {"host": host, "fingerprint": fingerprint, "since": stamp.now})
    else:
        draft.change(known.id, {"fingerprint": fingerprint})
    return draft.edit


def _place(channel: Channel) -> tuple[str, bytes] | None:
    """Host and fingerprint of the server where the peer's mailbox is, by the peer's word."""
    outbox = None if channel.established is None else channel.established.outbox
    return None if outbox is None else (outbox.host, outbox.fingerprint)
