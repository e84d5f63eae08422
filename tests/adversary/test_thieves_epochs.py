"""A stolen device that is still a member begins an epoch which others cannot read: they stop, and can remove it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from kith_client.errors import ServerRefused, ServerUnreachable
from kith_client.lifecycle import linking
from kith_client.lifecycle.linking import list_devices
from kith_client.lifecycle.removing import newest_chain, remove_device
from kith_client.stamp import Contents
from kith_client.sync.building import MembershipStep, build_push
from kith_client.vault import UNREADABLE
from kith_protocol.encoding import encode
from kith_protocol.epoch import SealedKeys, epoch_commitment, seal_epoch_key
from kith_protocol.errors import Alarm, AlarmCode, Refused
from tests.adversary.world import Device, Site, begin, link, lying_site
from tests.support.lying_proxy import honest_answer


@dataclass
class Home:
    """Anna's laptop and tablet, her stolen phone, and what she wrote before."""

    site: Site
    folder: Path
    laptop: Device
    tablet: Device
    phone: Device


@pytest.fixture
async def anna(tmp_path: Path) -> AsyncIterator[Home]:
    async with lying_site(tmp_path / "server") as site, await begin(site, tmp_path / "laptop", "Anna") as laptop:
        await laptop.add("Carla Ruiz")
        await laptop.sync()
        async with (
            await link(site, laptop, tmp_path / "tablet", "tablet") as tablet,
            await link(site, laptop, tmp_path / "phone", "phone") as phone,
        ):
            for device in (laptop, tablet, phone):
                await device.sync()
            yield Home(site, tmp_path, laptop, tablet, phone)


async def begin_epoch(thief: Device, *, cheated: tuple[Device | bytes, ...] = (), good_link: bool = True) -> None:
    """An epoch that the server takes, whose key does not open for `cheated`, or whose link leads nowhere."""
    chain, keys = thief.vault.chain, thief.vault.record_keys
    key, epoch, members = os.urandom(32), chain.epoch + 1, [each.member for each in chain.members.values()]
    previous = keys.epoch_key(chain.epoch) if good_link else os.urandom(32)
    good = seal_epoch_key(key, chain.vault, epoch, members, previous=previous, nonce=os.urandom(24))
    bad = seal_epoch_key(os.urandom(32), chain.vault, epoch, members)
    cheat = {each if isinstance(each, bytes) else each.vault.member.id for each in cheated}
    sealed = tuple(b if b.member in cheat else g for g, b in zip(good.keys, bad.keys, strict=True))
    step = MembershipStep((), (), SealedKeys(sealed, good.previous), epoch_commitment(epoch, key))
    push = build_push(
        chain, thief.vault.member, {}, thief.vault.index.root, thief.vault.clock(), step=step, epoch=epoch
    )
    await thief.server.push(thief.vault.id, encode(push))


async def stops(device: Device) -> None:
    """It syncs no more, and what it has stays as it is."""
    before = device.state()
    with pytest.raises(Alarm) as raised:
        await device.sync()
    assert raised.value.alarm is AlarmCode.WRONG_EPOCH
    assert device.state() == before


async def test_a_thief_who_seals_an_epochs_key_wrongly_is_removed_all_the_same(anna: Home) -> None:
    laptop, tablet = anna.laptop, anna.tablet
    await begin_epoch(anna.phone, cheated=(laptop,))
    unsent = await laptop.add("Dora Kim")
    await stops(laptop)
    await tablet.sync()
    hidden = await tablet.add("Emil Oz")
    await tablet.sync()

    assert await remove_device(laptop.vault, laptop.server, anna.phone.vault.member.id) == 1
    for device in (laptop, tablet, laptop):
        await device.sync()
    assert anna.phone.vault.member.id not in laptop.vault.chain.members
    assert laptop.vault.contents[hidden] is UNREADABLE, "only what was sealed in the thief's epoch is hidden"
    assert tablet.names == ["Carla Ruiz", "Dora Kim", "Emil Oz"]
    assert laptop.vault.contents[unsent] == tablet.vault.contents[unsent]
    assert "Carla Ruiz" in laptop.names

    async with await link(anna.site, laptop, anna.folder / "new", "new") as new:
        assert sum(content is UNREADABLE for content in new.vault.contents.values()) == 1
        assert new.names == laptop.names


async def test_a_thief_whose_epoch_leads_nowhere_is_noticed_and_does_not_cut_off_later_devices(anna: Home) -> None:
    await begin_epoch(anna.phone, good_link=False)
    await stops(anna.laptop)
    await stops(anna.tablet)
    await remove_device(anna.laptop.vault, anna.laptop.server, anna.phone.vault.member.id)
    await anna.laptop.sync()
    await anna.tablet.sync()
    async with await link(anna.site, anna.laptop, anna.folder / "new", "new") as new:
        assert new.names == ["Carla Ruiz"]
        assert UNREADABLE not in new.vault.contents.values()


async def test_an_accomplice_that_a_thief_added_is_seen_and_goes_with_it(anna: Home) -> None:
    laptop = anna.laptop
    async with await link(anna.site, anna.phone, anna.folder / "accomplice", "accomplice") as accomplice:
        await begin_epoch(accomplice, cheated=(laptop,))
        await stops(laptop)
        shown = await list_devices(laptop.vault, await newest_chain(laptop.vault, laptop.server))
        assert accomplice.vault.member.id in {each.id for each in shown}
        keep = frozenset({accomplice.vault.member.id})
        with pytest.raises(Refused) as raised:
            await remove_device(laptop.vault, laptop.server, anna.phone.vault.member.id, keep=keep)
        assert raised.value.code == "unread-epoch"
        assert await remove_device(laptop.vault, laptop.server, anna.phone.vault.member.id) == 2
    await laptop.sync()
    await anna.tablet.sync()
    assert laptop.vault.chain.head == anna.tablet.vault.chain.head


async def test_a_removal_whose_answer_is_lost_can_be_repeated(anna: Home) -> None:
    """The server has it; asked again, the device is gone, and the address book is in step."""
    laptop, phone = anna.laptop, anna.phone.vault.member.id
    await begin_epoch(anna.phone, cheated=(laptop,))

    def lose(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        return (502, b"") if method == "POST" and path.endswith("/commits") else (status, body)

    anna.site.proxy.answer = lose
    with pytest.raises((ServerRefused, ServerUnreachable)):
        await remove_device(laptop.vault, laptop.server, phone)
    anna.site.proxy.answer = honest_answer
    await laptop.sync()
    assert phone not in laptop.vault.chain.members


async def test_a_new_device_does_not_take_the_address_book_of_another_person(
    anna: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old device names the person under the code; what comes from the server has to be that person's."""
    person = os.urandom(32)
    monkeypatch.setattr(linking, "own_person", _first_then(person, linking.own_person))
    with pytest.raises(Alarm, match="device remove") as raised:
        await link(anna.site, anna.laptop, anna.folder / "new", "new")
    assert raised.value.alarm is AlarmCode.PERSON_CHANGED
    assert not (anna.folder / "new" / "device.key").exists()


async def test_a_new_device_that_fetched_nothing_says_how_to_begin_again(anna: Home) -> None:
    """And that works: the same folder, after the device without an address book was removed."""
    laptop = anna.laptop
    before = set(laptop.vault.chain.members)

    def cut(_method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        return (502, b"") if path.endswith("/sessions") else (status, body)

    anna.site.proxy.answer = cut
    with pytest.raises((ServerRefused, ServerUnreachable), match="link again"):
        await link(anna.site, laptop, anna.folder / "new", "new")
    anna.site.proxy.answer = honest_answer
    (added,) = set(laptop.vault.chain.members) - before
    await remove_device(laptop.vault, laptop.server, added)
    async with await link(anna.site, laptop, anna.folder / "new", "new") as new:
        assert new.names == laptop.names


def _first_then(first: bytes, later: Callable[[Contents], bytes]) -> Callable[[Contents], bytes]:
    """The old device says `first`; the new one, which asks next, finds out what is so."""
    answers: list[Callable[[Contents], bytes]] = [lambda _contents: first]
    return lambda contents: (answers.pop() if answers else later)(contents)
