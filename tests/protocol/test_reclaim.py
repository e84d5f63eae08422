"""Taking a relationship back by the root's word, and the thief who held everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kith_protocol import labels, reclaim
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import Alarm, AlarmCode, BadKey, BadSignature, DecodingError, Refused, Undecryptable
from kith_protocol.handshake import Established, open_answer, open_finish
from kith_protocol.handshake_state import relationship_keys
from kith_protocol.padding import pad_to
from kith_protocol.parcel import Bye, ParcelBody, ParcelContext, open_parcel, seal_parcel
from kith_protocol.persona import OwnPersona, SignedPersona
from kith_protocol.reclaim import (
    RECLAIM_BYTES,
    OpenedReclaim,
    Reclaim,
    ReclaimBody,
    make_reclaim,
    open_reclaim,
    reclaim_slot,
)
from kith_protocol.relationship import Direction, Side
from kith_protocol.suite import SEAL_KEY_BYTES, SealKey, derive, encrypt, frame, seal
from tests.protocol.people import (
    BAD_ADDRESS,
    fixed,
    flip,
    hybrid,
    invite_by,
    mailbox_of,
    pairing,
    persona_of,
    replace_statement,
)

ANNA, BOB, MALLORY = persona_of("anna", 2), persona_of("bob"), persona_of("mallory", 2)
NONCE = fixed("nonce", 24)
BOBS_KEY = SealKey(fixed("bob-seal-1"))


def made(me: OwnPersona = ANNA, peer: OwnPersona = BOB, **changes: Any) -> tuple[bytes, Established]:
    parts: dict[str, Any] = {
        "seal_seed": fixed("anna-again"),
        "inbox": mailbox_of("anna-again"),
        "outbox": pairing().anna.outbox,
        "secret": fixed("reclaim"),
        "nonce": NONCE,
    }
    return make_reclaim(me, peer.raw, "Bob", **{**parts, **changes})


def opened(raw: bytes, known: Established | None = None, keys: list[SealKey] | None = None) -> OpenedReclaim:
    return open_reclaim(raw, known or pairing().bob, keys or [BOBS_KEY], BOB)


def forged(body: Statement | None = None, *, signer: OwnPersona = ANNA, **changes: Any) -> bytes:
    """A reclaim for Bob whose box holds whatever somebody likes who knows all of Anna's vault."""
    fields: dict[str, Any] = {
        "suite": 1,
        "persona": ANNA.raw,
        "seal_key": SealKey(fixed("evil")).public,
        "mailbox": mailbox_of("evil").address,
    }
    raw = encode(body or ReclaimBody(**{**fields, **changes}))
    persons, secret = (b"\x01", ANNA.person, BOB.person), fixed("evil secret")
    sealed = seal(BOBS_KEY.public, labels.RECLAIM_SEAL, *persons, plaintext=secret)
    transcript = reclaim._transcript(persons, sealed, raw)
    payload = encode(Reclaim(raw, signer.sign.sign(labels.RECLAIM_SIGN, ANNA.person, BOB.person, transcript)))
    key = derive(secret, labels.RECLAIM_KEY, *persons, sealed)
    padded = pad_to(payload, RECLAIM_BYTES - reclaim._OVERHEAD)
    return b"\x01" + sealed + encrypt(key, labels.RECLAIM, frame(labels.RECLAIM, *persons), padded, nonce=NONCE)


def test_both_sides_hold_the_same_relationship_and_nothing_of_the_old_one() -> None:
    raw, anna = made()
    bob = opened(raw).established
    assert len(raw) == RECLAIM_BYTES
    assert (bob.rs, bob.relationship, bob.confirm) == (anna.rs, anna.relationship, anna.confirm)
    assert anna.rs != pairing().anna.rs
    assert anna.relationship != pairing().anna.relationship
    assert (anna.side, bob.side) == (Side.INVITER, Side.ACCEPTER)
    assert bob.peer_persona == ANNA.raw
    assert (bob.outbox, bob.peer_seal_key) == (anna.inbox.address, SealKey(anna.seal_seed).public)
    assert (anna.peer_seal_key, bob.seal_seed) == (BOBS_KEY.public, BOBS_KEY.seed)
    bob.check()
    anna.check()


def test_parcels_go_both_ways_afterwards() -> None:
    raw, anna = made()
    bob = opened(raw).established
    for sender, receiver in ((anna, bob), (bob, anna)):
        direction = Direction(Side(sender.side).sends)
        context = ParcelContext(sender.rs, sender.relationship, direction, sender.outbox.mailbox, bytes(16), 1)
        parcel = seal_parcel(
            context, sender.peer_seal_key, ParcelBody(messages=(Bye(),)), secret=fixed("s"), nonce=NONCE
        )
        assert open_parcel(context, [SealKey(receiver.seal_seed)], parcel).messages == (Bye(),)


def test_a_thief_of_the_old_relationship_cannot_open_the_reclaim() -> None:
    """She holds Anna's vault: the shared secret, the relationship keys, the old persona's keys."""
    raw, _ = made()
    for key in (SealKey(pairing().anna.seal_seed), SealKey(fixed("anna-seal-1"))):
        with pytest.raises(Undecryptable):
            opened(raw, keys=[key])


def test_a_thief_cannot_reclaim_with_the_persona_that_she_stole() -> None:
    with pytest.raises(Refused, match="replaced by newer") as caught:
        opened(forged(persona=persona_of("anna").raw, signer=persona_of("anna")))
    assert caught.value.code == "persona-outdated"


def test_a_thief_cannot_sign_a_higher_persona_without_the_root() -> None:
    raw = persona_of("anna").raw
    statement = decode(raw, SignedPersona)
    higher = encode(replace_statement(statement, body=decode(ANNA.raw, SignedPersona).body))
    with pytest.raises(BadSignature):
        opened(forged(persona=higher))


def test_a_thief_cannot_put_her_keys_under_the_roots_new_persona() -> None:
    """Anna's new statement is public to her peers; what it does not sign does not count."""
    for signer in (persona_of("anna"), MALLORY):
        with pytest.raises(BadSignature):
            opened(forged(signer=signer))


def test_another_persons_root_raises_the_alarm() -> None:
    with pytest.raises(Alarm) as caught:
        opened(forged(persona=MALLORY.raw, signer=MALLORY))
    assert caught.value.alarm is AlarmCode.PERSON_CHANGED


def test_the_same_reclaim_again_is_refused() -> None:
    raw, _ = made()
    with pytest.raises(Refused, match="replaced by newer"):
        opened(raw, opened(raw).established)


def test_of_two_reclaims_that_cross_the_other_counts_only_if_it_came_to_the_newest_persona() -> None:
    """Bob answered Anna's new persona with a reclaim of his own; hers to his new persona comes meanwhile."""
    raw, _ = made()
    waiting = replace_statement(pairing().bob, peer_persona=ANNA.raw)
    assert open_reclaim(raw, waiting, [BOBS_KEY], BOB, crossing=True).is_current
    for keys, crossing in (([BOBS_KEY], False), ([SealKey(fixed("bob-seal-2")), BOBS_KEY], True)):
        with pytest.raises(Refused, match="replaced by newer"):
            open_reclaim(raw, waiting, keys, BOB, crossing=crossing)


def test_a_peer_cannot_pass_a_reclaim_on_to_somebody_else() -> None:
    """Bob opens Anna's reclaim and seals it to Carla, as if Anna had written to her."""
    raw, _ = made()
    carla = SealKey(fixed("carla-seal-1"))
    known = pairing().bob
    with pytest.raises(Undecryptable):
        open_reclaim(raw, known, [carla, BOBS_KEY], persona_of("carla"))


def test_a_reclaim_of_one_peer_is_not_one_of_another() -> None:
    raw, _ = made()
    with pytest.raises(Undecryptable):
        opened(raw, replace_statement(pairing().bob, peer=MALLORY.person))


def test_a_reclaim_to_an_older_persona_of_mine_is_told_apart() -> None:
    """A thief of my own may have read it."""
    raw, _ = made()
    assert opened(raw).is_current
    assert not opened(raw, keys=[SealKey(fixed("bob-seal-2")), BOBS_KEY]).is_current


@pytest.mark.parametrize("position", [0, 1, 600, 1168, 1169, 1200, 1230, 8000, RECLAIM_BYTES - 1])
def test_a_changed_bit_is_noticed(position: int) -> None:
    with pytest.raises(Undecryptable):
        opened(flip(made()[0], position))


@pytest.mark.parametrize("length", [0, 1, RECLAIM_BYTES - 1, RECLAIM_BYTES + 1])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(Undecryptable):
        opened(made()[0].ljust(length, b"\x00")[:length])


def test_an_unusable_key_is_refused() -> None:
    with pytest.raises(BadKey):
        opened(forged(seal_key=bytes(SEAL_KEY_BYTES)))


def test_a_body_out_of_its_bounds_is_refused() -> None:
    with pytest.raises(DecodingError):
        opened(forged(mailbox=BAD_ADDRESS))
    with pytest.raises(DecodingError):
        opened(forged(seal_key=b""))
    with pytest.raises(Refused, match="newer Kithbook"):
        opened(forged(suite=2))


def test_a_person_cannot_reclaim_from_themself() -> None:
    with pytest.raises(Refused, match="themself"):
        made(peer=persona_of("anna"))


def test_a_peers_forged_persona_is_refused_before_anything_is_sealed_to_it() -> None:
    statement = decode(BOB.raw, SignedPersona)
    mallory = decode(MALLORY.raw, SignedPersona)
    with pytest.raises(BadSignature):
        make_reclaim(
            ANNA,
            encode(replace_statement(statement, signature=mallory.signature)),
            "Bob",
            seal_seed=fixed("a"),
            inbox=mailbox_of("a"),
            outbox=mailbox_of("b").address,
            secret=fixed("s"),
            nonce=NONCE,
        )


def test_every_repetition_goes_to_the_same_slot() -> None:
    raw, other = made()[0], made(secret=fixed("other"))[0]
    assert reclaim_slot(raw) == reclaim_slot(raw) != reclaim_slot(other)
    assert len(reclaim_slot(raw)) == 16


def test_neither_handshake_nor_reclaim_passes_for_the_other() -> None:
    raw, _ = made()
    told = pairing()
    with pytest.raises(Undecryptable):
        open_finish(told.pending, raw, BOB)
    with pytest.raises(Undecryptable):
        open_answer(invite_by("anna"), raw, persona_of("anna"))
    for other in (told.answer, told.finish):
        with pytest.raises(Undecryptable):
            opened(other)


def test_keys_are_not_shown() -> None:
    raw, _ = made()
    for value in (
        opened(raw).established,
        decode(encode(ReclaimBody(1, ANNA.raw, BOBS_KEY.public, mailbox_of("a").address)), ReclaimBody),
    ):
        assert repr(value).endswith("(...)")
    assert hybrid("x").public not in repr(ANNA).encode()


def test_the_example_of_the_page_is_what_the_code_gives() -> None:
    page = (Path(__file__).resolve().parents[2] / "protocol" / "spec" / "reclaim.md").read_text()
    persons = (b"\x01", bytes(32), bytes(32))
    transcript = reclaim._transcript(persons, b"", b"")
    keys = relationship_keys(bytes(32), transcript)
    key = derive(bytes(32), labels.RECLAIM_KEY, *persons, b"")
    for value in (transcript, key, keys.rs, keys.relationship, keys.confirm, reclaim_slot(b"")):
        assert value.hex() in page
