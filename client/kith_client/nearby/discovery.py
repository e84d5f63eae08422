"""Announcing a service on the local network and finding it, by multicast DNS.

A name says nothing but what the caller puts in front of it; random digits keep two apart. Whatever is found is
untrusted until the exchange that follows says otherwise.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kith_client.errors import NearbyUnavailable

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

AT_ONCE: Final = 16
"""Services of one wanted name whose address is asked for at one time."""
MAX_WAITING: Final = 256
"""Services of one wanted name that wait for that; more are passed over."""
MAX_ADDRESSES: Final = 4
"""Addresses of one service that are tried."""
REGISTER_TRIES: Final = 2
"""Names to announce, should another device say that the first is its own."""
RESOLVE_SECONDS: Final = 3.0
RESOLVE_TRIES: Final = 5
"""Tries to learn where a service is."""
_LOCAL: Final = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"))
)
"""RFC 1918, link-local, and this machine itself."""
_RANDOM_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Network:
    """The interfaces to use: IPv4 addresses of this machine. Empty: every private one but loopback."""

    addresses: tuple[str, ...] = ()

    def own(self) -> list[str]:
        """The addresses to announce. Raises `NearbyUnavailable`."""
        import ifaddr

        texts = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if isinstance(ip.ip, str)]
        if self.addresses:
            found = [text for text in texts if text in self.addresses]
        else:
            found = [text for text in texts if is_local(text) and not ipaddress.ip_address(text).is_loopback]
        if not found:
            raise NearbyUnavailable("This machine is on no local network now.")
        return found

    def may_reach(self, address: str) -> bool:
        """Whether an address that somebody announced is one of a local network."""
        loopback = any(ipaddress.ip_address(own).is_loopback for own in self.addresses)
        return is_local(address) and (loopback or not ipaddress.ip_address(address).is_loopback)


EVERYWHERE: Final = Network()


@dataclass(frozen=True, slots=True)
class Found:
    """An announced service."""

    name: str
    """What stands in front of the random digits."""
    addresses: tuple[str, ...]
    port: int


def is_local(address: str) -> bool:
    """Whether an address belongs to a network that is not reached from outside."""
    try:
        parsed = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return any(parsed in network for network in _LOCAL)


@asynccontextmanager
async def announced(
    kind: str, name: str, port: int, network: Network, shared: AsyncZeroconf | None = None
) -> AsyncIterator[str]:
    """While the block runs, a service of `kind` (`_x._tcp.local.`) is announced at `port`.

    It is called `name` and random digits; gives that in full.
    """
    async with multicast(network, shared) as zero:
        yield await _registered(zero, kind, name, port, await asyncio.to_thread(network.own))


async def _registered(zero: AsyncZeroconf, kind: str, name: str, port: int, own: list[str]) -> str:
    """The full name under which it stands. Raises `NearbyUnavailable`: anybody may say that a name is theirs."""
    from zeroconf import Error, NonUniqueNameException, ServiceInfo

    for _ in range(REGISTER_TRIES):
        unique = f"{name}-{secrets.token_hex(_RANDOM_BYTES)}"
        # `server` names the machine by default; nothing about it may be said.
        info = ServiceInfo(kind, f"{unique}.{kind}", port=port, parsed_addresses=own, server=f"{unique}.local.")
        try:
            await zero.async_register_service(info)
        except NonUniqueNameException:
            continue
        except Error:
            break
        return info.name
    raise NearbyUnavailable("Somebody on the local network keeps this device from announcing anything there.")


@asynccontextmanager
async def browsing(
    kind: str,
    is_wanted: Callable[[str], bool],
    network: Network,
    not_this: str = "",
    shared: AsyncZeroconf | None = None,
) -> AsyncIterator[asyncio.Queue[Found]]:
    """While the block runs, services of `kind` whose name is wanted come into the queue.

    `not_this` is what this program announces itself.
    """
    from zeroconf import ServiceStateChange
    from zeroconf.asyncio import AsyncServiceBrowser

    queue: asyncio.Queue[Found] = asyncio.Queue()
    named: asyncio.Queue[tuple[str, str, int]] = asyncio.Queue(MAX_WAITING)
    async with multicast(network, shared) as zero:

        async def resolve() -> None:
            """One that does not say where it is goes to the end, so that it keeps nobody waiting."""
            while True:
                name, full, tries = await named.get()
                found = await _resolved(zero, kind, name, full, network)
                if found is not None:
                    queue.put_nowait(found)
                elif tries < RESOLVE_TRIES and not named.full():
                    named.put_nowait((name, full, tries + 1))

        def changed(service_type: str, name: str, state_change: ServiceStateChange, **_: Any) -> None:
            wanted = name.removesuffix(f".{service_type}").rpartition("-")[0]
            is_new = state_change is ServiceStateChange.Added and name != not_this
            if is_new and not named.full() and is_wanted(wanted):
                named.put_nowait((wanted, name, 1))

        tasks = [asyncio.create_task(resolve()) for _ in range(AT_ONCE)]
        browser = AsyncServiceBrowser(zero.zeroconf, kind, handlers=[changed])
        try:
            yield queue
        finally:
            await browser.async_cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _resolved(zero: AsyncZeroconf, kind: str, name: str, full: str, network: Network) -> Found | None:
    info = await zero.async_get_service_info(kind, full, timeout=int(RESOLVE_SECONDS * 1000))
    if info is None or not info.port:
        return None
    addresses = [address for address in info.parsed_addresses() if network.may_reach(address)]
    return Found(name, tuple(addresses[:MAX_ADDRESSES]), info.port) if addresses else None


@asynccontextmanager
async def multicast(network: Network, shared: AsyncZeroconf | None = None) -> AsyncIterator[AsyncZeroconf]:
    """Multicast DNS on these interfaces; `shared` where there is one in this program already, because an answer to one
    machine reaches only one of two that listen there."""
    if shared is not None:
        yield shared
        return
    from zeroconf import IPVersion
    from zeroconf.asyncio import AsyncZeroconf

    own = await asyncio.to_thread(network.own)
    try:
        zero = AsyncZeroconf(interfaces=own, ip_version=IPVersion.V4Only)
    except OSError as error:
        raise NearbyUnavailable(f"The local network cannot be used now: {error.strerror}.") from None
    try:
        yield zero
    finally:
        await zero.async_close()
