"""What mailboxes, gateway and relay ask of a store. `tests/support/mail_contract.py` is what a store must pass.

Every method may raise `Busy`. Times are milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from kith_protocol.mailbox import MailboxKind, Placement
from kith_protocol.wire import OpenMailbox, ParcelPage, RelayAnswer
from kith_server.server_keys import GatewayKey

PARCEL_LIFETIME: Final = 90 * 24 * 3600 * 1000
"""Milliseconds that a parcel waits to be read."""
ANSWER_LIFETIME: Final = 14 * 24 * 3600 * 1000
"""Milliseconds that a relayed answer waits to be collected."""
MAX_PAGE_BYTES: Final = 1024 * 1024
"""Parcels in one page, together."""
MAX_GREETINGS: Final = 1000
"""Open invites of one vault."""
MAX_HANDLES: Final = 3
"""Handles of one vault, private ones too: one that is used, one to change to, and one to spare."""


@dataclass(frozen=True, slots=True)
class Deposit:
    """What a put needs to know of a mailbox."""

    vault: bytes
    read_id: bytes
    key: bytes
    kind: MailboxKind


@dataclass(frozen=True, slots=True)
class Parcel:
    """A put whose signature holds."""

    slot: bytes
    sequence: int
    hash: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits for its destination; `request` is the SHA-256 of what is sealed."""

    vault: bytes
    request: bytes
    host: str
    created: int
    due: int
    attempts: int


class GatewayKeyStore(Protocol):
    """The private gateway keys."""

    async def current(self, seed: bytes, now: int) -> list[GatewayKey]:
        """All keys still kept, among them one to offer at `now`: made from `seed` (32 random bytes) where there is
        none. Keys whose time is over are erased.
        """


class MailboxStore(Protocol):
    """Mailboxes, the parcels in them, and greetings."""

    async def open(self, vault: bytes, read_id: bytes, wanted: OpenMailbox) -> None:
        """Opens a mailbox; repeating it changes nothing. One for parcels that is asked for as `RETIRED` becomes that,
        and forgets its parcels and slots.

        Raises `HttpRefusal` where one of the ids is used otherwise, `LimitExceeded`.
        """

    async def delete(self, vault: bytes, read_id: bytes) -> None:
        """Deletes a mailbox with all that is in it; nothing happens where there is none."""

    async def find(self, mailbox: bytes) -> Deposit | None:
        """The mailbox with this write id."""

    async def put(self, mailbox: Deposit, parcel: Parcel, now: int) -> Placement | None:
        """Keeps a parcel if its slot takes it; a newer one replaces an older one. `None` where the mailbox is gone."""

    async def page(self, vault: bytes, after: int) -> ParcelPage:
        """What waits for `vault` and arrived after the cursor: at least one parcel if there is one."""

    async def delete_parcels(self, vault: bytes, hashes: Iterable[bytes]) -> None:
        """Deletes parcels by their SHA-256; unknown ones are passed over. Their sequences stay known, but in mailboxes
        of `FREED_KINDS`, whose slots are free again.
        """

    async def put_greeting(self, vault: bytes, link_id: bytes, sealed: bytes, expires: int) -> None:
        """Keeps a greeting; the same vault may put another one in its place.

        Raises `HttpRefusal` where the id belongs to another vault, `LimitExceeded`.
        """

    async def delete_greeting(self, vault: bytes, link_id: bytes) -> None:
        """Takes a greeting back; nothing happens where the vault has no such greeting."""

    async def find_greeting(self, link_id: bytes, now: int) -> bytes | None:
        """The sealed greeting under `link_id`, unless it has expired."""

    async def expire(self, now: int) -> bool:
        """Removes some of what is too old; returns whether there may be more.

        The slot of a parcel that nobody read takes the same sequence again: its sender must not be told "have". In
        mailboxes of `FREED_KINDS` it is free.
        """


class HandleStore(Protocol):
    """Handles, by their ids."""

    async def put(self, vault: bytes, handle: bytes, secret: bytes | None) -> None:
        """Keeps a handle for `vault`, to be found with `secret`, or by nobody; the same vault may change that.

        Raises `HttpRefusal` where it belongs to another vault, `LimitExceeded`.
        """

    async def delete(self, vault: bytes, handle: bytes) -> None:
        """Gives a handle up; nothing happens where the vault has no such handle."""

    async def find(self, handle: bytes) -> bytes | None:
        """What whoever asks for a handle gets. An unknown and a private one take the same steps."""


class RelayStore(Protocol):
    """Sealed requests to other servers, and their sealed answers."""

    async def waiting(self) -> list[Waiting]:
        """All requests that are queued, in the order in which they came."""

    async def put(self, vault: bytes, request: bytes, host: str, body: bytes, now: int) -> Waiting | None:
        """Queues a request. Returns it as it is queued, perhaps since earlier; `None` where its answer is there.

        One that was given up begins anew. Raises `LimitExceeded`, or `HttpRefusal` where it was for another host.
        """

    async def body(self, vault: bytes, request: bytes) -> bytes | None:
        """The sealed request itself, while it is queued."""

    async def look_up(self, vault: bytes, request: bytes) -> RelayAnswer:
        """How a request stands. Raises `HttpRefusal` (not found)."""

    async def answered(self, vault: bytes, request: bytes, answer: bytes, now: int) -> None:
        """Keeps the sealed answer in place of a queued request."""

    async def failed(self, vault: bytes, request: bytes, attempts: int, due: int, reason: str) -> None:
        """Remembers when a request is tried again, and why it has to be."""

    async def given_up(self, vault: bytes, request: bytes, reason: str, now: int) -> None:
        """The request is not tried any more."""

    async def forget(self, vault: bytes, request: bytes) -> None:
        """Deletes a request and its answer; nothing happens where there is none."""

    async def expire(self, now: int) -> bool:
        """Removes some of the answers that nobody collected; returns whether there may be more."""
