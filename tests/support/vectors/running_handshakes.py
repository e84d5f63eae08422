"""Running a vector of the formats `handshake`, `reclaim`, `linking` and `wire`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kith_protocol import wire
from kith_protocol.encoding import Statement, decode
from kith_protocol.handshake import open_answer, open_finish
from kith_protocol.handshake_state import Established, PendingAnswer, relationship_keys
from kith_protocol.invite import OwnInvite
from kith_protocol.persona import OwnPersona
from kith_protocol.reclaim import open_reclaim, reclaim_slot
from kith_protocol.suite import HybridSignKey, SealKey
from tests.support.vectors.linkings import play
from tests.support.vectors.vector import Json

Inputs = dict[str, Json]
unhex = bytes.fromhex


def _me(inputs: Inputs) -> OwnPersona:
    # Opening needs to know who one is, and none of one's own signatures.
    return OwnPersona(unhex(inputs["me"]), HybridSignKey(bytes(32), bytes(32)))


def _handshake(inputs: Inputs) -> Json:
    if inputs["do"] == "confirm":
        keys = relationship_keys(unhex(inputs["secrets"]), unhex(inputs["transcript"]))
        _with_confirm(keys.confirm).check_confirm(unhex(inputs["confirm"]))
        return {"rs": keys.rs.hex(), "relationship": keys.relationship.hex()}
    if inputs["do"] == "open-answer":
        expect = None if inputs["expect"] is None else unhex(inputs["expect"])
        known = {unhex(person): number for person, number in inputs["known"]}
        own = decode(unhex(inputs["invite"]), OwnInvite)
        answer = open_answer(own, unhex(inputs["answer"]), _me(inputs), expect=expect, known=known)
        return {
            "person": answer.persona.person.hex(),
            "name": answer.body.name,
            "secret": answer.secret.hex(),
            "hash": answer.hash.hex(),
        }
    opened = open_finish(decode(unhex(inputs["pending"]), PendingAnswer), unhex(inputs["finish"]), _me(inputs))
    return {**_established(opened.established), "messages": len(opened.first.messages)}


def _with_confirm(confirm: bytes) -> Established:
    fields: dict[str, Any] = dict.fromkeys(Established.__struct_fields__, b"")
    return Established(**{**fields, "confirm": confirm})


def _established(relationship: Established) -> dict[str, Json]:
    return {
        "peer": relationship.peer.hex(),
        "rs": relationship.rs.hex(),
        "relationship": relationship.relationship.hex(),
        "confirm": relationship.confirm.hex(),
        "outbox": relationship.outbox.mailbox.hex(),
    }


def _reclaim(inputs: Inputs) -> Json:
    raw, keys = unhex(inputs["reclaim"]), [SealKey(unhex(seed)) for seed in inputs["seeds"]]
    known = decode(unhex(inputs["known"]), Established)
    opened = open_reclaim(raw, known, keys, _me(inputs), crossing=inputs["crossing"])
    slot = reclaim_slot(raw).hex()
    return {**_established(opened.established), "is_current": opened.is_current, "slot": slot}


def _wire(inputs: Inputs) -> Json:
    raw = unhex(inputs["body"])
    if inputs["kind"] == "Frame":
        frame = wire.decode_frame(raw)
        return {"frame": type(frame).__name__, "fields": _plain(msgspec.structs.astuple(frame))}
    kind: type[Statement] = getattr(wire, inputs["kind"])
    return {"fields": _plain(msgspec.structs.astuple(decode(raw, kind)))}


def _plain(value: Any) -> Json:
    """Bytes as hex, tuples and structs as lists."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Statement):
        return _plain(msgspec.structs.astuple(value))
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, int) else value


HANDSHAKE_RUNNERS: dict[str, Callable[[Inputs], Json]] = {
    "handshake": _handshake,
    "reclaim": _reclaim,
    "linking": play,
    "wire": _wire,
}
