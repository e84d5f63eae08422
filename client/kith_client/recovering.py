"""Getting the address book back with the recovery phrase, when all devices are lost (spec: vault.md, Recovery).

The phrase is a member, the paper key. It signs one commit: everybody else goes, unless the person names them, this
device comes, and a new epoch begins that those who went cannot read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from kith_client.book.names import device_name as name_of_device
from kith_client.contacts.text import search_key
from kith_client.epoch_keys import EpochKeys, find_epochs
from kith_client.errors import HeadMoved, ServerRefused
from kith_client.fetching import fetch_vault
from kith_client.home import Home
from kith_client.keyfile import DeviceKeys
from kith_client.mirror import CHAIN, AcceptedPush, Mirror
from kith_client.online import signed_in
from kith_client.record_index import RecordIndex
from kith_client.relations.rekeying import demand_rekeys
from kith_client.setup import check_unused, keep_keys, new_device, new_home, pin_server
from kith_client.stamp import Contents, Edit, Stamp, the_one
from kith_client.sync.building import MembershipStep, build_push
from kith_client.sync.receiving import Progress, no_progress
from kith_client.transport import HomeServer
from kith_client.vault import AUTHOR_BYTES, Clock, RecordKeys, Vault, system_clock
from kith_protocol.chain import Chain, extend, freeze_chain, thaw_chain
from kith_protocol.commit import parse_commit
from kith_protocol.content import Content
from kith_protocol.encoding import encode
from kith_protocol.epoch import SealedKeys, epoch_commitment, seal_epoch_key
from kith_protocol.errors import Alarm, AlarmCode, KithError, Refused
from kith_protocol.member import MemberKeys
from kith_protocol.phrase import entropy_of, paper_keys
from kith_protocol.sealedkeys import parse_keys
from kith_protocol.suite import KEY_BYTES, NONCE_BYTES, digest

Also = Callable[[Contents, Stamp], Edit]
"""What else the commit of the paper key changes, given the records of the kinds in `_READ`."""

_TRIES: Final = 5
"""Commits tried while other devices write."""
_READ: Final = frozenset({"devices", "home", "persona"})
"""Kinds of records that the paper key's commit may change."""


def nothing_else(_contents: Contents, _stamp: Stamp) -> Edit:
    return {}


@dataclass(frozen=True, slots=True)
class Recovered:
    """A recovered vault, opened."""

    vault: Vault
    gone: tuple[str, ...]
    """Names of the devices that are none any more."""


@dataclass(frozen=True, slots=True)
class _Paper:
    """What the phrase gives at one home server: as `DeviceKeys`, for the paper key."""

    server: str
    fingerprint: bytes
    vault: bytes
    member: MemberKeys


@dataclass(frozen=True, slots=True)
class _Fetching:
    """From where to where the vault is fetched."""

    mirror: Mirror
    server: HomeServer
    access: _Paper
    mark: tuple[int, bytes]
    progress: Progress


@dataclass(frozen=True, slots=True)
class _Found:
    """A vault as the phrase reads it."""

    chain: Chain
    epochs: EpochKeys
    index: RecordIndex
    contents: Contents


async def recover(
    home: Home,
    url: str,
    vault: bytes,
    phrase: str,
    device_name: str,
    *,
    keep: Iterable[str] = (),
    mark: tuple[int, bytes] | None = None,
    also: Also = nothing_else,
    passphrase: str | None = None,
    clock: Clock = system_clock,
    progress: Progress = no_progress,
) -> Recovered:
    """Makes this device a member with the recovery phrase, and removes all others but those named in `keep`.

    `mark`: number and hash of a commit that the server must have; `also`: what is committed with the change of members.
    Raises `Refused` (`phrase-...`, `wrong-phrase`, `no-such-device`), `ServerUnreachable`, or an `Alarm`; then
    nothing is kept here.
    """
    check_unused(home)
    paper = paper_keys(entropy_of(phrase))
    async with HomeServer.connect(url) as server:
        access = _Paper(server.url, pin_server(await server.statement(), server.host, clock()), vault, paper)
        signed_in(server, access, clock)
        device = new_device()
        keys = DeviceKeys(server.url, access.fingerprint, vault, device.sign.seed, device.seal.seed)
        async with new_home(home) as mirror:
            fetching = _Fetching(mirror, server, access, mark or (0, vault), progress)
            gone = await _take_over(fetching, device, device_name, tuple(keep), also, clock)
            await keep_keys(home, keys, passphrase)
            with suppress(KithError):  # it ends by itself; until then the server lets nobody else commit
                await server.end_session(vault)
    opened = await Vault.open(home, lambda: passphrase or "", clock)
    # The lost devices know every secret of the relationships; the next sync makes new ones.
    await opened.apply(demand_rekeys(opened.contents, opened.stamp()), ["got the address book back with the phrase"])
    return Recovered(opened, gone)


async def _take_over(
    fetching: _Fetching, device: MemberKeys, name: str, keep: tuple[str, ...], also: Also, clock: Clock
) -> tuple[str, ...]:
    """Fetches the vault and commits the change of members. The names of those that went."""
    for _ in range(_TRIES):
        found = await _fetch(fetching)
        mirror, server, access = fetching.mirror, fetching.server, fetching.access
        removed = _to_remove(found, keep)
        epoch_key = os.urandom(KEY_BYTES)
        step = await asyncio.to_thread(_change_of_members, found, removed, device, epoch_key)
        keys = RecordKeys(access.vault, {**found.epochs.known, found.chain.epoch + 1: epoch_key})
        stamp = Stamp(clock(), device.id[:AUTHOR_BYTES], os.urandom)
        named = {**_named(found.contents, device, name, stamp), **also(found.contents, stamp)}
        try:
            await _commit(mirror, server, access, found, step, keys, named, clock)
        except HeadMoved:
            continue
        return tuple(name_of_device(found.contents, member) for member in removed)
    raise Refused("busy-vault", "Other devices write all the time; try again.")


async def _fetch(fetching: _Fetching) -> _Found:
    mirror, access = fetching.mirror, fetching.access
    try:
        await fetch_vault(mirror, fetching.server, access, fetching.mark, fetching.progress, _readable)
    except ServerRefused as refusal:
        if refusal.code != "not-a-member":
            raise
        raise Refused(
            "wrong-phrase",
            "This phrase opens no address book with this id on this server. Compare the server, the id and each word "
            "with what you wrote down.",
        ) from None
    chain = thaw_chain(await mirror.state(CHAIN) or b"")
    if chain.paper != access.member.id:
        raise Alarm(AlarmCode.UNKNOWN_MEMBER, "The address book's history names another recovery phrase than this one.")
    commits = await mirror.commits_with_keys()
    epochs = await asyncio.to_thread(find_epochs, access.vault, commits, access.member, chain.commitments)
    keys = RecordKeys(access.vault, epochs.known)
    hashes: list[tuple[bytes, bytes]] = []
    contents: dict[bytes, Content] = {}

    def read(rows: list[tuple[bytes, bytes, bytes]]) -> None:
        hashes.extend((record, hash_) for record, hash_, _ in rows)
        opened = keys.open_all((record, blob) for record, _, blob in rows)
        contents.update((record, content) for record, content in opened.items() if content.kind in _READ)

    await mirror.record_batches(read)
    return _Found(chain, epochs, await asyncio.to_thread(RecordIndex, hashes), contents)


def _readable(
    vault: bytes, commits: Iterable[tuple[bytes, bytes]], member: MemberKeys, commitments: Mapping[int, bytes]
) -> Mapping[int, bytes]:
    return find_epochs(vault, commits, member, commitments).known


def _to_remove(found: _Found, keep: tuple[str, ...]) -> tuple[bytes, ...]:
    others = [member for member in found.chain.members if member != found.chain.paper]
    kept: set[bytes] = set()
    for text in keep:
        named = [each for each in others if _is_called(found.contents, each, text)]
        if len(named) != 1:
            names = ", ".join(name_of_device(found.contents, each) for each in others)
            raise Refused("no-such-device", f"One of the devices to keep is not clear. There are: {names}.")
        kept.update(named)
    gone = frozenset(member for member in others if member not in kept) | found.chain.removed
    if any(epoch > found.epochs.linked and author not in gone for epoch, author in found.epochs.authors.items()):
        raise Refused("unread-epoch", "What a device to keep began to write cannot be read; do not keep that one.")
    return tuple(sorted(member for member in others if member not in kept))


def _is_called(contents: Contents, member: bytes, text: str) -> bool:
    return search_key(name_of_device(contents, member)) == search_key(text) or member.hex().startswith(text.lower())


def _change_of_members(
    found: _Found, removed: tuple[bytes, ...], device: MemberKeys, epoch_key: bytes
) -> MembershipStep:
    chain, epoch = found.chain, found.chain.epoch + 1
    stay = [standing.member for member, standing in chain.members.items() if member not in removed]
    # A thief may have begun an epoch that nobody else can read: it is passed over, as in any removal.
    old, nonce = found.epochs.known[found.epochs.linked], os.urandom(NONCE_BYTES)
    sealed: SealedKeys = seal_epoch_key(
        epoch_key, chain.vault, epoch, [*stay, device.public], previous=old, nonce=nonce
    )
    return MembershipStep((device.public,), removed, sealed, epoch_commitment(epoch, epoch_key))


def _named(contents: Contents, device: MemberKeys, name: str, stamp: Stamp) -> Edit:
    found = the_one(contents, "devices")
    if found is None:
        return {stamp.record_id(): stamp.content("devices", {device.id.hex(): name})}
    record, content = found
    return {record: Content(content.kind, {**content.units, device.id.hex(): stamp.unit(name)}, content.extra)}


async def _commit(
    mirror: Mirror,
    server: HomeServer,
    access: _Paper,
    found: _Found,
    step: MembershipStep,
    keys: RecordKeys,
    named: Edit,
    clock: Clock,
) -> None:
    """One commit by the paper key; in the mirror once the server has it. Raises `HeadMoved`."""
    epoch = found.chain.epoch + 1
    sealed = {record: keys.seal(record, content, epoch) for record, content in named.items() if content is not None}
    hashes = {record: digest(blob) for record, blob in sealed.items()}
    tree = await asyncio.to_thread(found.index.root_with, hashes)
    push = await asyncio.to_thread(
        build_push, found.chain, access.member, sealed, tree, clock(), step=step, epoch=epoch
    )
    await server.push(access.vault, encode(push))
    chain = extend(found.chain, parse_commit(push.commit), parse_keys(push.keys))
    records = {record: (hashes[record], blob) for record, blob in sealed.items()}
    row = (chain.number, push.commit, push.keys)
    await mirror.apply_push(AcceptedPush(freeze_chain(chain), records, [row], []))
