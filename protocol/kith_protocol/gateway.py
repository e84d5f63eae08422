"""The gateway: sealed requests from outside to a server, and its sealed answers (spec: gateway.md).

Made by clients, carried by relays that can read neither, opened by the destination server. Carrying is left to the
server's relay, deciding over an operation to `mailbox` and the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, Final, TypeVar

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import DecodingError, Undecryptable
from kith_protocol.handle import HANDLE_ID_BYTES
from kith_protocol.mailbox import MAILBOX_BYTES, MAX_SEQUENCE, SLOT_BYTES
from kith_protocol.padding import CLASSES, INNER_CLASSES, pad_to, smallest_class, unpad
from kith_protocol.server_statement import MAX_TIME, ServerStatement
from kith_protocol.suite import (
    BOX_OVERHEAD,
    HASH_BYTES,
    KEY_BYTES,
    SEAL_OVERHEAD,
    SIGNATURE_BYTES,
    SUITE,
    SealKey,
    decrypt,
    digest,
    encrypt,
    labelled_hash,
    seal,
)
from kith_protocol.wire import INVITE_SECRET_BYTES, MAX_RENDEZVOUS_BYTES, NAMEPLATE, RENDEZVOUS_MESSAGES

KEY_ID_BYTES: Final = 8
LINK_ID_BYTES: Final = 16
REQUEST_OVERHEAD: Final = KEY_ID_BYTES + SEAL_OVERHEAD
REQUEST_LIFETIME: Final = 14 * 24 * 3600 * 1000
"""Milliseconds that a request lives by default: as long as a relay keeps trying."""
UNREADABLE: Final = b"kith/1/unreadable".ljust(CLASSES[0], b"\x00")
"""What a gateway answers to every request that it cannot read. Always the same bytes; anybody could have sent them."""

_UNREADABLE_TEXT: Final = "A sealed request cannot be read."


class Operation(IntEnum):
    """What may be asked from outside. All are idempotent."""

    GREETING = 1
    PUT = 2
    LEAVE = 3
    LOOK = 4
    LOOK_UP = 5


class FetchGreeting(Statement, frozen=True):
    """Arguments of `GREETING`."""

    SIZES: ClassVar[Mapping[str, int]] = {"link_id": LINK_ID_BYTES}

    link_id: bytes


class Put(Statement, frozen=True):
    """Arguments of `PUT`."""

    SIZES: ClassVar[Mapping[str, int]] = {
        "mailbox": MAILBOX_BYTES,
        "slot": SLOT_BYTES,
        "signature": SIGNATURE_BYTES,
    }

    mailbox: bytes
    slot: bytes
    sequence: int
    parcel: bytes
    signature: bytes

    def check(self) -> None:
        super().check()
        if not 0 <= self.sequence <= MAX_SEQUENCE:
            raise DecodingError("The sequence of a put is out of its bounds.")
        if len(self.parcel) not in INNER_CLASSES:
            raise DecodingError("A parcel has exactly one of the four sizes.")


class LeaveMessage(Statement, frozen=True):
    """Arguments of `LEAVE`: a message of the one who types a code for meeting, at the rendezvous of the one who
    shows it."""

    nameplate: str
    index: int
    message: bytes

    def check(self) -> None:
        super().check()
        _check_place(self.nameplate, self.index)
        if len(self.message) > MAX_RENDEZVOUS_BYTES:
            raise DecodingError("A message at a rendezvous is too long.")


class LookForMessage(Statement, frozen=True):
    """Arguments of `LOOK`: a message of the one who shows the code."""

    nameplate: str
    index: int

    def check(self) -> None:
        super().check()
        _check_place(self.nameplate, self.index)


class LookUp(Statement, frozen=True):
    """Arguments of `LOOK_UP`."""

    SIZES: ClassVar[Mapping[str, int]] = {"handle": HANDLE_ID_BYTES}

    handle: bytes
    """Its id (`handle.handle_id`)."""


Arguments = FetchGreeting | Put | LeaveMessage | LookForMessage | LookUp

_ARGUMENTS: Final[Mapping[Operation, type[Arguments]]] = {
    Operation.GREETING: FetchGreeting,
    Operation.PUT: Put,
    Operation.LEAVE: LeaveMessage,
    Operation.LOOK: LookForMessage,
    Operation.LOOK_UP: LookUp,
}
_OPERATION: Final = {kind: operation for operation, kind in _ARGUMENTS.items()}
_ANSWER_CLASS: Final[Mapping[Operation, int]] = {
    Operation.GREETING: CLASSES[1],
    Operation.PUT: CLASSES[0],
    Operation.LEAVE: CLASSES[0],
    Operation.LOOK: CLASSES[1],
    Operation.LOOK_UP: CLASSES[0],
}
"""The least size of an answer: the same whether there was something or not."""


class Request(Statement, frozen=True):
    """What is sealed."""

    SIZES: ClassVar[Mapping[str, int]] = {"response_key": KEY_BYTES}

    suite: int
    operation: Operation
    arguments: bytes
    response_key: bytes
    """Fresh for each request; the answer comes encrypted under it."""
    expires: int
    """Milliseconds since 1970."""

    def check(self) -> None:
        super().check()
        if self.suite != SUITE or not 0 <= self.expires <= MAX_TIME:
            raise DecodingError("A request names an unknown suite, or expires out of bounds.")


class GreetingStatus(IntEnum):
    FOUND = 0
    NOT_FOUND = 1
    """Unknown, expired, revoked and used up look the same."""


class GreetingResult(Statement, frozen=True):
    status: GreetingStatus
    greeting: bytes = b""


class PutStatus(IntEnum):
    STORED = 0
    HAVE = 1
    """This sequence was stored before: as good as stored."""
    NO_MAILBOX = 2
    """No such mailbox, or the signature does not fit it: both look the same from outside."""
    LOWER_SEQUENCE = 3
    FULL = 4
    """No room now; later, perhaps."""
    TAKEN = 5
    """The slot of an answer is used."""


class PutResult(Statement, frozen=True):
    status: PutStatus

    @property
    def receipted(self) -> bool:
        """Whether the parcel has arrived and need not be sent again."""
        return self.status in (PutStatus.STORED, PutStatus.HAVE)


class RendezvousStatus(IntEnum):
    DONE = 0
    """The message is there: left, or found."""
    NO_NAMEPLATE = 1
    """Unknown, expired, burned, or for another purpose: all look the same."""
    NOT_YET = 2
    """The other side has not left it."""
    TAKEN = 3
    """Another message is in this place."""
    LATER = 4
    """Too many wrong nameplates came from this network."""


class RendezvousResult(Statement, frozen=True):
    """Of `LEAVE` and `LOOK`; a message only where one was found."""

    status: RendezvousStatus
    message: bytes = b""


class LookUpStatus(IntEnum):
    FOUND = 0
    NOT_FOUND = 1
    """Unknown, private and given up look the same."""
    LATER = 2
    """Too many look-ups came from this relay; decided before anything is looked up."""


class LookUpResult(Statement, frozen=True):
    status: LookUpStatus
    secret: bytes = b""
    """Of a reusable invite on this server; only where somebody was found."""

    def check(self) -> None:
        super().check()
        if len(self.secret) != (INVITE_SECRET_BYTES if self.status is LookUpStatus.FOUND else 0):
            raise DecodingError("A look-up gives the secret of an invite, or none.")


Result = GreetingResult | PutResult | RendezvousResult | LookUpResult


def gateway_key_id(gateway_key: bytes) -> bytes:
    """Names a public gateway key in front of what is sealed to it, 8 bytes."""
    return labelled_hash(labels.GATEWAY_KEY_ID, gateway_key)[:KEY_ID_BYTES]


def make_request(arguments: Arguments, response_key: bytes, expires: int) -> Request:
    """The request for `arguments`; `response_key` is 32 fresh random bytes, `expires` in milliseconds."""
    arguments.check()
    request = Request(SUITE, _OPERATION[type(arguments)], encode(arguments), response_key, expires)
    request.check()
    return request


def seal_request(statement: ServerStatement, request: Request) -> bytes:
    """`key id ‖ HPKE(pad(request))`, exactly of the smallest class that holds it.

    Raises `LimitExceeded` where it fits none.
    """
    plaintext = encode(request)
    size = smallest_class(len(plaintext), CLASSES, REQUEST_OVERHEAD)
    key_id = gateway_key_id(statement.gateway_key)
    padded = pad_to(plaintext, size - REQUEST_OVERHEAD)
    context = (statement.fingerprint, key_id)
    return key_id + seal(statement.gateway_key, labels.GATEWAY_REQUEST, *context, plaintext=padded)


def open_request(keys: Mapping[bytes, SealKey], fingerprint: bytes, raw: bytes, now: int) -> Request:
    """The request inside `raw`; `keys` maps key ids to the gateway keys still kept, `now` in milliseconds.

    Whatever is wrong (size, key, contents, arguments, expiry) raises `Undecryptable`: answer `UNREADABLE`.
    """
    key = keys.get(raw[:KEY_ID_BYTES])
    if key is None or len(raw) not in CLASSES:
        raise Undecryptable(_UNREADABLE_TEXT)
    context = (fingerprint, raw[:KEY_ID_BYTES])
    padded = key.open(labels.GATEWAY_REQUEST, *context, sealed=raw[KEY_ID_BYTES:])
    try:
        request = decode(unpad(padded), Request)
        arguments_of(request)
    except DecodingError:
        raise Undecryptable(_UNREADABLE_TEXT) from None
    if request.expires < now:
        raise Undecryptable(_UNREADABLE_TEXT)
    return request


def arguments_of(request: Request) -> Arguments:
    """The decoded arguments of a request. Raises `DecodingError`; never for one that `open_request` gave."""
    return decode(request.arguments, _ARGUMENTS[request.operation])


def request_hash(raw: bytes) -> bytes:
    """Names a sealed request: in the relay's queue, and in the answer's associated data. 32 bytes."""
    return digest(raw)


def seal_answer(request: Request, request_hash: bytes, result: Result, *, nonce: bytes) -> bytes:
    """The answer to `request`, exactly of one class; `nonce` is 24 fresh random bytes."""
    plaintext = encode(result)
    least = _ANSWER_CLASS[request.operation]
    size = max(least, smallest_class(len(plaintext), CLASSES, BOX_OVERHEAD))
    padded = pad_to(plaintext, size - BOX_OVERHEAD)
    return encrypt(request.response_key, labels.GATEWAY_ANSWER, request_hash, padded, nonce=nonce)


def open_greeting_answer(response_key: bytes, request_hash: bytes, raw: bytes) -> GreetingResult:
    """The sealed answer to a `GREETING`. Raises `Undecryptable`, also for `UNREADABLE`."""
    return _open_answer(response_key, request_hash, raw, GreetingResult)


def open_put_answer(response_key: bytes, request_hash: bytes, raw: bytes) -> PutResult:
    """The sealed receipt of a `PUT`. Raises `Undecryptable`, also for `UNREADABLE`."""
    return _open_answer(response_key, request_hash, raw, PutResult)


def open_rendezvous_answer(response_key: bytes, request_hash: bytes, raw: bytes) -> RendezvousResult:
    """The sealed answer to a `LEAVE` or `LOOK`. Raises `Undecryptable`, also for `UNREADABLE`."""
    return _open_answer(response_key, request_hash, raw, RendezvousResult)


def _check_place(nameplate: str, index: int) -> None:
    if NAMEPLATE.fullmatch(nameplate) is None or not 0 <= index < RENDEZVOUS_MESSAGES:
        raise DecodingError("A place at a rendezvous is out of its bounds.")


def open_look_up_answer(response_key: bytes, request_hash: bytes, raw: bytes) -> LookUpResult:
    """The sealed answer to a `LOOK_UP`. Raises `Undecryptable`, also for `UNREADABLE`."""
    return _open_answer(response_key, request_hash, raw, LookUpResult)


_Result = TypeVar("_Result", GreetingResult, PutResult, RendezvousResult, LookUpResult)


def _open_answer(key: bytes, request: bytes, raw: bytes, kind: type[_Result]) -> _Result:
    if len(raw) not in CLASSES or len(request) != HASH_BYTES:
        raise Undecryptable("An answer has the wrong size.")
    try:
        return decode(unpad(decrypt(key, labels.GATEWAY_ANSWER, request, raw)), kind)
    except DecodingError:
        raise Undecryptable("An answer holds something else than a result.") from None
