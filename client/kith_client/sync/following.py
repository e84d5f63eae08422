"""Following a repair: leaving this device's own history for the one that its server has since it was restored, where a
member that this device knows has given the lost commits up (spec: repair.md)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kith_client.book.names import device_name
from kith_client.relations.rekeying import demand_rekeys
from kith_client.stamp import Contents, Edit, Stamp
from kith_client.store.mirror import CURSOR, PENDING, PLACES
from kith_client.sync.applying import Application, Pulled
from kith_client.sync.feed import FeedVerifier
from kith_client.sync.receiving import Progress, no_progress, receive
from kith_client.sync.sides import Sides
from kith_client.transport import HomeServer
from kith_client.vault import AUTHOR_BYTES, UNREADABLE, Event, Vault
from kith_protocol.chain import Chain
from kith_protocol.commit import Commit, parse_commit
from kith_protocol.content import Content
from kith_protocol.errors import Alarm, AlarmCode, KithError, Refused
from kith_protocol.repair import find_repair, shut_out

REPAIRABLE = frozenset({AlarmCode.ROLLBACK, AlarmCode.FORK})
"""Alarms that a server raises as well which was put back to an earlier day in all honesty."""

FOLLOWED: Final = "followed-repairs"
"""State of the mirror: numbers of the repairs that were followed and of which no report told yet, 8 bytes each."""

_HINT: Final = (
    "If whoever runs the server put it back to an earlier day, as with a backup, 'kith repair' shows what it lacks and "
    "puts it right."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server shows in the place of this device's own history: verified and staged, taken in by nobody."""

    chain: Chain
    lost: tuple[Commit, ...]
    """This device's last commits, from where the two part; never empty."""
    commits: tuple[Commit, ...]
    """The server's in their place."""
    unlisted: int
    """As `FeedVerifier.unlisted`."""
    server_time: int

    @property
    def fork(self) -> int:
        """Number of the last common commit."""
        return self.lost[0].body.number - 1


async def fetch_shown(vault: Vault, server: HomeServer, progress: Progress) -> Shown | None:
    """Fetches and stages the server's whole history; None where this device's own is part of it.

    Raises an `Alarm` where it breaks any rule but those about the mark. The caller clears the stage.
    """
    await vault.mirror.clear_stage()
    verifier = FeedVerifier(vault.id, (0, vault.id))
    await receive(vault.mirror, server, verifier, progress)
    chain = verifier.finish()
    lost, shown = (tuple(parse_commit(raw) for raw in side) for side in await vault.mirror.parting())
    return Shown(chain, lost, shown, verifier.unlisted, server.server_time) if lost else None


async def follow_repair(
    vault: Vault, server: HomeServer, alarm: Alarm, allow_deletions: bool, progress: Progress
) -> Pulled:
    """Takes in the history that a repair stands in; `alarm` is raised where none does, and then nothing changes."""
    try:
        shown = await fetch_shown(vault, server, progress)
        repair = None if shown is None else find_repair(vault.chain, shown.lost, shown.commits)
        if shown is not None and repair is not None:
            pulled = await _Following(vault, shown, repair, allow_deletions).run()
            await _remember(vault, repair)
            return pulled
    except Refused as refusal:
        if refusal.code != "not-repaired":
            raise
        raise Alarm(alarm.alarm, f"{alarm} {refusal} {_HINT}") from None
    except Alarm:
        raise alarm from None
    finally:
        await vault.mirror.clear_stage()
    raise alarm


async def is_repaired(vault: Vault, server: HomeServer) -> bool:
    """Whether the server's history, which is not this device's, holds a repair that it may follow. Takes nothing in."""
    try:
        shown = await fetch_shown(vault, server, no_progress)
        return shown is not None and bool(find_repair(vault.chain, shown.lost, shown.commits))
    except KithError:
        return False
    finally:
        await vault.mirror.clear_stage()


async def sides_of(vault: Vault, shown: Shown, gone: frozenset[bytes], repair: int) -> Sides:
    """The two histories; `gone`: who was removed, `repair`: the number of the commit that settles it."""
    void = shut_out(gone, shown.commits)
    return Sides(
        shown.fork,
        repair,
        await vault.mirror.writers(staged=False),
        await vault.mirror.writers(staged=True),
        frozenset(commit.body.number for commit in shown.commits if commit.body.author in void),
        shown.unlisted,
    )


class _Following(Application):
    """Both histories on their way into one."""

    forget = (PENDING, PLACES, CURSOR)

    def __init__(self, vault: Vault, shown: Shown, repair: Commit, allow_deletions: bool) -> None:
        super().__init__(vault, shown.chain, True, shown.server_time, allow_deletions)
        self.shown = shown
        self.repair = repair
        self.unread = 0
        """Records that a lost commit wrote and that cannot be read here, so that they cannot be written again."""

    async def _merge(self, edit: Edit) -> tuple[Edit, int]:
        gone = self.vault.chain.removed | frozenset(self.repair.body.removed)
        sides = await sides_of(self.vault, self.shown, gone, self.repair.body.number)
        merged, conflicts, self.unread = await merge_sides(self.vault, sides, edit, self.latest)
        standing = {**self.vault.contents, **edit, **merged}
        there = {record: content for record, content in standing.items() if content is not None}
        merged.update(self._aftermath(there, sides))
        return merged, conflicts

    def _aftermath(self, contents: Contents, sides: Sides) -> Edit:
        """What every device demands and tells after it, the same on all of them: new keys for each relationship, since
        parcels with a receipt are gone with the server, and an issue that the person sees.

        Whoever wrote the repair can write any record, also the one of the issue: only the issue itself stands for it.
        """
        body, issue = self.repair.body, self.repair.hash[:16]
        stamp = Stamp(min(body.time, self.latest), body.author[:AUTHOR_BYTES], os.urandom)
        open_ = {r: c for r, c in contents.items() if c.kind == "channel" and not sides.is_settled(r)}
        text = _told(contents, body.author, len(body.abandoned))
        issued = stamp.content("issue", {"kind": "alarm", "text": text, "at": stamp.now, "about": issue})
        if not sides.is_settled(issue):
            told: Edit = {issue: issued}
        else:
            told = {} if _says(contents.get(issue), issued) else {stamp.record_id(): issued}
        return {**demand_rekeys(open_, stamp), **told}

    def _events(self, visible: Edit) -> list[Event]:
        now, body = self.vault.clock(), self.repair.body
        text = f"repaired the address book after its server had lost commits: {len(body.abandoned)}"
        repaired = [Event(now, text, body.author.hex())]
        if self.unread:
            text = f"could not read entries that the server lost: {self.unread}; a device that can writes them again"
            repaired.append(Event(now, text, "me"))
        return [*repaired, *super()._events(visible)]


async def merge_sides(vault: Vault, sides: Sides, edit: Edit, latest: int) -> tuple[Edit, int, int]:
    """What stands of each record that differs between this device's view and `edit`, the server's; the number of
    conflicts, and of records that cannot be read here and are gone with the lost commits."""
    drafts = await vault.mirror.drafts()
    local: Mapping[bytes, Content] = vault.contents
    apart = {r for r in {*local, *edit, *drafts} if r in drafts or local.get(r) != edit.get(r)}
    sealed = await vault.mirror.records(apart)

    def work() -> tuple[Edit, int, int]:
        kept = vault.record_keys.open_all(sealed.items())
        merged: Edit = {}
        conflicts = unread = 0
        for record in apart:
            if local.get(record) is UNREADABLE:
                unread += sides.changed_here(record) and not sides.is_settled(record)
                continue
            result = sides.merge(record, kept.get(record), local.get(record), edit.get(record), latest)
            merged[record] = result.content
            conflicts += result.conflicts
        return merged, conflicts, unread

    return await asyncio.to_thread(work)


async def tell_followed(vault: Vault) -> list[str]:
    """What a report says of repairs by other devices that this one followed since the last report: from the commits
    alone, since whoever wrote them can write records too."""
    raw = await vault.mirror.state(FOLLOWED) or b""
    numbers = [int.from_bytes(raw[n : n + 8], "big") for n in range(0, len(raw), 8)]
    commits = [parse_commit(each).body for each in (await vault.mirror.commits_at(numbers)).values()]
    if numbers:
        await vault.mirror.set_state({FOLLOWED: None})
    return [_told(vault.contents, body.author, len(body.abandoned)) for body in commits if body.abandoned]


async def _remember(vault: Vault, repair: Commit) -> None:
    if repair.body.author != vault.member.id:
        before = await vault.mirror.state(FOLLOWED) or b""
        await vault.mirror.set_state({FOLLOWED: before + repair.body.number.to_bytes(8, "big")})


def _says(standing: Content | None, issued: Content) -> bool:
    if standing is None or standing.kind != issued.kind:
        return False
    return all(standing.value(name) == issued.value(name) for name in ("kind", "text", "about"))


def _told(contents: Contents, author: bytes, lost: int) -> str:
    return (
        f"The home server had lost part of this address book ({lost} commits), as after the restore of a backup, and "
        f"the device '{device_name(contents, author)}' repaired it. If you did not expect that, look at 'kith device'."
    )
