"""Scenarios of the format `guardian`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kith_protocol import labels
from kith_protocol.encoding import Statement, encode
from kith_protocol.guardian import GuardianRelease, GuardianShare, ShareLink, SignedShare, format_share_link
from kith_protocol.persona import person_id
from kith_protocol.splitting import read_share
from kith_protocol.suite import HybridSignKey, SealKey
from tests.protocol.people import NOW, fixed, hybrid
from tests.support.splits import altered, fixed_split, forged
from tests.support.vectors.tape import Tape
from tests.support.vectors.vector import Json, Private, Vector

ROOT, OTHER_ROOT = hybrid("anna-root"), hybrid("dora-root")
ANNA, BOB = person_id(ROOT.public), fixed("bob-person")
BOB_KEY, CARLA_KEY = SealKey(fixed("bob-persona")), SealKey(fixed("carla-persona"))
VAULT, ENTROPY = fixed("vault"), fixed("phrase")
SHARES = fixed_split(ENTROPY, 2, 3)
OTHERS = fixed_split(ENTROPY, 2, 3, "another split")
RIGHT = GuardianShare(1, BOB, VAULT, NOW, SHARES[0])
KEYS: dict[str, Private] = {"root": ROOT, "other_root": OTHER_ROOT, "bob": BOB_KEY, "carla": CARLA_KEY}


def guardians(tape: Tape) -> Iterator[Vector]:
    yield from _sealed(tape)
    yield from _released(tape)
    yield from _words()
    yield from _joined()
    yield from _links()


def _sealed(tape: Tape) -> Iterator[Vector]:
    def sealed(statement: GuardianShare = RIGHT, key: HybridSignKey = ROOT, person: bytes = ANNA) -> bytes:
        body = encode(statement)
        return wrapped(SignedShare(body, tape.sign(key, labels.GUARDIAN_SHARE, body)), person)

    def wrapped(signed: Statement, person: bytes = ANNA, guardian: bytes = BOB) -> bytes:
        context = b"\x01", person, guardian
        return tape.seal_to(BOB_KEY.public, labels.GUARDIAN_SEAL, *context, plaintext=encode(signed))

    def vector(name: str, says: str, fails: str | None = None, raw: bytes = b"", **turned: Json) -> Vector:
        inputs: dict[str, Json] = {"do": "open-share", "seed": BOB_KEY.seed.hex(), "guardian": BOB.hex()}
        inputs |= {"root": ROOT.public.hex(), "made": NOW, "sealed": (raw or sealed()).hex()}
        return Vector("guardian", name, says, {**inputs, **turned}, fails, KEYS)

    def saying(name: str, says: str, fails: str = "undecodable", **fields: Any) -> Vector:
        return vector(name, says, fails, sealed(msgspec.structs.replace(RIGHT, **fields)))

    yield vector("opens", "Bob's share of Anna's phrase.")
    yield vector("other-key", "Of another guardian.", "undecryptable", seed=CARLA_KEY.seed.hex())
    yield vector("other-person", "Another root is pinned.", "undecryptable", root=OTHER_ROOT.public.hex())
    yield vector("other-guardian", "Another guardian reads it.", "undecryptable", guardian=fixed("carla").hex())
    raw = sealed()
    yield vector("altered", "One bit was changed.", "undecryptable", raw[:-1] + bytes([raw[-1] ^ 1]))
    yield vector(
        "not-by-the-root",
        "By somebody who has a device of Anna's, not her phrase.",
        "bad-signature",
        sealed(key=OTHER_ROOT),
    )
    elsewhere = sealed(msgspec.structs.replace(RIGHT, guardian=fixed("carla")))
    yield vector("signed-for-another", "Anna signed it for Carla.", "bad-signature", elsewhere)
    yield vector("another-split", "The message names a later split.", "bad-signature", made=NOW + 1)
    unsigned = wrapped(SignedShare(encode(RIGHT), bytes(3373)))
    yield vector("no-signature", "Zeros stand in its place.", "bad-signature", unsigned)
    yield vector(
        "short-signature", "A byte is missing.", "undecodable", wrapped(SignedShare(encode(RIGHT), bytes(3372)))
    )
    yield saying("suite-2", "Of a newer program.", "unknown-suite", suite=2)
    yield saying("short-vault", "A vault id of 31 bytes.", vault=VAULT[:31])
    yield saying("made-0", "No time.", made=0)
    yield saying("wrong-checksum", "A word of the share is wrong.", words=_one_wrong(SHARES[0]))
    yield saying("upper-case", "One share has one encoding.", words=SHARES[0].upper())
    yield saying("two-spaces", "One share has one encoding.", words=SHARES[0].replace(" ", "  "))


def _released(tape: Tape) -> Iterator[Vector]:
    def vector(
        name: str, says: str, fails: str | None = None, *, made: int = NOW, key: HybridSignKey = ROOT, **other: Json
    ) -> Vector:
        signature = tape.sign(key, labels.GUARDIAN_RELEASE, encode(GuardianRelease(1, BOB, made)))
        inputs: dict[str, Json] = {"do": "check-release", "root": ROOT.public.hex(), "guardian": BOB.hex()}
        return Vector("guardian", name, says, {**inputs, "made": NOW, "signature": signature.hex(), **other}, fails)

    yield vector("release", "Anna's phrase ended Bob's office.")
    yield vector("release-not-by-the-root", "Who has a device, not the phrase.", "bad-signature", key=OTHER_ROOT)
    yield vector("release-of-another", "Signed for Bob.", "bad-signature", guardian=fixed("carla").hex())
    yield vector("release-of-an-earlier-split", "The message names a later one.", "bad-signature", made=NOW - 1)


def _words() -> Iterator[Vector]:
    def vector(name: str, says: str, fails: str | None = None, words: str = SHARES[0]) -> Vector:
        return Vector("guardian", name, says, {"do": "read-share", "words": words}, fails)

    words = SHARES[0].split()
    yield vector("words", "As it was made.")
    yield vector("words-typed", "Case and spaces are forgiven.", None, "  " + SHARES[0].upper().replace(" ", "\t "))
    yield vector("words-unknown", "A word that is in no list.", "share-word", " ".join(["kithbook", *words[1:]]))
    yield vector(
        "words-of-a-phrase", "A word of BIP-39 that SLIP-39 has not.", "share-word", " ".join([*words[:-1], "abandon"])
    )
    yield vector("words-wrong", "One word is another of the list.", "share-checksum", _one_wrong(SHARES[0]))
    exchanged = " ".join([*words[:8], words[9], words[8], *words[10:]])
    yield vector("words-exchanged", "Two neighbours changed places.", "share-checksum", exchanged)
    yield vector("words-too-few", "32 of them.", "share-length", " ".join(words[:-1]))
    yield vector("words-too-many", "34 of them.", "share-length", SHARES[0] + " academic")
    yield vector("words-of-a-short-secret", "20 words, for 128 bits.", "share-length", " ".join(words[:20]))
    yield vector("words-needing-one", "One alone is the secret.", "share-form", altered(SHARES[0], member_threshold=1))
    grouped = altered(SHARES[0], group_threshold=2, group_count=2)
    yield vector("words-of-groups", "Another program made groups.", "share-form", grouped)
    work = altered(SHARES[0], iteration_exponent=15)
    yield vector("words-with-work", "Minutes of work to join, for nothing.", "share-form", work)
    old = altered(SHARES[0], extendable=False)
    yield vector("words-not-extendable", "The older form of another program.", "share-form", old)


def _joined() -> Iterator[Vector]:
    def vector(name: str, says: str, *words: str) -> Vector:
        return Vector("guardian", name, says, {"do": "join", "shares": list(words)})

    bad = forged(SHARES[0], fixed("forged"))
    yield vector("join-two", "Two of three.", SHARES[2], SHARES[0])
    yield vector("join-three", "One more than needed.", *SHARES)
    yield vector("join-one", "One of two that are needed gives nothing.", SHARES[0])
    yield vector("join-forged", "A right checksum, but not what was split: nothing.", bad, SHARES[1])
    yield vector("join-forged-among-right", "The forged one is the one that does not fit.", bad, SHARES[1], SHARES[2])
    yield vector("join-two-splits", "Of different splits: nothing.", SHARES[0], OTHERS[1])
    yield vector("join-a-stray", "One is of another split.", OTHERS[0], SHARES[1], SHARES[2])


def _links() -> Iterator[Vector]:
    right = format_share_link(ShareLink("anna.example", VAULT, read_share(SHARES[0])))

    def vector(name: str, says: str, fails: str | None = None, link: str = right) -> Vector:
        return Vector("guardian", name, says, {"do": "read-link", "link": link}, fails)

    yield vector("link", "What stands in a QR code.")
    yield vector("link-of-version-2", "Of a newer program.", "unknown-suite", right.replace("#1.", "#2."))
    yield vector("link-cut", "The last letters are missing.", "share-length", right.rpartition("-")[0])
    yield vector("link-without-words", "Cut before them.", "share-link", right[: right.index("#") + 67])
    yield vector(
        "link-wrong-word",
        "A word is another.",
        "share-checksum",
        right.replace(SHARES[0].replace(" ", "-"), _one_wrong(SHARES[0]).replace(" ", "-")),
    )
    yield vector(
        "link-upper-case-vault",
        "A vault id has one encoding.",
        "share-link",
        right.replace(VAULT.hex(), VAULT.hex().upper()),
    )
    yield vector("link-of-an-invite", "An invite is no share.", "wrong-code", "kith:anna.example#1." + "A" * 64)
    yield vector("link-of-nothing", "No code at all.", "share-link", "anna.example")
    yield vector("link-bad-host", "No host.", "bad-host", right.replace("anna.example", "anna..example"))


def _one_wrong(words: str) -> str:
    """The tenth word exchanged for another of the list."""
    parts = words.split()
    parts[9] = "academic" if parts[9] != "academic" else "acid"
    return " ".join(parts)
