"""All of Anna's devices are gone, and her phrase with them: two of three friends bring everything back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import Kith, Server, names

NAMES = {"bob": "Bob Kay", "carla": "Carla Ruiz", "dora": "Dora Falk"}


@dataclass
class Friends:
    """Anna and her three guardians, on two servers."""

    folder: Path
    anna: Kith
    kit: dict[str, Any]
    url: str
    others: dict[str, Kith]

    def sync(self, *who: str) -> None:
        """Syncs these, in this order."""
        for name in who:
            (self.anna if name == "anna" else self.others[name]).do("sync")

    def give(self, name: str, *more: str) -> dict[str, Any]:
        return self.others[name].do("guardians", "give", "Anna", *more)


@pytest.fixture
def friends(tmp_path: Path) -> Iterator[Friends]:
    servers = [
        Server(tmp_path / name).init("--registration", "open").start() for name in ("anna-server", "other-server")
    ]
    try:
        yield begin(tmp_path, *servers)
    finally:
        for server in servers:
            server.stop()


def begin(folder: Path, home: Server, other: Server) -> Friends:
    anna = Kith(folder / "anna")
    kit = anna.do("init", "--server", home.url, "--name", "Anna Beck", "--no-passphrase")
    anna.do("add", "Emil Roth")
    others = {}
    for name, full in NAMES.items():
        others[name] = Kith(folder / name)
        url = home.url if name == "dora" else other.url
        others[name].do("init", "--server", url, "--name", full, "--no-passphrase")
        link = anna.do("invite")["link"]
        others[name].do("accept", "-", given=link + "\n")
        anna.do("sync")
        others[name].do("sync")
    anna.do("sync")
    phrase = kit["recovery_phrase"]
    made = anna.do("guardians", "add", "Bob", "Carla", "Dora", "--needed", "2", given=phrase + "\n")
    assert {each["state"] for each in made["guardians"]} == {"waiting"}
    return Friends(folder, anna, kit, home.url, others)


@dataclass(frozen=True)
class Unattended(Kith):
    """Where nobody sits and nobody said yes."""

    def command(self, *words: str) -> list[str]:
        return [word for word in super().command(*words) if word != "--yes"]


def test_two_of_three_guardians_bring_everything_back(friends: Friends) -> None:
    friends.sync("bob", "carla", "dora", "anna")
    listed = friends.anna.do("guardians")
    assert {each["name"]: each["state"] for each in listed["guardians"]} == dict.fromkeys(NAMES.values(), "kept")
    assert listed["needed"] == 2
    (guarding,) = friends.others["bob"].do("guardians")["guarding"]
    assert (guarding["name"], guarding["needed"], guarding["given"]) == ("Anna Beck", 2, [])

    picture = friends.folder / "share.png"
    first = friends.give("bob", "--qr", str(picture))
    assert (first["server"], first["vault"]) == (friends.url, friends.kit["vault"])
    assert_she_is_alarmed(friends)
    shutil.rmtree(friends.anna.home)
    assert_nothing_is_given_without_a_yes(friends.others["carla"])
    second = friends.give("carla")

    new = Kith(friends.folder / "new")
    mistyped = " ".join(first["share"].split()[:-1])
    given = f"{mistyped}\n{picture}\n{second['share'].upper()}\n"
    place = ("--server", friends.url, "--vault", friends.kit["vault"])
    found = new.run("recover", "--guardians", *place, "--name", "new laptop", "--no-passphrase", given=given)
    assert found.status == 0, found
    assert "Share 1: A guardian's share has 33 words; these are 32" in found.err
    assert found.document["recovery_phrase"] == friends.kit["recovery_phrase"]
    assert found.document["vault"] == friends.kit["vault"]
    assert names(new.do("list")["contacts"]) == sorted(["Emil Roth", *NAMES.values()])
    assert_relationships_work(friends, new)
    assert_no_server_read_a_share(friends, first["share"], second["share"], found.document["recovery_phrase"])


def assert_she_is_alarmed(friends: Friends) -> None:
    """A share was handed out while she still has a device: if it was not for her, she must know at once."""
    told = friends.anna.do("sync")
    assert "Bob Kay handed out the share of your recovery phrase" in told["issues"][0]
    (alarm,) = friends.anna.do("issues")["issues"]
    assert alarm["kind"] == "alarm"
    (row,) = (each for each in friends.anna.do("guardians")["guardians"] if each["name"] == "Bob Kay")
    assert (row["given"], row["given_at"][:2]) == (1, "20")
    lines = [event["what"] for event in friends.others["bob"].do("log")["events"]]
    assert any("handed out the share of Anna Beck's recovery phrase" in line for line in lines)


def assert_nothing_is_given_without_a_yes(guardian: Kith) -> None:
    """The question is whether the guardian made sure who asks; a script has to say so."""
    refused = Unattended(guardian.home).run("guardians", "give", "Anna")
    assert (refused.status, refused.document["error"]) == (1, "stopped")
    assert "Did you meet Anna Beck, see them by video, or know their voice" in refused.err
    assert guardian.do("guardians")["guarding"][0]["given"] == []


def assert_relationships_work(friends: Friends, new: Kith) -> None:
    new.do("me", "set", "email", "anna@new.example", "--facet", "work")
    new.do("grant", "Bob", "work")
    for _ in range(2):
        new.do("sync")
        friends.sync("bob")
    (card,) = (each for each in friends.others["bob"].do("list")["contacts"] if each["name"] == "Anna Beck")
    assert card["emails"] == ["anna@new.example"]
    texts = [issue["text"] for issue in new.do("issues")["issues"]]
    assert sum("handed out the share of your recovery phrase" in text for text in texts) == 2


def assert_no_server_read_a_share(friends: Friends, *secrets: str) -> None:
    files = [path for server in ("anna-server", "other-server") for path in friends.folder.glob(f"{server}*/**/*")]
    files += friends.folder.glob("*.log")
    stored = b"".join(path.read_bytes() for path in files if path.is_file())
    assert len(stored) > 100_000
    for secret in secrets:
        words = secret.split()
        assert not any(" ".join(words[at : at + 3]).encode() in stored for at in range(len(words) - 2))
