"""Every vector comes out as it says, and the generator writes exactly these files (protocol/README.md, Vectors)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kith_protocol.commit import parse_commit
from kith_protocol.epoch import open_epoch_key, parse_keys
from kith_protocol.errors import AlarmCode
from kith_protocol.member import MemberKeys, MemberKind
from kith_protocol.suite import SealKey, SignKey
from tests.support.vectors.running import RUNNERS, run
from tests.support.vectors.tape import NAME, Tape
from tests.support.vectors.writing import all_vectors, files

FOLDER = Path(__file__).resolve().parents[2] / "protocol" / "vectors"
PATHS = sorted(FOLDER.glob("*/*.json"))
FEED_ALARMS = {
    AlarmCode.ROLLBACK,
    AlarmCode.FORK,
    AlarmCode.RECORD_SWAPPED,
    AlarmCode.RECORD_MISSING,
    AlarmCode.REPLAYED_PAGE,
    AlarmCode.UNKNOWN_MEMBER,
    AlarmCode.WRONG_EPOCH,
    AlarmCode.DOWNGRADE,
}


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_vector_comes_out_as_it_says(path: Path) -> None:
    vector = read(path)
    assert vector["format"] == path.parent.name
    assert run(vector["format"], vector["inputs"]) == vector["expect"]


def test_every_format_has_vectors_that_succeed_and_more_that_fail() -> None:
    failing: dict[str, list[bool]] = {}
    for path in PATHS:
        failing.setdefault(path.parent.name, []).append("error" in read(path)["expect"])
    assert failing.keys() == RUNNERS.keys()
    for form, fails in failing.items():
        assert any(fails), form
        assert not all(fails), form
    everything = [fails for group in failing.values() for fails in group]
    assert sum(everything) * 3 >= len(everything) * 2


def test_every_alarm_of_a_feed_has_a_vector() -> None:
    codes = {read(path)["expect"].get("error") for path in PATHS if path.parent.name == "feed"}
    assert codes == {None} | {code.value for code in FEED_ALARMS}


def test_the_generator_writes_exactly_these_files() -> None:
    written = files(FOLDER)
    assert {str(path.relative_to(FOLDER)) for path in PATHS} == written.keys() - {NAME}
    for name, text in written.items():
        assert (FOLDER / name).read_text() == text, f"{name}: run protocol/vectors/generate.py"


def test_the_tape_holds_all_that_was_drawn_at_random() -> None:
    kept, empty = Tape(FOLDER), Tape(FOLDER / "nowhere")
    made = [sum(1 for _ in all_vectors(tape)) for tape in (kept, empty)]
    assert made == [len(PATHS)] * 2
    assert kept.fresh == 0
    assert empty.fresh > 0


def test_the_named_keys_open_what_is_sealed_to_them() -> None:
    """Sealed keys are checked by opening, since sealing again gives other bytes."""
    vector = read(FOLDER / "chain" / "ordinary.json")
    genesis = vector["inputs"]["steps"][0]
    keys = parse_keys(bytes.fromhex(genesis["keys"]))
    body = parse_commit(bytes.fromhex(genesis["commit"])).body
    opened = set()
    for name in ("laptop", "paper"):
        seeds = vector["keys"][name]
        kind = MemberKind[seeds["kind"].upper()]
        member = MemberKeys(
            kind, SignKey(bytes.fromhex(seeds["sign_seed"])), SealKey(bytes.fromhex(seeds["seal_seed"]))
        )
        assert member.id.hex() == seeds["id"]
        opened.add(open_epoch_key(keys, bytes(32), 1, member, body.epoch_commitment))
    assert len(opened) == 1
