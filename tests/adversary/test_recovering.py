"""All devices are lost: the phrase brings the address book back, and shuts out whoever found one of them."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path

import pytest

from kith_client.errors import ServerRefused
from kith_client.lifecycle.recovering import recover
from kith_client.lifecycle.setup import Created, create_vault
from kith_client.relations.rekeying import rekeying
from kith_client.store.home import Home
from kith_client.sync.befriend import accept_invite, make_invite
from kith_protocol import wire
from kith_protocol.errors import Alarm, AlarmCode, Refused
from kith_protocol.phrase import phrase_of
from tests.adversary.friends import Friends, set_mail, told
from tests.adversary.scene import Frames, headed
from tests.adversary.test_commands_alarm import kith
from tests.adversary.test_thieves_epochs import begin_epoch
from tests.adversary.world import Device, Site, link


@dataclass
class Lost:
    """Dora's address book: her device, and what stands on her paper."""

    site: Site
    device: Device
    kit: Created

    async def recover(self, folder: Path, **options: object) -> Device:
        made = await recover(Home(folder), self.site.url, self.kit.vault, self.kit.recovery_phrase, "new", **options)  # type: ignore[arg-type]
        await made.vault.close()
        return await Device.open(Home(folder))


async def begun(friends: Friends, folder: Path) -> Lost:
    home = Home(folder)
    kit = await create_vault(home, friends.anna_site.url, "Dora Falk", "laptop")
    device = await Device.open(home)
    await device.add("Carla Ruiz")
    await device.sync()
    return Lost(friends.anna_site, device, kit)


async def test_the_phrase_brings_everything_back_and_the_lost_device_is_out(friends: Friends, tmp_path: Path) -> None:
    lost = await begun(friends, tmp_path / "dora")
    async with await lost.recover(tmp_path / "new") as new:
        assert new.names == ["Carla Ruiz"]
        assert new.vault.chain.epoch == lost.device.vault.chain.epoch + 1
        assert lost.device.vault.member.id not in new.vault.chain.members
        await new.add("Ella Moor")
        assert (await new.sync()).pushed
    with pytest.raises(ServerRefused) as refused:
        await lost.device.sync()
    assert refused.value.code == "not-a-member"
    assert lost.device.names == ["Carla Ruiz"]
    await lost.device.close()


async def test_the_phrase_works_a_second_time(friends: Friends, tmp_path: Path) -> None:
    lost = await begun(friends, tmp_path / "dora")
    await (await lost.recover(tmp_path / "new")).close()
    async with await lost.recover(tmp_path / "newer") as newer:
        assert newer.names == ["Carla Ruiz"]
        assert len(newer.vault.chain.members) == 2
    await lost.device.close()


async def test_a_device_that_is_named_stays(friends: Friends, tmp_path: Path) -> None:
    lost = await begun(friends, tmp_path / "dora")
    async with await link(lost.site, lost.device, tmp_path / "phone") as phone:
        async with await lost.recover(tmp_path / "new", keep=["phone"]) as new:
            assert phone.vault.member.id in new.vault.chain.members
            assert lost.device.vault.member.id not in new.vault.chain.members
            await new.add("Ella Moor")
            await new.sync()
        await phone.sync()
        assert phone.names == ["Carla Ruiz", "Ella Moor"]
    await lost.device.close()


async def test_a_device_to_keep_that_there_is_not_is_told_before_anything_is_changed(
    friends: Friends, tmp_path: Path
) -> None:
    lost = await begun(friends, tmp_path / "dora")
    with pytest.raises(Refused, match="laptop") as refused:
        await lost.recover(tmp_path / "new", keep=["tablet"])
    assert refused.value.code == "no-such-device"
    assert not Home(tmp_path / "new").exists
    await lost.device.sync()
    await lost.device.close()


@pytest.mark.parametrize("other", ["phrase", "vault"])
async def test_another_phrase_or_id_opens_nothing(friends: Friends, tmp_path: Path, other: str) -> None:
    lost = await begun(friends, tmp_path / "dora")
    phrase = phrase_of(secrets.token_bytes(32)) if other == "phrase" else lost.kit.recovery_phrase
    vault = friends.anna.vault.id if other == "vault" else lost.kit.vault
    with pytest.raises(Refused) as refused:
        await recover(Home(tmp_path / "new"), lost.site.url, vault, phrase, "new")
    assert refused.value.code == "wrong-phrase"
    assert phrase.split()[0] not in str(refused.value)
    assert not Home(tmp_path / "new").exists
    await lost.device.sync()
    await lost.device.close()


async def test_a_server_that_leaves_out_the_newest_commits_is_noticed_by_the_tree_or_the_head(
    friends: Friends, tmp_path: Path
) -> None:
    """It cannot mix an old head with new records; a whole older state it can show, to somebody who never saw it."""
    lost = await begun(friends, tmp_path / "dora")

    def old_head(frames: Frames) -> Frames:
        first = next(frame for frame in frames if isinstance(frame, wire.FeedHead))
        return headed(frames, first.number, secrets.token_bytes(32))

    lost.site.proxy.feed = old_head
    with pytest.raises(Alarm) as alarm:
        await lost.recover(tmp_path / "new")
    assert alarm.value.alarm is AlarmCode.FORK
    assert not Home(tmp_path / "new").exists
    lost.site.proxy.be_honest()
    await lost.device.close()


async def test_relationships_go_on_after_a_recovery_and_get_new_keys(friends: Friends, tmp_path: Path) -> None:
    lost, bob = await begun(friends, tmp_path / "dora"), friends.carl
    await set_mail(lost.device, "dora@work.example")
    made = await make_invite(lost.device.vault, lost.device.server, ["work"])
    await accept_invite(bob.vault, bob.server, made.link)
    for device in (lost.device, bob, lost.device, bob):
        await device.sync()
    assert told(bob) == ["dora@work.example"]
    await lost.device.close()
    async with await lost.recover(tmp_path / "new") as new:
        await set_mail(new, "new@work.example")
        for device in (new, bob, new):
            await device.sync()
        assert told(bob) == ["new@work.example"]
        assert list(rekeying(new.vault.contents).values()) == [True]


async def test_the_command_takes_the_phrase_from_standard_input_and_tells_what_is_there(
    friends: Friends, tmp_path: Path
) -> None:
    lost = await begun(friends, tmp_path / "dora")
    await lost.device.close()
    words = ("recover", "--server", lost.site.url, "--vault", lost.kit.vault.hex(), "--no-passphrase")
    typed = lost.kit.recovery_phrase.upper().replace(" ", "  ")
    refused = await kith(tmp_path / "new", *words, given=typed.replace(typed.split()[2], "KITHBOOK", 1))
    assert (refused.status, refused.document["error"]) == (1, "phrase-word")
    done = await kith(tmp_path / "new", *words, given=typed + "\n")
    assert done.status == 0
    assert done.document["vault"] == lost.kit.vault.hex()
    assert done.document["contacts"] == 1
    assert done.document["removed"] == ["laptop"]
    assert typed.split()[5].lower() not in done.err
    again = await kith(tmp_path / "new", *words, given=typed)
    assert (again.status, again.document["error"]) == (1, "vault-exists")


async def test_a_thief_who_commits_all_the_time_cannot_outrun_the_phrase(friends: Friends, tmp_path: Path) -> None:
    lost = await begun(friends, tmp_path / "dora")
    codes: list[str] = []

    async def thief() -> None:
        while not codes or codes[-1] == "paper-key-at-work":
            await lost.device.add("Mallory")
            try:
                await lost.device.sync(patience=0)
            except ServerRefused as refusal:
                codes.append(refusal.code)

    racing = asyncio.create_task(thief())
    async with await lost.recover(tmp_path / "new") as new:
        async with asyncio.timeout(30):
            await racing
        assert codes[-1] == "not-a-member"
        assert lost.device.vault.member.id not in new.vault.chain.members
    await lost.device.close()


@pytest.mark.parametrize("good_link", [False, True])
async def test_a_thief_who_begins_an_epoch_that_the_phrase_cannot_read_does_not_stop_it(
    friends: Friends, tmp_path: Path, good_link: bool
) -> None:
    lost = await begun(friends, tmp_path / "dora")
    paper = lost.device.vault.chain.paper
    await begin_epoch(lost.device, cheated=(paper,) if good_link else (), good_link=good_link)
    async with await lost.recover(tmp_path / "new") as new:
        assert new.names == ["Carla Ruiz"]
        assert lost.device.vault.member.id not in new.vault.chain.members
        await new.add("Ella Moor")
        assert (await new.sync()).pushed
    await lost.device.close()
