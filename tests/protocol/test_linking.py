"""Codes, and the machine that links two devices by one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.errors import DecodingError, Refused
from kith_protocol.link_code import LinkCode, parse_code, parse_meeting_code, qr_code, spoken_code
from kith_protocol.linking import (
    EXCHANGE_BYTES,
    LINK_MESSAGE_BYTES,
    MAX_DEVICE_NAME_BYTES,
    MAX_MESSAGES,
    MEET_MESSAGE_BYTES,
    TRANSITIONS,
    JoinGrant,
    JoinRequest,
    LinkEnd,
    LinkEvent,
    LinkMachine,
    LinkRole,
    LinkState,
    MeetInvite,
    MeetReady,
    Purpose,
)
from kith_protocol.member import Member, MemberKind
from kith_protocol.persona import MAX_PERSONA_BYTES, OwnPersona, PersonaStatement, verify_persona
from kith_protocol.suite import HYBRID_SIGNATURE_BYTES, SealKey, SignKey
from tests.protocol.people import FINGERPRINT, fixed, persona_of

CODE = spoken_code("7", fixed("code", 5))
HOST = "a.example"
MEMBER = Member(MemberKind.DEVICE, SignKey(fixed("sign")).public, SealKey(fixed("seal")).public)
JOIN = JoinRequest(MEMBER, "Annas Telefon")
GRANT = JoinGrant("https://a.example", FINGERPRINT, fixed("vault"), 7, fixed("head"), fixed("person"))
NONCE = fixed("nonce", 24)
PROOF = fixed("proof", HYBRID_SIGNATURE_BYTES)

# Codes


@given(st.binary(min_size=5, max_size=5), st.integers(1, 999_999))
def test_every_spoken_code_is_read_back(randomness: bytes, nameplate: int) -> None:
    code = spoken_code(str(nameplate), randomness)
    assert parse_code(code.text) == code
    assert parse_code("  " + code.text.upper().replace("-", " - ")) == code


@given(st.binary(min_size=16, max_size=16))
def test_every_qr_code_is_read_back(randomness: bytes) -> None:
    code = qr_code("A.example:8400", "12", randomness)
    assert code.text.startswith("kith-link:a.example:8400#12.")
    assert parse_code(code.text) == code


def test_a_spoken_code_has_33_bits() -> None:
    assert spoken_code("1", bytes(5)).text == "1-abandon-abandon-abandon"
    assert spoken_code("1", b"\x01" + b"\xff" * 4).text == "1-zoo-zoo-zoo"
    assert spoken_code("1", b"\xff" * 5).text == "1-zoo-zoo-zoo"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "7-zoo-zoo",
        "7-zoo-zoo-zoo-zoo",
        "zoo-zoo-zoo",
        "7-zoo-zoo-sesame",
        "0-zoo-zoo-zoo",
        "07-zoo-zoo-zoo",
        "1234567-zoo-zoo-zoo",
        "٧-zoo-zoo-zoo",
        "kith-link:a.example#7.short",
        "kith-link:a.example#07." + "A" * 22,
        "kith-link:a.example#7." + "A" * 21 + "B",
        "kith-link:#7." + "A" * 22,
        "kith-link:user@a.example#7." + "A" * 22,
    ],
)
def test_what_is_no_code_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_code(text)
    assert caught.value.code in ("link-code", "bad-host", "wrong-code")
    assert "zoo" not in str(caught.value)
    assert "sesame" not in str(caught.value)


def test_a_code_is_not_made_from_the_wrong_input() -> None:
    makers: tuple[Callable[[], LinkCode], ...] = (
        lambda: spoken_code("x", bytes(5)),
        lambda: spoken_code("1", bytes(4)),
        lambda: qr_code(HOST, "", bytes(16)),
        lambda: qr_code(HOST, "1", bytes(15)),
    )
    for make in makers:
        with pytest.raises(Refused):
            make()


def test_a_code_does_not_show_itself() -> None:
    assert repr(CODE) == "LinkCode(...)"


@given(st.binary(min_size=5, max_size=5), st.sampled_from(["", "a.example", "a.example:8400"]))
def test_every_code_for_meeting_is_read_back_as_it_is_shown_and_scanned(randomness: bytes, host: str) -> None:
    code = LinkCode("427316", spoken_code("427316", randomness).secret, host)
    assert parse_meeting_code(code.meeting) == code
    assert parse_meeting_code(code.meeting_qr) == code
    assert code.meeting_qr.startswith("kith-meet:")


def test_codes_for_devices_and_for_meeting_are_not_read_for_each_other() -> None:
    meeting = LinkCode("7", CODE.secret, "a.example")
    for text in (meeting.meeting, meeting.meeting_qr):
        with pytest.raises(Refused, match="kith meet"):
            parse_code(text)
    with pytest.raises(Refused, match="kith device join"):
        parse_meeting_code(qr_code(HOST, "7", fixed("qr", 16)).text)


# The machine


def machines(
    shown: LinkCode = CODE, typed: LinkCode = CODE, typed_host: str = HOST, purpose: Purpose = Purpose.DEVICE
) -> tuple[LinkMachine, LinkMachine]:
    return LinkMachine(LinkRole.SHOWS, shown, HOST), LinkMachine(LinkRole.TYPES, typed, typed_host, purpose)


def confirmations(old: LinkMachine, new: LinkMachine) -> tuple[bytes, bytes]:
    from_old, from_new = old.start(fixed("old")), new.start(fixed("new"))
    of_old, of_new = old.receive(from_new), new.receive(from_old)
    assert of_old is not None
    assert of_new is not None
    return of_old, of_new


def linked(code: LinkCode = CODE) -> tuple[LinkMachine, LinkMachine]:
    old, new = machines(code, parse_code(code.text))
    of_old, of_new = confirmations(old, new)
    assert old.receive(of_new) is None
    assert new.receive(of_old) is None
    assert (old.state, new.state) == (LinkState.OPEN, LinkState.OPEN)
    return old, new


def met(entropy: str = "old") -> tuple[LinkMachine, LinkMachine]:
    """Both sides of a meeting, open."""
    shows, types = (LinkMachine(role, CODE, HOST, Purpose.MEET) for role in LinkRole)
    of_shows, of_types = shows.start(fixed(entropy)), types.start(fixed("new"))
    confirmed = shows.receive(of_types), types.receive(of_shows)
    shows.receive(confirmed[1] or b"")
    types.receive(confirmed[0] or b"")
    return shows, types


def persona_statement(own: OwnPersona) -> PersonaStatement:
    return verify_persona(own.raw)


@contextlib.contextmanager
def burns(machine: LinkMachine) -> Iterator[None]:
    with pytest.raises(Refused) as caught:
        yield
    assert caught.value.code == "link-burned"
    assert machine.state is LinkState.BURNED


@pytest.mark.parametrize("code", [CODE, qr_code(HOST, "7", fixed("qr", 16))])
def test_two_devices_with_one_code_swap_keys_and_head(code: LinkCode) -> None:
    old, new = linked(code)
    request = new.seal(JOIN, nonce=NONCE)
    assert len(request) == LINK_MESSAGE_BYTES
    assert old.open(request, JoinRequest) == JOIN
    assert new.open(old.seal(GRANT, nonce=NONCE), JoinGrant) == GRANT


def test_two_people_with_one_code_pass_an_invite_on() -> None:
    shows, types = met()
    sealed = shows.seal(MeetInvite(HOST, fixed("invite"), FINGERPRINT, PROOF), nonce=NONCE)
    assert types.open(sealed, MeetInvite).invite.secret == fixed("invite")
    bob = persona_of("bob")
    ready = MeetReady(bob.raw, "Bob", types.prove(bob, "Bob"))
    sent = [types.seal(ready, nonce=NONCE), types.seal(LinkEnd(), nonce=NONCE)]
    assert {len(each) for each in (sealed, *sent)} == {MEET_MESSAGE_BYTES}, "an end looks like everything else"
    assert shows.open(sent[0], MeetReady) == ready
    assert shows.open(sent[1], LinkEnd) == LinkEnd()
    shows.check_proof(persona_statement(bob), "Bob", ready.proof)


def test_a_proof_is_good_for_one_persona_name_side_and_exchange() -> None:
    bob, carla = persona_of("bob"), persona_of("carla")
    shows, types = met()
    proof, own = types.prove(bob, "Bob"), shows.prove(bob, "Bob")
    for persona, name, wrong in ((carla, "Bob", proof), (bob, "Carla", proof), (bob, "Bob", own), (bob, "Bob", b"")):
        shows, _ = met()
        with burns(shows):
            shows.check_proof(persona_statement(persona), name, wrong)
    elsewhere, _ = met("another")
    with burns(elsewhere):
        elsewhere.check_proof(persona_statement(bob), "Bob", proof)


def test_nothing_is_proven_before_both_showed_that_they_know_the_code() -> None:
    shows, types = machines()
    confirmations(shows, types)
    with burns(types):
        types.prove(persona_of("bob"), "Bob")
    with burns(shows):
        shows.check_proof(persona_statement(persona_of("bob")), "Bob", PROOF)


def test_whoever_goes_no_further_says_so_in_the_place_of_any_message() -> None:
    old, new = linked()
    with pytest.raises(Refused) as caught:
        old.open(new.seal(LinkEnd(), nonce=NONCE), MeetReady)
    assert (caught.value.code, old.state) == ("link-declined", LinkState.BURNED)


@pytest.mark.parametrize(
    "message",
    [
        MeetInvite("A.example", bytes(32), FINGERPRINT, PROOF),
        MeetInvite(HOST, bytes(31), FINGERPRINT, PROOF),
        MeetInvite(HOST, bytes(32), FINGERPRINT[1:], PROOF),
        MeetInvite(HOST, bytes(32), FINGERPRINT, PROOF[1:]),
        MeetReady(b"", "Bob", PROOF[1:]),
        MeetReady(b"", "B" * 81, PROOF),
        MeetReady(bytes(MAX_PERSONA_BYTES + 1), "Bob", PROOF),
    ],
)
def test_what_is_out_of_its_bounds_is_not_passed_on(message: MeetInvite | MeetReady) -> None:
    old, _ = linked()
    with pytest.raises(DecodingError):
        old.seal(message, nonce=NONCE)


def test_all_that_travels_before_the_confirmation_says_nothing() -> None:
    old, _ = machines()
    assert len(old.start(fixed("old"))) == EXCHANGE_BYTES


def test_a_wrong_code_burns_both_sides_before_anything_is_sent() -> None:
    old, new = machines(typed=spoken_code("7", fixed("guess", 5)))
    of_old, of_new = confirmations(old, new)
    with burns(old):
        old.receive(of_new)
    with burns(new):
        new.receive(of_old)
    with burns(old):
        old.seal(GRANT, nonce=NONCE)


@pytest.mark.parametrize(
    ("typed", "host", "purpose"),
    [
        (LinkCode("8", CODE.secret), HOST, Purpose.DEVICE),
        (CODE, "b.example", Purpose.DEVICE),
        (CODE, HOST, Purpose.MEET),
    ],
)
def test_the_right_words_for_another_nameplate_host_or_purpose_burn(
    typed: LinkCode, host: str, purpose: Purpose
) -> None:
    old, new = machines(typed=typed, typed_host=host, purpose=purpose)
    _, of_new = confirmations(old, new)
    with burns(old):
        old.receive(of_new)


def test_nothing_is_sent_before_the_other_side_has_confirmed() -> None:
    old, new = machines()
    confirmations(old, new)
    assert old.state is LinkState.CONFIRMING
    with burns(old):
        old.seal(GRANT, nonce=NONCE)


def test_a_code_is_good_for_one_guess() -> None:
    old, stranger = machines(typed=spoken_code("7", fixed("guess", 5)))
    _, of_stranger = confirmations(old, stranger)
    with burns(old):
        old.receive(of_stranger)
    honest = machines()[1].start(fixed("honest"))
    with burns(old):
        old.receive(honest)
    with burns(old):
        old.start(fixed("again"))


def test_a_message_turned_back_on_its_sender_burns() -> None:
    old, _ = machines()
    mine = old.start(fixed("old"))
    with burns(old):
        old.receive(mine)
    old, _ = machines()
    mine = old.start(fixed("old"))
    with burns(old):
        old.receive(b"B" + mine[1:])


def test_a_confirmation_turned_back_on_its_sender_burns() -> None:
    old, new = machines()
    of_old, _ = confirmations(old, new)
    with burns(old):
        old.receive(of_old)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"B",
        b"B" + bytes(31),
        b"B" + bytes(32),
        b"B\x01" + bytes(31),
        b"B" + b"\xff" * 32,
        b"S" + bytes(32),
        b"B" + bytes(33),
        b"B\x02" + bytes(31),
    ],
)
def test_an_exchange_that_is_no_group_element_burns(message: bytes) -> None:
    old, _ = machines()
    old.start(fixed("old"))
    with burns(old):
        old.receive(message)


def test_an_exchange_with_something_appended_burns() -> None:
    """The library reads an element as a number, to which zeros at the end change nothing."""
    old, new = machines()
    old.start(fixed("old"))
    with burns(old):
        old.receive(new.start(fixed("new")) + b"\x00")


def test_a_step_out_of_turn_burns() -> None:
    old, _ = machines()
    with burns(old):
        old.receive(bytes(33))
    old, _ = machines()
    with burns(old):
        old.open(bytes(LINK_MESSAGE_BYTES), JoinRequest)
    old, _ = machines()
    old.start(fixed("old"))
    with burns(old):
        old.start(fixed("old"))
    old, new = linked()
    with burns(old):
        old.receive(new.seal(JOIN, nonce=NONCE))


def test_a_message_replayed_reordered_changed_or_turned_back_burns() -> None:
    old, new = linked()
    first = new.seal(JOIN, nonce=NONCE)
    old.open(first, JoinRequest)
    with burns(old):
        old.open(first, JoinRequest)
    old, new = linked()
    new.seal(JOIN, nonce=NONCE)
    with burns(old):
        old.open(new.seal(JOIN, nonce=NONCE), JoinRequest)
    old, new = linked()
    with burns(old):
        old.open(new.seal(JOIN, nonce=NONCE)[:-1] + b"\x00", JoinRequest)
    old, new = linked()
    with burns(new):
        new.open(new.seal(JOIN, nonce=NONCE), JoinRequest)


def test_a_message_of_another_kind_or_with_an_unusable_key_burns(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = linked()
    with burns(old):
        old.open(new.seal(GRANT, nonce=NONCE), JoinRequest)
    old, new = linked()
    weak = JoinRequest(Member(MemberKind.DEVICE, b"\x01" + bytes(31), MEMBER.seal_key), "x")
    monkeypatch.setattr(JoinRequest, "check", lambda _self: None)
    sealed = new.seal(weak, nonce=NONCE)
    monkeypatch.undo()
    with burns(old):
        old.open(sealed, JoinRequest)


def test_no_more_than_a_few_messages_go_over_one_code() -> None:
    old, new = linked()
    for _ in range(MAX_MESSAGES):
        old.open(new.seal(JOIN, nonce=NONCE), JoinRequest)
    with burns(new):
        new.seal(JOIN, nonce=NONCE)
    with burns(old):
        old.open(bytes(LINK_MESSAGE_BYTES), JoinRequest)


def test_a_burned_machine_stays_burned() -> None:
    old, _ = linked()
    old.burn()
    with burns(old):
        old.seal(GRANT, nonce=NONCE)


@pytest.mark.parametrize(
    "message",
    [
        JoinRequest(MEMBER, "x" * (MAX_DEVICE_NAME_BYTES + 1)),
        JoinRequest(Member(MemberKind.DEVICE, MEMBER.sign_key[1:], MEMBER.seal_key), "x"),
        JoinGrant("https://a.example/x", FINGERPRINT, bytes(32), 1, bytes(32), bytes(32)),
        JoinGrant("https://" + "a" * 600, FINGERPRINT, bytes(32), 1, bytes(32), bytes(32)),
        JoinGrant("https://a.example", FINGERPRINT, bytes(32), -1, bytes(32), bytes(32)),
        JoinGrant("https://a.example", FINGERPRINT, bytes(31), 1, bytes(32), bytes(32)),
    ],
)
def test_a_message_out_of_its_bounds_is_not_sent(message: JoinRequest | JoinGrant) -> None:
    old, _ = linked()
    with pytest.raises(DecodingError):
        old.seal(message, nonce=NONCE)


def test_the_table_has_no_way_back_from_burned() -> None:
    assert all(state is not LinkState.BURNED for state, _ in TRANSITIONS)
    assert all(event is not LinkEvent.FAILED for _, event in TRANSITIONS)
    assert LinkState.BURNED not in TRANSITIONS.values()
