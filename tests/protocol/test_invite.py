"""Invites and greetings."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol import labels
from kith_protocol.encoding import decode, encode
from kith_protocol.errors import Alarm, AlarmCode, DecodingError, Refused
from kith_protocol.invite import (
    GREETING_BYTES,
    MAX_NAME_BYTES,
    Greeting,
    Invite,
    OwnInvite,
    format_link,
    greeting_hash,
    new_invite,
    open_greeting,
    parse_link,
    seal_greeting,
)
from kith_protocol.padding import pad_to
from kith_protocol.persona import PersonaStatement, SignedPersona
from kith_protocol.suite import BOX_OVERHEAD, SEAL_KEY_BYTES, SealKey, encrypt
from tests.protocol.people import FINGERPRINT, NOW, fixed, greeting_of, hybrid, invite_by, persona_of

OWN = invite_by("anna")
INVITE = OWN.invite
SEALED = seal_greeting(OWN, nonce=fixed("n", 24))
GREETING = decode(OWN.greeting, Greeting)
LINK = format_link(INVITE)


def sealed_by_hand(greeting: Greeting, *, suite: bytes = b"\x01") -> bytes:
    """A greeting by somebody who knows the link, such as whoever found it, together with the server."""
    padded = pad_to(encode(greeting), GREETING_BYTES - 1 - BOX_OVERHEAD)
    box = encrypt(INVITE.greeting_key, labels.GREETING, suite + INVITE.link_id, padded, nonce=fixed("n", 24))
    return suite + box


def forged(sealed: bytes, invite: Invite = INVITE) -> None:
    with pytest.raises(Alarm) as caught:
        open_greeting(invite, sealed, NOW)
    assert caught.value.alarm is AlarmCode.GREETING_FORGED


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16), st.booleans())
def test_every_link_is_read_back(secret: bytes, fingerprint: bytes, web: bool) -> None:
    invite = Invite("a.example:8400", secret, fingerprint)
    assert parse_link(format_link(invite, web=web)) == invite


def test_a_link_has_two_forms() -> None:
    invite = Invite("a.example", bytes(32), bytes(16))
    assert format_link(invite) == "kith:a.example#1." + "A" * 64
    assert format_link(invite, web=True) == "https://a.example/i#1." + "A" * 64
    assert parse_link("  KITH:A.example#1." + "A" * 64 + "\n") == invite
    assert parse_link("https://a.example:443/i#1." + "A" * 64) == invite


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ("", "invite-link"),
        ("hello", "invite-link"),
        ("http://a.example/i#1." + "S" * 64, "invite-link"),
        ("https://a.example/j#1." + "S" * 64, "invite-link"),
        ("https://a.example#1." + "S" * 64, "invite-link"),
        ("kith:a.example/i#1." + "S" * 64, "invite-link"),
        ("kith:a.example#1." + "S" * 63, "invite-link"),
        ("kith:a.example#1." + "S" * 65, "invite-link"),
        ("kith:a.example#1." + "S" * 63 + "=", "invite-link"),
        ("kith:a.example#1." + "S" * 63 + "+", "invite-link"),
        ("kith:a.example#" + "S" * 64, "invite-link"),
        ("kith:a.example#1." + "S" * 64 + "#x", "invite-link"),
        ("kith:a.example#2." + "S" * 64, "invite-version"),
        ("kith:#1." + "S" * 64, "bad-host"),
        ("kith:user@a.example#1." + "S" * 64, "bad-host"),
        ("kith:a b#1." + "S" * 64, "bad-host"),
    ],
)
def test_what_is_no_link_is_refused_without_repeating_it(link: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_link(link)
    assert caught.value.code == code
    assert "SSS" not in str(caught.value)
    assert "user" not in str(caught.value)


@given(st.text(max_size=120))
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(Refused):
        parse_link("kith:" + text)


def test_the_server_gets_nothing_from_which_the_secret_or_the_key_follows() -> None:
    parts = {INVITE.secret, INVITE.greeting_key, INVITE.mailbox.deposit_seed, INVITE.link_id, INVITE.mailbox.mailbox}
    assert len({part[:16] for part in parts}) == 5
    assert repr(INVITE) == "Invite(...)"
    assert repr(OWN) == "OwnInvite(...)"


def test_what_follows_from_a_secret_is_that_of_the_spec() -> None:
    invite = Invite("a.example", bytes(32), bytes(16))
    assert invite.link_id.hex() == "e7b102c929e166e1fcf2bbb19420eb89"
    assert invite.mailbox.mailbox.hex() == "48ceb1fae6225f6ba994c247685a57f8"
    assert invite.greeting_key.hex() == "b0ce7147b6c3af9df7aaf74f7f1b55c3723e28e577b14226dad15c1ba3fda904"
    assert invite.mailbox.deposit.public.hex() == "c64c4c426c1996262b954e45b6320d7b47ae52d1f0ef7a97b9d37eb7624f4591"


def test_a_greeting_opens_with_the_link() -> None:
    opened = open_greeting(parse_link(LINK), SEALED, NOW)
    assert opened.greeting == GREETING
    assert opened.persona.person == persona_of("anna").person
    assert opened.greeting.seal_key == SealKey(OWN.seal_seed).public
    assert greeting_hash(opened.raw) == greeting_hash(OWN.greeting)
    assert len(SEALED) == GREETING_BYTES


def test_an_invite_comes_back_as_it_was_kept() -> None:
    assert decode(encode(OWN), OwnInvite) == OWN


def test_the_largest_greeting_fits() -> None:
    own = invite_by("anna", label="Ä" * (MAX_NAME_BYTES // 2), number=2**53)
    assert greeting_of(own).greeting.name == "Ä" * (MAX_NAME_BYTES // 2)


@given(st.integers(0, GREETING_BYTES - 1))
def test_a_greeting_with_any_bit_changed_raises_the_alarm(position: int) -> None:
    changed = bytearray(SEALED)
    changed[position] ^= 1
    forged(bytes(changed))


@pytest.mark.parametrize("sealed", [b"", SEALED[:-1], SEALED + b"\x00", bytes(GREETING_BYTES)])
def test_what_is_no_greeting_raises_the_alarm(sealed: bytes) -> None:
    forged(sealed)


def test_the_greeting_of_another_invite_raises_the_alarm() -> None:
    forged(seal_greeting(invite_by("mallory"), nonce=fixed("n", 24)))


def test_a_greeting_in_the_name_of_another_person_raises_the_alarm() -> None:
    """Mallory knows the link and wants to be Anna: she has no signature by Anna's root over her own keys."""
    anna = decode(decode(GREETING.persona, SignedPersona).body, PersonaStatement)
    body = encode(PersonaStatement(1, anna.root, hybrid("mallory").public, anna.seal_key, 9))
    persona = encode(SignedPersona(body, decode(GREETING.persona, SignedPersona).signature))
    forged(sealed_by_hand(Greeting(1, persona, "Anna", GREETING.seal_key, GREETING.expires, False)))


@pytest.mark.parametrize(
    "greeting",
    [
        Greeting(2, GREETING.persona, "Anna", GREETING.seal_key, NOW, False),
        Greeting(1, GREETING.persona, "A" * (MAX_NAME_BYTES + 1), GREETING.seal_key, NOW, False),
        Greeting(1, GREETING.persona, "Anna", bytes(SEAL_KEY_BYTES), NOW, False),
        Greeting(1, GREETING.persona, "Anna", GREETING.seal_key[1:], NOW, False),
        Greeting(1, GREETING.persona, "Anna", GREETING.seal_key, -1, False),
        Greeting(1, GREETING.persona + bytes(100), "Anna", GREETING.seal_key, NOW, False),
        Greeting(1, b"", "Anna", GREETING.seal_key, NOW, False),
    ],
)
def test_a_greeting_out_of_its_bounds_raises_the_alarm(greeting: Greeting) -> None:
    forged(sealed_by_hand(greeting))


def test_a_greeting_that_names_another_suite_outside_raises_the_alarm() -> None:
    forged(sealed_by_hand(GREETING, suite=b"\x02"))


def test_an_expired_invite_is_refused() -> None:
    open_greeting(INVITE, SEALED, GREETING.expires)
    with pytest.raises(Refused) as caught:
        open_greeting(INVITE, SEALED, GREETING.expires + 1)
    assert caught.value.code == "invite-expired"


@pytest.mark.parametrize(
    ("name", "code"), [("Ä" * 41, "name-too-long"), ("x" * 81, "name-too-long"), ("\ud800", "name-not-text")]
)
def test_a_name_that_no_greeting_can_carry_is_refused(name: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        invite_by("anna", label=name)
    assert caught.value.code == code


def test_an_invite_is_not_made_from_the_wrong_input() -> None:
    persona = persona_of("anna").raw
    for fingerprint, expires, host, randomness in (
        (FINGERPRINT, NOW, "a.example", bytes(79)),
        (FINGERPRINT, NOW, "a/b", bytes(80)),
        (b"", NOW, "a.example", bytes(80)),
        (FINGERPRINT, -1, "a.example", bytes(80)),
    ):
        with pytest.raises((Refused, DecodingError)):
            new_invite(host, fingerprint, persona, "Anna", expires, reusable=False, randomness=randomness)
    with pytest.raises(DecodingError):
        decode(encode(OwnInvite("A.b", bytes(32), FINGERPRINT, bytes(16), bytes(32), b"")), OwnInvite)
