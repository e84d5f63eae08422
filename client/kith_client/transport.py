"""The home server over HTTP, as `wire.py` describes it: bytes out, bytes in, one typed error for each failure.

Verifies nothing that the server says about a vault; that is the caller's. Every wait has a deadline.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import aiohttp

from kith_client.addresses import check_server_url
from kith_client.errors import HeadMoved, ServerRefused, ServerUnreachable
from kith_protocol import wire
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import DecodingError
from kith_protocol.host import host_of_url
from kith_protocol.moving import SignedForgotten
from kith_protocol.server_statement import MAX_STATEMENT_BYTES

T = TypeVar("T", bound=Statement)

REQUEST_DEADLINE: Final = 60.0
"""Seconds for one request with its answer."""
IDLE_DEADLINE: Final = 30.0
"""Seconds without a byte after which a feed counts as broken off."""
FEED_GRACE: Final = 60.0
"""Seconds that a feed may make wait in all, and one more for every `SLOWEST_FEED` bytes that it brought."""
SLOWEST_FEED: Final = 1024
MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024
_CONNECT_DEADLINE: Final = 10.0
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    body: bytes
    server_time: int
    """Milliseconds since 1970 by the server's `Date`; our own clock where there is none."""


SignIn = Callable[[], Awaitable[str]]
"""Gives a fresh bearer token."""


class HomeServer:
    """One person's home server. Open with `connect`."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = check_server_url(url)
        self.host = host_of_url(self.url)
        self.server_time = int(time.time() * 1000)
        self.sign_in: SignIn | None = None
        self._token = ""
        self._http = http

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[HomeServer]:
        """A connection pool to the server at `url`; nothing is sent yet."""
        connector = aiohttp.TCPConnector(limit=8, ssl=tls if tls is not None else True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_DEADLINE, sock_read=IDLE_DEADLINE)
        cookies = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=cookies) as http:
            yield cls(url, http)

    def use_token(self, token: str) -> None:
        """What follows carries this bearer token, until the server does not take it any more."""
        self._token = token

    # Statements and accounts

    async def statement(self) -> bytes:
        """What the server says of itself, signed; to be verified against a fingerprint."""
        answer = await self._expect("GET", "/.well-known/kith", signed=False)
        if len(answer.body) > MAX_STATEMENT_BYTES:
            raise DecodingError("The server's statement is too long.")
        return answer.body

    async def register(self, registration: wire.Register) -> None:
        """Begins a vault at the server."""
        await self._expect("POST", "/v1/vaults", encode(registration), signed=False)

    async def open_session(self, request: wire.SessionRequest) -> wire.SessionGrant:
        """A token for one member."""
        answer = await self._expect("POST", "/v1/sessions", encode(request), signed=False)
        return decode(answer.body, wire.SessionGrant)

    async def end_session(self, vault: bytes) -> None:
        """Gives the session back before it expires."""
        await self._expect("DELETE", f"/v1/vaults/{vault.hex()}/session")

    # The vault

    async def push(self, vault: bytes, push: bytes) -> wire.Head:
        """Sends an encoded `Push`. Raises `HeadMoved` where another device wrote first."""
        try:
            answer = await self._expect("POST", f"/v1/vaults/{vault.hex()}/commits", push)
        except ServerRefused as error:
            if error.code == "head-moved":
                raise HeadMoved("Another device wrote first.") from None
            raise
        return decode(answer.body, wire.Head)

    async def feed(self, vault: bytes, after: int) -> AsyncIterator[wire.Frame]:
        """The frames of the feed after commit `after`, as they arrive. Raises `ServerUnreachable` if it breaks off."""
        path = f"/v1/vaults/{vault.hex()}/changes?after={after}"
        for attempt in (1, 2):
            try:
                async with self._streamed(path) as response:
                    async for frame in _frames(response):
                        yield frame
                return
            except ServerRefused as refusal:
                if refusal.code != "session" or attempt == 2:
                    raise
            self._token = ""  # the session ended; open another, once

    async def replaced(self, vault: bytes, after: int, record: bytes) -> wire.ReplacedPage:
        """What was replaced or deleted in the last 30 days, after this place; for the paper key alone."""
        answer = await self._expect("GET", f"/v1/vaults/{vault.hex()}/replaced?after={after}&record={record.hex()}")
        return decode(answer.body, wire.ReplacedPage)

    # Moving; for the parts of a fill `sign_in` has to begin it

    async def begin_fill(self, begin: wire.BeginFill) -> wire.FillGrant:
        """Begins to fill the server with a vault, or goes on."""
        return decode((await self._expect("POST", "/v1/fills", encode(begin), signed=False)).body, wire.FillGrant)

    async def add_part(self, vault: bytes, part: bytes) -> wire.Head:
        """Sends frames, and gets the last commit that is there."""
        return decode((await self._expect("POST", f"/v1/fills/{vault.hex()}/parts", part)).body, wire.Head)

    async def end_fill(self, vault: bytes, head: wire.Head) -> None:
        """Makes the vault visible at the server."""
        await self._expect("POST", f"/v1/fills/{vault.hex()}/end", encode(head))

    async def follow(self, vault: bytes, commits: wire.Follow) -> wire.Followed:
        """Tells a server that the vault left who is a member now. Raises `HeadMoved` where it knows another history."""
        try:
            answer = await self._expect("POST", f"/v1/vaults/{vault.hex()}/followed", encode(commits))
        except ServerRefused as error:
            if error.code == "head-moved":
                raise HeadMoved("The server knows another history.") from None
            raise
        return decode(answer.body, wire.Followed)

    async def forget_vault(self, vault: bytes) -> SignedForgotten:
        """Has everything of the vault deleted; the server's word that it was."""
        return decode((await self._expect("DELETE", f"/v1/vaults/{vault.hex()}")).body, SignedForgotten)

    # Mailboxes, greetings, relay, rendezvous

    async def open_mailbox(self, vault: bytes, read_id: bytes, mailbox: wire.OpenMailbox) -> None:
        await self._expect("PUT", f"/v1/vaults/{vault.hex()}/mailboxes/{read_id.hex()}", encode(mailbox))

    async def delete_mailbox(self, vault: bytes, read_id: bytes) -> None:
        await self._expect("DELETE", f"/v1/vaults/{vault.hex()}/mailboxes/{read_id.hex()}", missing_ok=True)

    async def put_greeting(self, vault: bytes, link_id: bytes, greeting: wire.PutGreeting) -> None:
        await self._expect("PUT", f"/v1/vaults/{vault.hex()}/greetings/{link_id.hex()}", encode(greeting))

    async def delete_greeting(self, vault: bytes, link_id: bytes) -> None:
        await self._expect("DELETE", f"/v1/vaults/{vault.hex()}/greetings/{link_id.hex()}", missing_ok=True)

    async def put_handle(self, vault: bytes, handle: bytes, secret: bytes) -> None:
        """Keeps a handle by its id, to be found with `secret`, or by nobody where that is empty."""
        path = f"/v1/vaults/{vault.hex()}/handles/{handle.hex()}"
        await self._expect("PUT", path, encode(wire.PutHandle(secret)))

    async def delete_handle(self, vault: bytes, handle: bytes) -> None:
        await self._expect("DELETE", f"/v1/vaults/{vault.hex()}/handles/{handle.hex()}", missing_ok=True)

    async def parcels(self, vault: bytes, after: int) -> wire.ParcelPage:
        """What waits in all mailboxes of the vault."""
        answer = await self._expect("GET", f"/v1/vaults/{vault.hex()}/parcels?after={after}")
        return decode(answer.body, wire.ParcelPage)

    async def delete_parcels(self, vault: bytes, hashes: tuple[bytes, ...]) -> None:
        """Deletes parcels whose content is in the vault."""
        await self._expect("POST", f"/v1/vaults/{vault.hex()}/parcels/delete", encode(wire.DeleteParcels(hashes)))

    async def server_statement(self, vault: bytes, host: str) -> bytes:
        """Another server's statement, by way of the home server."""
        return (await self._expect("GET", f"/v1/vaults/{vault.hex()}/servers/{host}")).body

    async def relay(self, vault: bytes, request: wire.RelayRequest) -> wire.RelayAnswer:
        """Hands a sealed request over, or over again."""
        answer = await self._expect("POST", f"/v1/vaults/{vault.hex()}/relay", encode(request))
        return decode(answer.body, wire.RelayAnswer)

    async def relayed(self, vault: bytes, request_hash: bytes) -> wire.RelayAnswer:
        """How a sealed request stands."""
        answer = await self._expect("GET", f"/v1/vaults/{vault.hex()}/relay/{request_hash.hex()}")
        return decode(answer.body, wire.RelayAnswer)

    async def forget_relayed(self, vault: bytes, request_hash: bytes) -> None:
        await self._expect("DELETE", f"/v1/vaults/{vault.hex()}/relay/{request_hash.hex()}", missing_ok=True)

    async def begin_rendezvous(self, vault: bytes, purpose: wire.Purpose) -> wire.Nameplate:
        answer = await self._expect("POST", f"/v1/vaults/{vault.hex()}/rendezvous/{purpose}", b"")
        return decode(answer.body, wire.Nameplate)

    async def leave_message(self, purpose: wire.Purpose, nameplate: str, side: str, phase: int, message: bytes) -> None:
        await self._expect("PUT", f"/v1/rendezvous/{purpose}/{nameplate}/{side}/{phase}", message, signed=False)

    async def await_message(
        self, purpose: wire.Purpose, nameplate: str, side: str, phase: int, wait: int
    ) -> bytes | None:
        """The other side's message; None when it did not come within `wait` seconds."""
        path = f"/v1/rendezvous/{purpose}/{nameplate}/{side}/{phase}?wait={wait}"
        answer = await self._expect("GET", path, signed=False)
        return answer.body if answer.status == 200 else None

    async def burn_rendezvous(self, purpose: wire.Purpose, nameplate: str) -> None:
        """Ends a meeting; one that is over, or for another purpose, stays as it is."""
        with suppress(ServerRefused):
            await self._expect("DELETE", f"/v1/rendezvous/{purpose}/{nameplate}", signed=False)

    # Plumbing

    async def send(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """One request with its whole answer. Raises `ServerUnreachable`."""
        try:
            async with asyncio.timeout(REQUEST_DEADLINE), self._request(method, path, body, headers) as response:
                self._note_time(response)
                return Answer(response.status, await _limited(response), self.server_time)
        except TimeoutError:
            raise self._unreachable("it did not answer in time") from None

    async def _expect(
        self, method: str, path: str, body: bytes | None = None, *, signed: bool = True, missing_ok: bool = False
    ) -> Answer:
        for attempt in (1, 2):
            headers = await self._authorization() if signed else {}
            answer = await self.send(method, path, body, headers)
            if answer.status < 300 or (missing_ok and answer.status == 404):
                return answer
            refusal = self._refusal(answer.status, answer.body)
            if not (signed and refusal.code == "session" and attempt == 1):
                break
            self._token = ""  # the session ended; open another, once
        raise refusal

    async def _authorization(self) -> dict[str, str]:
        if not self._token and self.sign_in is not None:
            self._token = await self.sign_in()
        return {"Authorization": f"Bearer {self._token}"}

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept-Encoding": "identity", "Content-Type": wire.CONTENT_TYPE, **headers}
        try:
            async with self._http.request(
                method,
                self.url + path,
                data=None if body is None else io.BytesIO(body),
                headers=headers,
                allow_redirects=False,
            ) as response:
                yield response
        except aiohttp.ClientConnectorCertificateError:
            raise self._unreachable("its certificate is not valid") from None
        except aiohttp.ClientConnectorSSLError:
            raise self._unreachable("it does not speak TLS there; is the address right?") from None
        except aiohttp.ClientConnectorDNSError:
            raise self._unreachable("there is no such name") from None
        except aiohttp.ClientConnectorError:
            raise self._unreachable("nobody answers there") from None
        except aiohttp.ClientError:
            raise self._unreachable("the connection broke off") from None
        except TimeoutError:
            raise self._unreachable("it did not answer in time") from None

    @asynccontextmanager
    async def _streamed(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer whose body is read at leisure; its headers, or a whole refusal, come within `REQUEST_DEADLINE`."""
        headers = await self._authorization()
        try:
            async with (
                asyncio.timeout(REQUEST_DEADLINE) as deadline,
                self._request("GET", path, None, headers) as answer,
            ):
                self._note_time(answer)
                if answer.status != 200:
                    raise self._refusal(answer.status, await _limited(answer))
                deadline.reschedule(None)
                yield answer
        except TimeoutError:
            raise self._unreachable("it did not answer in time") from None

    def _unreachable(self, why: str) -> ServerUnreachable:
        return ServerUnreachable(f"The server {self.host} could not be reached ({why}).")

    def _refusal(self, status: int, body: bytes) -> ServerRefused:
        try:
            failure = decode(body, wire.Failure)
        except DecodingError:
            if status >= 500:
                return ServerRefused("server-error", f"The server {self.host} has a problem (HTTP {status}).", status)
            return ServerRefused("not-kithbook", f"{self.host} does not answer like a Kithbook server (HTTP {status}).")
        code = "session" if status == 401 else failure.code
        return ServerRefused(code, f"The server {self.host} says: {failure.message[:500]}", status)

    def _note_time(self, response: aiohttp.ClientResponse) -> None:
        try:
            self.server_time = int(parsedate_to_datetime(response.headers["Date"]).timestamp() * 1000)
        except (KeyError, ValueError, OverflowError):
            self.server_time = int(time.time() * 1000)


async def _limited(response: aiohttp.ClientResponse) -> bytes:
    body = await response.content.read(MAX_ANSWER_BYTES + 1)
    parts = [body]
    while body and sum(map(len, parts)) <= MAX_ANSWER_BYTES:
        body = await response.content.read(MAX_ANSWER_BYTES + 1)
        parts.append(body)
    whole = b"".join(parts)
    if len(whole) > MAX_ANSWER_BYTES:
        raise DecodingError("The server's answer is longer than any that it may give.")
    return whole


async def _frames(response: aiohttp.ClientResponse) -> AsyncIterator[wire.Frame]:
    """Cuts the byte stream into frames; a frame without its end means that the feed broke off."""
    buffer = bytearray()
    async for chunk in _chunks(response):
        buffer += chunk
        position = 0
        while len(buffer) - position >= 4:
            length = int.from_bytes(buffer[position : position + 4], "big")
            if length > wire.MAX_FRAME_BYTES:
                raise DecodingError("The server sent a part of a feed that is too long.")
            if len(buffer) - position - 4 < length:
                break
            yield wire.decode_frame(bytes(buffer[position + 4 : position + 4 + length]))
            position += 4 + length
        del buffer[:position]
    if buffer:
        raise ServerUnreachable("The server broke off in the middle. What was entered is kept; try again.")


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body as it comes. Raises `ServerUnreachable` where it trickles: each byte may be in time and all too slow."""
    waited, received = 0.0, 0
    while True:
        begin = time.monotonic()
        chunk = await response.content.read(_CHUNK)
        waited += time.monotonic() - begin
        received += len(chunk)
        if not chunk:
            return
        if waited > FEED_GRACE + received / SLOWEST_FEED:
            raise ServerUnreachable("The server is too slow to be read. What was entered is kept; try again.")
        yield chunk
