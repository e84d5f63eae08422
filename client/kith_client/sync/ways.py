"""The ways on which two who meet find to each other: a home server, another one by way of one's own, the local network.

Who shows a code waits on all of them, and the first exchange that comes in takes the code: there is one guess, not one
on each. Who types it asks the server first and speaks to somebody on the local network only where that knows nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

from kith_client.errors import NearbyUnavailable, ServerRefused, ServerUnreachable
from kith_client.line import AtRendezvous, Line, gone
from kith_client.nearby.discovery import Found, Network
from kith_client.nearby.meeting import line_to, looking, random_nameplate, reach, waiting
from kith_client.nearby.sockets import Listener
from kith_client.sync.outside import AtOtherServer
from kith_client.sync.used_codes import check_unused, remember_used
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.errors import KithError, Refused
from kith_protocol.link_code import CODE_RANDOM_BYTES, LinkCode, spoken_code
from kith_protocol.linking import LinkMachine, LinkRole, LinkState
from kith_protocol.wire import Purpose

PROBE_SECONDS: Final = 20.0
"""In which a server has to say whether it knows a code."""
NEARBY_SECONDS: Final = 30.0
"""In which the one who shows a code has to be found on the local network; the exchange has its own time."""
UNKNOWN_SECONDS: Final = 5.0
"""The same where a server was reached that does not know the code."""

_NOBODY: Final = "Nobody on this network shows that code. Are both on the same one? It may keep its devices apart."


class Shown:
    """The side that shows a code. Use `open`."""

    def __init__(self, code: LinkCode, home: HomeServer | None, listener: Listener | None) -> None:
        self.code = code
        self.home = home
        """None where it cannot be reached, or is not to be asked."""
        self._listener = listener
        self._nearby = AsyncExitStack()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, vault: Vault, server: HomeServer, *, nearby_only: bool, network: Network
    ) -> AsyncIterator[Shown]:
        """Gets a nameplate and announces it; the code is burned in the end. Raises `NearbyUnavailable`."""
        nameplate = None if nearby_only else await _nameplate(vault, server)
        home, name = (None, random_nameplate()) if nameplate is None else (server, nameplate)
        words = spoken_code(name, os.urandom(CODE_RANDOM_BYTES)).secret
        shown = cls(LinkCode(name, words, home.host if home else ""), home, None)
        async with shown._nearby as nearby:
            try:
                shown._listener = await nearby.enter_async_context(waiting(name, network))
            except NearbyUnavailable:
                if home is None:
                    raise
            try:
                yield shown
            finally:
                await shown._burn()

    async def line(self) -> Line:
        """The line to the first who sends an exchange, on whichever way. Raises `Refused` (`link-burned`)."""
        ways: list[Coroutine[Any, Any, Line]] = []
        if self.home is not None:
            ways.append(self._at_server(self.home))
        if self._listener is not None:
            ways.append(self._on_network(self._listener))
        pending = {asyncio.create_task(way) for way in ways}
        try:
            while True:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                arrived = [task for task in done if task.exception() is None]
                if arrived or not pending:
                    return (arrived or list(done))[0].result()
        finally:
            for task in pending:
                task.cancel()

    async def _at_server(self, home: HomeServer) -> Line:
        carrier = AtRendezvous(home, Purpose.MEET, self.code.nameplate, LinkRole.SHOWS)
        line = Line(carrier, LinkMachine(LinkRole.SHOWS, self.code, home.host, Purpose.MEET))
        await line.begin()
        while await carrier.fetch(0) is None:
            pass
        await self._nearby.aclose()
        return line

    async def _on_network(self, listener: Listener) -> Line:
        line = line_to(await listener.arrived.get(), self.code, LinkRole.SHOWS)
        await self._burn()
        return line

    async def _burn(self) -> None:
        try:
            if self.home is not None:
                await self.home.burn_rendezvous(Purpose.MEET, self.code.nameplate)
        except ServerUnreachable:
            return  # it is forgotten there within ten minutes


class Typed:
    """The side that types a code. Use `open`."""

    def __init__(self, line: Line, home: HomeServer | None) -> None:
        self.line = line
        self.home = home
        """None where it is not to be asked, or did not answer."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, vault: Vault, server: HomeServer, code: LinkCode, *, nearby_only: bool, network: Network
    ) -> AsyncIterator[Typed]:
        """Finds whoever shows `code`, and agrees with them.

        Raises `Refused` (`link-burned`, `nobody-near`), `ServerUnreachable`.
        """
        await check_unused(vault, code)
        before_use = partial(remember_used, vault, code)
        async with AsyncExitStack() as stack:
            found: asyncio.Queue[Found] | None = None
            try:
                found = await stack.enter_async_context(looking(code, network))
            except NearbyUnavailable:
                if nearby_only:
                    raise
            home = None if nearby_only else server
            line, trouble = (None, None) if home is None else await _known_at(vault, home, code)
            if line is None:
                if isinstance(trouble, ServerUnreachable):
                    home = None
                line = await _near(found, code, trouble, before_use)
            stack.callback(line.carrier.close)
            if line.machine.state is not LinkState.OPEN:
                async with line.telling_of_failure():
                    await line.agree(before_use)
            yield cls(line, home)


async def _nameplate(vault: Vault, server: HomeServer) -> str | None:
    try:
        return (await server.begin_rendezvous(vault.id, Purpose.MEET)).nameplate
    except ServerUnreachable:
        return None


async def _known_at(vault: Vault, server: HomeServer, code: LinkCode) -> tuple[Line | None, KithError | None]:
    """The line at the server of the code, or why there is none. Raises `Refused` for a code of another purpose."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            if code.host and code.host != server.host:
                return await _at_other(vault, server, code), None
            await server.await_message(Purpose.MEET, code.nameplate, "a", 0, 0)
            carrier = AtRendezvous(server, Purpose.MEET, code.nameplate, LinkRole.TYPES)
            return Line(carrier, LinkMachine(LinkRole.TYPES, code, server.host, Purpose.MEET)), None
    except ServerRefused as error:
        if error.code != "not-found":
            raise
        return None, gone()
    except TimeoutError:
        return None, ServerUnreachable("The server did not answer in time.")
    except (ServerUnreachable, Refused) as error:
        return None, error


async def _at_other(vault: Vault, server: HomeServer, code: LinkCode) -> Line:
    carrier = await AtOtherServer.open(vault, server, code.host, code.nameplate)
    await carrier.look(0)
    return Line(carrier, LinkMachine(LinkRole.TYPES, code, code.host, Purpose.MEET))


async def _near(
    found: asyncio.Queue[Found] | None,
    code: LinkCode,
    trouble: KithError | None,
    before_use: Callable[[], Awaitable[None]],
) -> Line:
    """Who shows the code on the local network; else `trouble` is what was wrong."""
    if found is not None:
        seconds = UNKNOWN_SECONDS if isinstance(trouble, Refused) else NEARBY_SECONDS
        line = await reach(found, code, seconds, before_use)
        if line is not None:
            return line
    if isinstance(trouble, ServerUnreachable):
        raise ServerUnreachable(f"{trouble} {_NOBODY}")
    raise trouble or Refused("nobody-near", _NOBODY)
