"""Anna's server after the restore of an older backup, with the devices as they were before it.

Made once and copied for each test. At the time of the backup laptop, phone and tablet were devices, all in step. Since
then the laptop removed the tablet, gave Carla a mail address, deleted Hugo and added Nora; the phone added Paul. Laptop
and phone know all of that; the tablet and the server know nothing of it.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kith_client.book import contacts as book
from kith_client.book.issues import list_issues
from kith_client.book.layers import Layers
from kith_client.book.showing import value_text
from kith_client.lifecycle.linking import remove_device
from kith_client.lifecycle.setup import create_vault
from kith_client.stamp import of_kind
from kith_client.store.home import Home
from tests.adversary.world import Device, Site, link, lying_site

BEFORE = ["Carla Ruiz", "Hugo Blum", "Kept Ever"]
AFTER = ["Carla Ruiz", "Kept Ever", "Nora New", "Paul Phone"]
MAIL = "carla@new.example"


@dataclass
class Restored:
    """Everybody after the restore."""

    site: Site
    laptop: Device
    phone: Device
    tablet: Device
    """Removed in what the server lost; to the server it is a device."""
    late: Device
    """The phone as it was at the time of the backup: a device that saw nothing since."""
    phrase: str
    backup: Path
    """What the server was put back to; beside it in `folder` lies `newest`, what it had."""
    folder: Path

    async def restore(self) -> None:
        """Puts the server back once more."""
        await self.site.restore(self.backup)


@dataclass(frozen=True)
class RestoredTemplate:
    """The same at rest, in files."""

    folder: Path
    port: int
    phrase: str


async def build_restored(folder: Path) -> RestoredTemplate:
    """Plays what happened until the restore."""
    folder.mkdir()
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(lying_site(folder / "server"))
        made = await create_vault(Home(folder / "laptop"), site.url, "Anna Beck", "laptop")
        laptop = await stack.enter_async_context(await Device.open(Home(folder / "laptop")))
        for name in BEFORE:
            await laptop.add(name)
        await laptop.sync()
        phone = await link(site, laptop, folder / "phone")
        tablet = await stack.enter_async_context(await link(site, laptop, folder / "tablet", "tablet"))
        for device in (laptop, phone, tablet):
            await device.sync()
        await site.back_up(folder / "backup")
        await phone.close()
        shutil.copytree(folder / "phone", folder / "late")
        phone = await stack.enter_async_context(await Device.open(Home(folder / "phone")))
        await remove_device(laptop.vault, laptop.server, tablet.vault.member.id)
        await laptop.set(contact(laptop, "Carla Ruiz"), "email", MAIL)
        await delete(laptop, "Hugo Blum")
        await laptop.add("Nora New")
        await laptop.sync()
        await phone.sync()
        await phone.add("Paul Phone")
        await phone.sync()
        await laptop.sync()
        if laptop.names != AFTER:
            raise AssertionError("the devices are not in step")
        return RestoredTemplate(folder, int(site.url.rpartition(":")[2]), made.recovery_phrase)


@asynccontextmanager
async def restored_from(template: RestoredTemplate, folder: Path) -> AsyncIterator[Restored]:
    """Everybody on fresh copies, the server from its backup."""
    shutil.copytree(template.folder, folder)
    (folder / "server").rename(folder / "newest")
    shutil.copytree(folder / "backup", folder / "server")
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(lying_site(folder / "server", template.port))
        laptop, phone, tablet, late = [
            await stack.enter_async_context(await Device.open(Home(folder / name)))
            for name in ("laptop", "phone", "tablet", "late")
        ]
        yield Restored(site, laptop, phone, tablet, late, template.phrase, folder / "backup", folder)


def contact(device: Device, name: str) -> bytes:
    """The record of the contact with this name."""
    layers = Layers(device.vault.contents)
    (found,) = (each for each in of_kind(device.vault.contents, "contact") if layers.name(each) == name)
    return found


async def delete(device: Device, name: str) -> None:
    """Removes a contact, as `kith rm` does."""
    await device.apply(book.remove_contact(device.vault.contents, device.vault.stamp(), contact(device, name)))


def texts(device: Device, name: str) -> list[str]:
    """The values of a contact, as people see them."""
    units = device.vault.contents[contact(device, name)].units
    return [value_text(unit.value) for key, unit in units.items() if "/" not in key]


def alarms_told(device: Device) -> list[str]:
    """The issues of the kind alarm."""
    return [issue.text for issue in list_issues(device.vault.contents) if issue.kind == "alarm"]
