"""Anna introduces Bob and Carla: three servers and every command a process of its own, one server down in between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import Kith, Server

PEOPLE = {"anna": "Anna Beck", "bob": "Bob Lund", "carla": "Carla Ruiz"}


@dataclass(frozen=True)
class Three:
    """The people, and their servers."""

    kith: dict[str, Kith]
    servers: dict[str, Server]

    def sync(self, *names: str) -> None:
        for name in names:
            self.kith[name].do("sync")

    def peer(self, who: str, other: str) -> dict[str, Any] | None:
        """How `other` stands in the list of peers."""
        listed = self.kith[who].do("peers")["peers"]
        return next((row for row in listed if row["host"] == self.servers[other].host), None)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    """Anna is connected with Bob and with Carla."""
    servers = {name: Server(tmp_path / f"{name}-server").init() for name in PEOPLE}
    kith = {name: Kith(tmp_path / name) for name in PEOPLE}
    try:
        for name, server in servers.items():
            server.start()
            kith[name].do("init", "--server", server.url, "--name", PEOPLE[name], "--no-passphrase")
        for name in ("bob", "carla"):
            link = kith["anna"].do("invite")["link"]
            kith[name].do("accept", "-", given=link + "\n")
            kith["anna"].do("sync")
            kith[name].do("sync")
        kith["anna"].do("sync")
        yield Three(kith, servers)
    finally:
        for server in servers.values():
            server.stop()


def test_two_are_brought_together_when_both_agree_and_not_before(three: Three) -> None:
    anna, bob, carla = (three.kith[name] for name in PEOPLE)
    bob.do("me", "set", "email", "bob@work.example", "--facet", "work")
    made = anna.do("introduce", "Bob", "Carla", "--message", "You both fence.")
    assert made["shown"][0] == {"to": "Bob Lund", "label": "Carla Ruiz", "text": "You both fence."}
    three.sync("anna", "bob", "carla")
    (for_bob,), (for_carla,) = (kith.do("requests")["requests"] for kith in (bob, carla))
    assert (for_bob["kind"], for_bob["name"], for_bob["by_name"]) == ("introduction", "Carla Ruiz", "Anna Beck")
    assert (for_carla["name"], for_carla["message"]) == ("Bob Lund", "You both fence.")
    check_a_decline(three, for_bob["id"], for_carla["id"])

    anna.do("introductions", "take-back", made["id"])
    anna.do("introduce", "Bob", "Carla", "--message", "Once more.")
    three.sync("anna", "bob", "carla")
    (for_bob,), (for_carla,) = (kith.do("requests")["requests"] for kith in (bob, carla))
    bob.do("requests", "accept", for_bob["id"], "--facet", "work")
    three.servers["anna"].stop()
    assert carla.run("requests", "accept", for_carla["id"]).status == 0, "her own server is there"
    three.servers["anna"].start()
    for _ in range(4):
        three.sync("carla", "anna", "bob")
    for one, other in (("bob", "carla"), ("carla", "bob")):
        row = three.peer(one, other)
        assert row is not None
        assert (row["state"], row["trust"], row["introduced_by"]) == ("connected", "introduced", "Anna Beck")
        assert three.kith[one].do("issues")["issues"] == []
    (contact,) = (row for row in carla.do("list")["contacts"] if row["name"] == "Bob Lund")
    assert contact["emails"] == ["bob@work.example"]
    assert [row["state"] for row in anna.do("introductions")["introductions"]] == ["passed on", "taken back"][::-1]
    number = bob.do("verify", "Carla")["safety_number"]
    assert carla.do("verify", "Bob", "--number", "-", given=number + "\n")["trust"] == "verified"


def check_a_decline(three: Three, for_bob: str, for_carla: str) -> None:
    """Bob declines and Carla agrees: nothing comes of it, and nobody can tell why."""
    anna, bob, carla = (three.kith[name] for name in PEOPLE)
    bob.do("requests", "decline", for_bob)
    carla.do("requests", "accept", for_carla)
    three.sync("anna", "bob", "carla")
    for waiting in (anna, carla):
        assert [row["state"] for row in waiting.do("introductions")["introductions"]] == ["waiting"]
    assert bob.do("requests")["requests"] == bob.do("introductions")["introductions"] == []
    assert three.peer("bob", "carla") is three.peer("carla", "bob") is None
