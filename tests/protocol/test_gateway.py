"""Sealed requests and answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol import labels
from kith_protocol.encoding import encode
from kith_protocol.errors import DecodingError, LimitExceeded, Undecryptable
from kith_protocol.gateway import (
    REQUEST_OVERHEAD,
    UNREADABLE,
    Arguments,
    FetchGreeting,
    GreetingResult,
    GreetingStatus,
    LeaveMessage,
    LookForMessage,
    LookUp,
    LookUpResult,
    LookUpStatus,
    Operation,
    Put,
    PutResult,
    PutStatus,
    RendezvousResult,
    RendezvousStatus,
    Request,
    arguments_of,
    gateway_key_id,
    make_request,
    open_greeting_answer,
    open_look_up_answer,
    open_put_answer,
    open_rendezvous_answer,
    open_request,
    request_hash,
    seal_answer,
    seal_request,
)
from kith_protocol.padding import CLASSES, INNER_CLASSES, pad_to
from kith_protocol.server_statement import ServerStatement
from kith_protocol.suite import SealKey, SignKey, encrypt, seal
from kith_protocol.wire import MAX_RENDEZVOUS_BYTES
from tests.protocol.people import DAY, NOW, fixed

GATEWAY = SealKey(fixed("gateway"))
STATEMENT = ServerStatement(1, "a.example", SignKey(fixed("key")).public, (1,), GATEWAY.public, NOW, NOW + DAY)
KEYS = {gateway_key_id(GATEWAY.public): GATEWAY}
RESPONSE = fixed("response")
FETCH = FetchGreeting(fixed("link", 16))
LOOK = LookForMessage("427316", 4)
LEAVE = LeaveMessage("427316", 4, bytes(MAX_RENDEZVOUS_BYTES))
LOOK_UP = LookUp(fixed("handle"))
NONCE = fixed("nonce", 24)


def put(size: int = INNER_CLASSES[0], sequence: int = 1) -> Put:
    return Put(fixed("mailbox", 16), fixed("slot", 16), sequence, bytes(size), bytes(64))


def opened(raw: bytes, *, now: int = NOW) -> Request:
    return open_request(KEYS, STATEMENT.fingerprint, raw, now)


def sealed_by_hand(padded: bytes, fingerprint: bytes = STATEMENT.fingerprint) -> bytes:
    """Seals what `seal_request` would never seal."""
    key_id = gateway_key_id(GATEWAY.public)
    return key_id + seal(GATEWAY.public, labels.GATEWAY_REQUEST, fingerprint, key_id, plaintext=padded)


def unreadable(raw: bytes, *, now: int = NOW) -> None:
    with pytest.raises(Undecryptable):
        opened(raw, now=now)


@pytest.mark.parametrize("arguments", [FETCH, *(put(size, 2**53) for size in INNER_CLASSES), LOOK, LEAVE, LOOK_UP])
def test_a_request_comes_back_from_exactly_one_class(arguments: Arguments) -> None:
    request = make_request(arguments, RESPONSE, 2**53)
    raw = seal_request(STATEMENT, request)
    assert len(raw) in CLASSES
    if isinstance(arguments, Put):
        assert len(raw) == CLASSES[INNER_CLASSES.index(len(arguments.parcel))]
    assert opened(raw) == request
    assert arguments_of(request) == arguments


def test_what_goes_around_a_parcel_fits_the_allowance() -> None:
    largest = len(encode(make_request(put(INNER_CLASSES[3], 2**53), RESPONSE, 2**53)))
    assert largest + 1 + REQUEST_OVERHEAD <= CLASSES[3]


def test_two_requests_for_the_same_thing_look_different() -> None:
    request = make_request(FETCH, RESPONSE, NOW)
    assert seal_request(STATEMENT, request) != seal_request(STATEMENT, request)


def test_a_request_to_another_server_or_key_is_unreadable() -> None:
    raw = seal_request(STATEMENT, make_request(FETCH, RESPONSE, NOW))
    with pytest.raises(Undecryptable):
        open_request(KEYS, bytes(16), raw, NOW)
    with pytest.raises(Undecryptable):
        open_request({}, STATEMENT.fingerprint, raw, NOW)
    with pytest.raises(Undecryptable):
        open_request({gateway_key_id(GATEWAY.public): SealKey(fixed("x"))}, STATEMENT.fingerprint, raw, NOW)


def test_an_older_gateway_key_still_opens_what_was_queued() -> None:
    raw = seal_request(STATEMENT, make_request(FETCH, RESPONSE, NOW))
    newer = SealKey(fixed("newer"))
    keys = {gateway_key_id(newer.public): newer, **KEYS}
    assert open_request(keys, STATEMENT.fingerprint, raw, NOW)


@given(st.integers(0, CLASSES[0] - 1))
def test_a_request_with_any_bit_changed_is_unreadable(position: int) -> None:
    raw = bytearray(RAW_FETCH)
    raw[position] ^= 1
    unreadable(bytes(raw))


RAW_FETCH = seal_request(STATEMENT, make_request(FETCH, RESPONSE, NOW))


@pytest.mark.parametrize("raw", [b"", RAW_FETCH[:-1], RAW_FETCH + b"\x00", bytes(CLASSES[0]), UNREADABLE])
def test_what_is_no_request_is_unreadable(raw: bytes) -> None:
    unreadable(raw)


def test_a_request_of_no_class_is_unreadable_even_if_it_opens() -> None:
    plain = encode(make_request(FETCH, RESPONSE, NOW))
    raw = sealed_by_hand(pad_to(plain, 500))
    assert GATEWAY.open(labels.GATEWAY_REQUEST, STATEMENT.fingerprint, raw[:8], sealed=raw[8:])
    unreadable(raw)


def test_an_expired_request_is_unreadable() -> None:
    raw = seal_request(STATEMENT, make_request(FETCH, RESPONSE, NOW))
    opened(raw, now=NOW)
    unreadable(raw, now=NOW + 1)


@pytest.mark.parametrize(
    "request_",
    [
        Request(2, Operation.GREETING, encode(FETCH), RESPONSE, NOW),
        Request(1, Operation.PUT, encode(FETCH), RESPONSE, NOW),
        Request(1, Operation.GREETING, encode(put()), RESPONSE, NOW),
        Request(1, Operation.GREETING, b"", RESPONSE, NOW),
        Request(1, Operation.GREETING, encode(FETCH), RESPONSE[1:], NOW),
        Request(1, Operation.GREETING, encode(FETCH), RESPONSE, -1),
        Request(1, Operation.GREETING, encode(FETCH), RESPONSE, 2**53 + 1),
        Request(1, Operation.GREETING, encode(FetchGreeting(bytes(15))), RESPONSE, NOW),
        Request(1, Operation.LOOK_UP, encode(FETCH), RESPONSE, NOW),
        Request(1, Operation.LOOK_UP, encode(LookUp(bytes(31))), RESPONSE, NOW),
        Request(1, Operation.PUT, encode(put(100)), RESPONSE, NOW),
        Request(1, Operation.PUT, encode(Put(bytes(16), bytes(15), 1, bytes(2560), bytes(64))), RESPONSE, NOW),
        Request(1, Operation.PUT, encode(put(sequence=-1)), RESPONSE, NOW),
        Request(1, Operation.PUT, encode(put(sequence=2**53 + 1)), RESPONSE, NOW),
    ],
)
def test_a_request_that_opens_and_is_wrong_is_unreadable_all_the_same(request_: Request) -> None:
    unreadable(sealed_by_hand(pad_to(encode(request_), CLASSES[0] - REQUEST_OVERHEAD)))


def test_an_unknown_operation_and_damaged_padding_are_unreadable_too() -> None:
    size = CLASSES[0] - REQUEST_OVERHEAD
    raw = encode(make_request(FETCH, RESPONSE, NOW))
    unreadable(sealed_by_hand(pad_to(raw[:2] + b"\x7f" + raw[3:], size)))
    unreadable(sealed_by_hand(bytes(size)))


def test_a_client_does_not_make_requests_that_are_wrong() -> None:
    for arguments, key, expires in ((put(100), RESPONSE, NOW), (FETCH, b"", NOW), (FETCH, RESPONSE, 2**53 + 1)):
        with pytest.raises(DecodingError):
            make_request(arguments, key, expires)
    with pytest.raises(LimitExceeded):
        seal_request(STATEMENT, Request(1, Operation.PUT, bytes(CLASSES[3]), RESPONSE, NOW))


def test_a_receipt_comes_back() -> None:
    request = make_request(put(), RESPONSE, NOW)
    for status in PutStatus:
        raw = seal_answer(request, request_hash(b"raw"), PutResult(status), nonce=NONCE)
        assert len(raw) == CLASSES[0]
        found = open_put_answer(RESPONSE, request_hash(b"raw"), raw)
        assert (found.status, found.receipted) == (status, status in (PutStatus.STORED, PutStatus.HAVE))


def test_an_answer_looks_the_same_whether_there_is_a_greeting_or_not() -> None:
    request, name = make_request(FETCH, RESPONSE, NOW), request_hash(b"raw")
    found = GreetingResult(GreetingStatus.FOUND, bytes(INNER_CLASSES[1]))
    sizes = set()
    for result in (found, GreetingResult(GreetingStatus.NOT_FOUND)):
        raw = seal_answer(request, name, result, nonce=NONCE)
        assert open_greeting_answer(RESPONSE, name, raw) == result
        sizes.add(len(raw))
    assert sizes == {CLASSES[1]}


def test_a_message_of_a_handshake_passes_a_rendezvous_in_the_second_class() -> None:
    assert len(seal_request(STATEMENT, make_request(LEAVE, RESPONSE, NOW))) == CLASSES[1]


def test_an_answer_about_a_rendezvous_looks_the_same_whatever_was_there() -> None:
    look, name = make_request(LOOK, RESPONSE, NOW), request_hash(b"raw")
    results = [RendezvousResult(status) for status in RendezvousStatus]
    results.append(RendezvousResult(RendezvousStatus.DONE, bytes(MAX_RENDEZVOUS_BYTES)))
    sizes = set()
    for result in results:
        raw = seal_answer(look, name, result, nonce=NONCE)
        assert open_rendezvous_answer(RESPONSE, name, raw) == result
        sizes.add(len(raw))
    assert sizes == {CLASSES[1]}
    leave = make_request(LEAVE, RESPONSE, NOW)
    assert {len(seal_answer(leave, name, RendezvousResult(status), nonce=NONCE)) for status in RendezvousStatus} == {
        CLASSES[0]
    }


@pytest.mark.parametrize(
    ("nameplate", "index", "size"),
    [
        ("0", 0, 0),
        ("042", 0, 0),
        ("1234567", 0, 0),
        ("", 0, 0),
        ("x", 0, 0),
        ("7", -1, 0),
        ("7", 6, 0),
        ("7", 0, 14849),
    ],
)
def test_a_place_at_a_rendezvous_that_cannot_be_is_not_asked_for(nameplate: str, index: int, size: int) -> None:
    with pytest.raises(DecodingError):
        make_request(LeaveMessage(nameplate, index, bytes(size)), RESPONSE, NOW)
    if not size:
        with pytest.raises(DecodingError):
            make_request(LookForMessage(nameplate, index), RESPONSE, NOW)


def test_an_answer_looks_the_same_whether_somebody_is_found_or_not_or_the_relay_asks_too_often() -> None:
    request, name = make_request(LOOK_UP, RESPONSE, NOW), request_hash(b"raw")
    sizes = set()
    for status in LookUpStatus:
        result = LookUpResult(status, bytes(32) if status is LookUpStatus.FOUND else b"")
        raw = seal_answer(request, name, result, nonce=NONCE)
        assert open_look_up_answer(RESPONSE, name, raw) == result
        sizes.add(len(raw))
    assert sizes == {CLASSES[0]}


@pytest.mark.parametrize("status", LookUpStatus)
@pytest.mark.parametrize("secret", [b"", bytes(16), bytes(32), bytes(33)])
def test_a_secret_comes_with_somebody_who_is_found_and_with_nobody_else(status: LookUpStatus, secret: bytes) -> None:
    request, name = make_request(LOOK_UP, RESPONSE, NOW), request_hash(b"raw")
    raw = seal_answer(request, name, LookUpResult(status, secret), nonce=NONCE)
    if len(secret) == (32 if status is LookUpStatus.FOUND else 0):
        assert open_look_up_answer(RESPONSE, name, raw).secret == secret
    else:
        with pytest.raises(Undecryptable):
            open_look_up_answer(RESPONSE, name, raw)


def test_an_answer_to_another_request_or_under_another_key_is_refused() -> None:
    raw = seal_answer(make_request(put(), RESPONSE, NOW), request_hash(b"1"), PutResult(PutStatus.STORED), nonce=NONCE)
    with pytest.raises(Undecryptable):
        open_put_answer(RESPONSE, request_hash(b"2"), raw)
    with pytest.raises(Undecryptable):
        open_put_answer(bytes(32), request_hash(b"1"), raw)
    with pytest.raises(Undecryptable):
        open_greeting_answer(RESPONSE, request_hash(b"1"), raw)
    with pytest.raises(Undecryptable):
        open_put_answer(RESPONSE, b"short", raw)


@pytest.mark.parametrize("raw", [b"", UNREADABLE, bytes(CLASSES[1]), bytes(100)])
def test_a_relay_cannot_make_up_a_receipt(raw: bytes) -> None:
    with pytest.raises(Undecryptable):
        open_put_answer(RESPONSE, request_hash(b"1"), raw)


def test_an_answer_of_no_class_is_refused_even_if_it_opens() -> None:
    plain, name = pad_to(encode(PutResult(PutStatus.STORED)), 100), request_hash(b"1")
    raw = encrypt(RESPONSE, labels.GATEWAY_ANSWER, name, plain, nonce=NONCE)
    with pytest.raises(Undecryptable):
        open_put_answer(RESPONSE, name, raw)


def test_unreadable_is_always_the_same_and_of_a_class() -> None:
    assert len(UNREADABLE) == CLASSES[0]
    assert UNREADABLE.rstrip(b"\x00") == b"kith/1/unreadable"
