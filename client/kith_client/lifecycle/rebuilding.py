"""Making a damaged mirror anew: the vault comes from the server again, what was never sent from the old file.

The old file's high-water mark still rules: a server cannot use the damage to pass off an older history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from kith_client.lifecycle.fetching import fetch_vault
from kith_client.online import signed_in
from kith_client.store.epoch_keys import find_epochs, open_epochs
from kith_client.store.home import Home
from kith_client.store.keyfile import DeviceKeys
from kith_client.store.mirror import CHAIN, AcceptedPush, Mirror, Request
from kith_client.store.mirror_file import MirrorDamaged
from kith_client.store.unlock import PromptForPassphrase, unlock
from kith_client.sync.applying import rebase
from kith_client.sync.following import REPAIRABLE
from kith_client.sync.receiving import Progress, no_progress
from kith_client.transport import HomeServer
from kith_client.vault import Clock, RecordKeys, system_clock
from kith_protocol.chain import Chain, freeze_chain, thaw_chain
from kith_protocol.commit import parse_commit
from kith_protocol.content import Content
from kith_protocol.errors import Alarm, DecodingError, Refused, Undecryptable
from kith_protocol.repair import find_repair
from kith_protocol.suite import digest

T = TypeVar("T")

AskToTrust = Callable[[], Awaitable[bool]]
"""Asks the person whether to go on where the high-water mark is lost, so that an older history would not be noticed."""

_NEW: Final = "mirror.rebuilding.sqlite"
_BESIDE: Final = ("", "-wal", "-shm")
"""Files of an SQLite database."""
_EVENTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of a damaged mirror."""

    records: int
    """Fetched from the server."""
    kept: int
    """Unsent edits that were carried over."""
    lost: int | None
    """Unsent edits that could not be read; None where not even their number is known."""
    old: Path
    """Where the damaged file is now."""


@dataclass(frozen=True, slots=True)
class _Salvage:
    """What a damaged mirror still gives."""

    chain: Chain | None = None
    drafts: Mapping[bytes, bytes | None] = field(default_factory=dict)
    bases: Mapping[bytes, bytes | None] = field(default_factory=dict)
    """The records that the unsent edits began from."""
    commits: Mapping[int, bytes] = field(default_factory=dict)
    """All that led to `chain`, by number; none where one is missing."""
    with_keys: tuple[tuple[bytes, bytes], ...] = ()
    """As `Mirror.commits_with_keys`: they open the unsent edits also where the server lost them."""
    requests: tuple[Request, ...] = ()
    events: tuple[bytes, ...] = ()
    complete: bool = False
    """Whether all unsent edits were read."""


async def rebuild(
    home: Home,
    prompt: PromptForPassphrase,
    trust: AskToTrust,
    *,
    clock: Clock = system_clock,
    progress: Progress = no_progress,
) -> Rebuilt:
    """Fetches the vault into a new mirror, carries over what was not sent, and puts the new one in the old one's place.

    Nothing changes before the new one is whole. Raises `Refused` (`declined`), `ServerUnreachable`, or an `Alarm`, as a
    sync does.
    """
    keys = (await unlock(home, prompt)).keys
    async with home.locked():
        salvage = await _salvage(home.mirror)
        if salvage.chain is None and not await trust():
            raise Refused("declined", "Nothing was changed.")
        new = home.path / _NEW
        _remove(new)
        mirror = await Mirror.open(new)
        try:
            await _fetch(mirror, keys, salvage, clock, progress)
            records, kept = await _carry_over(mirror, keys, salvage, clock())
        finally:
            await mirror.close()
        old = await asyncio.to_thread(_exchange, home, new)
    return Rebuilt(records, kept, len(salvage.drafts) - kept if salvage.complete else None, old)


async def _salvage(path: Path) -> _Salvage:
    try:
        mirror = await Mirror.open(path)
    except MirrorDamaged:
        return _Salvage()
    try:
        drafts = await _if_readable(mirror.drafts())
        chain = _thawed(await _if_readable(mirror.state(CHAIN)))
        # A push whose outcome is unknown is not carried over: its edits are among the unsent ones still.
        return _Salvage(
            chain,
            drafts or {},
            await _if_readable(mirror.records(drafts or {})) or {},
            await _commits(mirror, chain),
            tuple(await _if_readable(mirror.commits_with_keys()) or ()),
            tuple(await _if_readable(mirror.requests()) or ()),
            tuple(await _if_readable(mirror.events(_EVENTS)) or ()),
            drafts is not None,
        )
    finally:
        await mirror.close()


async def _if_readable(reading: Awaitable[T]) -> T | None:
    try:
        return await reading
    except MirrorDamaged:
        return None


def _thawed(frozen: bytes | None) -> Chain | None:
    try:
        return None if frozen is None else thaw_chain(frozen)
    except DecodingError:
        return None


async def _commits(mirror: Mirror, chain: Chain | None) -> Mapping[int, bytes]:
    if chain is None:
        return {}
    found = await _if_readable(mirror.commits_at(range(chain.number + 1))) or {}
    whole = len(found) == chain.number + 1 and digest(found[chain.number]) == chain.head
    return found if whole else {}


async def _fetch(mirror: Mirror, keys: DeviceKeys, salvage: _Salvage, clock: Clock, progress: Progress) -> None:
    known = salvage.chain
    mark = (0, keys.vault) if known is None else (known.number, known.head)
    async with HomeServer.connect(keys.server) as server:
        signed = signed_in(server, keys, clock)
        try:
            await fetch_vault(mirror, signed, keys, mark, progress)
        except Alarm as alarm:
            if known is None or not salvage.commits or alarm.alarm not in REPAIRABLE:
                raise
            await _fetch_repaired(mirror, signed, keys, known, salvage.commits, alarm, progress)


async def _fetch_repaired(
    mirror: Mirror,
    server: HomeServer,
    keys: DeviceKeys,
    known: Chain,
    commits: Mapping[int, bytes],
    alarm: Alarm,
    progress: Progress,
) -> None:
    """The vault from a server that was put back to an earlier day, if it holds a repair that this device may follow.

    Raises `alarm` otherwise.
    """
    rows = [(number, raw, b"") for number, raw in commits.items()]
    await mirror.apply_push(AcceptedPush(freeze_chain(known), {}, rows, []))

    async def allow() -> None:
        lost, shown = ([parse_commit(raw) for raw in side] for side in await mirror.parting())
        if not lost:
            raise alarm
        find_repair(known, lost, shown)

    try:
        await mirror.clear_stage()
        await fetch_vault(mirror, server, keys, (0, keys.vault), progress, allow=allow)
    except Refused:
        raise alarm from None


async def _carry_over(mirror: Mirror, keys: DeviceKeys, salvage: _Salvage, now: int) -> tuple[int, int]:
    """How many records there are now, and how many unsent edits were carried over.

    An edit is merged into what the server has, as a pull does: another device may have changed the same record since.
    """
    frozen = await mirror.state(CHAIN)
    chain = thaw_chain(frozen or b"")
    commits = await mirror.commits_with_keys()
    epochs = await asyncio.to_thread(open_epochs, keys.vault, commits, keys.member, chain.commitments)
    record_keys = RecordKeys(keys.vault, epochs)
    before_keys = await asyncio.to_thread(_keys_before, keys, salvage) or record_keys
    remote = await mirror.records(salvage.drafts)

    def work() -> tuple[int, dict[bytes, bytes | None]]:
        local, before = (_opened(before_keys, blobs) for blobs in (salvage.drafts, salvage.bases))
        there = _opened(record_keys, remote)
        sealed: dict[bytes, bytes | None] = {}
        for record, content in local.items():
            merged = rebase(before.get(record), content, there.get(record), now).content
            if merged != there.get(record):
                sealed[record] = None if merged is None else record_keys.seal(record, merged, chain.epoch)
        return len(local), sealed

    kept, drafts = await asyncio.to_thread(work)
    await mirror.save_drafts(drafts, list(salvage.events))
    for request in salvage.requests:
        await mirror.add_request(request)
    return sum(await mirror.record_batches(len)), kept


def _keys_before(keys: DeviceKeys, salvage: _Salvage) -> RecordKeys | None:
    """The keys with which the damaged mirror was written; None where it does not give them."""
    if salvage.chain is None:
        return None
    try:
        known = find_epochs(keys.vault, salvage.with_keys, keys.member, salvage.chain.commitments).known
    except DecodingError:
        return None
    return RecordKeys(keys.vault, known) if salvage.chain.epoch in known else None


def _opened(record_keys: RecordKeys, blobs: Mapping[bytes, bytes | None]) -> dict[bytes, Content | None]:
    """Those that open; None stands for a deletion."""
    found: dict[bytes, Content | None] = {}
    for record, blob in blobs.items():
        try:
            found[record] = None if blob is None else record_keys.open(record, blob)
        except (Undecryptable, DecodingError):
            continue
    return found


def _exchange(home: Home, new: Path) -> Path:
    """Puts the damaged file aside under a name that is free, and the new one in its place."""
    old, number = home.path / "mirror.damaged.sqlite", 1
    while old.exists():
        number += 1
        old = home.path / f"mirror.damaged-{number}.sqlite"
    for end in _BESIDE:
        former = Path(f"{home.mirror}{end}")
        if former.exists():
            former.rename(f"{old}{end}")
    new.rename(home.mirror)  # closed, so that it is one file
    return old


def _remove(path: Path) -> None:
    for end in _BESIDE:
        Path(f"{path}{end}").unlink(missing_ok=True)
