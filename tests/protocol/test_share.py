"""What peers let each other have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.encoding import encode
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.parcel import MAX_ITEMS, Share, Withdraw
from kith_protocol.share import (
    MAX_NOTE_BYTES,
    MAX_PARAMETERS,
    MAX_PAYLOAD_BYTES,
    MAX_PHOTO_BYTES,
    MAX_PROPERTIES,
    MAX_VALUE_BYTES,
    WITHDRAWN,
    CardView,
    ContactCard,
    Decision,
    NoteKind,
    Payload,
    SharedNote,
    SharedPhoto,
    SharedProperty,
    ShareKind,
    apply_share,
    digest_of,
    make_share,
    payload_of,
)
from tests.protocol.people import NOW, fixed

ITEM = fixed("item", 16)
TEL = SharedProperty("item1", "TEL", (("TYPE", ("home", "cell")), ("X-Ä", ("1",))), "+49 40 1234")
NOTE = SharedNote(NoteKind.MET, NOW, "Carla Ruiz", "wants to try fencing")
PHOTO = SharedPhoto(ITEM, "image/jpeg", bytes(MAX_PHOTO_BYTES))
PAYLOADS = (CardView((TEL,)), CardView(()), ContactCard("Carla", (TEL,)), NOTE, PHOTO)

Known = dict[bytes, tuple[int, bytes]]


def prop(name: str = "TEL", value: str = "1", group: str = "", **params: str) -> SharedProperty:
    return SharedProperty(group, name, tuple((key, (text,)) for key, text in params.items()), value)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_is_shared_arrives(payload: Payload) -> None:
    assert payload_of(make_share(ITEM, 1, payload)) == payload


@pytest.mark.parametrize(("item", "version"), [(ITEM, 0), (ITEM, 2**53 + 1), (b"short", 1)])
def test_a_share_with_a_wrong_item_or_version_is_not_made(item: bytes, version: int) -> None:
    with pytest.raises(DecodingError):
        make_share(item, version, NOTE)


def test_a_photo_of_the_largest_size_fits_a_parcel() -> None:
    assert len(encode(PHOTO)) < MAX_PAYLOAD_BYTES


@pytest.mark.parametrize(
    "payload",
    [
        CardView((prop(),) * (MAX_PROPERTIES + 1)),
        CardView((prop(name=""),)),
        CardView((prop(name="X" * 129),)),
        CardView((prop(group="g" * 129),)),
        CardView((prop(value="Ä" * (MAX_VALUE_BYTES // 2 + 1)),)),
        CardView((prop(X="y" * 4096),)),
        CardView((prop(**{f"X{n}": "" for n in range(MAX_PARAMETERS + 1)}),)),
        CardView((prop(value="x" * MAX_VALUE_BYTES),) * 4),
        ContactCard("x" * 257, ()),
        ContactCard("x", (prop(name=""),)),
        SharedNote(NoteKind.NOTE, 2**53 + 1, "", ""),
        SharedNote(NoteKind.NOTE, 0, "x" * 257, ""),
        SharedNote(NoteKind.NOTE, 0, "", "x" * (MAX_NOTE_BYTES + 1)),
        SharedPhoto(ITEM, "image/png", b""),
        SharedPhoto(ITEM, "image/png", bytes(MAX_PHOTO_BYTES + 1)),
        SharedPhoto(ITEM, "text/html", b"x"),
        SharedPhoto(ITEM, "image/" + "x" * 64, b"x"),
        SharedPhoto(b"short", "image/png", b"x"),
    ],
)
def test_a_payload_out_of_its_bounds_is_neither_sent_nor_taken(payload: Payload) -> None:
    with pytest.raises(DecodingError):
        make_share(ITEM, 1, payload)
    kind = make_share(ITEM, 1, next(good for good in PAYLOADS if type(good) is type(payload))).kind
    with pytest.raises(DecodingError):
        payload_of(Share(ITEM, 1, kind, encode(payload)))


@pytest.mark.parametrize("payload", [b"", b"\xff", encode(NOTE)[:-1], b"\x94\x7f\x00\xa0\xa0"])
def test_a_payload_that_is_not_of_its_kind_is_refused(payload: bytes) -> None:
    for kind in ShareKind:
        with pytest.raises(DecodingError):
            payload_of(Share(ITEM, 1, kind, payload))


def test_a_kind_from_the_future_is_not_an_error() -> None:
    share = Share(ITEM, 1, 99, b"whatever")
    assert payload_of(share) is None
    assert apply_share({}, share) is Decision.TAKE


def test_the_newest_version_wins() -> None:
    known: Known = {ITEM: (5, digest_of(make_share(ITEM, 5, NOTE)))}
    assert apply_share(known, make_share(ITEM, 6, NOTE)) is Decision.TAKE
    assert apply_share(known, make_share(ITEM, 5, NOTE)) is Decision.IGNORE
    assert apply_share(known, make_share(ITEM, 4, CardView(()))) is Decision.IGNORE
    assert apply_share(known, Withdraw(ITEM, 6)) is Decision.TAKE
    assert apply_share(known, Withdraw(ITEM, 4)) is Decision.IGNORE


def test_what_was_withdrawn_does_not_come_back_by_an_old_parcel() -> None:
    known: Known = {ITEM: (6, WITHDRAWN)}
    assert apply_share(known, make_share(ITEM, 5, NOTE)) is Decision.IGNORE
    assert apply_share(known, Withdraw(ITEM, 6)) is Decision.IGNORE
    assert apply_share(known, make_share(ITEM, 7, NOTE)) is Decision.TAKE


@pytest.mark.parametrize(
    "message", [make_share(ITEM, 5, CardView(())), Withdraw(ITEM, 5), Share(ITEM, 5, 99, encode(NOTE))]
)
def test_two_contents_under_one_version_are_refused(message: Share | Withdraw) -> None:
    with pytest.raises(Refused) as caught:
        apply_share({ITEM: (5, digest_of(make_share(ITEM, 5, NOTE)))}, message)
    assert caught.value.code == "item-equivocation"


def test_a_peer_shares_no_more_items_than_allowed() -> None:
    known: Known = {n.to_bytes(16, "big"): (1, b"digest") for n in range(MAX_ITEMS)}
    with pytest.raises(Refused) as caught:
        apply_share(known, make_share(ITEM, 1, NOTE))
    assert caught.value.code == "too-many-items"
    assert apply_share(known, make_share(bytes(16), 2, NOTE)) is Decision.TAKE
    assert apply_share(known, Withdraw(ITEM, 1)) is Decision.TAKE
    known[bytes(16)] = (2, WITHDRAWN)
    assert apply_share(known, make_share(ITEM, 1, NOTE)) is Decision.TAKE


@given(st.permutations(range(8)), st.lists(st.sampled_from(range(8)), max_size=8))
def test_peers_agree_in_whatever_order_and_however_often_messages_come(order: list[int], again: list[int]) -> None:
    messages: list[Share | Withdraw] = [make_share(ITEM, n, NOTE) if n % 3 else Withdraw(ITEM, n) for n in range(1, 9)]
    known: Known = {}
    for index in [*order, *again]:
        message = messages[index]
        if apply_share(known, message) is Decision.TAKE:
            known[message.item] = (message.version, digest_of(message))
    assert known[ITEM] == (8, digest_of(messages[7]))
