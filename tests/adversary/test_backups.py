"""A backup, and what becomes of it when the server is gone: everything is there again, peers included."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kith_client.lifecycle.backup import MAGIC, make_backup, read_backup
from kith_client.lifecycle.moving import at_home, move
from kith_client.lifecycle.recovering import Recovered
from kith_client.lifecycle.restoring import restore
from kith_client.lifecycle.setup import Created, create_vault
from kith_client.relations.homes import home_of
from kith_client.relations.records import own_persona, persona_of
from kith_client.relations.rekeying import demand_rekeys
from kith_client.relations.theft.personas import new_persona
from kith_client.stamp import of_kind
from kith_client.store.home import Home
from kith_client.sync.befriend import accept_invite, make_invite
from kith_client.sync.push import push_all
from kith_client.sync.run import sync
from kith_protocol.errors import DecodingError, Refused
from kith_protocol.persona import MAX_NUMBER
from kith_protocol.phrase import phrase_of
from kith_protocol.suite import HybridSignKey
from kith_protocol.wire import FeedRecords, decode_frame, encode_frame
from tests.adversary.friends import Friends, set_mail, told
from tests.adversary.test_commands_alarm import kith
from tests.adversary.world import Device, Site, link, lying_site


@dataclass
class Kept:
    """Dora's address book on a server of hers, her peer Carl, and what stands on her paper."""

    site: Site
    new_site: Site
    dora: Device
    peer: Device
    kit: Created
    folder: Path

    async def back_up(self, name: str = "dora.backup", **options: bool) -> Path:
        path = self.folder / name
        await make_backup(self.dora.vault, path, **options)
        return path

    async def restore(self, path: Path, name: str = "new", **options: object) -> Device:
        made: Recovered = await restore(
            Home(self.folder / name),
            path,
            self.new_site.url,
            self.kit.recovery_phrase,
            "new",
            **options,  # type: ignore[arg-type]
        )
        await made.vault.close()
        return await Device.open(Home(self.folder / name))


@pytest.fixture
async def kept(friends: Friends, tmp_path: Path) -> AsyncIterator[Kept]:
    async with lying_site(tmp_path / "dora-server") as site, lying_site(tmp_path / "new-server") as new:
        home, carl = Home(tmp_path / "dora"), friends.carl
        kit = await create_vault(home, site.url, "Dora Falk", "laptop")
        async with await Device.open(home) as dora:
            await dora.add("Carla Ruiz")
            await set_mail(dora, "dora@work.example")
            await set_mail(carl, "carl@work.example")
            made = await make_invite(dora.vault, dora.server, ["work"])
            await accept_invite(carl.vault, carl.server, made.link, ["work"])
            for device in (dora, carl, dora, carl, dora):
                await device.sync()
            yield Kept(site, new, dora, carl, kit, tmp_path)


def names_of(device: Device) -> set[str]:
    return {name for name in device.names if name}


async def test_a_backup_holds_the_whole_vault_and_no_key(kept: Kept) -> None:
    path = await kept.back_up()
    made = read_backup(path)
    assert (made.chain.vault, made.chain.head) == (kept.dora.vault.id, kept.dora.vault.chain.head)
    raw = path.read_bytes()
    device = kept.dora.vault.device
    for secret in (device.sign_seed, device.seal_seed, b"Carla Ruiz", b"dora@work.example"):
        assert secret not in raw
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in kept.folder.iterdir() if "partial" in each.name] == []


async def test_unsent_edits_are_not_left_out_unnoticed(kept: Kept) -> None:
    await kept.dora.add("Hugo Blum")
    with pytest.raises(Refused) as refused:
        await kept.back_up()
    assert refused.value.code == "unsent"
    assert not (kept.folder / "dora.backup").exists()
    await kept.back_up(without_unsent=True)
    await kept.dora.sync()
    await kept.back_up("second.backup")


async def test_a_stick_without_links_takes_a_backup_too_and_a_partial_file_of_the_persons_stays(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_names: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    mine = kept.folder / "dora.backup.partial"
    mine.write_text("mine")
    path = await kept.back_up()
    assert read_backup(path).chain.head == kept.dora.vault.chain.head
    assert mine.read_text() == "mine"
    assert len([each for each in kept.folder.iterdir() if "partial" in each.name]) == 1


async def test_a_file_that_is_there_is_left_as_it_is(kept: Kept) -> None:
    path = kept.folder / "dora.backup"
    path.write_text("mine")
    with pytest.raises(Refused) as refused:
        await kept.back_up()
    assert refused.value.code == "file-exists"
    assert path.read_text() == "mine"


def cut(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def without_end(raw: bytes) -> bytes:
    return raw[: -len(end_of(raw))]


def end_of(raw: bytes) -> bytes:
    """The last frame, with its length."""
    rest = raw[len(MAGIC) :]
    while len(rest) > 4 + int.from_bytes(rest[:4], "big"):
        rest = rest[4 + int.from_bytes(rest[:4], "big") :]
    return rest


def flipped(raw: bytes) -> bytes:
    place = len(raw) // 2
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


def without_records(raw: bytes) -> bytes:
    kept_frames, rest = MAGIC, raw[len(MAGIC) :]
    while rest:
        size = 4 + int.from_bytes(rest[:4], "big")
        frame = decode_frame(rest[4:size])
        if not isinstance(frame, FeedRecords):
            kept_frames += encode_frame(frame)
        rest = rest[size:]
    return kept_frames


def longer(raw: bytes) -> bytes:
    return raw + end_of(raw)


def another_kind(raw: bytes) -> bytes:
    return b"x" + raw


def empty(_raw: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("spoil", [cut, without_end, longer, flipped, without_records, another_kind, empty])
async def test_a_damaged_or_changed_backup_is_refused_before_anything_is_done(
    kept: Kept, spoil: Callable[[bytes], bytes]
) -> None:
    path = await kept.back_up()
    spoiled = kept.folder / "spoiled"
    spoiled.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DecodingError):
        await kept.restore(spoiled)
    assert kept.new_site.rows("SELECT * FROM vaults") == []
    assert not Home(kept.folder / "new").exists


async def test_a_restored_vault_is_whole_and_the_peers_are_in_step(kept: Kept) -> None:
    path = await kept.back_up()
    await kept.site.stop()
    async with await kept.restore(path) as new:
        assert new.vault.chain.vault == kept.kit.vault
        assert len(new.vault.chain.members) == 2
        home = home_of(new.vault.contents)
        assert home is not None
        assert (home.here.url, home.former) == (kept.new_site.url, ())
        assert names_of(new) >= {"Carla Ruiz", "Carl Moor"}
        for device in (new, kept.peer, new, kept.peer):
            await device.sync()
        await set_mail(new, "dora@new.example")
        await set_mail(kept.peer, "carl@new.example")
        for device in (new, kept.peer, new, kept.peer):
            await device.sync()
        assert told_by(kept.peer, "Dora Falk") == ["dora@new.example"]
        assert told(new) == ["carl@new.example"]


async def rekey(device: Device) -> None:
    """New keys and mailboxes for every relationship, as after the removal of a device."""
    await device.apply(demand_rekeys(device.vault.contents, device.vault.stamp()))


async def test_peers_who_know_more_than_an_old_backup_get_what_is_new_and_nothing_old(kept: Kept) -> None:
    """Versions, keys and mailboxes of both went on after the backup; none of them is in it."""
    dora, carl = kept.dora, kept.peer
    path = await kept.back_up()
    for number in range(3):
        await set_mail(dora, f"dora{number}@later.example")
        await set_mail(carl, f"carl{number}@later.example")
        await rekey(dora if number % 2 else carl)
        for device in (dora, carl, dora, carl, dora, carl):
            await device.sync()
    assert told_by(carl, "Dora Falk") == ["dora2@later.example"]
    await kept.site.stop()
    async with await kept.restore(path) as new:
        for device in (new, carl, new, carl, new):
            await device.sync()
        assert told(new) == ["carl2@later.example"]
        assert told_by(carl, "Dora Falk") == ["dora@work.example"]
        await set_mail(new, "dora@new.example")
        for device in (new, carl, new, carl):
            report = await device.sync()
            assert report.alarms == []
        assert told_by(carl, "Dora Falk") == ["dora@new.example"]


def told_by(device: Device, name: str) -> list[str]:
    """The emails that one of several peers shares about itself."""
    from kith_client.book.layers import Layers
    from kith_client.relations import records

    (peer,) = [each for each in records.peers(device.vault.contents) if each.name == name]
    shown = Layers(device.vault.contents).shown(peer.contact)
    return [item.property.value for item in shown if item.property.key == "EMAIL"]


async def test_a_persona_of_another_root_in_the_backup_does_not_keep_the_persons_own_from_the_peers(kept: Kept) -> None:
    """Who held a device wrote it, beside the person's and in its place, with the highest number that there is."""
    stamp = kept.dora.vault.stamp()
    stranger = HybridSignKey(secrets.token_bytes(32), secrets.token_bytes(32))
    false = stamp.content("persona", new_persona(stranger, MAX_NUMBER, stamp.random))
    (mine,) = of_kind(kept.dora.vault.contents, "persona")
    root = persona_of(own_persona(kept.dora.vault.contents).raw).root
    await push_all(kept.dora.vault, kept.dora.server, {mine: false, bytes(16): false})
    path = await kept.back_up()
    await kept.site.stop()
    async with await kept.restore(path) as new:
        persona = persona_of(own_persona(new.vault.contents).raw)
        assert len(of_kind(new.vault.contents, "persona")) == 1
        assert persona.root == root
        assert persona.number <= new.vault.clock()
        await set_mail(new, "dora@new.example")
        for device in (new, kept.peer, new, kept.peer):
            await device.sync()
        assert told_by(kept.peer, "Dora Falk") == ["dora@new.example"]


async def test_a_restore_that_broke_off_is_finished_by_doing_it_again(kept: Kept) -> None:
    path = await kept.back_up()
    with pytest.raises(Refused) as refused:  # the server has the vault by then
        await kept.restore(path, keep=["tablet"])
    assert refused.value.code == "no-such-device"
    async with await kept.restore(path) as new:
        assert names_of(new) >= {"Carla Ruiz"}


async def test_a_device_that_is_kept_comes_to_the_new_server_with_its_unsent_edits(kept: Kept) -> None:
    async with await link(kept.site, kept.dora, kept.folder / "phone") as phone:
        await kept.dora.sync()
        path = await kept.back_up()
        await phone.add("Emil Roth")
        await kept.site.stop()
        async with await kept.restore(path, keep=["phone"]) as new:
            await new.sync()
            await move(phone.vault, kept.new_site.url)
            async with at_home(phone.vault) as server:
                await sync(phone.vault, server)
            await new.sync()
            assert "Emil Roth" in new.names
            assert kept.dora.vault.member.id not in phone.vault.chain.members


async def test_another_phrase_restores_nothing(kept: Kept) -> None:
    path = await kept.back_up()
    kept.kit = Created(kept.kit.person, kept.kit.vault, phrase_of(secrets.token_bytes(32)))
    with pytest.raises(Refused) as refused:
        await kept.restore(path)
    assert refused.value.code == "wrong-phrase"
    assert kept.new_site.rows("SELECT * FROM vaults") == []


async def test_a_server_that_gives_back_less_than_the_backup_is_found_out(kept: Kept) -> None:
    early = await kept.back_up()
    await kept.dora.add("Hugo Blum")
    await kept.dora.sync()
    late = await kept.back_up("late.backup")
    with pytest.raises(Refused):
        await kept.restore(early, keep=["tablet"])  # an old state is at the server now
    with pytest.raises(Refused) as refused:
        await kept.restore(late)
    assert refused.value.code == "other-state"
    assert not Home(kept.folder / "new").exists


async def test_the_commands_make_a_backup_and_restore_it(kept: Kept) -> None:
    await kept.dora.close()
    file = kept.folder / "kept.backup"
    made = await kith(kept.folder / "dora", "backup", str(file))
    assert made.status == 0
    assert made.document["vault"] == kept.kit.vault.hex()
    again = await kith(kept.folder / "dora", "backup", str(file))
    assert (again.status, again.document["error"]) == (1, "file-exists")
    await kept.site.stop()
    words = ("restore", str(file), "--server", kept.new_site.url, "--no-passphrase")
    phrase = kept.kit.recovery_phrase
    done = await kith(kept.folder / "new", *words, given=phrase + "\n")
    assert done.status == 0, done
    assert done.document["removed"] == ["laptop"]
    assert phrase.split()[5] not in done.err
    assert (await kith(kept.folder / "new", "sync")).status == 0
