"""Repairing the address book after its server lost commits, as the restore of a backup does (spec: repair.md).

`look` says what the server lacks and changes nothing. `repair` commits one thing on top of what the server has: it
gives the lost commits up by name, removes again whom they removed, and begins an epoch. This device then follows it
like all others, and what is missing goes out with the next sync.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kith_client.book.names import device_name
from kith_client.errors import HeadMoved
from kith_client.relations.server_side import server_side
from kith_client.stamp import Contents, Edit
from kith_client.store.epoch_keys import EpochKeys, find_epochs
from kith_client.sync.building import MembershipStep, build_push
from kith_client.sync.following import REPAIRABLE, Shown, fetch_shown, merge_sides, sides_of
from kith_client.sync.pull import pull
from kith_client.sync.push import settle_pending
from kith_client.sync.receiving import Progress, no_progress
from kith_client.transport import HomeServer
from kith_client.vault import RecordKeys, Vault
from kith_protocol.chain import MAX_STRANGERS, Chain, strangers_among
from kith_protocol.commit import MAX_ABANDONED, MAX_MEMBERS
from kith_protocol.encoding import encode
from kith_protocol.epoch import epoch_commitment, seal_epoch_key
from kith_protocol.errors import Alarm, Refused
from kith_protocol.member import Member, MemberKind
from kith_protocol.repair import shut_out
from kith_protocol.suite import KEY_BYTES, NONCE_BYTES

_TRIES: Final = 5
"""Commits tried while other devices write."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What a server lacks, and what a repair does about it."""

    commits: int
    """Steps of the history that this device verified and the server does not have."""
    written_since: int
    """Steps that the server has in their place, by devices that did not know."""
    contacts: int
    """Entries of each kind to be written again, merged with what the server has."""
    notes: int
    others: int
    deleted: int
    """Entries to be deleted again."""
    removed_devices: tuple[str, ...]
    """Removed ones that the server takes for members, and those whom they let in; they are removed again."""
    lost_devices: tuple[str, ...]
    """Devices that the server does not know any more; they are added again."""
    gone_devices: tuple[str, ...]
    """Devices that were removed on the server since; they stay out, and have to join again."""
    mailboxes: int
    """To be opened again, as far as the server lost them."""
    greetings: int
    epochs: int
    """Changes of the address book's key that the server does not know."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The two histories, and who is a member afterwards."""

    shown: Shown
    epochs: EpochKeys
    removed: tuple[bytes, ...]
    added: tuple[Member, ...]


async def look(vault: Vault, server: HomeServer, progress: Progress = no_progress) -> Missing | None:
    """What the server lacks; None where it lacks nothing, or another device repaired it: then this one is in step.

    Raises `Refused` where this device cannot repair it, or an `Alarm` that no restore explains.
    """
    try:
        plan = await _plan(vault, server, progress)
        return None if plan is None else await _missing(vault, plan)
    finally:
        await vault.mirror.clear_stage()


async def repair(vault: Vault, server: HomeServer, progress: Progress = no_progress) -> bool:
    """Repairs it. False where there was nothing to repair any more. What is missing goes out with the next sync."""
    for _ in range(_TRIES):
        try:
            plan = await _plan(vault, server, progress)
        finally:
            await vault.mirror.clear_stage()
        if plan is None:
            return False
        step, epoch = await asyncio.to_thread(_step, vault.chain, plan)
        chain = plan.shown.chain
        push = await asyncio.to_thread(
            build_push, chain, vault.member, {}, chain.tree, vault.clock(), step=step, epoch=epoch
        )
        try:
            # Not kept before it is sent: nothing here depends on it, and a pull shows what became of it.
            await server.push(vault.id, encode(push))
        except HeadMoved:
            continue
        await pull(vault, server, allow_deletions=True, progress=progress)
        return True
    raise Refused("busy-vault", "Other devices write all the time; try again.")


async def _plan(vault: Vault, server: HomeServer, progress: Progress) -> _Plan | None:
    await settle_pending(vault, server)
    try:
        await pull(vault, server, progress=progress)
        return None
    except Alarm as alarm:
        if alarm.alarm not in REPAIRABLE:
            raise
        shown = await fetch_shown(vault, server, progress)
        if shown is None:
            raise
    known, chain = vault.chain, shown.chain
    _check_members(vault, chain)
    commits = await vault.mirror.commits_with_keys(staged=True, whole=True)
    epochs = await asyncio.to_thread(find_epochs, vault.id, commits, vault.member, chain.commitments)
    removed = _to_remove(known, shown)
    strangers = strangers_among(chain, removed)
    if chain.members[vault.member.id].strangers + len(strangers) > MAX_STRANGERS:
        raise Refused("too-many-removed", f"One device shuts out at most {MAX_STRANGERS} lost ones; use another.")
    epochs.check_passed_over(chain.removed | removed)
    there = chain.members.keys() | chain.removed
    added = [standing.member for id_, standing in known.members.items() if id_ not in there]
    return _Plan(shown, epochs, tuple(sorted(removed)), tuple(added))


def _check_members(vault: Vault, chain: Chain) -> None:
    if vault.member.id not in chain.members:
        raise Refused(
            "not-a-member",
            "In what the server shows this device is none of the address book's. Run 'kith repair' on another device; "
            "where none is left, 'kith recover' gets the address book back with the recovery phrase.",
        )
    if vault.chain.paper != chain.paper:
        raise Refused(
            "phrase-changed",
            "The recovery phrase was changed in what the server lost, and only the old phrase could do that again. "
            "This history cannot be repaired; move the address book to another server.",
        )


def _to_remove(known: Chain, shown: Shown) -> frozenset[bytes]:
    """Whom the lost commits removed, and whom such a member let in since."""
    chain = shown.chain
    lost = {member for commit in shown.lost for member in commit.body.removed}
    back = (shut_out(known.removed, shown.commits) - known.members.keys()) & chain.members.keys()
    removed = back | (lost - chain.removed)
    if len(removed) > MAX_MEMBERS:
        raise Refused("too-many-removed", f"More than {MAX_MEMBERS} removals were lost; one repair holds no more.")
    return frozenset(removed)


def _step(known: Chain, plan: _Plan) -> tuple[MembershipStep, int]:
    chain, gone = plan.shown.chain, frozenset(plan.removed)
    epoch, key = max(known.epoch, chain.epoch) + 1, os.urandom(KEY_BYTES)
    stay = [each.member for id_, each in chain.members.items() if id_ not in gone]
    old, nonce = plan.epochs.known[plan.epochs.linked], os.urandom(NONCE_BYTES)
    keys = seal_epoch_key(key, chain.vault, epoch, [*stay, *plan.added], previous=old, nonce=nonce)
    commitment = epoch_commitment(epoch, key)
    return MembershipStep(plan.added, plan.removed, keys, commitment, _abandoned(plan.shown)), epoch


def _abandoned(shown: Shown) -> tuple[bytes, ...]:
    """The lost commits, and those that they gave up themselves, since some device may still stand there."""
    there = {commit.hash for commit in shown.commits}
    newest_first = reversed(shown.lost)
    named = [commit.hash for commit in newest_first]
    named += [hash_ for commit in reversed(shown.lost) for hash_ in commit.body.abandoned if hash_ not in there]
    return tuple(sorted(list(dict.fromkeys(named))[:MAX_ABANDONED]))


async def _missing(vault: Vault, plan: _Plan) -> Missing:
    shown, known, now = plan.shown, vault.chain, vault.clock()
    edit = await _server_side(vault, RecordKeys(vault.id, plan.epochs.known))
    sides = await sides_of(vault, shown, known.removed | frozenset(plan.removed), shown.chain.number + 1)
    merged, _, _ = await merge_sides(vault, sides, edit, shown.server_time)
    again = [content.kind for record, content in merged.items() if content is not None and content != edit.get(record)]
    wanted = await asyncio.to_thread(server_side, vault.contents, now)
    gone = [id_ for id_ in known.members if id_ in shown.chain.removed]
    lost_epochs = sum(bool(commit.body.epoch_commitment) for commit in shown.lost)
    return Missing(
        commits=len(shown.lost),
        written_since=len(shown.commits),
        contacts=again.count("contact"),
        notes=again.count("note"),
        others=len(again) - again.count("contact") - again.count("note"),
        deleted=sum(content is None and edit.get(record) is not None for record, content in merged.items()),
        removed_devices=_names(vault.contents, (id_ for id_ in plan.removed if id_ in shown.chain.members)),
        lost_devices=_names(vault.contents, (m.id for m in plan.added if m.kind is MemberKind.DEVICE)),
        gone_devices=_names(vault.contents, gone),
        mailboxes=len(wanted.mailboxes),
        greetings=len(wanted.greetings),
        epochs=lost_epochs,
    )


async def _server_side(vault: Vault, keys: RecordKeys) -> Edit:
    """What is staged, opened, as an edit of this device's view."""
    edit: Edit = dict.fromkeys(vault.contents)

    def read(rows: list[tuple[bytes, bytes, bytes | None]]) -> None:
        edit.update(keys.open_all((record, blob) for record, _, blob in rows if blob is not None))

    await vault.mirror.staged_batches(read)
    return edit


def _names(contents: Contents, members: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(sorted(device_name(contents, member) for member in members))
