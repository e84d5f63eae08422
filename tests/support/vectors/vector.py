"""One vector: a scenario with named inputs and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kith_protocol.epoch import encode_keys
from kith_protocol.member import MemberKeys
from tests.protocol.vaults import Step, Story

Json = Any
"""What a JSON document holds; bytes stand in it as lower-case hex digits."""


@dataclass(frozen=True)
class Vector:
    """`fails` is the code of the error that must come; None where it must succeed."""

    format: str
    name: str
    says: str
    """The scenario in one sentence."""
    inputs: dict[str, Json]
    fails: str | None = None
    keys: dict[str, MemberKeys] = field(default_factory=dict)
    """Private keys of those who appear, so that an implementation can make the inputs itself."""


def step_of(step: Step) -> dict[str, Json]:
    """A commit and its sealed keys."""
    return {"commit": step.commit.raw.hex(), "keys": encode_keys(step.keys).hex()}


def keys_in(story: Story, **others: MemberKeys) -> dict[str, MemberKeys]:
    """The named keys of a story's first members, and `others`."""
    return {"laptop": story.device, "paper": story.paper, **others}


def seeds(keys: MemberKeys) -> dict[str, Json]:
    return {
        "kind": keys.kind.name.lower(),
        "sign_seed": keys.sign.seed.hex(),
        "seal_seed": keys.seal.seed.hex(),
        "id": keys.id.hex(),
    }
