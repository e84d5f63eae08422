"""Anna's laptop, her phone that wrote two commits which the laptop has not seen, and a tablet that was removed.

Made once and copied for each test, so that every lie meets the same devices fresh. The laptop also holds an edit that
was not sent. Both phone and laptop are in epoch 2, which began when the tablet was removed.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kith_client.lifecycle.linking import remove_device
from kith_client.store.home import Home
from kith_client.sync.building import NO_STEP, MembershipStep, build_push
from kith_protocol import wire
from kith_protocol.commit import DELETED, parse_commit
from kith_protocol.member import MemberKeys
from kith_protocol.suite import digest
from tests.adversary.world import Device, Site, begin, link, lying_site

Frames = list[wire.Frame]

KNOWN = ["Carla Ruiz", "Dora Falk", "Hugo Blum"]
"""What the laptop had synced."""
UNSENT = "Gus Unsent"
ALL = sorted([*KNOWN, "Emil Roth", "Frida Holm", UNSENT])
"""What both devices have in the end."""


@dataclass
class Scene:
    """The devices, and what a lying server may have kept."""

    site: Site
    laptop: Device
    phone: Device
    removed: Device
    """The tablet, which does not know yet."""
    old_page: Frames
    """A feed that the laptop took in before."""

    @property
    def tablet(self) -> MemberKeys:
        """Keys of the removed device."""
        return self.removed.vault.member

    @property
    def old_epoch_key(self) -> bytes:
        """Of the epoch before the removal."""
        return self.removed.vault.record_keys.epoch_key(1)

    def forged(
        self,
        author: MemberKeys,
        records: dict[bytes, bytes | None],
        *,
        step: MembershipStep = NO_STEP,
        epoch: int | None = None,
    ) -> wire.Push:
        """A commit on the true head that `author` signed, and everything else of it right."""
        vault = self.phone.vault
        changes = {record: DELETED if blob is None else digest(blob) for record, blob in records.items()}
        tree = vault.index.root_with(changes)
        return build_push(vault.chain, author, records, tree, vault.clock(), step=step, epoch=epoch)


@dataclass(frozen=True)
class Template:
    """The scene at rest, in files."""

    folder: Path
    proxy_port: int
    old_page: Frames


async def build_template(folder: Path) -> Template:
    """Plays what happened before the server began to lie."""
    folder.mkdir()
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(lying_site(folder / "server"))
        laptop = await stack.enter_async_context(await begin(site, folder / "laptop", "Anna Beck"))
        await laptop.add("Carla Ruiz")
        await laptop.add("Hugo Blum")
        await laptop.sync()
        phone = await stack.enter_async_context(await link(site, laptop, folder / "phone"))
        tablet = await stack.enter_async_context(await link(site, laptop, folder / "tablet", "tablet"))
        await remove_device(laptop.vault, laptop.server, tablet.vault.member.id)
        await phone.sync()
        dora = await phone.add("Dora Falk")
        await phone.sync()
        await laptop.sync()
        old_page = site.proxy.feeds[-1]
        await phone.set(dora, "note", "likes long walks")
        await phone.add("Emil Roth")
        await phone.sync()
        await phone.set(dora, "note", "moved to Bremen")
        await phone.add("Frida Holm")
        await phone.sync()
        await laptop.add(UNSENT)
        return Template(folder, int(site.url.rpartition(":")[2]), old_page)


@asynccontextmanager
async def scene_from(template: Template, folder: Path) -> AsyncIterator[Scene]:
    """The scene on fresh copies."""
    shutil.copytree(template.folder, folder)
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(lying_site(folder / "server", template.proxy_port))
        laptop, phone, tablet = [
            await stack.enter_async_context(await Device.open(Home(folder / name)))
            for name in ("laptop", "phone", "tablet")
        ]
        yield Scene(site, laptop, phone, tablet, template.old_page)


def head_of(frames: Sequence[wire.Frame]) -> wire.FeedHead:
    """The first frame of a feed."""
    first = frames[0]
    if not isinstance(first, wire.FeedHead):
        raise AssertionError("a feed begins with its head")
    return first


def commits_in(frames: Sequence[wire.Frame]) -> list[wire.FeedCommit]:
    """The commits of a feed, in order."""
    return [frame for frame in frames if isinstance(frame, wire.FeedCommit)]


def headed(frames: Frames, number: int, hash_: bytes) -> Frames:
    """The same frames under another head, at the beginning and at the end."""
    return [wire.FeedHead(number, hash_, head_of(frames).records), *frames[1:-1], wire.FeedEnd(number)]


def followed_by(frames: Frames, push: wire.Push) -> Frames:
    """The same feed with one commit more."""
    commit = parse_commit(push.commit)
    more: Frames = [wire.FeedCommit(push.commit, push.keys, push.changes)]
    if push.records:
        more.append(wire.FeedRecords(push.records))
    return headed([*frames[:-1], *more, frames[-1]], commit.body.number, commit.hash)


def with_records(frames: Frames, records: list[tuple[bytes, bytes]]) -> Frames:
    """The same feed with other records, in order; each frame keeps as many as it had."""
    rest = list(records)
    changed: Frames = []
    for frame in frames:
        if isinstance(frame, wire.FeedRecords):
            count = len(frame.records)
            frame = wire.FeedRecords(tuple(rest[:count]))
            del rest[:count]
        changed.append(frame)
    return changed


def records_in(frames: Sequence[wire.Frame]) -> list[tuple[bytes, bytes]]:
    """All records of a feed, in order."""
    return [record for frame in frames if isinstance(frame, wire.FeedRecords) for record in frame.records]
