"""Anna moves from one server to another, in processes of their own, while Bob is away for weeks and Carla is there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import BIN, COMMAND_DEADLINE, Kith, Server, link_device, names


@dataclass
class People:
    """Anna with two devices on the first server, Bob and Carla on the second, and a third one that nobody uses."""

    first: Server
    second: Server
    third: Server
    laptop: Kith
    phone: Kith
    bob: Kith
    carla: Kith
    phrase: str


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    first, second, third = (Server(tmp_path / name).init().start() for name in ("first", "second", "third"))
    laptop, phone, bob, carla = (Kith(tmp_path / name) for name in ("laptop", "phone", "bob", "carla"))
    try:
        made = begin(laptop, first, "Anna Beck")
        begin(bob, second, "Bob Lund")
        begin(carla, second, "Carla Ruiz")
        laptop.do("add", "Dora Falk", "--email", "dora@example.org")
        for peer in (bob, carla):
            link = laptop.do("invite", "--facet", "work")["link"]
            peer.do("accept", "-", "--facet", "work", given=link + "\n")
        for device in (laptop, bob, carla, laptop, bob, carla, laptop):
            device.do("sync")
        link_device(laptop, phone, first.url, "phone")
        yield People(first, second, third, laptop, phone, bob, carla, made["recovery_phrase"])
    finally:
        for server in (first, second, third):
            server.stop()


def begin(device: Kith, server: Server, name: str) -> dict[str, Any]:
    made = device.do("init", "--server", server.url, "--name", name, "--no-passphrase")
    mail(device, "first")
    return made


def mail(device: Kith, when: str) -> None:
    device.do("me", "set", "email", f"{device.home.name}@{when}.example", "--facet", "work")


def mails_of(device: Kith, name: str) -> list[str]:
    """The addresses that somebody shares about itself, as `device` shows them."""
    shown = device.do("show", name)["properties"]
    return [each["value"] for each in shown if each["name"] == "EMAIL" and each["from"] != "me"]


def operator(*words: str, server: Server) -> dict[str, Any]:
    done = subprocess.run(
        [str(BIN / "kith-server"), *words, "--data", str(server.data), "--json"],
        capture_output=True,
        text=True,
        timeout=COMMAND_DEADLINE,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_everybody_follows_a_move_and_the_old_server_is_not_needed(people: People) -> None:
    laptop, phone, bob, carla = people.laptop, people.phone, people.bob, people.carla
    phone.do("add", "Emil Roth")  # offline, not sent
    moved = laptop.do("move", people.third.url)
    assert moved["server"] == people.third.url
    assert [each["server"] for each in moved["former"]] == [people.first.url]
    assert moved["peers_waiting"] == ["Bob Lund", "Carla Ruiz"]
    assert operator("check", server=people.third)["findings"] == []

    # Carla is there: both directions, at once. Bob is away.
    mail(carla, "second")
    mail(laptop, "second")
    for device in (carla, laptop, carla):
        device.do("sync")
    assert mails_of(carla, "Anna Beck") == ["laptop@second.example"]
    assert mails_of(laptop, "Carla Ruiz") == ["carla@second.example"]
    assert laptop.do("move")["peers_waiting"] == ["Bob Lund"]

    # The phone comes later, with an edit of its own.
    phone.do("sync")
    assert phone.do("move")["server"] == people.third.url
    laptop.do("sync")
    everybody = ["Bob Lund", "Carla Ruiz", "Dora Falk", "Emil Roth"]
    assert [name for name in names(laptop.do("list")["contacts"]) if name] == everybody

    # Bob comes back: what he writes before he heard of anything goes to the old server.
    mail(bob, "third")
    bob.do("sync")
    assert mails_of(bob, "Anna Beck") == ["laptop@second.example"]
    for device in (laptop, bob, phone, bob):
        device.do("sync")
    assert mails_of(laptop, "Bob Lund") == mails_of(phone, "Bob Lund") == ["bob@third.example"]
    assert laptop.do("move")["peers_waiting"] == []

    # Nobody needs the first server: it forgets everything, and is switched off.
    assert len(operator("vaults", server=people.first)["vaults"]) == 1
    forgotten = laptop.do("move", "--forget-old", given=people.phrase + "\n")
    assert [each["server"] for each in forgotten["forgotten"]] == [people.first.url]
    assert forgotten["former"] == []
    assert operator("vaults", server=people.first)["vaults"] == []
    people.first.stop()
    mail(phone, "fourth")
    mail(bob, "fourth")
    for device in (phone, bob, carla, laptop, phone):
        device.do("sync")
    assert mails_of(bob, "Anna Beck") == mails_of(carla, "Anna Beck") == ["phone@fourth.example"]
    assert mails_of(laptop, "Bob Lund") == mails_of(phone, "Bob Lund") == ["bob@fourth.example"]
    assert [name for name in names(phone.do("list")["contacts"]) if name] == everybody
    assert operator("check", server=people.third)["findings"] == []
