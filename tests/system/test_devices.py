"""Devices by real commands: a new name reaches the other device, and each one's last commit shows."""

from __future__ import annotations

from pathlib import Path

from tests.support.running import Kith, Server, link_device


def test_a_device_is_renamed_on_all_devices_and_shows_its_last_commit(tmp_path: Path) -> None:
    server = Server(tmp_path / "server").init().start()
    try:
        laptop, phone = Kith(tmp_path / "laptop"), Kith(tmp_path / "phone")
        laptop.do("init", "--server", server.url, "--name", "Anna Beck", "--device", "laptop", "--no-passphrase")
        link_device(laptop, phone, server.url, "phone")
        renamed = {each["name"]: each for each in laptop.do("device", "rename", "phone", "Old phone")["devices"]}
        assert sorted(renamed) == ["Old phone", "laptop"]
        assert laptop.run("device", "rename", "laptop", "old phone").document["error"] == "not-allowed"
        head = laptop.do("sync")["head"]
        seen = {each["name"]: each for each in laptop.do("device")["devices"]}
        assert seen["laptop"]["last_commit"] == head > renamed["laptop"]["last_commit"]
        phone.do("sync")
        assert [each["name"] for each in phone.do("device")["devices"] if each["this"]] == ["Old phone"]
        phone.do("add", "Carla Ruiz")
        phone.do("sync")
        laptop.do("sync")
        assert {each["name"]: each["last_commit"] for each in laptop.do("device")["devices"]} == {
            "laptop": head,
            "Old phone": head + 1,
        }
    finally:
        server.stop()
