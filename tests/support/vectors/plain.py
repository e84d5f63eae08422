"""Scenarios of the formats `tree`, `epoch`, `record`, `merge` and `session`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kith_protocol import labels
from kith_protocol.chain import ZERO
from kith_protocol.content import Content, Unit
from kith_protocol.encoding import encode, encode_map
from kith_protocol.epoch import SealedKey, SealedKeys, encode_keys, epoch_commitment
from kith_protocol.member import MemberKeys
from kith_protocol.padding import pad_record
from kith_protocol.record import record_key, seal_record
from kith_protocol.recordheader import HEADER_BYTES, header
from kith_protocol.session import SESSION_SKEW, SessionStatement, sign_session
from kith_protocol.suite import NONCE_BYTES, encrypt
from kith_protocol.tree import Tree
from tests.protocol.people import NOW, fixed
from tests.protocol.vaults import Sealer, id_of, keys_of, note
from tests.support.vectors.running import content_hex
from tests.support.vectors.vector import Json, Vector

VAULT, LAPTOP, PHONE = fixed("vault"), keys_of("anna-laptop"), keys_of("phone")


def trees() -> Iterator[Vector]:
    records = {fixed(name, 16): fixed(name + "-hash") for name in ("one", "two", "three")}
    neighbours = {bytes([7, number]) + bytes(14): fixed(str(number)) for number in (1, 2)}
    one, two, three = sorted(records)

    def vector(name: str, says: str, held: dict[bytes, bytes], tree: bytes, fails: str | None = None) -> Vector:
        pairs = [[record.hex(), hash_.hex()] for record, hash_ in held.items()]
        return Vector("tree", name, says, {"records": pairs, "tree": tree.hex()}, fails)

    root = Tree.of(records).root
    yield vector("empty", "No record.", {}, Tree().root)
    yield vector("three-records", "Three records in three buckets.", records, root)
    yield vector("two-in-one-bucket", "Sorted by id within a bucket.", neighbours, Tree.of(neighbours).root)
    swapped = {**records, one: records[two], two: records[one]}
    yield vector("two-swapped", "Two records in each other's place.", swapped, root, "record-missing")
    dropped = {one: records[one], two: records[two]}
    yield vector("one-dropped", "A record is not there.", dropped, root, "record-missing")
    added = {**records, **neighbours}
    yield vector("one-planted", "Records that nobody wrote.", added, root, "record-missing")
    altered = {**records, three: fixed("altered")}
    yield vector("one-altered", "A record is another.", altered, root, "record-missing")


def epochs(seal: Sealer) -> Iterator[Vector]:
    key, before = fixed("epoch-key"), fixed("epoch-key-before")
    keys = seal(key, VAULT, 5, [LAPTOP.public, PHONE.public], previous=before, nonce=fixed("link", 24))
    commitment = epoch_commitment(5, key).hex()
    vault = VAULT.hex()

    def opening(name: str, says: str, fails: str | None = None, member: MemberKeys = LAPTOP, **turned: Json) -> Vector:
        inputs: dict[str, Json] = {
            "do": "open",
            "keys": encode_keys(keys).hex(),
            "vault": vault,
            "epoch": 5,
            "sign_seed": member.sign.seed.hex(),
            "seal_seed": member.seal.seed.hex(),
            "commitment": commitment,
        }
        return Vector("epoch", name, says, {**inputs, **turned}, fails)

    def linking(name: str, says: str, fails: str | None = None, **turned: Json) -> Vector:
        inputs: dict[str, Json] = {
            "do": "previous",
            "keys": encode_keys(keys).hex(),
            "vault": vault,
            "epoch": 5,
            "key": key.hex(),
            "before": 4,
            "commitment": epoch_commitment(4, before).hex(),
        }
        return Vector("epoch", name, says, {**inputs, **turned}, fails)

    derive = {"do": "derive", "key": key.hex(), "vault": vault, "epoch": 5}
    yield Vector("epoch", "derived-keys", "What comes from an epoch's key.", derive)
    yield opening("laptop-opens", "A member opens its sealed key.")
    yield opening("phone-opens", "So does another.", member=PHONE)
    yield linking("previous-opens", "The key of the epoch before.")
    yield opening("not-sealed-to-me", "A stranger finds no key.", "wrong-epoch", keys_of("stranger"))
    yield opening("another-vault", "The vault is part of the context.", "wrong-epoch", vault=ZERO.hex())
    yield opening("another-epoch", "So is the epoch.", "wrong-epoch", epoch=6)
    other = epoch_commitment(5, before).hex()
    yield opening("key-not-committed", "The chain names another key.", "wrong-epoch", commitment=other)
    mine, theirs = (next(k for k in keys.keys if k.member == member.id) for member in (LAPTOP, PHONE))
    renamed = SealedKeys((SealedKey(mine.member, theirs.sealed),))
    forged = encode_keys(renamed).hex()
    yield opening("sealed-to-another", "The phone's key under my name.", "wrong-epoch", keys=forged)
    cut = encode(SealedKeys((SealedKey(mine.member, mine.sealed[:-1]),))).hex()
    yield opening("sealed-key-cut", "A sealed key of 1,167 bytes.", "undecodable", keys=cut)
    twice = encode(SealedKeys((mine, mine))).hex()
    yield opening("sealed-twice", "A member stands twice.", "undecodable", keys=twice)
    unsorted = encode(SealedKeys(tuple(reversed(keys.keys)))).hex()
    yield opening("not-sorted", "Sorted by member id.", "undecodable", keys=unsorted)
    yield linking("previous-from-wrong-key", "Another epoch's key.", "wrong-epoch", key=before.hex())
    yield linking("previous-of-another-vault", "Another vault's.", "wrong-epoch", vault=ZERO.hex())
    yield linking("previous-not-committed", "The chain names another key.", "wrong-epoch", commitment=commitment)
    unlinked = encode_keys(SealedKeys(keys.keys)).hex()
    yield linking("previous-missing", "Nothing to open.", "wrong-epoch", keys=unlinked)


def records() -> Iterator[Vector]:
    epoch_key, id_, nonce = fixed("epoch-key"), id_of("carla"), fixed("nonce", NONCE_BYTES)
    key = record_key(epoch_key, VAULT)
    blob = seal_record(key, VAULT, id_, 3, note("met at PyCon"), nonce=nonce)

    def vector(name: str, says: str, raw: bytes, fails: str | None = None, **turned: bytes) -> Vector:
        inputs = {"epoch_key": epoch_key, "vault": VAULT, "id": id_, "record": raw, **turned}
        return Vector("record", name, says, {name: value.hex() for name, value in inputs.items()}, fails)

    def plain(name: str, says: str, padded: bytes) -> Vector:
        sealed = encrypt(key, labels.RECORD, header(1, 3) + VAULT + id_, padded, nonce=nonce)
        return vector(name, says, header(1, 3) + sealed, "undecodable")

    def flipped(place: int) -> bytes:
        return blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]

    yield vector("note", "A small note, padded to 256 bytes.", blob)
    longer = seal_record(key, VAULT, id_, 2**32 - 1, note("x" * 300), nonce=nonce)
    yield vector("note-of-300", "Padmé pads to 384 bytes; the highest epoch.", longer)
    yield vector("another-id", "Moved to another record's place.", blob, "undecryptable", id=id_of("dora"))
    yield vector("another-vault", "Moved to another vault.", blob, "undecryptable", vault=ZERO)
    yield vector("another-key", "Under another epoch's key.", blob, "undecryptable", epoch_key=fixed("other"))
    yield vector("another-epoch", "The header names epoch 4.", header(1, 4) + blob[HEADER_BYTES:], "undecryptable")
    yield vector("suite-0", "The header names suite 0.", header(0, 3) + blob[HEADER_BYTES:], "downgrade")
    yield vector("altered-nonce", "One bit of the nonce.", flipped(HEADER_BYTES), "undecryptable")
    yield vector("altered-commitment", "One bit of the commitment.", flipped(HEADER_BYTES + 24), "undecryptable")
    yield vector("altered-ciphertext", "One bit of the ciphertext.", flipped(HEADER_BYTES + 56), "undecryptable")
    yield vector("altered-tag", "One bit of the tag.", flipped(len(blob) - 1), "undecryptable")
    yield vector("cut-off", "The last byte is not there.", blob[:-1], "undecryptable")
    yield vector("too-short", "No room for a box.", blob[: HEADER_BYTES + 71], "undecryptable")
    yield vector("no-header", "Four bytes.", blob[:4], "undecodable")
    content = encode_map(note("met at PyCon"))
    yield plain("no-padding", "The mark 0x80 is not there.", content)
    yield plain("nothing-but-zeros", "No mark in 256 bytes.", bytes(256))
    yield plain("not-a-map", "An array.", pad_record(b"\x90"))
    yield plain("key-not-text", "A map whose key is a number.", pad_record(b"\x81\x01\x02"))
    yield plain("not-utf8", "A key that is no UTF-8.", pad_record(b"\x81\xa1\xff\x01"))
    yield plain("nested-too-deeply", "33 levels.", pad_record(b"\x81\xa1x" + b"\x91" * 32 + b"\x01"))


def merges() -> Iterator[Vector]:
    def card(extra: dict[str, Any] | None = None, kind: str = "contact", **units: tuple[Any, int, bytes]) -> Content:
        return Content(kind, {key: Unit(*unit) for key, unit in units.items()}, extra or {})

    def vector(name: str, says: str, base: Content | None, local: Content | None, remote: Content | None) -> Vector:
        sides = {"base": base, "local": local, "remote": remote}
        return Vector("merge", name, says, {**{k: content_hex(side) for k, side in sides.items()}, "latest": 1000})

    def damaged(name: str, says: str, values: dict[str, Any]) -> Vector:
        inputs = {"base": None, "local": encode_map(values).hex(), "remote": None, "latest": 1000}
        return Vector("merge", name, says, inputs, "undecodable")

    base = card(fn=("Anna", 1, b"A"), tel=("1", 1, b"A"))
    mine = card(fn=("Anne", 10, b"A"), tel=("1", 1, b"A"))
    theirs = card(fn=("Hanna", 20, b"B"), tel=("1", 1, b"A"))
    phone = card(fn=("Anna", 1, b"A"), tel=("2", 5, b"B"))
    without = card(fn=("Anna", 1, b"A"))
    ahead = card(fn=("Anne", 9_999_999, b"A"), tel=("1", 1, b"A"))
    now = card(fn=("Hanna", 1000, b"B"), tel=("1", 1, b"A"))
    yield vector("different-units", "Both edits stand.", base, mine, phone)
    yield vector("same-unit", "The later stands, the other is kept.", base, mine, theirs)
    yield vector("same-unit-turned", "The same from the other side.", base, theirs, mine)
    yield vector("clock-ahead", "Counts as `latest`: the larger hash stands.", base, ahead, now)
    yield vector("unit-edit-against-deletion", "The edit stands.", base, without, phone)
    yield vector("unit-deleted", "Nobody edited it.", base, without, base)
    yield vector("record-edit-against-deletion", "The edit stands.", base, mine, None)
    yield vector("record-deletion-against-edit", "The edit stands.", base, None, theirs)
    yield vector("record-deleted", "Nobody edited it.", base, None, base)
    yield vector("no-local-edit", "What is remote stands.", base, base, theirs)
    yield vector("no-base", "Two made one record; all is kept.", None, mine, theirs)
    circle = [card(kind="circle", name=(name, at, b"A")) for name, at in (("a", 1), ("b", 2), ("c", 3))]
    yield vector("no-conflicts-in-circles", "The later stands, alone.", *circle)
    yield vector("unknown-keys", "Both are carried along.", card(), card({"new": 1}), card({"newer": 2}))
    one, true, other = (card(x=(value, 1, b"A")) for value in (1, True, 2))
    yield vector(
        "true-is-not-one", "Some languages take true for 1; both sides edited, and both are kept.", one, true, other
    )
    yield damaged("no-units", "A map without units.", {"kind": "note"})
    yield damaged("no-kind", "A map without a kind.", {"units": {}})
    yield damaged("unit-of-two", "A unit without a value.", {"kind": "note", "units": {"text": [1, b""]}})
    yield damaged("time-is-text", "A time that is text.", {"kind": "note", "units": {"text": ["1", b"", ""]}})
    yield damaged("time-is-negative", "A time before 1970.", {"kind": "note", "units": {"text": [-1, b"", ""]}})
    yield damaged("author-is-text", "An author that is text.", {"kind": "note", "units": {"text": [1, "", ""]}})


def sessions() -> Iterator[Vector]:
    origin = "anna.example:8400"
    statement = SessionStatement(1, VAULT, LAPTOP.id, origin, NOW, fixed("nonce", 16))
    raw, signature = sign_session(VAULT, LAPTOP.id, origin, NOW, fixed("nonce", 16), LAPTOP.sign)

    def vector(name: str, says: str, fails: str | None = None, **turned: Json) -> Vector:
        inputs: dict[str, Json] = {
            "statement": raw.hex(),
            "signature": signature.hex(),
            "sign_key": LAPTOP.sign.public.hex(),
            "origin": origin,
            "now": NOW,
        }
        return Vector("session", name, says, {**inputs, **turned}, fails, {"laptop": LAPTOP})

    def signed(name: str, says: str, fails: str, **fields: Any) -> Vector:
        other = encode(msgspec.structs.replace(statement, **fields))
        return vector(name, says, fails, statement=other.hex(), signature=LAPTOP.sign.sign(labels.SESSION, other).hex())

    yield vector("opens", "The right server, now.")
    yield vector("ten-minutes-late", "The clocks may differ so far.", now=NOW + SESSION_SKEW)
    yield vector("another-server", "Relayed by a server to another.", "session-origin", origin="mallory.example")
    yield vector("another-port", "The port is part of the origin.", "session-origin", origin="anna.example")
    yield vector("too-late", "Ten minutes and a millisecond.", "session-time", now=NOW + SESSION_SKEW + 1)
    yield vector("too-early", "From the future.", "session-time", now=NOW - SESSION_SKEW - 1)
    yield signed("suite-0", "A lower suite.", "downgrade", suite=0)
    yield signed("short-nonce", "A nonce of 15 bytes.", "undecodable", nonce=bytes(15))
    other_label = LAPTOP.sign.sign(labels.COMMIT, raw).hex()
    yield vector("other-label", "Signed as if it were a commit.", "bad-signature", signature=other_label)
    by_phone = PHONE.sign.sign(labels.SESSION, raw).hex()
    yield vector("other-member", "Signed by the phone.", "bad-signature", signature=by_phone)
    altered = encode(msgspec.structs.replace(statement, time=NOW + 1)).hex()
    yield vector("altered", "Another time than was signed.", "bad-signature", statement=altered)
