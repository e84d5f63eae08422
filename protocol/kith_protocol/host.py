"""Host names in links, identities and addresses: one normal form, `host[:port]` (spec: server.md, Hosts).

Only the syntax is decided here. Whether a server may be reached is the policy of whoever opens the connection.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from kith_protocol.errors import DecodingError, Refused

MAX_HOST_BYTES: Final = 253
"""Of the normal form with its port: the limit of DNS, and what an answer has room for."""

_DEFAULT_PORTS: Final = {"https": "443", "http": "80"}
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMBER: Final = re.compile(r"([0-9]+|0x[0-9a-f]*)", re.ASCII)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_URL: Final = re.compile(r"(https?)://([^/?#]*)/?", re.ASCII | re.IGNORECASE)


def parse_host(text: str) -> str:
    """The normal form `host[:port]` of `text`: lower case, IP addresses in their shortest form, IPv6 in brackets.

    Raises `Refused` (`bad-host`). International names are given as `xn--...`.
    """
    if not text or len(text) > MAX_HOST_BYTES or not text.isascii():
        raise _bad("it is empty, too long, or not ASCII (write international names as xn--...)")
    name, port = _split(text.lower())
    if port is not None and not (_PORT.fullmatch(port) and int(port) <= 65535):
        raise _bad("its port is not a number from 1 to 65535")
    normal = _ipv6(name) if name.startswith("[") else _name(name)
    return normal if port is None else f"{normal}:{port}"


def host_of_url(url: str) -> str:
    """The host of a server's URL (`https://host[:port]`, no path); the scheme's default port is left out.

    Raises `Refused` (`bad-url` or `bad-host`).
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise Refused("bad-url", "A server's address looks like https://kith.example, with nothing after the host.")
    host = parse_host(found[2])
    return host.removesuffix(":" + _DEFAULT_PORTS[found[1].lower()])


def check_host(host: str) -> None:
    """Raises `DecodingError` unless `host` is in its normal form; for hosts inside statements."""
    try:
        normal = parse_host(host)
    except Refused:
        normal = ""
    if not host or normal != host:
        raise DecodingError("A statement names a host that is not in its normal form.")


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        name, bracket, rest = text.partition("]")
        if not bracket or rest[:1] not in ("", ":"):
            raise _bad("its brackets do not match")
        return name + bracket, rest[1:] if rest else None
    name, colon, port = text.partition(":")
    return name, port if colon else None


def _ipv6(name: str) -> str:
    try:
        if "%" in name:
            raise ValueError
        return f"[{ipaddress.IPv6Address(name[1:-1]).compressed}]"
    except ValueError:
        raise _bad("what stands in brackets is not an IPv6 address") from None


def _name(name: str) -> str:
    names = name.split(".")
    if not all(_LABEL.fullmatch(label) for label in names):
        raise _bad("a part of it is empty, too long, or has other characters than letters, digits and hyphens")
    if _NUMBER.fullmatch(names[-1]):
        # Resolvers read 127.1, 0x7f.1 and 2130706433 as addresses; only the one plain form may pass.
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise _bad("it looks like an IPv4 address and is none") from None
    return name


def _bad(why: str) -> Refused:
    return Refused("bad-host", f"This is not the name of a server: {why}.")
