"""Making a persona of mine: fresh keys, and the statement with which the root names them (spec: persona.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.content import Content
from kith_protocol.encoding import Value
from kith_protocol.errors import KithError
from kith_protocol.persona import sign_persona, verify_persona
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


def renewed(contents: Contents, known: Iterable[Content], stamp: Stamp, root: HybridSignKey) -> Edit:
    """One persona record in the place of all that stand: a thief may have made others, of which one could count.

    `known`: what else is known of earlier ones. Of all, only those count that `root`, the person's, signed.
    """
    standing = of_kind(contents, "persona")
    mine = [each for content in (*standing.values(), *known) for each in _signed(content, root)]
    mine.sort(key=lambda each: each[0], reverse=True)
    # The time is above every number that there was, also where the highest is not known.
    number = max([stamp.now, *(number + 1 for number, _ in mine)])
    former = dict.fromkeys(seed for _, seeds in mine for seed in seeds)
    made = stamp.content("persona", new_persona(root, number, stamp.random, former))
    return {**dict.fromkeys(standing), min(standing, default=stamp.record_id()): made}


def _signed(content: Content, root: HybridSignKey) -> Iterator[tuple[int, list[bytes]]]:
    """Number, and the seeds of the X-Wing keys, newest first, of a persona that the root signed."""
    if content.kind != "persona":
        return
    raw, seed, former = (content.value(name) for name in ("statement", "seal_seed", "former_seals"))
    seeds = [each for each in (seed, *(former if isinstance(former, list) else [])) if isinstance(each, bytes)]
    try:
        if isinstance(raw, bytes) and isinstance(seed, bytes):
            persona = verify_persona(raw)
            if persona.root == root.public and persona.seal_key == SealKey(seed).public:
                yield persona.number, [each for each in seeds if len(each) == SEED_BYTES]
    except KithError:
        return
