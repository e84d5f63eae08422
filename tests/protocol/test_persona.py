"""Persons and their personas."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol import labels
from kith_protocol.encoding import Statement, decode, encode
from kith_protocol.errors import Alarm, AlarmCode, BadKey, BadSignature, DecodingError, Refused
from kith_protocol.persona import (
    MAX_NUMBER,
    MAX_PERSONA_BYTES,
    PersonaStatement,
    SignedPersona,
    check_expected,
    person_id,
    safety_number,
    sign_persona,
    verify_persona,
)
from kith_protocol.suite import SEAL_KEY_BYTES, HybridSignKey, SealKey
from tests.protocol.people import fixed, hybrid, persona_of

ROOT = hybrid("root")
SIGN = hybrid("sign")
SEAL = SealKey(fixed("seal")).public
RAW = sign_persona(ROOT, SIGN, SEAL, 3)


def signed(statement: Statement, root: HybridSignKey = ROOT) -> bytes:
    body = encode(statement)
    return encode(SignedPersona(body, root.sign(labels.PERSONA, body)))


def test_a_persona_comes_back_with_its_keys() -> None:
    statement = verify_persona(RAW)
    assert (statement.root, statement.sign_key, statement.seal_key) == (ROOT.public, SIGN.public, SEAL)
    assert (statement.number, statement.person) == (3, person_id(ROOT.public))


def test_the_largest_persona_fits() -> None:
    assert len(sign_persona(ROOT, SIGN, SEAL, MAX_NUMBER)) == MAX_PERSONA_BYTES


def test_a_persona_signed_by_another_root_is_refused() -> None:
    statement = verify_persona(RAW)
    with pytest.raises(BadSignature):
        verify_persona(signed(statement, hybrid("stranger")))


def test_a_persona_with_a_changed_key_is_refused() -> None:
    found = decode(RAW, SignedPersona)
    body = encode(PersonaStatement(1, ROOT.public, hybrid("thief").public, SEAL, 3))
    with pytest.raises(BadSignature):
        verify_persona(encode(SignedPersona(body, found.signature)))


@pytest.mark.parametrize("number", [0, -1, MAX_NUMBER + 1])
def test_a_persona_with_a_number_out_of_bounds_is_refused(number: int) -> None:
    with pytest.raises(DecodingError):
        verify_persona(signed(PersonaStatement(1, ROOT.public, SIGN.public, SEAL, number)))
    with pytest.raises(DecodingError):
        sign_persona(ROOT, SIGN, SEAL, number)


def test_a_persona_with_a_key_of_the_wrong_size_is_refused() -> None:
    for keys in ((ROOT.public[1:], SIGN.public, SEAL), (ROOT.public, b"", SEAL), (ROOT.public, SIGN.public, SEAL[1:])):
        with pytest.raises(DecodingError):
            verify_persona(signed(PersonaStatement(1, *keys, 1)))


def test_a_persona_of_another_suite_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        verify_persona(signed(PersonaStatement(2, ROOT.public, SIGN.public, SEAL, 1)))
    assert caught.value.code == "unknown-suite"


def test_a_root_under_which_signatures_prove_nothing_is_refused() -> None:
    weak = b"\x01" + bytes(31) + ROOT.public[32:]
    with pytest.raises(BadKey):
        verify_persona(signed(PersonaStatement(1, weak, SIGN.public, SEAL, 1)))


def test_a_persona_that_names_unusable_keys_is_refused() -> None:
    weak = b"\x01" + bytes(31) + SIGN.public[32:]
    for sign_key, seal_key in ((weak, SEAL), (SIGN.public, bytes(SEAL_KEY_BYTES))):
        with pytest.raises(BadKey):
            verify_persona(signed(PersonaStatement(1, ROOT.public, sign_key, seal_key, 1)))


@pytest.mark.parametrize("raw", [b"", RAW[:-1], RAW + b"\x00", RAW + bytes(MAX_PERSONA_BYTES), b"\x92\xc4\x00\xc4\x00"])
def test_what_is_no_persona_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodingError):
        verify_persona(raw)


def test_another_person_than_expected_raises_the_alarm() -> None:
    statement = verify_persona(RAW)
    check_expected(statement)
    check_expected(statement, expect=statement.person)
    with pytest.raises(Alarm) as caught:
        check_expected(statement, expect=persona_of("somebody").person)
    assert caught.value.alarm is AlarmCode.PERSON_CHANGED


def test_a_persona_that_was_replaced_is_refused() -> None:
    statement = verify_persona(RAW)
    check_expected(statement, known={statement.person: 3, bytes(32): 9})
    with pytest.raises(Refused) as caught:
        check_expected(statement, known={statement.person: 4})
    assert caught.value.code == "persona-outdated"


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_both_sides_see_the_same_safety_number(a: bytes, b: bytes) -> None:
    number = safety_number(a, b)
    assert number == safety_number(b, a)
    assert re.fullmatch(r"\d{5}( \d{5}){11}", number)


def test_another_root_on_either_side_shows_in_the_safety_number() -> None:
    numbers = {safety_number(a, b) for a in (b"a", b"m") for b in (b"b", b"n")}
    assert len(numbers) == 4


def test_the_safety_number_is_that_of_the_spec() -> None:
    assert (
        safety_number(bytes(1984), b"\x01" * 1984)
        == "41859 58856 42339 65630 48237 36852 86887 07922 54198 08687 53769 20909"
    )
