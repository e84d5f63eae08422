"""States, trust and slots of relationships."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.errors import Refused
from kith_protocol.relationship import (
    TRANSITIONS,
    Direction,
    RelationshipEvent,
    RelationshipState,
    Side,
    SlotKind,
    Trust,
    next_state,
    slot_of,
    trust_after,
)
from tests.protocol.people import fixed


@given(st.sampled_from(RelationshipState), st.sampled_from(RelationshipEvent))
def test_every_step_is_in_the_table_or_refused(state: RelationshipState, event: RelationshipEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(Refused) as caught:
            next_state(state, event)
        assert caught.value.code == "relationship-state"


def test_nothing_brings_an_ended_relationship_back() -> None:
    assert all(state is not RelationshipState.ENDED for state, _ in TRANSITIONS)


def test_every_state_can_end() -> None:
    ends = {state for (state, _), after in TRANSITIONS.items() if after is RelationshipState.ENDED}
    assert ends == set(RelationshipState) - {RelationshipState.ENDED}


def test_nobody_is_connected_without_a_proof_of_the_secret() -> None:
    proofs = {event for (state, event), after in TRANSITIONS.items() if after is RelationshipState.CONNECTED}
    proofs -= {RelationshipEvent.PARCEL_OPENED}
    assert proofs == {RelationshipEvent.FINISH_OPENED, RelationshipEvent.CONFIRMED}
    assert TRANSITIONS[RelationshipState.FINISHED, RelationshipEvent.PARCEL_OPENED] is RelationshipState.FINISHED


def test_parcels_wait_until_the_finish() -> None:
    assert {state for state in RelationshipState if state.waiting} == {
        RelationshipState.REQUESTED,
        RelationshipState.ANSWERED,
    }


def test_trust_only_rises() -> None:
    for trust, gained in itertools.product(Trust, Trust):
        assert trust_after(trust, gained) in (trust, gained)
        assert trust_after(trust, Trust.UNVERIFIED) is trust
    assert trust_after(Trust.UNVERIFIED, Trust.INTRODUCED) is Trust.INTRODUCED
    assert trust_after(Trust.INTRODUCED, Trust.VERIFIED) is Trust.VERIFIED
    assert trust_after(Trust.VERIFIED, Trust.INTRODUCED) is Trust.VERIFIED
    assert trust_after(Trust.MET, Trust.VERIFIED) is Trust.MET


def test_what_one_side_sends_the_other_receives() -> None:
    assert Side.INVITER.sends is Side.ACCEPTER.receives is Direction.TO_ACCEPTER
    assert Side.ACCEPTER.sends is Side.INVITER.receives is Direction.TO_INVITER


def test_slots_differ_by_secret_direction_kind_and_name() -> None:
    slots = {
        slot_of(fixed(secret), direction, kind, name)
        for secret in ("a", "b")
        for direction in Direction
        for kind in SlotKind
        for name in (b"", b"x" * 16)
    }
    assert len(slots) == 2 * 2 * len(SlotKind) * 2
    assert {len(slot) for slot in slots} == {16}
    assert slot_of(fixed("a"), Direction(0), SlotKind.ITEM, b"x") == slot_of(
        fixed("a"), Direction(0), SlotKind.ITEM, b"x"
    )
