"""Two people who meet, in one process: what a test does between them is up to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kith_client.nearby.discovery import Network
from kith_client.relations.meeting import Wishes
from kith_client.relations.peers import list_peers
from kith_client.sync.meet import Outcome, show_code, type_code
from kith_protocol.link_code import LinkCode, parse_meeting_code
from tests.adversary.world import Device

LOOPBACK = Network(("127.0.0.1",))
DEADLINE = 40.0

Confirm = Callable[[str], Awaitable[bool]]
Rewrite = Callable[[LinkCode], Awaitable[LinkCode]]


async def yes(_name: str) -> bool:
    return True


async def no(_name: str) -> bool:
    return False


async def as_shown(code: LinkCode) -> LinkCode:
    return parse_meeting_code(code.meeting)


@dataclass
class Meeting:
    """Who shows the code, who types it, and how."""

    shows: Device
    types: Device
    confirm_shows: Confirm = yes
    confirm_types: Confirm = yes
    nearby_only: bool = False
    network: Network = LOOPBACK

    async def run(self, typed: Rewrite = as_shown) -> list[Outcome | BaseException]:
        """What came of it for who shows, and for who types."""
        shown: asyncio.Queue[LinkCode] = asyncio.Queue()

        async def show() -> Outcome:
            vault, server = self.shows.vault, self.shows.server
            asked = vault, server, shown.put_nowait, self.confirm_shows, Wishes()
            return await show_code(*asked, nearby_only=self.nearby_only, network=self.network)

        async def type_it() -> Outcome:
            vault, server, code = self.types.vault, self.types.server, await typed(await shown.get())
            asked = vault, server, code, self.confirm_types, Wishes()
            return await type_code(*asked, nearby_only=self.nearby_only, network=self.network)

        async with asyncio.timeout(DEADLINE):
            return [*await asyncio.gather(show(), type_it(), return_exceptions=True)]


def codes(results: list[Outcome | BaseException]) -> list[str]:
    """The codes of the errors on both sides; "ok" where it came about."""
    return ["ok" if isinstance(each, Outcome) else getattr(each, "code", repr(each)) for each in results]


def peers(device: Device) -> list[tuple[str, str, str]]:
    return [(row.name, row.state, row.trust) for row in list_peers(device.vault.contents)]
