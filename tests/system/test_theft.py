"""The real commands on both sides of a theft: the thief has a copy of the phone's folder, and Anna has her paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.running import Kith, Server, link_device

MAIL, NEWER = "anna@work.example", "after@work.example"
EVIL = "thief@evil.example"


@dataclass
class World:
    server: Server
    laptop: Kith
    thief: Kith
    bob: Kith
    kit: dict[str, str]
    folder: Path

    def emails(self) -> list[str]:
        """What Bob sees of Anna."""
        page = self.bob.do("show", "Anna")
        return [each["value"] for each in page["properties"] if each["name"] == "EMAIL"]

    def settle(self, anna: Kith) -> None:
        for device in (anna, self.bob, anna, self.bob, anna):
            device.do("sync")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one, other = Server(tmp_path / "anna-server"), Server(tmp_path / "bob-server")
    laptop, phone, bob = (Kith(tmp_path / name) for name in ("laptop", "phone", "bob"))
    try:
        for server in (one, other):
            server.init().start()
        kit = laptop.do("init", "--server", one.url, "--name", "Anna Beck", "--no-passphrase")
        bob.do("init", "--server", other.url, "--name", "Bob Lund", "--no-passphrase")
        laptop.do("me", "set", "email", MAIL, "--facet", "work")
        link = laptop.do("invite", "--facet", "work")["link"]
        bob.do("accept", "-", given=link + "\n")
        link_device(laptop, phone, one.url, "phone")
        shutil.copytree(phone.home, tmp_path / "thief")
        made = World(one, laptop, Kith(tmp_path / "thief"), bob, kit, tmp_path)
        made.settle(laptop)
        assert made.emails() == [MAIL]
        yield made
    finally:
        for server in (one, other):
            server.stop()


def test_a_stolen_phone_loses_everything_to_the_phrase(world: World) -> None:
    laptop, thief, bob = world.laptop, world.thief, world.bob
    thief.do("me", "set", "email", EVIL, "--facet", "work")
    thief.do("sync")
    bob.do("sync")
    assert world.emails() == [EVIL], "while the phone is a device, she can"
    thief.do("forget", "Bob")
    thief.do("sync")
    bob.do("sync")
    assert bob.do("peers")["peers"] == []

    phrase = world.kit["recovery_phrase"]
    wrong = laptop.run("device", "remove", "phone", "--stolen", given=" ".join(["zoo"] * 24))
    assert wrong.document["error"] in ("phrase-checksum", "wrong-phrase")
    done = laptop.do("device", "remove", "phone", "--stolen", given=phrase + "\n")
    assert len(done["devices"]) == 1
    assert (done["peers_renewed"], done["peers_waiting"]) == (0, ["Bob Lund"])
    assert laptop.do("device")["peers_waiting"] == ["Bob Lund"]
    refused = thief.run("sync")
    assert (refused.status, refused.document["error"]) == (1, "not-a-member")

    laptop.do("me", "set", "email", NEWER, "--facet", "work")
    world.settle(laptop)
    assert world.emails() == [NEWER]
    assert laptop.do("device")["peers_renewed"] == 1
    assert laptop.do("device")["peers_waiting"] == []
    (issue,) = bob.do("issues")["issues"]
    assert "Anna Beck replaced all keys" in issue["text"]
    assert any("replaced all keys" in event["what"] for event in bob.do("log")["events"])
    assert "what you decided about Bob Lund" in laptop.do("issues")["issues"][0]["text"]
    words = phrase.split()
    for path in (*laptop.home.iterdir(), world.server.log, world.server.data / "kithbook.sqlite"):
        if path.is_file():
            assert " ".join(words[:3]).encode() not in path.read_bytes(), path


def test_when_the_thief_has_all_devices_a_recovery_takes_everything_back(world: World) -> None:
    (first, _) = world.thief.do("device")["devices"]
    world.thief.do("device", "remove", first["id"])
    refused = world.laptop.run("device", "remove", "phone", "--stolen", given=world.kit["recovery_phrase"])
    assert (refused.status, refused.document["error"]) == (1, "device-removed")
    assert "kith recover --stolen" in refused.document["message"]
    new = Kith(world.folder / "new")
    done = new.do(
        *("recover", "--server", world.server.url, "--vault", world.kit["vault"], "--no-passphrase", "--stolen"),
        given=world.kit["recovery_phrase"],
    )
    assert done["removed"] == ["phone"]
    world.settle(new)
    assert world.emails() == [], "nobody who stays says that Bob is no accomplice"
    new.do("grant", "Bob", "work")
    world.settle(new)
    assert world.emails() == [MAIL]
    assert world.thief.run("sync").document["error"] == "not-a-member"


def test_a_thief_who_moved_the_address_book_away_loses_it_to_the_phrase_where_it_was(world: World) -> None:
    laptop, thief = world.laptop, world.thief
    before = laptop.do("sync")["head"]
    thief.do("move", bobs_server(world))
    laptop.do("device", "remove", "phone", "--stolen", "--yes", given=world.kit["recovery_phrase"] + "\n")
    assert laptop.do("sync")["head"] > before
    laptop.do("me", "set", "email", NEWER, "--facet", "work")
    world.settle(laptop)
    assert world.emails() == [NEWER]
    assert world.server.url.rpartition("/")[2] in str(laptop.do("issues"))


def bobs_server(world: World) -> str:
    peer = world.laptop.do("peers")["peers"][0]
    return f"http://{peer['host']}"
