"""How often one network may ask: token buckets in a bounded table. Only what needs no session is limited here.

A network is an IPv4 /24 or an IPv6 /48. Behind a reverse proxy on this machine its `X-Forwarded-For` names the client;
what comes from this machine without that header shares one bucket that is `LOCAL_FACTOR` times as large.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from kith_server.errors import TooManyRequests

NETWORKS: Final = 10_000
"""Networks remembered by one set of buckets; the one that asked longest ago is forgotten first."""
LOCAL: Final = "local"
LOCAL_FACTOR: Final = 100


class Buckets:
    """Each key may take `burst` at once and `rate` a second in the long run."""

    def __init__(self, rate: float, burst: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._now = now
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, cost: float = 1) -> float:
        """0 where granted, else the seconds until it would be; then nothing is taken."""
        now = self._now()
        level, at = self._levels.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        granted = level >= cost
        self._levels[key] = (level - cost if granted else level, now)
        if len(self._levels) > NETWORKS:
            self._levels.popitem(last=False)
        return 0 if granted else (cost - level) / self._rate

    def give_back(self, key: str, cost: float) -> None:
        """Undoes a `take` that was granted."""
        if key in self._levels:
            level, at = self._levels[key]
            self._levels[key] = (level + cost, at)


@dataclass(frozen=True, slots=True)
class Limits:
    """One set of buckets for each kind of request; `gateway` is for sealed requests from outside."""

    registration: Buckets = field(default_factory=lambda: Buckets(rate=1 / 30, burst=10))
    sessions: Buckets = field(default_factory=lambda: Buckets(rate=0.5, burst=60))
    rendezvous: Buckets = field(default_factory=lambda: Buckets(rate=1, burst=60))
    gateway: Buckets = field(default_factory=lambda: Buckets(rate=20, burst=600))
    look_ups: Buckets = field(default_factory=lambda: Buckets(rate=0.1, burst=100))
    """Handles that are looked up, so that nobody lists who is here by trying names."""
    refused: Buckets = field(default_factory=lambda: Buckets(rate=1, burst=120))
    """Requests with a token that is not known: each costs a look into the database."""


def admit(request: web.Request, buckets: Buckets, cost: float = 1) -> None:
    """Raises `TooManyRequests` where the network of `request` has used up its share."""
    network = network_of(request)
    wait = buckets.take(network, cost_for(network, cost))
    if wait:
        raise TooManyRequests(math.ceil(wait))


def cost_for(network: str, cost: float) -> float:
    """What a request of that cost takes from the bucket of `network`."""
    return cost / LOCAL_FACTOR if network == LOCAL else cost


def network_of(request: web.Request) -> str:
    """The network that a request came from, or `LOCAL`."""
    peer = _address(request.remote or "")
    if peer is None:
        return LOCAL
    if not peer.is_loopback:
        return network_prefix(peer)
    # The proxy appends the address that it saw; what stands before is the client's own claim.
    forwarded = _address(request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip())
    return LOCAL if forwarded is None or forwarded.is_loopback else network_prefix(forwarded)


def network_prefix(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """`address` cut to /24 (IPv4, also inside IPv6) or /48."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((int(address), 48), strict=False))
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((int(address), 24), strict=False))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
