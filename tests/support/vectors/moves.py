"""Scenarios of `moving`, who may fill a server and a server's word that it forgot a vault, and of `backup`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from kith_client.lifecycle.backup import MAGIC
from kith_protocol import labels, wire
from kith_protocol.encoding import encode
from kith_protocol.moving import FILL_SKEW, FillStatement, ForgottenStatement, sign_fill, sign_forgotten
from kith_protocol.suite import SignKey
from tests.protocol.people import NOW, fixed
from tests.protocol.vaults import Sealer, Story, feed_of, id_of, keys_of, note
from tests.support.vectors.vector import Json, Vector, keys_in

VAULT, LAPTOP, PHONE = fixed("vault"), keys_of("anna-laptop"), keys_of("phone")
HOST = "new.example:8400"
SERVER = SignKey(fixed("new-server"))


def moves() -> Iterator[Vector]:
    yield from _fills()
    yield from _forgotten()


def _fills() -> Iterator[Vector]:
    statement = FillStatement(1, VAULT, LAPTOP.id, HOST, NOW)
    raw, signature = sign_fill(VAULT, LAPTOP, HOST, NOW)

    def vector(name: str, says: str, fails: str | None = None, **turned: Json) -> Vector:
        inputs: dict[str, Json] = {
            "do": "fill",
            "statement": raw.hex(),
            "signature": signature.hex(),
            "member": encode(LAPTOP.public).hex(),
            "vault": VAULT.hex(),
            "origin": HOST,
            "now": NOW,
        }
        return Vector("moving", name, says, {**inputs, **turned}, fails, {"laptop": LAPTOP})

    def signed(name: str, says: str, fails: str, **fields: Any) -> Vector:
        other = encode(msgspec.structs.replace(statement, **fields))
        return vector(name, says, fails, statement=other.hex(), signature=LAPTOP.sign.sign(labels.FILL, other).hex())

    yield vector("fill", "A member fills the server that it names, now.")
    yield vector("fill-ten-minutes-late", "The clocks may differ so far.", now=NOW + FILL_SKEW)
    yield vector("fill-another-server", "Passed on to another server.", "fill-origin", origin="new.example")
    yield vector("fill-too-late", "Ten minutes and a millisecond.", "fill-time", now=NOW + FILL_SKEW + 1)
    yield vector("fill-too-early", "From the future.", "fill-time", now=NOW - FILL_SKEW - 1)
    yield vector("fill-another-vault", "Beside the genesis of another vault.", "fill-refused", vault=fixed("x").hex())
    phone = encode(PHONE.public).hex()
    yield vector("fill-another-member", "Beside the keys of the phone.", "fill-refused", member=phone)
    by_phone = PHONE.sign.sign(labels.FILL, raw).hex()
    yield vector("fill-signed-by-another", "Signed by the phone.", "fill-refused", signature=by_phone)
    label = LAPTOP.sign.sign(labels.SESSION, raw).hex()
    yield vector("fill-other-label", "Signed as if it were a session.", "fill-refused", signature=label)
    yield signed("fill-suite-0", "A lower suite.", "downgrade", suite=0)
    yield signed("fill-short-vault", "A vault of 31 bytes.", "undecodable", vault=VAULT[1:])


def _forgotten() -> Iterator[Vector]:
    statement = ForgottenStatement(1, HOST, VAULT, NOW)
    said = sign_forgotten(SERVER, HOST, VAULT, NOW)

    def vector(name: str, says: str, fails: str | None = None, **turned: Json) -> Vector:
        inputs: dict[str, Json] = {
            "do": "forgotten",
            "statement": said.body.hex(),
            "signature": said.signature.hex(),
            "server_key": SERVER.public.hex(),
            "host": HOST,
            "vault": VAULT.hex(),
        }
        return Vector("moving", name, says, {**inputs, **turned}, fails, {"server": SERVER})

    def signed(name: str, says: str, fails: str, **fields: Any) -> Vector:
        other = encode(msgspec.structs.replace(statement, **fields))
        signature = SERVER.sign(labels.SERVER_FORGOTTEN, other).hex()
        return vector(name, says, fails, statement=other.hex(), signature=signature)

    yield vector("forgotten", "A server's word about this vault.")
    yield vector("forgotten-another-host", "The word of another server.", "not-forgotten", host="new.example")
    yield vector("forgotten-another-vault", "About another vault.", "not-forgotten", vault=fixed("x").hex())
    other = SignKey(fixed("other-server")).public.hex()
    yield vector("forgotten-another-key", "Not signed by the pinned key.", "not-forgotten", server_key=other)
    label = SERVER.sign(labels.SERVER_STATEMENT, said.body).hex()
    yield vector("forgotten-other-label", "Signed as if it were a statement.", "not-forgotten", signature=label)
    yield signed("forgotten-suite-2", "Another suite.", "downgrade", suite=2)
    yield signed("forgotten-time", "A time before 1970.", "undecodable", time=-1)


def backups(seal: Sealer) -> Iterator[Vector]:
    told = Story(seal=seal)
    told.put(carla="met at PyCon", dora="owes me a book")
    told.write({id_of("carla"): told.record(id_of("carla"), note("wants to try fencing"))}, told.device)
    told.delete("dora")
    whole, bare = feed_of(told), feed_of(told, horizon=3)
    *most, end = bare
    records = [frame for frame in most if isinstance(frame, wire.FeedRecords)]
    without = [frame for frame in bare if frame not in records]
    other_head = wire.FeedHead(3, bytes(32), 1)

    def vector(name: str, says: str, frames: Iterable[wire.Frame], fails: str | None = None, **of: bytes) -> Vector:
        raw = of.get("magic", MAGIC) + b"".join(map(wire.encode_frame, frames)) + of.get("behind", b"")
        return Vector("backup", name, says, {"file": raw.hex()}, fails, keys_in(told))

    yield vector("without-lists", "As a device writes it, which keeps no change lists.", bare)
    yield vector("with-lists", "With the change lists of a server.", whole)
    bad = "undecodable"
    yield vector("another-file", "It does not begin as a backup does.", bare, bad, magic=b"kith backup 2\n")
    yield vector("nothing", "A backup of nothing.", [], bad)
    yield vector("without-end", "Cut off behind the last record.", most, bad)
    yield vector("cut", "Cut off within a frame.", most, bad, behind=wire.encode_frame(end)[:-1])
    yield vector("goes-on", "Something stands behind the end.", [*bare, end], bad)
    yield vector("without-head", "It begins with a commit.", bare[1:], bad)
    yield vector("without-genesis", "It begins in the middle.", [bare[0], *bare[2:]], bad)
    yield vector("other-head", "The commits do not lead to the head.", [other_head, *bare[1:]], bad)
    yield vector("without-records", "The records are not there.", without, bad)
    yield vector("commit-left-out", "A commit is not there.", [*bare[:2], *bare[3:]], bad)
    long = (wire.MAX_FRAME_BYTES + 1).to_bytes(4, "big")
    yield vector("frame-too-long", "A frame of more than 4 MiB.", most, bad, behind=long)
