"""Running a vector of the formats `moving` and `backup`."""

from __future__ import annotations

import io
from collections.abc import Callable

from kith_client.lifecycle.backup import verify_backup
from kith_protocol.encoding import decode
from kith_protocol.member import Member
from kith_protocol.moving import SignedForgotten, check_fill, check_forgotten
from tests.support.vectors.vector import Json

Inputs = dict[str, Json]
unhex = bytes.fromhex


def _moving(inputs: Inputs) -> Json:
    raw, signature, vault = (unhex(inputs[name]) for name in ("statement", "signature", "vault"))
    if inputs["do"] == "fill":
        member = decode(unhex(inputs["member"]), Member)
        check_fill(raw, signature, member, vault, inputs["origin"], inputs["now"])
        return {"member": member.id.hex()}
    signed = SignedForgotten(raw, signature)
    return {"time": check_forgotten(signed, unhex(inputs["server_key"]), inputs["host"], vault).time}


def _backup(inputs: Inputs) -> Json:
    found = verify_backup(io.BytesIO(unhex(inputs["file"])))
    return {"vault": found.chain.vault.hex(), "head": found.chain.head.hex(), "records": found.records}


MOVE_RUNNERS: dict[str, Callable[[Inputs], Json]] = {"moving": _moving, "backup": _backup}
