"""The handshake, step by step; `test_handshake_attacks` has those who would like to stand in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kith_protocol import handshake_state
from kith_protocol.encoding import decode, encode
from kith_protocol.errors import (
    Alarm,
    AlarmCode,
    BadSignature,
    DecodingError,
    LimitExceeded,
    Refused,
    Undecryptable,
)
from kith_protocol.handshake import (
    ANSWER_BYTES,
    FINISH_CLASSES,
    Established,
    PendingAnswer,
    answer_slot,
    make_answer,
    make_finish,
    open_answer,
    open_finish,
)
from kith_protocol.host import MAX_HOST_BYTES
from kith_protocol.invite import MAX_NAME_BYTES, OwnInvite
from kith_protocol.mailbox import OwnMailbox
from kith_protocol.parcel import ParcelBody, ParcelContext, Share, open_parcel, seal_parcel
from kith_protocol.persona import OwnPersona
from kith_protocol.relationship import Side, SlotKind, slot_of
from kith_protocol.suite import SealKey
from tests.protocol.people import (
    BAD_ADDRESS,
    answer_by,
    finish_by,
    fixed,
    greeting_of,
    invite_by,
    mailbox_of,
    pairing,
    persona_of,
    replace_statement,
)

ANNA, BOB, MALLORY = persona_of("anna"), persona_of("bob"), persona_of("mallory")
NONCE = fixed("nonce", 24)
SUITE = b"\x01"


# The way it should go


def test_both_sides_end_with_one_secret_and_each_others_keys() -> None:
    anna, bob = pairing().anna, pairing().bob
    assert (anna.rs, anna.relationship, anna.confirm) == (bob.rs, bob.relationship, bob.confirm)
    assert (anna.side, bob.side) == (Side.INVITER, Side.ACCEPTER)
    assert (anna.peer, bob.peer) == (BOB.person, ANNA.person)
    assert (anna.peer_persona, bob.peer_persona) == (BOB.raw, ANNA.raw)
    assert (anna.name, bob.name) == ("Bob", "Anna")
    assert anna.peer_seal_key == SealKey(bob.seal_seed).public
    assert bob.peer_seal_key == SealKey(anna.seal_seed).public
    assert (anna.outbox, bob.outbox) == (bob.inbox.address, anna.inbox.address)
    assert len({anna.rs, anna.relationship, anna.confirm}) == 3


def test_parcels_go_both_ways_afterwards() -> None:
    for sender, receiver in ((pairing().anna, pairing().bob), (pairing().bob, pairing().anna)):
        slot = slot_of(sender.rs, sender.side.sends, SlotKind.STATE)
        going = ParcelContext(sender.rs, sender.relationship, sender.side.sends, sender.outbox.mailbox, slot, 1)
        coming = replace(going, direction=receiver.side.receives, mailbox=receiver.inbox.address.mailbox)
        body = ParcelBody(confirm=sender.confirm)
        raw = seal_parcel(going, sender.peer_seal_key, body, secret=fixed("parcel"), nonce=NONCE)
        assert open_parcel(coming, [SealKey(receiver.seal_seed)], raw) == body
        with pytest.raises(Undecryptable):
            open_parcel(replace(coming, direction=sender.side.receives), [SealKey(receiver.seal_seed)], raw)


def test_the_confirmation_holds_for_this_handshake_only() -> None:
    pairing().anna.check_confirm(pairing().bob.confirm)
    for wrong in (b"", bytes(32), pairing().bob.rs):
        with pytest.raises(BadSignature):
            pairing().anna.check_confirm(wrong)


def test_every_step_can_be_kept_in_the_vault_and_taken_up_again() -> None:
    for kept in (pairing().pending, pairing().anna, pairing().bob, pairing().own):
        again = decode(encode(kept), type(kept))
        assert again == kept
        assert repr(again).endswith("(...)")
    assert repr(pairing().opened) == "OpenedAnswer(...)"


def test_the_finish_may_carry_the_first_shares() -> None:
    first = ParcelBody(messages=(Share(fixed("i", 16), 1, 1, bytes(30_000)),))
    raw, _ = finish_by("anna", pairing().own, pairing().opened, first)
    assert len(raw) == FINISH_CLASSES[1]
    assert open_finish(pairing().pending, raw, BOB).first == first
    assert len(pairing().finish) == FINISH_CLASSES[0]
    assert pairing().finished.first == ParcelBody()


def test_shares_that_do_not_fit_a_finish_are_refused() -> None:
    first = ParcelBody(messages=(Share(fixed("i", 16), 1, 1, bytes(FINISH_CLASSES[2])),))
    with pytest.raises(LimitExceeded):
        finish_by("anna", pairing().own, pairing().opened, first)


def test_the_largest_answer_fits_its_class() -> None:
    host = ("h" * 59 + ".") * 4 + "example:65535"
    assert len(host) == MAX_HOST_BYTES
    own = invite_by("anna", host=host)
    answer, _ = make_answer(
        own.invite,
        greeting_of(own),
        persona_of("bob", 2**53),
        "Ä" * (MAX_NAME_BYTES // 2),
        seal_seed=fixed("s"),
        inbox=mailbox_of("bob", host),
        secret=fixed("secret-ba"),
        nonce=NONCE,
    )
    assert len(answer) == ANSWER_BYTES
    opened = open_answer(own, answer, ANNA)
    assert (opened.body.mailbox.host, opened.persona.number) == (host, 2**53)


def test_a_mailbox_that_no_peer_would_accept_is_not_sent() -> None:
    bad, own = OwnMailbox(bytes(16), BAD_ADDRESS), pairing().own
    fresh: dict[str, Any] = {"seal_seed": fixed("s"), "inbox": bad, "secret": fixed("x"), "nonce": NONCE}
    with pytest.raises(DecodingError):
        make_answer(own.invite, greeting_of(own), BOB, "Bob", **fresh)
    with pytest.raises(DecodingError):
        make_finish(own, pairing().opened, ANNA, **fresh)


def test_an_answer_repeated_goes_into_the_same_slot() -> None:
    assert answer_slot(pairing().answer) == answer_slot(pairing().answer)
    assert answer_slot(pairing().answer) != answer_slot(answer_by("bob", pairing().own)[0])


# Who may not be the other side


def make(own: OwnInvite, me: OwnPersona, **named: Any) -> bytes:
    fresh = {"seal_seed": fixed("s"), "inbox": mailbox_of("x"), "secret": fixed("x"), "nonce": NONCE}
    return make_answer(own.invite, greeting_of(own), me, "Name", **{**fresh, **named})[0]


def test_nobody_accepts_their_own_invite() -> None:
    with pytest.raises(Refused) as caught:
        make(pairing().own, ANNA)
    assert caught.value.code == "self-invite"


def test_another_person_than_the_one_known_raises_the_alarm_on_either_side() -> None:
    own = pairing().own
    make(own, BOB, expect=ANNA.person)
    open_answer(own, pairing().answer, ANNA, expect=BOB.person)
    with pytest.raises(Alarm) as caught:
        make(own, BOB, expect=MALLORY.person)
    assert caught.value.alarm is AlarmCode.PERSON_CHANGED
    with pytest.raises(Alarm) as caught:
        open_answer(own, pairing().answer, ANNA, expect=MALLORY.person)
    assert caught.value.alarm is AlarmCode.PERSON_CHANGED


def test_keys_that_were_replaced_are_refused_on_either_side() -> None:
    own = pairing().own
    make(own, BOB, known={ANNA.person: 1})
    open_answer(own, pairing().answer, ANNA, known={BOB.person: 1})
    with pytest.raises(Refused) as caught:
        make(own, BOB, known={ANNA.person: 2})
    assert caught.value.code == "persona-outdated"
    with pytest.raises(Refused) as caught:
        open_answer(own, pairing().answer, ANNA, known={BOB.person: 2})
    assert caught.value.code == "persona-outdated"


def test_a_name_that_no_answer_can_carry_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        answer_by("bob", pairing().own, label="x" * (MAX_NAME_BYTES + 1))
    assert caught.value.code == "name-too-long"


def test_the_secret_needs_both_persons_and_the_link() -> None:
    secrets = (fixed("secret-ab"), fixed("secret-ba"), pairing().own.secret)
    rs = handshake_state.relationship_keys(b"".join(secrets), fixed("transcript")).rs
    for n in range(3):
        changed = [*secrets]
        changed[n] = bytes(32)
        assert handshake_state.relationship_keys(b"".join(changed), fixed("transcript")).rs != rs
    assert handshake_state.relationship_keys(b"".join(secrets), fixed("other")).rs != rs


@pytest.mark.parametrize(
    ("kept", "fields"),
    [
        (PendingAnswer, {"secret": b""}),
        (PendingAnswer, {"host": "A.example"}),
        (PendingAnswer, {"inbox": OwnMailbox(b"", mailbox_of("bob").address)}),
        (Established, {"rs": b""}),
        (Established, {"name": "x" * (MAX_NAME_BYTES + 1)}),
        (Established, {"outbox": BAD_ADDRESS}),
        (Established, {"inbox": OwnMailbox(bytes(16), BAD_ADDRESS)}),
    ],
)
def test_what_was_kept_and_is_damaged_is_refused(kept: type[Any], fields: dict[str, Any]) -> None:
    good = pairing().pending if kept is PendingAnswer else pairing().anna
    with pytest.raises(DecodingError):
        decode(encode(replace_statement(good, **fields)), kept)
