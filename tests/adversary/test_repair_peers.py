"""A repair and the peers: what the server lost on its way comes again, and what two sides did ends in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from kith_client.book.issues import OneValue, list_issues
from kith_client.book.views import view_of
from kith_client.lifecycle.repairing import look, repair
from kith_client.relations import records
from kith_client.relations.rekeying import rekeying
from kith_protocol.errors import Alarm
from tests.adversary.friends import Friends, notes_told, set_mail, share_note, told
from tests.adversary.world import Device, link

NEWER = "anna@newer.example"


async def restored(friends: Friends, tmp_path: Path) -> None:
    """Since the backup Anna gave herself another address, which Bob has; then he shared something, which waited, with
    its receipt given, when the server was put back."""
    anna, bob = friends.anna, friends.bob
    await anna.sync()
    await friends.anna_site.back_up(tmp_path / "backup")
    await set_mail(anna, NEWER)
    for device in (anna, bob, anna):
        await device.sync()
    await share_note(bob, "met at the sea")
    report = await bob.sync()
    assert (report.parcels_out > 0, report.waiting) == (True, 0)
    await friends.anna_site.restore(tmp_path / "backup")


def mine(device: Device) -> list[str]:
    """The emails on the card of the device's owner that the only peer is to see."""
    (peer,) = records.peers(device.vault.contents)
    return [prop.value for prop in view_of(device.vault.contents, peer.id) if prop.name == "EMAIL"]


def conflict(device: Device) -> tuple[OneValue, ...]:
    """The values of the only conflict."""
    (found,) = (issue for issue in list_issues(device.vault.contents) if issue.kind == "conflict")
    return found.values


async def test_what_the_server_lost_with_its_receipt_comes_again_at_once(friends: Friends, tmp_path: Path) -> None:
    await restored(friends, tmp_path)
    anna, bob = friends.anna, friends.bob
    with pytest.raises(Alarm):
        await anna.sync()
    missing = await look(anna.vault, anna.server)
    assert missing is not None
    assert (missing.mailboxes > 0, missing.greetings) == (True, 1)
    await repair(anna.vault, anna.server)
    for device in (anna, bob, anna, bob, anna):
        await device.sync()
    assert told(bob) == [NEWER]
    assert notes_told(anna) == ["met at the sea"]
    assert list(rekeying(anna.vault.contents).values()) == [True]
    assert (await anna.sync()).waiting == 0


async def test_what_two_devices_did_for_a_peer_on_both_sides_of_a_restore_ends_in_one(
    friends: Friends, tmp_path: Path
) -> None:
    """Another device of Anna's, that saw nothing since the backup, shared something under versions that Bob knows."""
    anna, bob = friends.anna, friends.bob
    phone = await link(friends.anna_site, anna, tmp_path / "phone")
    try:
        await restored(friends, tmp_path)
        await set_mail(phone, "phone@since.example")
        await share_note(phone, "since the restore")
        for device in (phone, bob, phone):
            await device.sync()
        await repair(anna.vault, anna.server)
        for device in (anna, phone, bob, anna, phone, bob, anna, phone):
            await device.sync()
        (standing,) = mine(anna)  # of two edits within one second of the server's clock either may stand
        assert told(bob) == [standing]
        assert {"phone@since.example", NEWER} == {standing, *(value.value for value in conflict(anna)[1:])}
        assert notes_told(bob) == ["since the restore"]
        assert notes_told(anna) == notes_told(phone) == ["met at the sea"]
        assert dict(anna.vault.contents) == dict(phone.vault.contents)
        await set_mail(anna, "anna@last.example")
        for device in (anna, bob):
            await device.sync()
        assert told(bob) == ["anna@last.example"]
    finally:
        await phone.close()
