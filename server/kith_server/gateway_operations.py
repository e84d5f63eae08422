"""The gateway: opens sealed requests from outside, does what they ask for, seals the answers (spec: mail.md, Gateway).

Limits per network and the sizes of bodies are the route's business. Nothing here is logged, so that a request that
cannot be read leaves the same traces as any other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Final

from kith_protocol.errors import BadSignature, Undecryptable
from kith_protocol.gateway import (
    UNREADABLE,
    FetchGreeting,
    GreetingResult,
    GreetingStatus,
    LeaveMessage,
    LookForMessage,
    LookUp,
    Put,
    PutResult,
    PutStatus,
    Request,
    Result,
    arguments_of,
    open_request,
    request_hash,
    seal_answer,
)
from kith_protocol.mailbox import Placement, verify_put
from kith_protocol.suite import NONCE_BYTES, SEED_BYTES, SealKey, SignKey, digest
from kith_server.directory import Directory
from kith_server.errors import Busy
from kith_server.gateway_meetings import Meetings
from kith_server.server_keys import ServerKeys
from kith_server.storage.mail_interface import MailboxStore, Parcel

BATCH: Final = 32
"""Requests that are opened in one go on a thread, a fifth of a millisecond each."""
MAX_WAITING: Final = 256
"""Requests that wait for their turn."""
IN_HAND: Final = 48
"""Requests that are opened and carried out at a time; each may need a megabyte."""
TURN_SECONDS: Final = 20.0

_NOBODY: Final = SignKey(bytes(SEED_BYTES)).public
"""Verified against where there is no mailbox, so that this takes as long as a wrong signature."""
_STATUS: Final = {
    Placement.STORE: PutStatus.STORED,
    Placement.HAVE: PutStatus.HAVE,
    Placement.LOWER: PutStatus.LOWER_SEQUENCE,
    Placement.TAKEN: PutStatus.TAKEN,
    Placement.FULL: PutStatus.FULL,
    None: PutStatus.NO_MAILBOX,
}


class _Batch:
    """Requests that are opened together; it grows until a thread is free for it."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.opened: asyncio.Task[list[Request | None]]


class Gateway:
    """Answers sealed requests. Use inside a running event loop."""

    def __init__(
        self,
        keys: ServerKeys,
        mailboxes: MailboxStore,
        meetings: Meetings,
        directory: Directory,
        clock: Callable[[], int],
    ) -> None:
        self._keys = keys
        self._mailboxes = mailboxes
        self._meetings = meetings
        self._directory = directory
        self._clock = clock
        self._waiting = 0
        self._collecting: _Batch | None = None
        self._thread = asyncio.Lock()
        self._turns = asyncio.Semaphore(IN_HAND)

    async def answer(self, raw: bytes, network: str) -> bytes:
        """The sealed answer to `raw`, of one size class; always `UNREADABLE` for what cannot be read. `network` is
        the one it came from; what is counted by it here is refused inside the seal alone.

        Raises `Busy`.
        """
        if self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise Busy from None
        finally:
            self._waiting -= 1
        try:
            return await self._answer(raw, network)
        finally:
            self._turns.release()

    async def _answer(self, raw: bytes, network: str) -> bytes:
        request = await self._open(raw)
        if request is None:
            return UNREADABLE
        result = await self._carry_out(request, network)
        return seal_answer(request, request_hash(raw), result, nonce=os.urandom(NONCE_BYTES))

    async def _carry_out(self, request: Request, network: str) -> Result:
        match arguments_of(request):
            case FetchGreeting() as fetch:
                return await self._greeting(fetch)
            case Put() as put:
                return await self._put(put)
            case LeaveMessage() as left:
                return self._meetings.leave(left, network)
            case LookForMessage() as wanted:
                return self._meetings.look(wanted, network)
            case LookUp(handle):
                return await self._directory.look_up(handle, network)

    async def _greeting(self, arguments: FetchGreeting) -> GreetingResult:
        sealed = await self._mailboxes.find_greeting(arguments.link_id, self._clock())
        if sealed is None:
            return GreetingResult(GreetingStatus.NOT_FOUND)
        return GreetingResult(GreetingStatus.FOUND, sealed)

    async def _put(self, put: Put) -> PutResult:
        mailbox = await self._mailboxes.find(put.mailbox)
        key = _NOBODY if mailbox is None else mailbox.key
        try:
            verify_put(key, put.mailbox, put.slot, put.sequence, put.parcel, signature=put.signature)
        except BadSignature:
            mailbox = None
        if mailbox is None:
            return PutResult(PutStatus.NO_MAILBOX)
        parcel = Parcel(put.slot, put.sequence, digest(put.parcel), put.parcel)
        return PutResult(_STATUS[await self._mailboxes.put(mailbox, parcel, self._clock())])

    async def _open(self, raw: bytes) -> Request | None:
        batch = self._collecting
        if batch is None or len(batch.requests) >= BATCH:
            batch = self._collecting = _Batch()
            batch.opened = asyncio.create_task(self._open_batch(batch))
        batch.requests.append(raw)
        place = len(batch.requests) - 1
        # One caller that goes away must not take the answer from the others.
        return (await asyncio.shield(batch.opened))[place]

    async def _open_batch(self, batch: _Batch) -> list[Request | None]:
        async with self._thread:
            if self._collecting is batch:
                self._collecting = None
            return await asyncio.to_thread(self._open_all, batch.requests, self._clock())

    def _open_all(self, requests: list[bytes], now: int) -> list[Request | None]:
        keys, fingerprint = self._keys.opening, self._keys.fingerprint
        return [_open_one(keys, fingerprint, raw, now) for raw in requests]


def _open_one(keys: Mapping[bytes, SealKey], fingerprint: bytes, raw: bytes, now: int) -> Request | None:
    try:
        return open_request(keys, fingerprint, raw, now)
    except Undecryptable:
        return None
