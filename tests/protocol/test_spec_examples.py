"""The example bytes of the vault's spec pages are what the code gives, and every page that is named is there."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import pytest

from kith_client.store import keyfile
from kith_protocol import labels, wire
from kith_protocol.commit import DELETED, CommitBody, change_list, sign_commit
from kith_protocol.content import Content, Unit
from kith_protocol.encoding import encode, encode_map
from kith_protocol.epoch import NO_KEYS, encode_keys, epoch_commitment, mirror_key, seal_epoch_key
from kith_protocol.gateway import LookUp, LookUpResult, LookUpStatus
from kith_protocol.handle import handle_id
from kith_protocol.introduction import Introduce, IntroduceAnswer
from kith_protocol.member import MemberKeys, MemberKind
from kith_protocol.merge import conflict_name, past_name
from kith_protocol.moving import sign_fill, sign_forgotten
from kith_protocol.record import record_key, seal_record
from kith_protocol.session import sign_session
from kith_protocol.suite import SealKey, SignKey, digest, encrypt
from kith_protocol.tree import Tree

PROTOCOL = Path(__file__).resolve().parents[2] / "protocol"
ZERO, ID, NOW = bytes(32), bytes(16), 1_800_000_000_000
MEMBER = MemberKeys(MemberKind.DEVICE, SignKey(ZERO), SealKey(ZERO))


@lru_cache(maxsize=1)
def examples() -> dict[str, list[str]]:
    """Page → texts that must stand on it."""
    nothing = encode(change_list([]))
    body = CommitBody(
        suite=1,
        vault=ZERO,
        number=1,
        parent=ZERO,
        author=MEMBER.id,
        time=NOW,
        epoch=1,
        added=(),
        removed=(),
        abandoned=(),
        epoch_commitment=b"",
        keys=digest(encode_keys(NO_KEYS)),
        changes=digest(nothing),
        tree=Tree().root,
    )
    commit = sign_commit(body, MEMBER.sign)
    two = change_list([(ID, DELETED), (b"\x01" * 16, digest(b"a"))])
    link = seal_epoch_key(ZERO, ZERO, 2, (), previous=b"\x01" * 32, nonce=bytes(24)).previous
    record = seal_record(record_key(ZERO, ZERO), ZERO, ID, 1, {"kind": "note", "units": {}}, nonce=bytes(24))
    unit = Unit("Anne", 10, b"A" * 8)
    statement, signature = sign_session(ZERO, MEMBER.id, "anna.example", NOW, bytes(16), MEMBER.sign)
    keys = encode(keyfile.DeviceKeys("https://anna.example", ID, ZERO, ZERO, ZERO))
    box = encrypt(ZERO, labels.KEY_FILE, b"\x01" + bytes(12) + ZERO, keys, nonce=bytes(24))
    forgotten = sign_forgotten(MEMBER.sign, "anna.example", ZERO, NOW)
    frames: list[wire.Frame] = [
        wire.FeedHead(3, ZERO, 12),
        wire.FeedCommit(b"C", b"K", b"L"),
        wire.FeedRecords(((ID, b"S"),)),
        wire.FeedEnd(3),
    ]
    looked_up = [LookUpResult(LookUpStatus.NOT_FOUND), LookUpResult(LookUpStatus.FOUND, ZERO)]
    hello = Content("note", {"text": Unit("hello", NOW, b"A" * 8)})
    raw: dict[str, list[bytes]] = {
        "vault": [MEMBER.sign.public, digest(MEMBER.seal.public), MEMBER.id, encode(body), commit.raw[-64:]],
        "record": [record_key(ZERO, ZERO), record[:93], digest(record), encode_map({"kind": "note", "units": {}})],
        "content": [encode_map(hello.to_map())],
        "merge": [unit.fingerprint, encode_map({"": "Anne"})],
        "session": [statement, signature],
        "key-file": [keys, b"\x95\x01\x00\x00\xc4\x20" + ZERO + b"\xc4\xd6" + box],
        "directory": [handle_id("anna"), encode(LookUp(handle_id("anna"))), *map(encode, looked_up)],
        "home-server": [wire.encode_frame(frame) for frame in frames],
        "move": [*sign_fill(ZERO, MEMBER, "anna.example", NOW), forgotten.body, forgotten.signature],
        "introduction": [
            encode(Introduce(ID, "Carla", ZERO, "fences", NOW)),
            encode(IntroduceAnswer(ID, True)),
        ],
    }
    raw["vault"] += [commit.hash, nothing, encode(two), Tree().root, Tree.of({ID: digest(b"a")}).root]
    raw["vault"] += [epoch_commitment(1, ZERO), record_key(ZERO, ZERO), mirror_key(ZERO), link, encode_keys(NO_KEYS)]
    raw["key-file"].append(keyfile.derive_key("correct horse", ID))
    texts = {page: [value.hex() for value in values] for page, values in raw.items()}
    texts["merge"] += [conflict_name("fn", unit), past_name("fn", unit)]
    return texts


@pytest.mark.parametrize(
    "page",
    ["vault", "record", "content", "merge", "session", "key-file", "home-server", "move", "introduction", "directory"],
)
def test_the_examples_of_a_page_are_what_the_code_gives(page: str) -> None:
    text = (PROTOCOL / "spec" / f"{page}.md").read_text()
    for expected in examples()[page]:
        assert expected in text, expected


@pytest.mark.parametrize("path", sorted(PROTOCOL.rglob("*.md")), ids=lambda path: str(path.relative_to(PROTOCOL)))
def test_every_page_that_is_named_is_there(path: Path) -> None:
    text = path.read_text()
    for name in re.findall(r"`([a-z-]+\.md)`", text):
        assert (PROTOCOL / "spec" / name).exists(), f"{path.name} names {name}"
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"
