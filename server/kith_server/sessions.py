"""Sessions: a member shows that it is one and gets a bearer token, kept only as its hash (spec: session.md).

A token is good for its vault and member, for `SESSION_LIFETIME` at most, and only as long as the member is one.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from kith_protocol.errors import BadSignature
from kith_protocol.session import PAPER_SESSION, SESSION_LIFETIME, SESSION_SKEW, check_session, read_session
from kith_protocol.suite import digest
from kith_protocol.wire import TOKEN_BYTES, SessionGrant, SessionRequest
from kith_server.chains import Chains
from kith_server.errors import HttpRefusal, no_session
from kith_server.storage.interface import SessionStore, StoredSession

CAPACITY: Final = 10_000
"""Sessions in memory; others are looked up."""


class Sessions:
    """The sessions of one server, whose public host is `origin`."""

    def __init__(self, store: SessionStore, chains: Chains, origin: str, clock: Callable[[], int]) -> None:
        self._store = store
        self._chains = chains
        self._origin = origin
        self._clock = clock
        self._known: OrderedDict[tuple[bytes, bytes], StoredSession] = OrderedDict()

    async def open(self, request: SessionRequest) -> SessionGrant:
        """Raises `HttpRefusal` 401 (one answer for every stranger), or what `read_session` raises."""
        now = self._clock()
        statement = read_session(request.statement, self._origin, now)
        state = await self._chains.find(statement.vault)
        standing = state.member(statement.member) if state else None
        if standing is None:
            raise stranger()
        try:
            check_session(request.statement, request.signature, standing.member.sign_key)
        except BadSignature:
            raise stranger() from None
        token = secrets.token_bytes(TOKEN_BYTES)
        session = StoredSession(statement.vault, digest(token), statement.member, now + SESSION_LIFETIME)
        await self._store.open(session, statement.nonce, now + 2 * SESSION_SKEW)
        self._keep(session)
        return SessionGrant(token, session.expires)

    async def close(self, vault: bytes, token: bytes) -> None:
        """Ends the session with this token."""
        self._known.pop((vault, digest(token)), None)
        await self._store.close(vault, digest(token))

    async def is_paper_at_work(self, vault: bytes, paper: bytes) -> bool:
        """Whether the recovery phrase opened a session a short while ago that was not ended."""
        expires = await self._store.newest(vault, paper)
        return expires is not None and self._clock() < expires - SESSION_LIFETIME + PAPER_SESSION

    async def member(self, vault: bytes, token: bytes) -> bytes:
        """The member of `vault` whose token this is. Raises `HttpRefusal` 401."""
        session = await self._find(vault, digest(token))
        if session is None or session.expires <= self._clock():
            raise no_session()
        state = await self._chains.find(vault)
        if state is None or state.member(session.member) is None:
            raise no_session()
        return session.member

    def clear(self) -> None:
        """Forgets what is in memory, because another program changed the store."""
        self._known.clear()

    async def _find(self, vault: bytes, hash_: bytes) -> StoredSession | None:
        session = self._known.get((vault, hash_))
        if session is None:
            session = await self._store.find(vault, hash_)
            if session is not None:
                self._keep(session)
        return session

    def _keep(self, session: StoredSession) -> None:
        self._known[session.vault, session.token] = session
        if len(self._known) > CAPACITY:
            self._known.popitem(last=False)


def stranger() -> HttpRefusal:
    """One answer, whether vault, member or signature is wrong."""
    return HttpRefusal(401, "session-refused", "This is not a member of a vault on this server.")
