"""Which IP addresses a server on the internet may have, by a table of our own.

`ipaddress.is_global` is not enough: it passes translation and tunnel prefixes that lead to private IPv4 addresses
(64:ff9b::/96, 2002::/16, ::/96), old site-local addresses and some multicast. What is not known to be public here is
not public. A NAT64 prefix of one's own network cannot be known here; a firewall has to close that way.
"""

from __future__ import annotations

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NOT_PUBLIC_4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local, cloud metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)

_UNICAST_6: Final = ipaddress.IPv6Network("2000::/3")
"""All global unicast lies here. What embeds IPv4 outside of it (::/96, ::ffff:0:0/96, 64:ff9b::/96) is refused so."""

_NOT_PUBLIC_6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: embeds IPv4
            "2620:4f:8000::/48",  # AS112
            "3ffe::/16",  # 6bone, given back
            "3fff::/20",  # documentation
        ),
    )
)

_ISATAP: Final = 0x00005EFE
_ISATAP_MASK: Final = 0xFDFFFFFF


def is_public(address: Address) -> bool:
    """Whether a server on the internet may have `address`."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address not in _UNICAST_6 or any(address in network for network in _NOT_PUBLIC_6):
        return False
    # ISATAP hides an IPv4 address behind a fixed interface id in any prefix.
    return (int(address) >> 32) & _ISATAP_MASK != _ISATAP
