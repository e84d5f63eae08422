"""What client and home server say to each other survives the trip, and nothing else is taken (spec: home-server.md)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol import wire
from kith_protocol.commit import MAX_CHANGES
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import DecodingError
from kith_protocol.mailbox import MailboxKind
from tests.protocol.people import fixed

ID, HASH, BLOB = fixed("id", 16), fixed("hash"), b"sealed"
BODIES: list[Statement] = [
    wire.Failure("head-moved", "Another device wrote first."),
    wire.Register("", b"genesis", b"keys"),
    wire.SessionRequest(b"statement", bytes(64)),
    wire.SessionGrant(HASH, 1),
    wire.Push(b"commit", b"keys", b"changes", ((ID, BLOB),)),
    wire.Head(3, HASH),
    wire.OpenMailbox(ID, HASH, MailboxKind.PARCELS),
    wire.PutGreeting(b"sealed", 1),
    wire.StoredParcel(ID, ID, 1, b"parcel"),
    wire.ParcelPage((wire.StoredParcel(ID, ID, 1, b"parcel"),), 7),
    wire.DeleteParcels((HASH,)),
    wire.RelayRequest("b.example", b"request"),
    wire.RelayAnswer(wire.RelayState.ANSWERED, b"answer", ""),
    wire.Nameplate("7", 1),
]
FRAMES: list[wire.Frame] = [
    wire.FeedHead(3, HASH, 12),
    wire.FeedCommit(b"commit", b"keys", b"changes"),
    wire.FeedRecords(((ID, BLOB),)),
    wire.FeedEnd(3),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_a_body_survives_the_trip(body: Statement) -> None:
    assert decode(encode(body), type(body)) == body


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_a_body_with_a_field_too_many_or_too_few_is_refused(body: Statement) -> None:
    fields = msgspec.msgpack.decode(encode(body))
    for wrong in ([*fields, None], fields[:-1]):
        with pytest.raises(DecodingError):
            decode(msgspec.msgpack.encode(wrong), type(body))


@pytest.mark.parametrize(
    "body",
    [
        wire.SessionRequest(b"statement", bytes(63)),
        wire.SessionGrant(bytes(31), 1),
        wire.Push(b"", b"", b"", ((ID[:15], BLOB),)),
        wire.Push(b"", b"", b"", ((ID, BLOB),) * (MAX_CHANGES + 1)),
        wire.Head(3, bytes(31)),
        wire.OpenMailbox(bytes(15), HASH, MailboxKind.PARCELS),
        wire.OpenMailbox(ID, bytes(31), MailboxKind.PARCELS),
        wire.PutGreeting(bytes(wire.MAX_GREETING_BYTES + 1), 1),
        wire.ParcelPage((wire.StoredParcel(ID, bytes(15), 1, b"parcel"),), 7),
    ],
    ids=lambda body: type(body).__name__,
)
def test_a_body_with_a_field_out_of_its_bounds_is_refused(body: Statement) -> None:
    with pytest.raises(DecodingError):
        decode(encode(body), type(body))


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_a_frame_of_a_feed_survives_the_trip_behind_its_length(frame: wire.Frame) -> None:
    raw = wire.encode_frame(frame)
    assert int.from_bytes(raw[:4], "big") == len(raw) - 4
    assert wire.decode_frame(raw[4:]) == frame


@pytest.mark.parametrize(
    "raw",
    [
        msgspec.msgpack.encode([5, 3]),
        msgspec.msgpack.encode([4, "3"]),
        msgspec.msgpack.encode([4]),
        msgspec.msgpack.encode([4, 3, 4]),
        msgspec.msgpack.encode([1, 3, bytes(31), 0]),
        msgspec.msgpack.encode([3, [[bytes(15), b""]]]),
        b"",
        b"\xc1",
        wire.encode_frame(FRAMES[0])[4:-1],
    ],
    ids=["unknown tag", "wrong type", "too few", "too many", "short hash", "short id", "empty", "no tag", "cut off"],
)
def test_something_that_is_no_frame_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodingError):
        wire.decode_frame(raw)


@given(st.binary(max_size=200))
def test_random_bytes_raise_no_other_error(raw: bytes) -> None:
    try:
        wire.decode_frame(raw)
    except DecodingError:
        return
