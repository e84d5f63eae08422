"""Running a vector of each format: inputs as they stand in the file → what comes of them, or the error."""

from __future__ import annotations

from collections.abc import Callable

from kith_client.sync.feed import FeedVerifier, check_tree
from kith_protocol import wire
from kith_protocol.chain import Chain, begin, extend
from kith_protocol.commit import parse_commit
from kith_protocol.content import Content, content_of
from kith_protocol.encoding import decode, decode_map, encode_map
from kith_protocol.epoch import epoch_commitment, mirror_key, open_epoch_key, open_previous_key, parse_keys
from kith_protocol.errors import KithError
from kith_protocol.member import Member, MemberKeys, MemberKind
from kith_protocol.merge import merge
from kith_protocol.record import open_record, record_key, seal_record
from kith_protocol.recordheader import HEADER_BYTES, read_header
from kith_protocol.repair import find_repair
from kith_protocol.session import check_session, read_session
from kith_protocol.suite import NONCE_BYTES, SealKey, SignKey
from kith_protocol.tree import Tree
from tests.support.vectors.codes import CODE_RUNNERS
from tests.support.vectors.nearby import run_nearby
from tests.support.vectors.running_guardians import GUARDIAN_RUNNERS
from tests.support.vectors.running_handshakes import HANDSHAKE_RUNNERS
from tests.support.vectors.running_moves import MOVE_RUNNERS
from tests.support.vectors.running_peers import PEER_RUNNERS
from tests.support.vectors.vector import Json

Inputs = dict[str, Json]
unhex = bytes.fromhex


def run(form: str, inputs: Inputs) -> dict[str, Json]:
    """What comes of a vector: `{"ok": ...}` or `{"error": code}`."""
    try:
        return {"ok": RUNNERS[form](inputs)}
    except KithError as error:
        return {"error": error.code}


def _member(inputs: Inputs) -> Json:
    member = decode(unhex(inputs["member"]), Member)
    member.check_keys()
    return {"id": member.id.hex(), "kind": member.kind.name.lower()}


def _commit(inputs: Inputs) -> Json:
    commit = parse_commit(unhex(inputs["commit"]))
    commit.verify(unhex(inputs["sign_key"]))
    body = commit.body
    return {
        "hash": commit.hash.hex(),
        "vault": commit.vault.hex(),
        "number": body.number,
        "author": body.author.hex(),
        "time": body.time,
        "epoch": body.epoch,
        "added": [member.id.hex() for member in body.added],
        "removed": [member.hex() for member in body.removed],
        "abandoned": [commit.hex() for commit in body.abandoned],
    }


def _repair(inputs: Inputs) -> Json:
    chain: Chain | None = None
    for step in inputs["common"]:
        chain = _taken(chain, step)
    known = shown = chain
    for step in inputs["lost"]:
        known = _taken(known, step)
    for step in inputs["shown"]:
        shown = _taken(shown, step)
    if known is None:
        raise AssertionError("a history begins with its genesis")
    lost, there = ([parse_commit(unhex(step["commit"])) for step in inputs[side]] for side in ("lost", "shown"))
    return {"repair": find_repair(known, lost, there).hash.hex()}


def _chain(inputs: Inputs) -> Json:
    *before, last = inputs["steps"]
    chain: Chain | None = None
    for step in before:
        try:
            chain = _taken(chain, step)
        except KithError as error:
            raise AssertionError("a step before the last one is refused") from error
    return chain_json(_taken(chain, last))


def _taken(chain: Chain | None, step: Json) -> Chain:
    commit, keys = parse_commit(unhex(step["commit"])), parse_keys(unhex(step["keys"]))
    return begin(commit, keys) if chain is None else extend(chain, commit, keys)


def chain_json(chain: Chain) -> Json:
    return {
        "vault": chain.vault.hex(),
        "number": chain.number,
        "head": chain.head.hex(),
        "epoch": chain.epoch,
        "tree": chain.tree.hex(),
        "paper": chain.paper.hex(),
        "members": sorted(member.hex() for member in chain.members),
        "removed": sorted(member.hex() for member in chain.removed),
    }


def _tree(inputs: Inputs) -> Json:
    records = {unhex(record): unhex(hash_) for record, hash_ in inputs["records"]}
    root = Tree.of(records).root
    check_tree(root, Chain(b"", 0, b"", 1, unhex(inputs["tree"]), {}, frozenset(), {}))
    return {"tree": root.hex()}


def _epoch(inputs: Inputs) -> Json:
    epoch = inputs["epoch"]
    if inputs["do"] == "derive":
        key, vault = unhex(inputs["key"]), unhex(inputs["vault"])
        return {
            "commitment": epoch_commitment(epoch, key).hex(),
            "record_key": record_key(key, vault).hex(),
            "mirror_key": mirror_key(key).hex(),
        }
    keys, vault = parse_keys(unhex(inputs["keys"])), unhex(inputs["vault"])
    commitment = unhex(inputs["commitment"])
    if inputs["do"] == "open":
        member = MemberKeys(MemberKind.DEVICE, SignKey(unhex(inputs["sign_seed"])), SealKey(unhex(inputs["seal_seed"])))
        return {"key": open_epoch_key(keys, vault, epoch, member, commitment).hex()}
    key = unhex(inputs["key"])
    return {"key": open_previous_key(keys, vault, epoch, key, inputs["before"], commitment).hex()}


def _record(inputs: Inputs) -> Json:
    vault, id_, blob = unhex(inputs["vault"]), unhex(inputs["id"]), unhex(inputs["record"])
    key = record_key(unhex(inputs["epoch_key"]), vault)
    content = open_record(key, vault, id_, blob)
    epoch, nonce = read_header(blob)[1], blob[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES]
    again = seal_record(key, vault, id_, epoch, content, nonce=nonce)
    return {"epoch": epoch, "content": encode_map(content).hex(), "sealing_gives_the_same": again == blob}


def _merge(inputs: Inputs) -> Json:
    sides = [_content(inputs[side]) for side in ("base", "local", "remote")]
    merged = merge(*sides, latest=inputs["latest"])
    return {"content": content_hex(merged.content), "conflicts": merged.conflicts}


def _content(raw: Json) -> Content | None:
    return None if raw is None else content_of(decode_map(unhex(raw)))


def content_hex(content: Content | None) -> Json:
    """The map with its units in order of their names, so that it can be compared as bytes."""
    if content is None:
        return None
    ordered = Content(content.kind, dict(sorted(content.units.items())), dict(sorted(content.extra.items())))
    return encode_map(ordered.to_map()).hex()


def _session(inputs: Inputs) -> Json:
    raw = unhex(inputs["statement"])
    statement = read_session(raw, inputs["origin"], inputs["now"])
    check_session(raw, unhex(inputs["signature"]), unhex(inputs["sign_key"]))
    return {"vault": statement.vault.hex(), "member": statement.member.hex(), "nonce": statement.nonce.hex()}


def _feed(inputs: Inputs) -> Json:
    known: Chain | None = None
    for step in inputs["known"]:
        known = _taken(known, step)
    mark = (inputs["mark"]["number"], unhex(inputs["mark"]["hash"]))
    verifier = FeedVerifier(unhex(inputs["vault"]), mark, known)
    hashes = {unhex(record): unhex(hash_) for record, hash_ in inputs["records"]}
    for frame in inputs["frames"]:
        for record, hash_, blob, _ in verifier.take(wire.decode_frame(unhex(frame))).records:
            if blob is None:
                hashes.pop(record, None)
            else:
                hashes[record] = hash_
    chain = verifier.finish()
    check_tree(Tree.of(hashes).root, chain)
    standing = [[record.hex(), hash_.hex()] for record, hash_ in sorted(hashes.items())]
    return {"number": chain.number, "head": chain.head.hex(), "records": standing}


RUNNERS: dict[str, Callable[[Inputs], Json]] = {
    "member": _member,
    "commit": _commit,
    "chain": _chain,
    "repair": _repair,
    "tree": _tree,
    "epoch": _epoch,
    "record": _record,
    "merge": _merge,
    "session": _session,
    "feed": _feed,
    "nearby": run_nearby,
    **PEER_RUNNERS,
    **CODE_RUNNERS,
    **HANDSHAKE_RUNNERS,
    **GUARDIAN_RUNNERS,
    **MOVE_RUNNERS,
}
