"""Anna on one server, her peer Bob and the stranger Carl on another, each server behind a lying proxy.

Made once and copied for each test. Anna's card has an email that Bob sees; an invite of hers is unused.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from kith_client.book import me, notes, shares
from kith_client.book.layers import Layers
from kith_client.relations import records
from kith_client.store.home import Home
from kith_client.sync.befriend import accept_invite, make_invite
from tests.adversary.world import Device, Site, begin, lying_site

MAIL = "anna@work.example"


@dataclass
class Friends:
    """Everybody, and the link of Anna's unused invite."""

    anna_site: Site
    bob_site: Site
    anna: Device
    bob: Device
    carl: Device
    link: str


@dataclass(frozen=True)
class FriendsTemplate:
    """The same at rest, in files."""

    folder: Path
    ports: tuple[int, int]
    link: str


async def build_friends(folder: Path) -> FriendsTemplate:
    """Plays how Anna and Bob became peers."""
    folder.mkdir()
    async with AsyncExitStack() as stack:
        anna_site = await stack.enter_async_context(lying_site(folder / "anna-server"))
        bob_site = await stack.enter_async_context(lying_site(folder / "bob-server"))
        anna = await stack.enter_async_context(await begin(anna_site, folder / "anna", "Anna Beck"))
        bob = await stack.enter_async_context(await begin(bob_site, folder / "bob", "Bob Lund"))
        await stack.enter_async_context(await begin(bob_site, folder / "carl", "Carl Moor"))
        await set_mail(anna, MAIL)
        made = await make_invite(anna.vault, anna.server, ["work"])
        await accept_invite(bob.vault, bob.server, made.link)
        for device in (anna, bob, anna, bob, anna):
            report = await device.sync()
        if report.waiting or told(bob) != [MAIL]:
            raise AssertionError("Anna and Bob did not become peers")
        unused = await make_invite(anna.vault, anna.server, ["work"])
        ports = int(anna_site.url.rpartition(":")[2]), int(bob_site.url.rpartition(":")[2])
        return FriendsTemplate(folder, ports, unused.link)


@asynccontextmanager
async def friends_from(template: FriendsTemplate, folder: Path) -> AsyncIterator[Friends]:
    """Everybody on fresh copies."""
    shutil.copytree(template.folder, folder)
    async with AsyncExitStack() as stack:
        anna_site, bob_site = [
            await stack.enter_async_context(lying_site(folder / f"{name}-server", port))
            for name, port in zip(("anna", "bob"), template.ports, strict=True)
        ]
        anna, bob, carl = [
            await stack.enter_async_context(await Device.open(Home(folder / name))) for name in ("anna", "bob", "carl")
        ]
        yield Friends(anna_site, bob_site, anna, bob, carl, template.link)


async def set_mail(device: Device, address: str) -> None:
    """Puts an email on the card of the device's owner, for those who see the facet work."""
    edit, _ = me.set_mine(device.vault.contents, device.vault.stamp(), "email", address, ["work"])
    await device.apply(edit)


async def share_note(device: Device, text: str) -> bytes:
    """A new note on a new contact, shared with the only peer; the note's id."""
    contact = await device.add("Dora Falk")
    edit, note = notes.add_note(device.vault.stamp(), contact, text, at=date(2026, 11, 20))
    await device.apply(edit)
    (peer,) = records.peers(device.vault.contents)
    await device.apply(shares.share(device.vault.contents, device.vault.stamp(), note, peer.id))
    return note


def told(device: Device) -> list[str]:
    """The emails that the only peer shares about itself."""
    (peer,) = records.peers(device.vault.contents)
    shown = Layers(device.vault.contents).shown(peer.contact)
    return [item.property.value for item in shown if item.property.key == "EMAIL"]


def notes_told(device: Device) -> list[str]:
    """The texts of the notes that peers share."""
    return sorted(note.text for note in notes.list_notes(device.vault.contents) if note.origin != "me")
