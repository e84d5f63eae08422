"""Damaged records are refused with one error, which says nothing of what stood in them."""

from __future__ import annotations

import pytest

from kith_client.relations import records
from kith_client.relations.verify import safety_number_of
from kith_client.stamp import of_kind
from kith_protocol.content import Content, Unit
from kith_protocol.encoding import Value
from kith_protocol.errors import DecodingError, Refused
from tests.client.relations.people import World


@pytest.fixture(scope="module")
def world() -> World:
    world = World.of("Anna Beck", "Bob Kay")
    world.connect("anna", "bob", ("work",))
    return world


@pytest.mark.parametrize(
    ("kind", "unit", "value"),
    [
        ("channel", "state", "flying"),
        ("channel", "state", None),
        ("channel", "peer", "text"),
        ("channel", "established", b"\x90"),
        ("channel", "receipt/00", "one"),
        ("channel", "receipt/00", True),
        ("channel", "receipt/zz", 1),
        ("channel", "item/00", [1, 2]),
        ("invite", "invite", b""),
        ("invite", "expires", "soon"),
        ("invite", "state", "lost"),
        ("peer", "name", 5),
        ("peer", "share/zz", True),
        ("theirs", "version", "one"),
        ("theirs", "payload", "text"),
    ],
)
def test_a_damaged_record_is_refused(world: World, kind: str, unit: str, value: Value) -> None:
    anna = world["anna"]
    record, content = next(iter(of_kind(anna.contents, kind).items()))
    contents = {**anna.contents, record: Content(kind, {**content.units, unit: Unit(value, 1)})}
    with pytest.raises(DecodingError) as caught:
        records.channels(contents), records.invites(contents), records.peers(contents), records.their_items(contents)
    assert str(value) not in str(caught.value) or value in ("", None, True, 1, 5)


def test_a_facet_or_share_that_was_switched_off_does_not_count(world: World) -> None:
    anna = world["anna"]
    record, content = next(iter(of_kind(anna.contents, "peer").items()))
    off = {"facet/work": Unit(False, 1), "share/" + "00" * 16: Unit(False, 1)}
    peer = records.read_peer(record, Content("peer", {**content.units, **off}))
    assert (peer.facets, peer.shares) == ((), ())


def test_a_vault_without_a_persona_cannot_connect(world: World) -> None:
    with pytest.raises(DecodingError):
        records.own_persona({})


def test_what_is_no_peer_has_no_number(world: World) -> None:
    anna = world["anna"]
    with pytest.raises(Refused, match="no such peer"):
        safety_number_of(anna.contents, b"?" * 16)
    record, content = next(iter(of_kind(anna.contents, "peer").items()))
    lost = {**anna.contents, record: Content("peer", {**content.units, "channel": Unit(b"?" * 16, 1)})}
    with pytest.raises(Refused, match="Nothing is known"):
        safety_number_of(lost, record)


def test_a_channel_without_its_handshake_is_damaged(world: World) -> None:
    record, content = next(iter(of_kind(world["anna"].contents, "channel").items()))
    units = {key: unit for key, unit in content.units.items() if key != "established"}
    with pytest.raises(DecodingError):
        _ = records.read_channel(record, Content("channel", units)).inbox
