"""An operator restores a backup: alarms, `kith repair` on one device, and everything is right again everywhere.

Two devices and a tablet of Anna's, peers on another server, real processes. Since the backup there were edits, a device
was removed, another peer was made, and a parcel waited at the server with its receipt given.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.running import BIN, Kith, Server, link_device, names


@dataclass
class Anna:
    """Her devices, her server and its backup, and her friends elsewhere."""

    server: Server
    backup: Path
    laptop: Kith
    phone: Kith
    tablet: Kith
    bob: Kith
    carl: Kith

    def sync(self, *who: Kith) -> None:
        for each in who:
            each.do("sync")

    def back_up(self) -> None:
        command = [str(BIN / "kith-server"), "backup", str(self.backup), "--data", str(self.server.data)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def restore(self) -> None:
        """What the handbook says: the copy as `kith.db`, with the same settings and key; checked, then started."""
        self.server.stop()
        for path in self.server.data.glob("kith.db*"):
            path.unlink()
        shutil.copy(self.backup, self.server.data / "kith.db")
        command = [str(BIN / "kith-server"), "check", "--data", str(self.server.data)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        self.server.start()


@pytest.fixture
def anna(tmp_path: Path) -> Iterator[Anna]:
    servers = [Server(tmp_path / name).init("--registration", "open").start() for name in ("anna", "others")]
    people = {name: Kith(tmp_path / f"{name}-home") for name in ("laptop", "phone", "tablet", "bob", "carl")}
    try:
        for name, place, person in (("laptop", 0, "Anna Beck"), ("bob", 1, "Bob Lund"), ("carl", 1, "Carl Moor")):
            url = servers[place].url
            people[name].do("init", "--server", url, "--name", person, "--device", name, "--no-passphrase")
        yield Anna(servers[0], tmp_path / "backup.db", **people)
    finally:
        for server in servers:
            server.stop()


def befriend(inviter: Kith, accepter: Kith) -> None:
    link = inviter.do("invite", "--facet", "work")["link"]
    accepter.do("accept", "-", given=link + "\n")
    for each in (inviter, accepter, inviter):
        each.do("sync")


def peers(device: Kith) -> list[str]:
    return sorted(peer["name"] for peer in device.do("peers")["peers"])


def shown(device: Kith, name: str) -> str:
    """All that `kith show` says of a contact."""
    return json.dumps(device.do("show", name))


def test_a_restored_server_is_repaired_from_one_device_and_all_others_follow(anna: Anna) -> None:
    laptop, phone, tablet, bob, carl = anna.laptop, anna.phone, anna.tablet, anna.bob, anna.carl
    laptop.do("add", "Dora Falk")
    laptop.do("add", "Emil Roth")
    laptop.do("me", "set", "email", "anna@work.example", "--facet", "work")
    befriend(laptop, bob)
    for device, name in ((phone, "phone"), (tablet, "tablet")):
        link_device(laptop, device, anna.server.url, name)
    anna.sync(laptop, phone, tablet)

    anna.back_up()

    laptop.do("set", "Dora Falk", "email", "dora@new.example")
    laptop.do("rm", "Emil Roth")
    laptop.do("add", "Frida Holm")
    laptop.do("device", "remove", "tablet")
    laptop.do("me", "set", "email", "anna@newer.example", "--facet", "work")
    befriend(laptop, carl)
    anna.sync(laptop, bob, phone, laptop)
    phone.do("add", "Gus Phone")
    anna.sync(phone, laptop)
    bob.do("me", "set", "title", "Captain", "--facet", "work")
    bob.do("grant", "Anna Beck", "work")
    sent = bob.do("sync")
    assert sent["parcels_out"] >= 1, "a parcel waits at the server, and Bob has its receipt"

    anna.restore()

    for device in (laptop, phone):
        refused = device.run("sync")
        assert (refused.status, refused.document["error"]) == (4, "rollback")
        assert "kith repair" in refused.document["message"]
    checks = {check["name"]: check for check in laptop.do("doctor")["checks"]}
    assert not checks["server's history"]["ok"]
    assert "kith repair" in checks["server's history"]["text"]
    assert tablet.run("sync").status == 0, "the restored server takes it for a device"

    missing = missing_at(laptop)
    assert missing["removed_devices"] == ["tablet"]
    assert missing["contacts"] >= 3
    assert laptop.do("repair")["repaired"]
    phone.do("sync")
    anna.sync(laptop, phone)

    for device in (laptop, phone):
        assert names(device.do("list")["contacts"]) == ["Bob Lund", "Carl Moor", "Dora Falk", "Frida Holm", "Gus Phone"]
        assert "dora@new.example" in shown(device, "Dora Falk")
        assert [each["name"] for each in device.do("device")["devices"]] == ["laptop", "phone"]
        assert all(check["ok"] for check in device.do("doctor")["checks"])
        assert any("repaired" in event["what"] for event in device.do("log")["events"])
        assert any(issue["kind"] == "alarm" for issue in device.do("issues")["issues"])
    out = tablet.run("sync")
    assert (out.status, out.document["error"]) == (1, "not-a-member")

    for _ in range(2):
        anna.sync(bob, carl, laptop)
    phone.do("sync")
    assert peers(laptop) == peers(phone) == ["Bob Lund", "Carl Moor"]
    for friend in (bob, carl):
        assert "anna@newer.example" in shown(friend, "Anna Beck")
    assert "Captain" in shown(phone, "Bob Lund"), "what the server lost with its receipt came again"
    laptop.do("me", "set", "email", "anna@newest.example", "--facet", "work")
    anna.sync(laptop, bob, carl)
    for friend in (bob, carl):
        assert "anna@newest.example" in shown(friend, "Anna Beck")
        assert "anna@newer.example" not in shown(friend, "Anna Beck")


def missing_at(laptop: Kith) -> dict[str, Any]:
    """What `kith repair` shows where nobody agrees; it changes nothing."""
    words = [word for word in laptop.command("repair") if word != "--yes"]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=laptop.environment(), timeout=60
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert not document["repaired"]
    assert laptop.run("sync").status == 4
    missing: dict[str, Any] = document["missing"]
    return missing
