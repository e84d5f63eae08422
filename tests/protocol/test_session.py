"""Sessions: a statement opens one at the server it names, now, for the member who signed it (spec: session.md)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kith_protocol.encoding import encode
from kith_protocol.errors import BadSignature, DecodingError, Refused
from kith_protocol.session import SESSION_SKEW, SessionStatement, check_session, read_session, sign_session
from tests.protocol.people import NOW, fixed
from tests.protocol.vaults import keys_of

LAPTOP = keys_of("laptop")
VAULT, NONCE, ORIGIN = fixed("vault"), fixed("nonce", 16), "anna.example:8400"
RAW, SIGNATURE = sign_session(VAULT, LAPTOP.id, ORIGIN, NOW, NONCE, LAPTOP.sign)


def turned(**fields: Any) -> bytes:
    return encode(msgspec.structs.replace(read_session(RAW, ORIGIN, NOW), **fields))


def code_of(raw: bytes, origin: str = ORIGIN, now: int = NOW) -> str:
    with pytest.raises(Refused) as caught:
        read_session(raw, origin, now)
    return caught.value.code


def test_a_statement_says_who_asks_where_and_when_and_is_signed() -> None:
    assert read_session(RAW, ORIGIN, NOW) == SessionStatement(1, VAULT, LAPTOP.id, ORIGIN, NOW, NONCE)
    check_session(RAW, SIGNATURE, LAPTOP.sign.public)


def test_a_statement_for_another_server_is_refused() -> None:
    assert code_of(RAW, "mallory.example") == "session-origin"
    assert code_of(RAW, "anna.example") == "session-origin"


def test_a_statement_from_another_time_is_refused() -> None:
    assert code_of(RAW, now=NOW + SESSION_SKEW + 1) == "session-time"
    assert code_of(RAW, now=NOW - SESSION_SKEW - 1) == "session-time"
    for now in (NOW - SESSION_SKEW, NOW + SESSION_SKEW):
        assert read_session(RAW, ORIGIN, now).time == NOW


def test_a_statement_of_another_suite_is_refused() -> None:
    assert code_of(turned(suite=0)) == "downgrade"
    assert code_of(turned(suite=2)) == "downgrade"


def test_a_statement_signed_by_another_member_is_refused() -> None:
    with pytest.raises(BadSignature):
        check_session(RAW, keys_of("phone").sign.sign("kith/1/session", RAW), LAPTOP.sign.public)


def test_a_signature_made_for_something_else_opens_no_session() -> None:
    with pytest.raises(BadSignature):
        check_session(RAW, LAPTOP.sign.sign("kith/1/commit", RAW), LAPTOP.sign.public)


def test_an_altered_statement_is_refused() -> None:
    with pytest.raises(BadSignature):
        check_session(turned(time=NOW + 1), SIGNATURE, LAPTOP.sign.public)


@pytest.mark.parametrize(
    "fields", [{"vault": b""}, {"member": bytes(31)}, {"nonce": bytes(15)}, {"nonce": bytes(17)}, {"time": 2.5}]
)
def test_a_statement_with_a_field_of_the_wrong_form_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(DecodingError):
        read_session(turned(**fields), ORIGIN, NOW)


def test_a_statement_in_another_encoding_is_refused() -> None:
    assert RAW[1] == 1
    with pytest.raises(DecodingError):
        read_session(RAW[:1] + b"\xcc\x01" + RAW[2:], ORIGIN, NOW)
