"""Handles: names under which people who want it can be found at their home server (spec: directory.md).

A server keeps and is asked for the hash of a handle, never the handle: all ids have one size and none is malformed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kith_protocol import labels
from kith_protocol.errors import Refused
from kith_protocol.host import MAX_HOST_BYTES, parse_host
from kith_protocol.suite import HASH_BYTES, labelled_hash

HANDLE_ID_BYTES: Final = HASH_BYTES
MIN_HANDLE: Final = 2
MAX_HANDLE: Final = 32
"""Characters of a handle: short enough to be read out."""
RESERVED: Final = frozenset(
    {
        *("abuse", "admin", "administrator", "hostmaster", "noc", "postmaster", "root", "security", "webmaster"),
        *("contact", "help", "helpdesk", "info", "mail", "operator", "service", "staff", "support", "team"),
        *("directory", "kith", "kith-server", "kithbook", "server", "system"),
        *("anonymous", "everybody", "everyone", "no-reply", "nobody", "noreply"),
    }
)
"""Handles that would be taken for the operator or the program (RFC 2142 and what people expect); nobody gets one."""

_HANDLE: Final = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*", re.ASCII)
_PREFIXES: Final = ("kith:", "acct:")
_PAGE: Final = re.compile(r"https://([^/?#@]*)/@([^/?#@]*)", re.ASCII | re.IGNORECASE)
_LONGEST: Final = len("https:///@") + MAX_HOST_BYTES + MAX_HANDLE


@dataclass(frozen=True, slots=True)
class Address:
    """Where somebody is found: `handle@host`."""

    handle: str
    host: str

    def __str__(self) -> str:
        return f"{self.handle}@{self.host}"


def parse_handle(text: str) -> str:
    """The normal form of a handle: capital ASCII letters become small ones, nothing else is forgiven.

    Raises `Refused` (`bad-handle`).
    """
    handle = text.lower() if text.isascii() else text
    if not MIN_HANDLE <= len(handle) <= MAX_HANDLE or not _HANDLE.fullmatch(handle):
        raise Refused(
            "bad-handle",
            f"A handle has {MIN_HANDLE} to {MAX_HANDLE} letters a to z and digits, with single dots, hyphens or "
            "underscores between them, such as anna or anna.beck; other letters are left out, because some look alike.",
        )
    return handle


def parse_new_handle(text: str) -> str:
    """The same for somebody who wants it. Raises `Refused` (`bad-handle`, `handle-reserved`)."""
    handle = parse_handle(text)
    if handle in RESERVED:
        raise Refused("handle-reserved", f"Nobody may be called {handle}: it would be taken for the server.")
    return handle


def parse_address(text: str) -> Address:
    """Reads `handle@host`, also as `kith:handle@host`, `acct:handle@host` or `https://host/@handle`.

    Raises `Refused` (`bad-address`, `bad-handle`, `bad-host`).
    """
    text = text.strip()
    page = _PAGE.fullmatch(text)
    if page is not None:
        host, handle = page.groups()
    else:
        bare = next((text[len(prefix) :] for prefix in _PREFIXES if text.lower().startswith(prefix)), text)
        handle, _, host = bare.partition("@")
    if len(text) > _LONGEST or not handle or not host:
        raise Refused("bad-address", "An address looks like anna@anna.example.")
    return Address(parse_handle(handle), parse_host(host).removesuffix(":443"))


def looks_like_address(text: str) -> bool:
    """Whether a person who typed `text` means somebody's address, and not an invite, which has a `#`."""
    return "@" in text and "#" not in text


def handle_id(handle: str) -> bytes:
    """How servers name a handle in its normal form, 32 bytes."""
    return labelled_hash(labels.HANDLE, handle.encode())
