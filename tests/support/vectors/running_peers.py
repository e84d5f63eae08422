"""Running a vector of the formats between persons and servers; the table that `running` takes in."""

from __future__ import annotations

from collections.abc import Callable

from kith_protocol.persona import check_expected, safety_number, verify_persona
from kith_protocol.server_statement import verify_server_statement
from tests.support.vectors.vector import Json

Inputs = dict[str, Json]
unhex = bytes.fromhex


def _persona(inputs: Inputs) -> Json:
    statement = verify_persona(unhex(inputs["persona"]))
    expect = None if inputs["expect"] is None else unhex(inputs["expect"])
    check_expected(statement, expect=expect, known={unhex(person): number for person, number in inputs["known"]})
    return {
        "person": statement.person.hex(),
        "number": statement.number,
        "safety_number": safety_number(statement.root, unhex(inputs["reader"])),
    }


def _server_statement(inputs: Inputs) -> Json:
    raw, pinned = unhex(inputs["statement"]), unhex(inputs["fingerprint"])
    statement = verify_server_statement(raw, pinned, inputs["host"], inputs["now"])
    return {"fingerprint": statement.fingerprint.hex(), "gateway_key": statement.gateway_key.hex()}


PEER_RUNNERS: dict[str, Callable[[Inputs], Json]] = {
    "persona": _persona,
    "server_statement": _server_statement,
}
