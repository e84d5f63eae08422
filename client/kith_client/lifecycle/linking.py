"""Adding a device: the old one shows a code, the new one types it, and the old one commits exactly its keys.

The exchange itself is `kith_protocol.linking`; its messages go over the home server's rendezvous (`line`).
Fetching the vault is `fetching`, removing a device `removing`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from kith_client.addresses import check_server_url, url_of
from kith_client.book.names import device_name
from kith_client.errors import HeadMoved
from kith_client.lifecycle.fetching import fetch_vault
from kith_client.lifecycle.removing import remove_device as remove_device
from kith_client.lifecycle.setup import check_unused, keep_keys, new_device, new_home
from kith_client.line import PROGRAM_SECONDS, AtRendezvous, Line, ten_minutes
from kith_client.online import signed_in
from kith_client.stamp import Contents, Edit, the_one
from kith_client.store.home import Home
from kith_client.store.keyfile import DeviceKeys
from kith_client.sync.building import adding
from kith_client.sync.pull import pull
from kith_client.sync.push import commit, settle_pending
from kith_client.sync.receiving import Progress, no_progress
from kith_client.transport import HomeServer
from kith_client.vault import Clock, Vault, system_clock
from kith_protocol.chain import Chain
from kith_protocol.commit import parse_commit
from kith_protocol.content import Content
from kith_protocol.encoding import decode
from kith_protocol.errors import Alarm, AlarmCode, KithError, Refused
from kith_protocol.host import host_of_url
from kith_protocol.link_code import CODE_RANDOM_BYTES, QR_RANDOM_BYTES, LinkCode, parse_code, qr_code, spoken_code
from kith_protocol.linking import JoinGrant, JoinRequest, LinkMachine, LinkRole, LinkState
from kith_protocol.member import Member, MemberKind
from kith_protocol.persona import PersonaStatement, SignedPersona
from kith_protocol.server_statement import verify_server_statement
from kith_protocol.wire import Purpose

_TRIES: Final = 5
"""Commits tried while other devices write."""

_AFTER_REQUEST: Final = 3
"""Number of the message of the new device after its request: the grant has come, or it goes no further."""

_TRY_AGAIN: Final = (
    "This device was added already, but has no address book yet: on the other device remove it (see 'kith device' and "
    "'kith device remove'), then link again."
)

Confirm = Callable[[str], Awaitable[bool]]
"""Asks the person whether the device with this name is to be added."""
ShowCode = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device of the vault, for the person."""

    id: bytes
    name: str
    number: int
    """Of the commit that added it."""
    added: int
    """When it was added, in milliseconds since 1970, by the clock of the device that added it; 0: not known here."""
    last: int
    """When it last wrote something, by its own clock; 0: not known here."""
    last_commit: int
    """Number of the last commit that it wrote."""
    this: bool


@dataclass(frozen=True, slots=True)
class Added:
    """A device that is a member now."""

    name: str
    arrived: bool
    """Whether it said that it heard of it."""


async def list_devices(vault: Vault, chain: Chain | None = None) -> list[DeviceInfo]:
    """All devices, the first one first; the paper key is none. `chain` may be ahead of what this device took in."""
    standing = [each for each in (chain or vault.chain).members.values() if each.member.kind is MemberKind.DEVICE]
    raw = await vault.mirror.commits_at({number for each in standing for number in (each.added, each.last)})
    times = {number: parse_commit(commit).body.time for number, commit in raw.items()}
    devices = [
        DeviceInfo(
            each.member.id,
            device_name(vault.contents, each.member.id),
            each.added,
            times.get(each.added, 0),
            times.get(each.last, 0),
            each.last,
            each.member.id == vault.member.id,
        )
        for each in standing
    ]
    return sorted(devices, key=lambda device: device.number)


def removed_devices(vault: Vault, chain: Chain) -> list[DeviceInfo]:
    """The devices that are none any more, by id: taking everything back may have broken off after the removal."""
    last = chain.number + 1
    gone = sorted(chain.removed)
    return [DeviceInfo(id_, device_name(vault.contents, id_), last, 0, 0, 0, False) for id_ in gone]


async def add_device(
    vault: Vault, server: HomeServer, show: ShowCode, confirm: Confirm, *, as_qr: bool = False
) -> Added:
    """Shows a code, waits up to ten minutes for the new device, and adds it when the person agrees.

    The code is three words, or with `as_qr` the text of a QR code, which also says where the server is.

    Raises `Refused` (`link-burned`, `link-expired`, `link-declined`).
    """
    await settle_pending(vault, server)
    nameplate = (await server.begin_rendezvous(vault.id, Purpose.DEVICE)).nameplate
    if as_qr:
        code = qr_code(server.host, nameplate, os.urandom(QR_RANDOM_BYTES))
    else:
        code = spoken_code(nameplate, os.urandom(CODE_RANDOM_BYTES))
    carrier, line = _line(server, code, LinkRole.SHOWS)
    try:
        async with ten_minutes(), line.ending():
            async with vault.resting():  # people look something up while they wait for the other device
                await show(code.text)
                await line.agree()
                request = line.machine.open(await line.read(), JoinRequest)
                if not await confirm(request.name):
                    raise Refused("link-declined", "The device was not added.")
            if await carrier.look(_AFTER_REQUEST) is not None:
                raise Refused("link-declined", "The new device was stopped meanwhile. It was not added.")
            await _commit_device(vault, server, request)
        arrived = await _grant(vault, server, line)
    finally:
        await server.burn_rendezvous(Purpose.DEVICE, nameplate)
    return Added(request.name, arrived)


async def _grant(vault: Vault, server: HomeServer, line: Line) -> bool:
    """Tells the new device that it is added, and where; whether it heard of it."""
    home, chain = vault.device, vault.chain
    person = own_person(vault.contents)
    try:
        await line.say(JoinGrant(server.url, home.fingerprint, vault.id, chain.number, chain.head, person))
    except KithError:  # it is added: whoever asks has to hear that, and not of the connection
        return False
    return await line.has_arrived()


async def join_vault(
    home: Home,
    code_text: str,
    url: str | None,
    device_name: str,
    *,
    passphrase: str | None = None,
    clock: Clock = system_clock,
    progress: Progress = no_progress,
) -> Vault:
    """Makes this device a member by the code that another one shows, and fetches the vault. The opened vault.

    `url` is the home server's; the text of a QR code says it. Raises `Refused` (`link-server`, `link-mismatch`,
    `link-declined`).
    """
    check_unused(home)
    code = parse_code(code_text)
    async with HomeServer.connect(_where(code, url)) as server:
        device = new_device()
        grant = await _ask_to_join(server, code, JoinRequest(device.public, device_name))
        keys = DeviceKeys(server.url, grant.fingerprint, grant.vault, device.sign.seed, device.seal.seed)
        try:
            await _bring(home, server, keys, grant, passphrase, clock, progress)
        except KithError as error:
            error.args = (f"{error} {_TRY_AGAIN}",)  # whatever it is, this is what helps
            raise
    return await Vault.open(home, lambda: passphrase or "", clock)


async def _ask_to_join(server: HomeServer, code: LinkCode, request: JoinRequest) -> JoinGrant:
    _, line = _line(server, code, LinkRole.TYPES)
    try:
        async with ten_minutes():
            await line.agree()
            await line.say(request)
            grant = line.machine.open(await line.read(), JoinGrant)
            await line.acknowledge()
    except BaseException as error:
        await _leave(server, code, line)
        if isinstance(error, Refused) and error.code == "link-declined":
            raise Refused("link-declined", "The other device said no, or was stopped. Nothing was kept.") from None
        raise
    return grant


async def _leave(server: HomeServer, code: LinkCode, line: Line) -> None:
    """The other device need not wait in vain, and adds nobody who has gone."""
    if line.machine.state is LinkState.OPEN:
        await line.end(patient=False)  # the other one burns the code when it has read this
        return
    with suppress(KithError, TimeoutError):
        async with asyncio.timeout(PROGRAM_SECONDS):
            await server.burn_rendezvous(Purpose.DEVICE, code.nameplate)


def _where(code: LinkCode, url: str | None) -> str:
    if url is None and not code.host:
        raise Refused("link-server", "A code of words does not say where the address book is: add --server URL.")
    if url is None:
        return url_of(code.host)
    if code.host and host_of_url(check_server_url(url)) != code.host:
        raise Refused("link-mismatch", "The QR code is of another server than the one you named. Nothing was sent.")
    return url


def own_person(contents: Contents) -> bytes:
    """The person id of the owner of these records. Raises `Refused`."""
    found = the_one(contents, "persona")
    statement = found[1].value("statement") if found else None
    if not isinstance(statement, bytes):
        raise Refused("no-persona", "This address book has no persona yet; sync first.")
    return decode(decode(statement, SignedPersona).body, PersonaStatement).person


async def _bring(
    home: Home,
    server: HomeServer,
    keys: DeviceKeys,
    grant: JoinGrant,
    passphrase: str | None,
    clock: Clock,
    progress: Progress,
) -> None:
    """Fetches the granted vault, holds it against the grant, and keeps it."""
    if host_of_url(grant.server) != server.host:
        raise Refused("link-mismatch", "The other device's address book is not on this server.")
    verify_server_statement(await server.statement(), grant.fingerprint, server.host, clock())
    async with new_home(home) as mirror:
        mark = (grant.number, grant.head)
        persona = await fetch_vault(mirror, signed_in(server, keys, clock), keys, mark, progress)
        if await asyncio.to_thread(own_person, persona) != grant.person:
            raise Alarm(AlarmCode.PERSON_CHANGED, "The address book is another person's than the other device said.")
        await keep_keys(home, keys, passphrase)


def _line(server: HomeServer, code: LinkCode, role: LinkRole) -> tuple[AtRendezvous, Line]:
    carrier = AtRendezvous(server, Purpose.DEVICE, code.nameplate, role)
    return carrier, Line(carrier, LinkMachine(role, code, server.host, Purpose.DEVICE))


async def _commit_device(vault: Vault, server: HomeServer, request: JoinRequest) -> None:
    """Adds exactly these keys and the device's name, in one commit."""
    for _ in range(_TRIES):
        await pull(vault, server)
        step = adding(vault.chain, request.member, vault.record_keys.epoch_key(vault.chain.epoch))
        named = _named(vault, request.member, request.name)
        sealed = await vault.seal_drafts(named)
        try:
            await commit(vault, server, sealed, step=step)
        except HeadMoved:
            continue
        vault.show(named)
        return
    raise Refused("busy-vault", "Other devices write all the time; try again.")


def _named(vault: Vault, member: Member, name: str) -> Edit:
    stamp, found = vault.stamp(), the_one(vault.contents, "devices")
    if found is None:
        return {stamp.record_id(): stamp.content("devices", {member.id.hex(): name})}
    record, content = found
    return {record: Content(content.kind, {**content.units, member.id.hex(): stamp.unit(name)}, content.extra)}
