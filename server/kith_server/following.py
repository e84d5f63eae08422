"""Who is a member of a vault at a server that it left: pure decisions over chains (spec: move.md, Following).

Whatever is told here can be told by any member device, and the server cannot see which of two histories is the one that
goes on. So the last one that was told says who came; everybody whom any of them removed stays out; the vault's own
commits here are taken whatever was told; and the paper key has the last word in all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kith_protocol.chain import Chain, begin, extend
from kith_protocol.commit import parse_commit
from kith_protocol.errors import Refused
from kith_protocol.sealedkeys import parse_keys
from kith_server.errors import head_moved
from kith_server.storage.interface import StoredCommit
from kith_server.vault_rules import VaultState


def told(state: VaultState, genesis: StoredCommit, commits: Iterable[tuple[bytes, bytes]], teller: bytes) -> VaultState:
    """The vault after `teller`, a member, told `commits`. `genesis` is the vault's first commit.

    Raises `HttpRefusal` (`head-moved`) where they begin at nothing that is known, what the chain's rules raise, and
    `Refused` (`unknown-member`) where the teller would be none afterwards.
    """
    chain: Chain | None = None
    goes_on = False
    for raw, keys in commits:
        commit = parse_commit(raw)
        if chain is None:
            chain = _base(state, genesis, commit.body.parent)
            goes_on = chain is state.followed
        if (commit.body.vault, commit.body.number, commit.body.parent) != (chain.vault, chain.number + 1, chain.head):
            raise head_moved()
        chain = extend(chain, commit, parse_keys(keys))
    if chain is None:
        return state
    if teller not in chain.members:
        raise Refused("unknown-member", "Only a member tells who is one.")
    if teller == state.paper:
        return replace(state, followed=chain, denied=frozenset())
    return replace(state, followed=chain, denied=state.denied if goes_on else removed_by_any(state, chain))


def removed_by_any(state: VaultState, standing: Chain) -> frozenset[bytes]:
    """Whom what was told so far removed, as far as `standing`, which takes its place, could let them in again."""
    removed = state.denied | (state.followed.removed if state.followed else frozenset())
    return removed & (state.chain.members.keys() | standing.members.keys())


def _base(state: VaultState, genesis: StoredCommit, parent: bytes) -> Chain:
    """Where a history may begin: with what was told last, with the last commit here, or with the first."""
    for chain in (state.followed, state.chain):
        if chain is not None and chain.head == parent:
            return chain
    if parent != genesis.hash:
        raise head_moved()
    return begin(parse_commit(genesis.raw), parse_keys(genesis.keys))
