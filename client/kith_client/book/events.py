"""Entries of the local log: when, what, and through which device. They may name contacts: the mirror seals them.

An entry travels through the vault as one line of text; the contact it is about stands behind a separator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kith_client.book.names import record_of

_SEPARATOR: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the log."""

    at: int
    """Milliseconds since 1970."""
    what: str
    by: str
    """The device's name, or the peer's."""
    contact: bytes | None = None


def entry(what: str, contact: bytes | None = None) -> str:
    """The line that the vault keeps."""
    return what if contact is None else f"{what}{_SEPARATOR}{contact.hex()}"


def read_entry(at: int, line: str, by: str) -> Event:
    """The reverse of `entry`; lines written by others have no contact."""
    what, _, contact = line.partition(_SEPARATOR)
    return Event(at, what, by, record_of(contact))
