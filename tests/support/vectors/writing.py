"""All vectors as files: `<format>/<scenario>.json`, and the tape beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.support.vectors import (
    chains,
    codes,
    feeds,
    guardians,
    handles,
    handshakes,
    linkings,
    mail,
    moves,
    nearby,
    peers,
    people,
    plain,
    repairs,
    shares,
)
from tests.support.vectors.running import run
from tests.support.vectors.tape import NAME, Tape
from tests.support.vectors.vector import Vector, seeds


def all_vectors(tape: Tape) -> Iterator[Vector]:
    yield from chains.members()
    yield from chains.commits(tape.seal)
    yield from chains.chains(tape.seal)
    yield from repairs.repairs(tape.seal)
    yield from plain.trees()
    yield from plain.epochs(tape.seal)
    yield from plain.records()
    yield from plain.merges()
    yield from plain.sessions()
    yield from feeds.feeds(tape.seal)
    yield from people.personas(tape)
    yield from people.server_statements()
    yield from mail.gateways(tape)
    yield from mail.invites(tape)
    yield from handles.handles()
    yield from mail.mailboxes()
    yield from peers.parcels(tape)
    yield from peers.link_codes()
    yield from codes.codes()
    yield from peers.phrases()
    yield from shares.shares()
    yield from guardians.guardians(tape)
    yield from handshakes.handshakes(tape)
    yield from handshakes.reclaims(tape)
    yield from linkings.linkings()
    yield from linkings.meetings(tape)
    yield from moves.moves()
    yield from moves.backups(tape.seal)
    yield from linkings.wires()
    yield from nearby.nearbys()


def files(folder: Path) -> dict[str, str]:
    """Path within `folder` → text of every file that belongs there. Raises `AssertionError` for a wrong scenario."""
    tape, found = Tape(folder), {}
    for vector in all_vectors(tape):
        path = f"{vector.format}/{vector.name}.json"
        assert path not in found, f"{path} is there twice"
        found[path] = _text(vector)
    return {**found, NAME: tape.text()}


def write_all(folder: Path) -> int:
    """Writes every vector, removes those that are no more, and says how many there are."""
    wanted = files(folder)
    for path in folder.glob("*/*.json"):
        if str(path.relative_to(folder)) not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return len(wanted) - 1


def _text(vector: Vector) -> str:
    result = run(vector.format, vector.inputs)
    expected = {"error": vector.fails} if vector.fails else result
    assert result == expected, f"{vector.format}/{vector.name}: {result} instead of {expected}"
    assert "ok" in result or vector.fails, f"{vector.format}/{vector.name}: {result}"
    document = {
        "format": vector.format,
        "scenario": vector.says,
        "keys": {name: seeds(keys) for name, keys in vector.keys.items()},
        "inputs": vector.inputs,
        "expect": result,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
