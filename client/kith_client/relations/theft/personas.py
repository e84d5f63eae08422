"""Making a persona of mine: fresh keys, and the statement with which the root names them (spec: persona.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kith_protocol.encoding import Value
from kith_protocol.persona import sign_persona
from kith_protocol.reclaim import MAX_PERSONA_KEYS
from kith_protocol.suite import SEED_BYTES, HybridSignKey, SealKey


def new_persona(
    root: HybridSignKey, number: int, random: Callable[[int], bytes], former: Iterable[bytes] = ()
) -> dict[str, Value]:
    """What the `persona` record says of a new persona; `former`: seeds of the X-Wing keys of those before, newest
    first, of which a few are kept to open what peers seal to them meanwhile."""
    sign = HybridSignKey(random(SEED_BYTES), random(SEED_BYTES))
    seal = SealKey(random(SEED_BYTES))
    values: dict[str, Value] = {
        "sign_seed": sign.seed,
        "sign_pq_seed": sign.pq_seed,
        "seal_seed": seal.seed,
        "statement": sign_persona(root, sign, seal.public, number),
    }
    kept: list[Value] = [seed for seed, _ in zip(former, range(MAX_PERSONA_KEYS - 1), strict=False)]
    return {**values, "former_seals": kept} if kept else values
