"""The short run of the kill test: see `kill.py`."""

from __future__ import annotations

from pathlib import Path

from tests.system.kill import run

ROUNDS = 14


def test_nothing_acknowledged_is_lost_when_clients_and_servers_are_killed(tmp_path: Path) -> None:
    world = run(tmp_path, ROUNDS, seed=20261123)
    assert world.killed > 0
    assert world.acknowledged
