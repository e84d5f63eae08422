"""Moving the vault to another server, and following it there (spec: move.md).

The last commit at the old server says where the vault lives from then on. So each device learns it from its own
history, nobody writes to the old server behind it, and whoever finds the new server unfilled can fill it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from kith_client.access import At
from kith_client.addresses import check_server_url
from kith_client.errors import HeadMoved, ServerRefused, ServerUnreachable
from kith_client.lifecycle.filling import Filler, History, fill, history_of
from kith_client.lifecycle.setup import pin_server
from kith_client.online import home_server, signed_in
from kith_client.relations import records
from kith_client.relations.homes import Place, here, home_of, moved
from kith_client.relations.records import InviteState
from kith_client.store.mirror import CURSOR, PLACES
from kith_client.sync.formers import RELAYS, RESTS
from kith_client.sync.pull import pull
from kith_client.sync.push import commit, push_all, settle_pending
from kith_client.sync.receiving import Progress, no_progress
from kith_client.sync.telling import LEFT, OTHER
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.errors import Alarm, AlarmCode, KithError, Refused
from kith_protocol.mailbox import MailboxAddress
from kith_protocol.relationship import RelationshipState

_TRIES: Final = 5
"""Commits tried while other devices write, and servers followed one after the other."""
NO_TOKENS: Final[Mapping[str, str]] = MappingProxyType({})
"""Server's URL → a registration token for it, where a move that broke off has to be finished."""


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far peers followed a move."""

    done: int
    """Peers who write to the new server."""
    waiting: tuple[bytes, ...]
    """`peer` records of those who do not know of it yet."""
    invites: int
    """Open invites whose links name a server that was left."""


@asynccontextmanager
async def at_home(vault: Vault, tokens: Mapping[str, str] = NO_TOKENS) -> AsyncIterator[HomeServer]:
    """The home server, where the vault's own record says that it is; goes there first if it moved."""
    await follow_home(vault, tokens)
    async with home_server(vault) as server:
        yield server


async def follow_home(vault: Vault, tokens: Mapping[str, str] = NO_TOKENS) -> None:
    """Makes the server that the vault's record names the home server of this device.

    Fills it where the device that moved the vault did not come so far. Raises an `Alarm` where it shows another
    history, or `ServerUnreachable`; then this device stays as it was, and writes to no server. Before that it asks
    where it is: a thief may have written the record, and the phrase have taken it back since.
    """
    for _ in range(_TRIES):
        place = here(vault.contents)
        if place is None or _is_home(vault, place):
            return
        try:
            await _settle(vault, place, tokens.get(place.url, ""))
        except (Alarm, ServerRefused, ServerUnreachable):
            if not await _is_taken_back(vault):
                raise


async def _is_taken_back(vault: Vault) -> bool:
    """Whether the server in this device's key file has a newer record by now."""
    before = here(vault.contents)
    with suppress(KithError):
        async with home_server(vault) as server:
            await pull(vault, server)
    return here(vault.contents) != before


async def move(
    vault: Vault,
    url: str,
    *,
    token: str = "",
    old_is_gone: bool = False,
    progress: Progress = no_progress,
) -> None:
    """Moves the vault to the server at `url`; this device is there afterwards. Doing it again finishes what broke off.

    `old_is_gone`: the old server does not answer any more, so the vault goes as this device has it.
    Raises `Refused` (`other-state`, `not-moved`), `ServerUnreachable`, `ServerRefused`, an `Alarm`.
    """
    url = check_server_url(url)
    if not old_is_gone:
        await follow_home(vault, {url: token})
    async with HomeServer.connect(url) as new:
        place = Place(new.url, pin_server(await new.statement(), new.host, vault.clock()))
        if _is_home(vault, place):
            return
        if await is_member_at(vault, place):
            try:
                await _join(vault, place, old_is_gone=old_is_gone)
            except Alarm as alarm:
                raise _other_state() from alarm
            return
        filler = Filler(new, vault.member, vault.clock, token)
        if old_is_gone:
            await _fill(filler, await _history(vault), progress)
            await _join(vault, place, old_is_gone=True)
            return
        await _leave(vault, place, filler, progress)
        await fill(filler, await _history(vault), progress)
    await follow_home(vault)


def progressed(vault: Vault) -> Progressed:
    """How many peers write to where the vault lives now."""
    home, now = here(vault.contents), vault.clock()
    if home is None:
        return Progressed(0, (), 0)
    done, waiting = 0, []
    for channel in records.channels(vault.contents):
        if channel.state in (RelationshipState.FINISHED, RelationshipState.CONNECTED):
            if any(key.used and home.has(key.inbox.address) for key in channel.mine.keys):
                done += 1
            else:
                waiting.append(channel.peer)
    return Progressed(done, tuple(waiting), sum(not home.has(each) for each in open_invites(vault, now)))


def open_invites(vault: Vault, now: int) -> list[MailboxAddress]:
    """The mailboxes for answers of all invites that can still be accepted."""
    return [
        invite.own.invite.mailbox
        for invite in records.invites(vault.contents)
        if invite.state is InviteState.OPEN and now < invite.expires
    ]


async def _leave(vault: Vault, place: Place, filler: Filler, progress: Progress) -> None:
    """Brings all to the new server, and commits at the old one, as its last, where the vault lives now."""
    old = Place(vault.device.server, vault.device.fingerprint)
    async with home_server(vault) as server:
        await settle_pending(vault, server)
        for _ in range(_TRIES):
            try:
                await pull(vault, server)
                await push_all(vault, server, {})
                # Before the commit that nobody can take back: a server that takes no more vaults says so now.
                await _bring(filler, await _history(vault), progress)
                edit = moved(vault.contents, vault.stamp(), place, old)
                await commit(vault, server, await vault.seal_drafts(edit))
            except HeadMoved:
                continue
            vault.show(edit)
            return
    raise ServerUnreachable("Other devices write all the time; try again.")


async def _bring(filler: Filler, history: History, progress: Progress) -> None:
    try:
        await filler.bring(history, progress)
    except ServerRefused as refusal:
        if refusal.code != "vault-exists":
            raise
        raise _other_state() from None


async def _fill(filler: Filler, history: History, progress: Progress = no_progress) -> None:
    try:
        await fill(filler, history, progress)
    except ServerRefused as refusal:
        if refusal.code != "vault-exists":
            raise
        raise Refused(
            "other-state",
            "The server has this address book and does not know this device: it was removed, or somebody put another "
            "state there. On a device that goes on, 'kith device' shows which.",
        ) from None


def _other_state() -> Refused:
    return Refused(
        "other-state",
        "The server has an older or another state of this address book, perhaps from a time when it lived there. "
        "'--replace' deletes that first; it asks for the recovery phrase.",
    )


async def _settle(vault: Vault, place: Place, token: str) -> None:
    """Verifies what `place` shows, and makes it the home server of this device; `token` where it has to be filled."""
    before = Place(vault.device.server, vault.device.fingerprint)
    access = At(place.url, place.fingerprint, vault.id, vault.member)
    async with HomeServer.connect(place.url) as server:
        # The key has to be the one that a member named, whoever answers there now: signing in verifies it.
        if not await is_member_at(vault, place):
            await _fill(Filler(server, vault.member, vault.clock, token), await _history(vault))
        await pull(vault, signed_in(server, access, vault.clock))
    states: dict[str, bytes | None] = {CURSOR: None, PLACES: None}
    for name in (CURSOR, PLACES):
        states |= {f"{name}/{place.host}": None, f"{name}/{before.host}": None}
    states |= {LEFT + before.host: None, OTHER + before.host: None}
    states |= {RELAYS + before.host: b"\x01", RESTS + before.host: None}
    await vault.mirror.set_state(states)
    await vault.settle_at(place.url, place.fingerprint)


async def _join(vault: Vault, place: Place, *, old_is_gone: bool) -> None:
    """Goes to a server where the vault is already: moved there by another device, which this one could not hear of."""
    access = At(place.url, place.fingerprint, vault.id, vault.member)
    async with HomeServer.connect(place.url) as server:
        await pull(vault, signed_in(server, access, vault.clock))
        home = home_of(vault.contents)
        if home is not None and home.here == place:
            await follow_home(vault)
            return
        if not old_is_gone:
            raise Refused(
                "not-moved",
                "The server has this address book, but the address book itself does not say that it lives there. If "
                "the server where it lives is gone for good, say '--old-is-gone'.",
            )
        edit = moved(vault.contents, vault.stamp(), place, None)
        await commit(vault, server, await vault.seal_drafts(edit), moves=True)
        vault.show(edit)
    await follow_home(vault)


async def is_member_at(vault: Vault, place: Place) -> bool:
    """Whether the server lets this device in. Raises an `Alarm` or `ServerUnreachable`."""
    access = At(place.url, place.fingerprint, vault.id, vault.member)
    async with HomeServer.connect(place.url) as server:
        signed_in(server, access, vault.clock)
        try:
            await server.parcels(vault.id, 0)
        except ServerRefused as refusal:
            if refusal.code != "not-a-member":
                raise
            return False
    return True


async def _history(vault: Vault) -> History:
    genesis = await vault.mirror.history(-1, 1)
    if not genesis:
        raise Alarm(AlarmCode.RECORD_MISSING, "The local copy of the address book has no history.")
    return history_of(vault, genesis[0][1:])


def _is_home(vault: Vault, place: Place) -> bool:
    return place == Place(vault.device.server, vault.device.fingerprint)
