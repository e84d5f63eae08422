"""Sealed requests to other servers by way of the home server's relay: seal, hand over, wait for the sealed answer.

What a request is about, and what its answer means, is left to the callers.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from kith_client.errors import ServerRefused, ServerUnreachable
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol import wire
from kith_protocol.errors import Alarm, KithError, Undecryptable
from kith_protocol.gateway import (
    REQUEST_LIFETIME,
    Arguments,
    FetchGreeting,
    GreetingResult,
    Request,
    Result,
    make_request,
    open_greeting_answer,
    request_hash,
    seal_request,
)
from kith_protocol.server_statement import ServerStatement, claimed_fingerprint, verify_server_statement
from kith_protocol.suite import KEY_BYTES

T = TypeVar("T")
R = TypeVar("R", bound=Result)

GREETING_DEADLINE: Final = 15.0
"""Seconds to wait for a greeting, with a person looking on."""
AT_ONCE: Final = 8
"""Requests to the home server at the same time."""
OVERTIME: Final = 30.0
"""Seconds after an errand's patience in which requests are still handed over, but no answer is waited for."""
POLL_PAUSE: Final = 0.25
"""Seconds between two questions for an answer, at least."""
POLLS_A_SECOND: Final = 32
"""Questions for answers that one errand asks, about; more only shortly before its patience is over."""
TAKE_BACK_TRIES: Final = 2
GIVEN_UP: Final = "given-up"
"""Code of the refusal where the relay no longer tries."""


class Errand:
    """Requests that are carried together: `patience` seconds for all of them, a few of them at the same time."""

    def __init__(self, vault: Vault, server: HomeServer, patience: float) -> None:
        self.vault = vault
        self.server = server
        self._give_up = _time() + patience
        self._places = asyncio.Semaphore(AT_ONCE)
        self._asking = 0

    async def statement(self, host: str, fingerprint: bytes) -> ServerStatement:
        """The statement of `host`. Raises the alarm `server-key-changed` and whatever else `verify_server_statement`
        does, or `ServerUnreachable`."""
        return await self.statement_of(host, [fingerprint])

    async def statement_of(self, host: str, known: Sequence[bytes]) -> ServerStatement:
        """The same under one of the fingerprints `known`; under the one that it claims where there is none."""
        raw = await self._raw_statement(host)
        *others, last = known or [claimed_fingerprint(raw)]
        for fingerprint in others:
            with suppress(Alarm):
                return verify_server_statement(raw, fingerprint, host, self.vault.clock())
        return verify_server_statement(raw, last, host, self.vault.clock())

    async def _raw_statement(self, host: str) -> bytes:
        async with self._places:
            if self._is_over():
                raise ServerUnreachable(f"There was no time left to ask for the server {host}.")
            try:
                return await self.server.server_statement(self.vault.id, host)
            except ServerRefused as error:
                if error.code == "destination-unreachable":
                    raise ServerUnreachable(f"The server {host} cannot be reached now.") from None
                raise

    async def carry(self, host: str, raw: bytes) -> bytes | None:
        """Gives a sealed request to the relay and waits for the answer; None while there is none.

        Raises `ServerRefused` where the relay gave up or must not reach out to `host`.
        """
        async with self._places:
            if self._is_over():
                return None
            answer = await self.server.relay(self.vault.id, wire.RelayRequest(host, raw))
        if answer.state is wire.RelayState.QUEUED:
            answer = await self._ask(request_hash(raw), answer)
        if answer.state is wire.RelayState.GIVEN_UP:
            raise ServerRefused(GIVEN_UP, f"Nothing could be delivered to {host}: {answer.reason[:200]}")
        return answer.answer if answer.state is wire.RelayState.ANSWERED else None

    async def take_back(self, request: bytes) -> bool:
        """Makes sure that the relay no longer sends a request, and only then forgets it here; False where it may.

        `request` is its hash.
        """
        for _ in range(TAKE_BACK_TRIES):
            async with self._places:
                if self._is_over():
                    return False
                try:
                    await self.server.forget_relayed(self.vault.id, request)
                except ServerUnreachable:
                    continue
                except KithError:
                    return False
            await self.vault.mirror.drop_requests([request])
            return True
        return False

    async def clear(self, request: bytes) -> None:
        """Deletes an answered request at the relay, if that can be done now; it expires there by itself."""
        async with self._places:
            try:
                if not self._is_over():
                    await self.server.forget_relayed(self.vault.id, request)
            except KithError:
                return

    async def _ask(self, request: bytes, answer: wire.RelayAnswer) -> wire.RelayAnswer:
        """Asks for an answer until it is there or patience is over."""
        self._asking += 1
        try:
            while answer.state is wire.RelayState.QUEUED and (left := self._give_up - _time()) > 0:
                # Many ask less often, but all of them once.
                await asyncio.sleep(max(POLL_PAUSE, min(self._asking / POLLS_A_SECOND, left / 2)))
                async with self._places:
                    if _time() < self._give_up:
                        answer = await self.server.relayed(self.vault.id, request)
        finally:
            self._asking -= 1
        return answer

    def _is_over(self) -> bool:
        return _time() > self._give_up + OVERTIME


async def sealed(statement: ServerStatement, arguments: Arguments, now: int) -> tuple[Request, bytes]:
    """A request for `arguments`, and its sealed bytes."""
    request = make_request(arguments, os.urandom(KEY_BYTES), now + REQUEST_LIFETIME)
    return request, await asyncio.to_thread(seal_request, statement, request)


async def fetch_greeting(
    vault: Vault,
    server: HomeServer,
    host: str,
    fingerprint: bytes,
    link_id: bytes,
    patience: float = GREETING_DEADLINE,
) -> GreetingResult:
    """Asks `host` for the greeting behind an invite, for `patience` seconds.

    Raises `ServerUnreachable` where it does not answer now.
    """
    errand = Errand(vault, server, patience)
    statement = await errand.statement(host, fingerprint)
    return await ask(errand, statement, FetchGreeting(link_id), open_greeting_answer)


async def ask(
    errand: Errand, statement: ServerStatement, arguments: Arguments, opener: Callable[[bytes, bytes, bytes], R]
) -> R:
    """Asks a server for something, with a person looking on; `opener` opens the answer.

    Raises `ServerUnreachable` where it does not answer now, `ServerRefused`.
    """
    request, raw = await sealed(statement, arguments, errand.vault.clock())
    hash_ = request_hash(raw)
    answer = await errand.carry(statement.host, raw)
    await errand.clear(hash_)
    if answer is None:
        raise ServerUnreachable(f"The server {statement.host} does not answer now. Try again later.")
    try:
        return await asyncio.to_thread(opener, request.response_key, hash_, answer)
    except Undecryptable:
        raise ServerUnreachable(f"The server {statement.host} could not read the request. Try again.") from None


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, at the same time. Where one raises, the others are stopped before that is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def _time() -> float:
    return asyncio.get_running_loop().time()
