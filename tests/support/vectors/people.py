"""Scenarios of the formats `persona` and `server_statement`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kith_protocol import labels
from kith_protocol.encoding import encode
from kith_protocol.persona import MAX_NUMBER, PersonaStatement, SignedPersona
from kith_protocol.server_statement import (
    CLOCK_SKEW,
    MAX_SUCCESSIONS,
    MAX_VALIDITY,
    ServerStatement,
    SignedServerStatement,
    Succession,
    server_fingerprint,
    sign_succession,
)
from kith_protocol.suite import SIGNATURE_BYTES, HybridSignKey, SealKey, SignKey
from tests.protocol.people import NOW, fixed, hybrid
from tests.protocol.test_member import SMALL_ORDER
from tests.support.vectors.tape import Tape
from tests.support.vectors.vector import Json, Private, Vector

ROOT, DAILY, STRANGER = hybrid("anna-root"), hybrid("anna-daily"), hybrid("stranger")
READER = hybrid("bob-root").public
SEAL = SealKey(fixed("anna-seal"))
ANNA = PersonaStatement(1, ROOT.public, DAILY.public, SEAL.public, 3)
SERVER, NEXT, LAST, GATEWAY = (
    SignKey(fixed("server")),
    SignKey(fixed("server-next")),
    SignKey(fixed("server-last")),
    SealKey(fixed("gateway")),
)
HOST = "anna.example"
STATED = ServerStatement(1, HOST, SERVER.public, (1,), GATEWAY.public, NOW, NOW + MAX_VALIDITY)


def signed_persona(tape: Tape, statement: PersonaStatement = ANNA, key: HybridSignKey = ROOT) -> bytes:
    body = encode(statement)
    return encode(SignedPersona(body, tape.sign(key, labels.PERSONA, body)))


def personas(tape: Tape) -> Iterator[Vector]:
    body, raw = encode(ANNA), signed_persona(tape)
    right = tape.sign(ROOT, labels.PERSONA, body)
    wrong = tape.sign(STRANGER, labels.PERSONA, body)

    def vector(name: str, says: str, fails: str | None = None, persona: bytes = raw, **turned: Json) -> Vector:
        keys: dict[str, Private] = {"root": ROOT, "daily": DAILY, "seal": SEAL, "stranger": STRANGER}
        inputs: dict[str, Json] = {"persona": persona.hex(), "expect": None, "known": [], "reader": READER.hex()}
        return Vector("persona", name, says, {**inputs, **turned}, fails, keys)

    def stated(name: str, says: str, fails: str | None = None, **fields: Any) -> Vector:
        return vector(name, says, fails, signed_persona(tape, msgspec.structs.replace(ANNA, **fields)))

    def carrying(signature: bytes, over: bytes = body) -> bytes:
        return encode(SignedPersona(over, signature))

    person, other = ANNA.person.hex(), fixed("other person").hex()
    yield vector("stranger-to-me", "The first that is seen of a person.")
    yield vector("expected", "The person that was expected.", expect=person, known=[[person, 3]])
    yield vector("newer", "Replaces number 2; of another person 9 is known.", known=[[person, 2], [other, 9]])
    yield stated("largest-number", "The last number there can be.", number=MAX_NUMBER)
    yield vector("another-person", "Somebody stands in between.", "person-changed", expect=other)
    yield vector("outdated", "Number 4 was seen before.", "persona-outdated", known=[[person, 4]])
    yield vector("other-root", "Signed by another root.", "bad-signature", carrying(wrong))
    half = wrong[:SIGNATURE_BYTES] + right[SIGNATURE_BYTES:]
    yield vector("other-ed25519-half", "Only ML-DSA fits.", "bad-signature", carrying(half))
    half = right[:SIGNATURE_BYTES] + wrong[SIGNATURE_BYTES:]
    yield vector("other-ml-dsa-half", "Only Ed25519 fits.", "bad-signature", carrying(half))
    unlabelled = tape.sign(ROOT, labels.SESSION, body)
    yield vector("other-label", "Signed as if it were a session.", "bad-signature", carrying(unlabelled))
    stolen = encode(msgspec.structs.replace(ANNA, sign_key=STRANGER.public))
    yield vector("key-exchanged", "The key was put in by another.", "bad-signature", carrying(right, stolen))
    yield vector("short-signature", "Only the Ed25519 half.", "undecodable", carrying(right[:SIGNATURE_BYTES]))
    yield vector("trailing-byte", "A byte after the end.", "undecodable", raw + b"\x00")
    yield stated("number-0", "Numbers begin with 1.", "undecodable", number=0)
    yield stated("number-too-large", "A number over 2^53.", "undecodable", number=MAX_NUMBER + 1)
    yield stated("suite-2", "A suite of a newer program.", "unknown-suite", suite=2)
    weak = SMALL_ORDER + DAILY.public[32:]
    yield stated("weak-sign-key", "Its Ed25519 half is of small order.", "bad-key", sign_key=weak)
    yield stated("weak-root", "The root itself is.", "bad-key", root=SMALL_ORDER + ROOT.public[32:])
    no_share = SEAL.public[:-32] + bytes(32)
    yield stated("zero-share", "The X25519 half is zero.", "bad-key", seal_key=no_share)


def signed_statement(
    statement: ServerStatement = STATED, key: SignKey = SERVER, successions: tuple[Succession, ...] = ()
) -> bytes:
    body = encode(statement)
    return encode(SignedServerStatement(body, key.sign(labels.SERVER_STATEMENT, body), successions))


def server_statements() -> Iterator[Vector]:
    yield from _stated()
    yield from _succeeded()


def _server_vector(name: str, says: str, fails: str | None = None, raw: bytes | None = None, **turned: Json) -> Vector:
    inputs: dict[str, Json] = {
        "statement": (raw or signed_statement()).hex(),
        "fingerprint": server_fingerprint(SERVER.public).hex(),
        "host": HOST,
        "now": NOW,
    }
    keys: dict[str, Private] = {"server": SERVER, "next": NEXT, "last": LAST, "gateway": GATEWAY}
    return Vector("server_statement", name, says, {**inputs, **turned}, fails, keys)


def _stated() -> Iterator[Vector]:
    vector = _server_vector

    def stated(name: str, says: str, fails: str, **fields: Any) -> Vector:
        return vector(name, says, fails, signed_statement(msgspec.structs.replace(STATED, **fields)))

    until = STATED.valid_until
    yield vector("pinned", "By the key that is pinned.")
    yield vector("ten-minutes-early", "The clocks may differ so far.", now=NOW - CLOCK_SKEW)
    yield vector("last-millisecond", "Its end is within.", now=until)
    yield vector("expired", "A millisecond later.", "statement-expired", now=until + 1)
    yield vector("from-the-future", "A millisecond too early.", "statement-not-yet-valid", now=NOW - CLOCK_SKEW - 1)
    yield vector("another-host", "Of another host name.", "statement-host", host="mallory.example")
    yield vector("another-pin", "Another server is pinned.", "server-key-changed", fingerprint=bytes(16).hex())
    forged = signed_statement(key=NEXT)
    yield vector("signed-by-another", "Names the pinned key, signed by another.", "server-key-changed", forged)
    other_label = encode(SignedServerStatement(encode(STATED), SERVER.sign(labels.SESSION, encode(STATED))))
    yield vector("other-label", "Signed as if it were a session.", "server-key-changed", other_label)
    yield stated("suite-0", "A lower suite.", "downgrade", suite=0)
    yield stated("version-2", "Speaks version 2 only.", "no-common-version", versions=(2,))
    yield stated("no-versions", "Speaks nothing.", "undecodable", versions=())
    yield stated("versions-not-sorted", "Versions out of order.", "undecodable", versions=(2, 1))
    yield stated("eight-days", "Valid for a millisecond too long.", "undecodable", valid_until=until + 1)
    yield stated("ends-before-it-begins", "Turned around.", "undecodable", valid_from=until, valid_until=NOW)
    no_share = GATEWAY.public[:-32] + bytes(32)
    yield stated("weak-gateway-key", "The X25519 half is zero.", "bad-key", gateway_key=no_share)


def _succeeded() -> Iterator[Vector]:
    first, second = sign_succession(SERVER, NEXT), sign_succession(NEXT, LAST)

    def handed(
        name: str, says: str, fails: str | None, *successions: Succession, key: SignKey = LAST, pin: SignKey = SERVER
    ) -> Vector:
        raw = signed_statement(msgspec.structs.replace(STATED, server_key=key.public), key, successions)
        return _server_vector(name, says, fails, raw, fingerprint=server_fingerprint(pin.public).hex())

    changed = "server-key-changed"
    yield handed("key-handed-over", "The pinned key named its successor.", None, first, key=NEXT)
    yield handed("key-handed-over-twice", "Two successions are followed.", None, first, second)
    yield handed("pinned-in-between", "Older successions do not matter.", None, first, second, pin=NEXT)
    yield handed("succession-missing", "Nothing leads to the new key.", changed, key=NEXT)
    yield handed("succession-left-out", "The first of two is missing.", changed, second)
    yield handed("successions-turned-around", "The newest comes first.", changed, second, first)
    lone = msgspec.structs.replace(first, old_signature=first.new_signature)
    yield handed("old-key-did-not-agree", "Signed by the new key only.", changed, lone, key=NEXT)
    lone = msgspec.structs.replace(first, new_signature=first.old_signature)
    yield handed("new-key-did-not-agree", "Signed by the old key only.", changed, lone, key=NEXT)
    many = (first,) * (MAX_SUCCESSIONS + 1)
    yield handed("too-many-successions", "Seventeen of them.", "undecodable", *many, key=NEXT)
