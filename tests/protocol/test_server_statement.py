"""What a server says of itself."""

from __future__ import annotations

import pytest

from kith_protocol import labels
from kith_protocol.encoding import decode, encode
from kith_protocol.errors import Alarm, AlarmCode, BadKey, BadSignature, DecodingError, Refused
from kith_protocol.server_statement import (
    CLOCK_SKEW,
    MAX_STATEMENT_BYTES,
    MAX_SUCCESSIONS,
    MAX_VALIDITY,
    ServerStatement,
    SignedServerStatement,
    Succession,
    claimed_fingerprint,
    server_fingerprint,
    sign_server_statement,
    sign_succession,
    verify_server_statement,
)
from kith_protocol.suite import SEAL_KEY_BYTES, SealKey, SignKey, verify
from tests.protocol.people import DAY, NOW, MixedOrderKey, fixed

HOST = "a.example:8400"
KEY, NEXT, LATER, STRANGER = (SignKey(fixed(name)) for name in ("key", "next", "later", "stranger"))
GATEWAY = SealKey(fixed("gateway")).public
PIN = server_fingerprint(KEY.public)


def statement(key: SignKey = KEY, successions: tuple[Succession, ...] = (), versions: tuple[int, ...] = (1,)) -> bytes:
    return sign_server_statement(key, HOST, GATEWAY, NOW, NOW + DAY, versions=versions, successions=successions)


def signed(body: ServerStatement, key: SignKey = KEY) -> bytes:
    raw = encode(body)
    return encode(SignedServerStatement(raw, key.sign(labels.SERVER_STATEMENT, raw)))


def refusal(raw: bytes, *, host: str = HOST, now: int = NOW) -> str:
    with pytest.raises(Refused) as caught:
        verify_server_statement(raw, PIN, host, now)
    return caught.value.code


def alarm(raw: bytes, pin: bytes = PIN) -> AlarmCode:
    with pytest.raises(Alarm) as caught:
        verify_server_statement(raw, pin, HOST, NOW)
    return caught.value.alarm


def test_a_statement_under_the_pinned_key_is_accepted() -> None:
    found = verify_server_statement(statement(), PIN, HOST, NOW)
    assert (found.host, found.gateway_key, found.fingerprint) == (HOST, GATEWAY, PIN)


def test_a_statement_claims_the_fingerprint_of_its_own_key_and_is_verified_all_the_same() -> None:
    assert claimed_fingerprint(statement()) == PIN
    assert claimed_fingerprint(statement(STRANGER)) == server_fingerprint(STRANGER.public)
    body = ServerStatement(1, HOST, KEY.public, (1,), GATEWAY, NOW, NOW + DAY)
    forged = signed(body, STRANGER)
    assert alarm(forged, claimed_fingerprint(forged)) is AlarmCode.SERVER_KEY_CHANGED


@pytest.mark.parametrize("raw", [b"", b"\x93", bytes(MAX_STATEMENT_BYTES + 1)])
def test_what_is_no_statement_claims_nothing(raw: bytes) -> None:
    with pytest.raises(DecodingError):
        claimed_fingerprint(raw)


def test_a_statement_by_another_key_raises_the_alarm() -> None:
    assert alarm(statement(STRANGER)) is AlarmCode.SERVER_KEY_CHANGED


def test_a_statement_that_names_the_pinned_key_but_is_signed_by_another_raises_the_alarm() -> None:
    body = ServerStatement(1, HOST, KEY.public, (1,), GATEWAY, NOW, NOW + DAY)
    assert alarm(signed(body, STRANGER)) is AlarmCode.SERVER_KEY_CHANGED


def test_a_substituted_gateway_key_raises_the_alarm() -> None:
    found = decode(statement(), SignedServerStatement)
    mine = SealKey(fixed("mine")).public
    assert alarm(encode(SignedServerStatement(found.body.replace(GATEWAY, mine), found.signature)))


def test_a_succession_is_followed_from_every_earlier_key() -> None:
    chain = (sign_succession(KEY, NEXT), sign_succession(NEXT, LATER))
    raw = statement(LATER, chain)
    for key in (KEY, NEXT, LATER):
        found = verify_server_statement(raw, server_fingerprint(key.public), HOST, NOW)
        assert found.fingerprint == server_fingerprint(LATER.public)


def test_a_client_that_knows_the_present_key_needs_no_chain() -> None:
    broken = Succession(STRANGER.public, KEY.public, bytes(64), bytes(64))
    assert verify_server_statement(statement(KEY, (broken,)), PIN, HOST, NOW)


@pytest.mark.parametrize(
    "chain",
    [
        (),
        (sign_succession(STRANGER, LATER),),
        (sign_succession(KEY, NEXT),),
        (sign_succession(KEY, STRANGER), sign_succession(NEXT, LATER)),
        (sign_succession(NEXT, LATER), sign_succession(KEY, NEXT)),
    ],
)
def test_a_chain_that_does_not_lead_from_the_pinned_key_raises_the_alarm(chain: tuple[Succession, ...]) -> None:
    assert alarm(statement(LATER, chain)) is AlarmCode.SERVER_KEY_CHANGED


def test_a_succession_that_one_of_both_keys_did_not_sign_raises_the_alarm() -> None:
    good = sign_succession(KEY, NEXT)
    stolen = sign_succession(STRANGER, NEXT)
    for forged in (
        Succession(good.old_key, good.new_key, stolen.old_signature, good.new_signature),
        Succession(good.old_key, good.new_key, good.old_signature, stolen.new_signature),
    ):
        assert alarm(statement(NEXT, (forged,))) is AlarmCode.SERVER_KEY_CHANGED
        with pytest.raises(BadSignature):
            forged.verify()


def test_a_pinned_key_of_small_order_raises_the_alarm() -> None:
    weak = b"\x01" + bytes(31)
    body = encode(ServerStatement(1, HOST, weak, (1,), GATEWAY, NOW, NOW + DAY))
    raw = encode(SignedServerStatement(body, weak + bytes(32)))
    assert alarm(raw, server_fingerprint(weak)) is AlarmCode.SERVER_KEY_CHANGED


def test_an_unusable_gateway_key_is_refused() -> None:
    with pytest.raises(BadKey):
        verify_server_statement(
            signed(ServerStatement(1, HOST, KEY.public, (1,), bytes(SEAL_KEY_BYTES), NOW, NOW + DAY)), PIN, HOST, NOW
        )


def test_a_statement_for_another_host_is_refused() -> None:
    assert refusal(statement(), host="b.example") == "statement-host"


def test_a_statement_outside_its_time_is_refused() -> None:
    verify_server_statement(statement(), PIN, HOST, NOW + DAY)
    assert refusal(statement(), now=NOW + DAY + 1) == "statement-expired"
    verify_server_statement(statement(), PIN, HOST, NOW - CLOCK_SKEW)
    assert refusal(statement(), now=NOW - CLOCK_SKEW - 1) == "statement-not-yet-valid"


def test_a_server_without_a_common_version_is_refused() -> None:
    assert refusal(statement(versions=(2, 3))) == "no-common-version"
    assert verify_server_statement(statement(versions=(1, 2)), PIN, HOST, NOW).versions == (1, 2)


def test_another_suite_raises_the_alarm() -> None:
    assert alarm(signed(ServerStatement(2, HOST, KEY.public, (1,), GATEWAY, NOW, NOW + DAY))) is AlarmCode.DOWNGRADE


@pytest.mark.parametrize(
    "body",
    [
        ServerStatement(1, "A.example", KEY.public, (1,), GATEWAY, NOW, NOW + DAY),
        ServerStatement(1, HOST, KEY.public, (), GATEWAY, NOW, NOW + DAY),
        ServerStatement(1, HOST, KEY.public, (2, 1), GATEWAY, NOW, NOW + DAY),
        ServerStatement(1, HOST, KEY.public, (1, 1), GATEWAY, NOW, NOW + DAY),
        ServerStatement(1, HOST, KEY.public, tuple(range(1, 18)), GATEWAY, NOW, NOW + DAY),
        ServerStatement(1, HOST, KEY.public, (1,), GATEWAY, NOW, NOW),
        ServerStatement(1, HOST, KEY.public, (1,), GATEWAY, -1, NOW),
        ServerStatement(1, HOST, KEY.public, (1,), GATEWAY, NOW, NOW + MAX_VALIDITY + 1),
        ServerStatement(1, HOST, KEY.public, (1,), GATEWAY, 2**53, 2**53 + 1),
        ServerStatement(1, HOST, KEY.public[1:], (1,), GATEWAY, NOW, NOW + DAY),
    ],
)
def test_a_statement_out_of_its_bounds_is_refused(body: ServerStatement) -> None:
    with pytest.raises(DecodingError):
        verify_server_statement(signed(body), PIN, HOST, NOW)


def test_a_wrapper_with_fields_of_wrong_sizes_is_refused() -> None:
    found = decode(statement(), SignedServerStatement)
    short = Succession(KEY.public, NEXT.public, bytes(63), bytes(64))
    for wrapper in (
        SignedServerStatement(found.body, found.signature[1:]),
        SignedServerStatement(found.body, found.signature, (short,)),
    ):
        with pytest.raises(DecodingError):
            verify_server_statement(encode(wrapper), PIN, HOST, NOW)


def test_a_key_of_mixed_order_raises_the_alarm_although_its_signature_verifies() -> None:
    weak = MixedOrderKey(fixed("weak"))
    body = encode(ServerStatement(1, HOST, weak.public, (1,), GATEWAY, NOW, NOW + DAY))
    signature = weak.sign(labels.SERVER_STATEMENT, body)
    verify(weak.public, labels.SERVER_STATEMENT, body, signature=signature)
    raw = encode(SignedServerStatement(body, signature))
    assert alarm(raw, server_fingerprint(weak.public)) is AlarmCode.SERVER_KEY_CHANGED
    both = (weak.public, NEXT.public)
    succession = Succession(
        *both, weak.sign(labels.SERVER_SUCCESSION, *both), NEXT.sign(labels.SERVER_SUCCESSION, *both)
    )
    raw = statement(NEXT, (succession,))
    assert alarm(raw, server_fingerprint(weak.public)) is AlarmCode.SERVER_KEY_CHANGED


def test_a_server_does_not_sign_what_nobody_would_accept() -> None:
    with pytest.raises(DecodingError):
        sign_server_statement(KEY, HOST, GATEWAY, NOW, NOW + MAX_VALIDITY + 1)
    with pytest.raises(DecodingError):
        statement(NEXT, (sign_succession(KEY, NEXT),) * (MAX_SUCCESSIONS + 1))


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", statement()[:-1], statement() + b"\x00", bytes(MAX_STATEMENT_BYTES + 1)]
)
def test_what_is_no_statement_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodingError):
        verify_server_statement(raw, PIN, HOST, NOW)
