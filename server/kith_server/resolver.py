"""Resolves names on a few threads of its own.

The system's resolver blocks, for half a minute if a name server wants it so. On the event loop's common pool, somebody
who sends us to such names could hold up everything else that runs there. Which addresses are allowed is not decided
here.
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

RESOLVER_THREADS: Final = 8


class PooledResolver(AbstractResolver):
    """`getaddrinfo` with at most eight lookups at a time; whoever waits longer runs into its own deadline."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="kith-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of `host` for TCP. Raises `OSError`."""
        found = await asyncio.get_running_loop().run_in_executor(self._pool, _lookup, host, port, family)
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=proto, flags=numeric)
            for kind, proto, address in found
        ]

    async def close(self) -> None:
        """Lets running lookups end by themselves; nobody waits for them."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _lookup(host: str, port: int, family: int) -> list[tuple[int, int, str]]:
    try:
        found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("the name cannot be looked up") from None
    return [(kind, proto, str(target[0])) for kind, _, proto, _, target in found]
