"""Addresses of servers as a person types them, and as a record may hold them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from kith_protocol.errors import Refused
from kith_protocol.host import host_of_url


def check_server_url(url: str) -> str:
    """The URL without a trailing slash. Raises `Refused`: HTTPS only, but for a server on this machine."""
    host = host_of_url(url)
    scheme = urlsplit(url).scheme.lower()
    if scheme == "http" and not _is_loopback(host):
        raise Refused("bad-url", "A server is reached with https://; http:// is allowed on this machine only.")
    return f"{scheme}://{host}"


def url_of(host: str) -> str:
    """The URL of a home server of which only the host is known."""
    return f"{'http' if _is_loopback(host) else 'https'}://{host}"


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
