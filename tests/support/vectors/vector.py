"""One vector: a scenario with named inputs and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kith_protocol.epoch import encode_keys
from kith_protocol.member import MemberKeys
from kith_protocol.suite import HybridSignKey, SealKey, SignKey
from tests.protocol.vaults import Step, Story

Json = Any
"""What a JSON document holds; bytes stand in it as lower-case hex digits."""
Private = MemberKeys | HybridSignKey | SignKey | SealKey
"""Private keys of a member, a person or a server."""


@dataclass(frozen=True)
class Vector:
    """`fails` is the code of the error that must come; None where it must succeed."""

    format: str
    name: str
    says: str
    """The scenario in one sentence."""
    inputs: dict[str, Json]
    fails: str | None = None
    keys: Mapping[str, Private] = field(default_factory=dict)
    """Private keys of those who appear, so that an implementation can make the inputs itself."""


def step_of(step: Step) -> dict[str, Json]:
    """A commit and its sealed keys."""
    return {"commit": step.commit.raw.hex(), "keys": encode_keys(step.keys).hex()}


def keys_in(story: Story, **others: MemberKeys) -> dict[str, MemberKeys]:
    """The named keys of a story's first members, and `others`."""
    return {"laptop": story.device, "paper": story.paper, **others}


def seeds(keys: Private) -> dict[str, Json]:
    match keys:
        case HybridSignKey():
            return {"kind": "hybrid", "sign_seed": keys.seed.hex(), "pq_sign_seed": keys.pq_seed.hex()}
        case SignKey():
            return {"kind": "sign", "sign_seed": keys.seed.hex()}
        case SealKey():
            return {"kind": "seal", "seal_seed": keys.seed.hex()}
    return {
        "kind": keys.kind.name.lower(),
        "sign_seed": keys.sign.seed.hex(),
        "seal_seed": keys.seal.seed.hex(),
        "id": keys.id.hex(),
    }
