"""Who may fill a server, and a server's word that it forgot a vault."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kith_protocol.encoding import decode, encode
from kith_protocol.errors import Alarm, BadKey, DecodingError, Refused
from kith_protocol.member import MemberKeys, MemberKind
from kith_protocol.moving import (
    FILL_SKEW,
    FillStatement,
    ForgottenStatement,
    SignedForgotten,
    check_fill,
    check_forgotten,
    sign_fill,
    sign_forgotten,
)
from kith_protocol.suite import SealKey, SignKey

NOW = 1_800_000_000_000
HOST = "new.example"
VAULT = b"v" * 32
MEMBER = MemberKeys(MemberKind.DEVICE, SignKey(b"s" * 32), SealKey(b"k" * 32))
OTHER = MemberKeys(MemberKind.PAPER, SignKey(b"o" * 32), SealKey(b"k" * 32))
SERVER = SignKey(b"h" * 32)


def test_a_member_may_fill_the_server_that_it_names_around_now() -> None:
    raw, signature = sign_fill(VAULT, MEMBER, HOST, NOW)
    for skew in (-FILL_SKEW, 0, FILL_SKEW):
        check_fill(raw, signature, MEMBER.public, VAULT, HOST, NOW + skew)


@pytest.mark.parametrize(
    ("vault", "host", "now", "code"),
    [
        (b"w" * 32, HOST, NOW, "fill-refused"),
        (VAULT, "other.example", NOW, "fill-origin"),
        (VAULT, HOST, NOW + FILL_SKEW + 1, "fill-time"),
        (VAULT, HOST, NOW - FILL_SKEW - 1, "fill-time"),
    ],
)
def test_a_statement_for_something_else_is_refused(vault: bytes, host: str, now: int, code: str) -> None:
    raw, signature = sign_fill(VAULT, MEMBER, HOST, NOW)
    with pytest.raises(Refused) as refused:
        check_fill(raw, signature, MEMBER.public, vault, host, now)
    assert refused.value.code == code


def test_a_statement_of_another_member_or_with_another_signature_is_refused() -> None:
    raw, signature = sign_fill(VAULT, MEMBER, HOST, NOW)
    for member, signed in ((OTHER, signature), (MEMBER, sign_fill(VAULT, OTHER, HOST, NOW)[1])):
        with pytest.raises(Refused) as refused:
            check_fill(raw, signed, member.public, VAULT, HOST, NOW)
        assert refused.value.code == "fill-refused"


def test_a_member_with_an_unusable_key_and_another_suite_are_refused() -> None:
    weak = replace(MEMBER.public, sign_key=bytes(32))
    raw = encode(FillStatement(1, VAULT, weak.id, HOST, NOW))
    with pytest.raises(BadKey):
        check_fill(raw, bytes(64), weak, VAULT, HOST, NOW)
    raw = encode(FillStatement(2, VAULT, MEMBER.id, HOST, NOW))
    with pytest.raises(Refused) as refused:
        check_fill(raw, MEMBER.sign.sign("kith/1/fill", raw), MEMBER.public, VAULT, HOST, NOW)
    assert refused.value.code == "downgrade"
    with pytest.raises(DecodingError):
        check_fill(raw[:-1], bytes(64), MEMBER.public, VAULT, HOST, NOW)


def test_a_server_says_that_it_forgot() -> None:
    said = sign_forgotten(SERVER, HOST, VAULT, NOW)
    assert check_forgotten(decode(encode(said), SignedForgotten), SERVER.public, HOST, VAULT).time == NOW


@pytest.mark.parametrize(
    ("signed", "host", "vault"),
    [
        (sign_forgotten(SERVER, HOST, VAULT, NOW), "other.example", VAULT),
        (sign_forgotten(SERVER, HOST, VAULT, NOW), HOST, b"w" * 32),
        (sign_forgotten(SignKey(b"x" * 32), HOST, VAULT, NOW), HOST, VAULT),
        (replace(sign_forgotten(SERVER, HOST, VAULT, NOW), signature=bytes(64)), HOST, VAULT),
    ],
)
def test_the_word_of_another_server_or_about_another_vault_does_not_count(
    signed: SignedForgotten, host: str, vault: bytes
) -> None:
    with pytest.raises(Refused) as refused:
        check_forgotten(signed, SERVER.public, host, vault)
    assert refused.value.code == "not-forgotten"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"suite": 2}, Alarm),
        ({"host": "New.Example"}, DecodingError),
        ({"time": -1}, DecodingError),
        ({"time": 2**53 + 1}, DecodingError),
        ({"vault": b"short"}, DecodingError),
    ],
)
def test_a_word_out_of_its_bounds_is_refused(fields: dict[str, object], error: type[Exception]) -> None:
    body = encode(replace(ForgottenStatement(1, HOST, VAULT, NOW), **fields))
    with pytest.raises(error):
        check_forgotten(SignedForgotten(body, bytes(64)), SERVER.public, HOST, VAULT)
