"""Scenarios of the format `nearby`: names and notes of two devices that compare heads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kith_protocol.nearby import HeadNote, Knows, Talk, Verdict, nearby_key, tag_at, verdict
from kith_protocol.suite import SignKey
from tests.protocol.people import NOW, fixed, flip
from tests.support.vectors.vector import Json, Vector

EPOCH, VAULT, MEMBER = fixed("epoch"), fixed("vault"), fixed("laptop id")
LAPTOP = SignKey(fixed("laptop"))
TALK = Talk(VAULT, nearby_key(EPOCH, VAULT), fixed("asks", 16), fixed("answers", 16))
NONCE = fixed("nonce", 24)
NOTE = TALK.sign(2, MEMBER, LAPTOP, 7, fixed("head"), knows=Knows.STANDS)
unhex = bytes.fromhex


def nearbys() -> Iterator[Vector]:
    yield from _names()
    yield from _notes()
    yield from _verdicts()


def _names() -> Iterator[Vector]:
    for name, says, now in (("name", "What is announced.", NOW), ("name-an-hour-later", "Another.", NOW + 3_600_000)):
        yield Vector("nearby", name, says, {"do": "name", "epoch_key": EPOCH.hex(), "vault": VAULT.hex(), "now": now})


def _notes() -> Iterator[Vector]:
    def vector(name: str, says: str, raw: bytes, fails: str | None = "undecryptable", **turned: Json) -> Vector:
        inputs: dict[str, Json] = {
            "do": "open-note",
            "epoch_key": EPOCH.hex(),
            "vault": VAULT.hex(),
            "asks": TALK.asks.hex(),
            "answers": TALK.answers.hex(),
            "place": 2,
            "members": [[MEMBER.hex(), LAPTOP.public.hex()]],
            "note": raw.hex(),
        }
        return Vector("nearby", f"note-{name}", says, {**inputs, **turned}, fails, {"laptop": LAPTOP})

    def sealed(**fields: Any) -> bytes:
        return TALK.seal(2, msgspec.structs.replace(NOTE, **fields), nonce=NONCE)

    raw, other = sealed(), fixed("other")
    yield vector("opens", "Of a member, in this exchange.", raw, None)
    yield vector(
        "of-another-exchange", "Recorded before: the nonce of who connected is another.", raw, asks=other[:16].hex()
    )
    yield vector("to-another-device", "The nonce of who was found is another.", raw, answers=other[:16].hex())
    yield vector("in-another-place", "As the third note.", raw, place=3)
    yield vector("of-another-vault", "Of another vault.", raw, vault=other.hex())
    yield vector("of-another-epoch", "Under the key of another epoch.", raw, epoch_key=other.hex())
    yield vector("altered", "One bit was changed.", flip(raw, -1))
    yield vector("cut", "A byte is missing.", raw[:-1])
    yield vector("of-nobody", "Its member was removed.", raw, "bad-signature", members=[])
    stranger = [[MEMBER.hex(), SignKey(other).public.hex()]]
    yield vector("of-another-key", "Signed by another key than the member's.", raw, "bad-signature", members=stranger)
    yield vector("with-another-head", "Its head was exchanged by a member of old.", sealed(head=other), "bad-signature")
    yield vector("with-another-number", "Its number was.", sealed(number=8), "bad-signature")
    yield vector(
        "with-another-word", "It says that it does not know my head.", sealed(knows=Knows.NOT), "bad-signature"
    )
    yield vector("number-below-0", "A number that cannot be.", sealed(number=-1))
    yield vector("unknown-word", "No such answer.", sealed(knows=3))
    yield vector("short-head", "A hash of 31 bytes.", sealed(head=other[1:]))


def _verdicts() -> Iterator[Vector]:
    a, b = fixed("a").hex(), fixed("b").hex()
    for name, says, mine, theirs, knows, known in (
        ("in-step", "The same head.", [7, a], [7, a], 1, 1),
        ("ahead", "Theirs is in my history.", [7, a], [5, b], 1, 0),
        ("behind", "Mine is in theirs.", [5, a], [7, b], 0, 1),
        ("repaired-here", "A repair of mine gave theirs up.", [7, a], [5, b], 2, 0),
        ("repaired-there", "A repair of theirs gave mine up.", [5, a], [7, b], 0, 2),
        ("fork-at-one-number", "Two commits with one number.", [7, a], [7, b], 0, 0),
        ("fork-behind", "Theirs is older and not in my history.", [7, a], [5, b], 0, 0),
        ("fork-of-both", "Each says that it knows the other's.", [7, a], [5, b], 1, 1),
        ("fork-of-two-repairs", "Each gave the other's up.", [7, a], [5, b], 2, 2),
        ("fork-given-up-and-known", "I gave theirs up, and they say that they know mine.", [7, a], [5, b], 2, 1),
    ):
        inputs = {"do": "compare", "mine": mine, "theirs": theirs, "i_know": knows, "they_know": known}
        yield Vector("nearby", name, says, inputs)


def run_nearby(inputs: dict[str, Json]) -> Json:
    """What comes of a vector."""
    if inputs["do"] == "compare":
        number, head = inputs["theirs"]
        note = HeadNote(MEMBER, number, unhex(head), Knows(inputs["they_know"]), bytes(64))
        mine = inputs["mine"][0], unhex(inputs["mine"][1])
        found: Verdict = verdict(mine, Knows(inputs["i_know"]), note)
        return found.name.lower()
    vault = unhex(inputs["vault"])
    key = nearby_key(unhex(inputs["epoch_key"]), vault)
    if inputs["do"] == "name":
        return tag_at(key, inputs["now"])
    talk = Talk(vault, key, unhex(inputs["asks"]), unhex(inputs["answers"]))
    members = {unhex(member): unhex(sign_key) for member, sign_key in inputs["members"]}
    opened = talk.open(inputs["place"], unhex(inputs["note"]), members)
    return {
        "member": opened.member.hex(),
        "number": opened.number,
        "head": opened.head.hex(),
        "knows": int(opened.knows),
    }
