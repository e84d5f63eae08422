"""Getting the address book back with the recovery phrase, when all devices are lost (spec: vault.md, Recovery).

The phrase is a member, the paper key. It signs one commit: everybody else goes, unless the person names them, this
device comes, and a new epoch begins that those who went cannot read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from kith_client.book.names import device_name as name_of_device
from kith_client.contacts.text import search_key
from kith_client.lifecycle.paper import Found, Paper, PaperWork, Plan
from kith_client.lifecycle.setup import check_unused, keep_keys, new_device, new_home, pin_server
from kith_client.lifecycle.stolen import taking_back
from kith_client.online import signed_in
from kith_client.relations.homes import Place, here
from kith_client.relations.rekeying import demand_rekeys
from kith_client.stamp import Contents, Edit, Stamp, the_one
from kith_client.store.home import Home
from kith_client.store.keyfile import DeviceKeys
from kith_client.sync.receiving import Progress, no_progress
from kith_client.transport import HomeServer
from kith_client.vault import AUTHOR_BYTES, Clock, Vault, system_clock
from kith_protocol.content import Content
from kith_protocol.errors import KithError, Refused
from kith_protocol.member import MemberKeys
from kith_protocol.phrase import entropy_of, paper_keys, root_key

Also = Callable[[Contents, Stamp], Edit]
"""What else the commit of the paper key changes, given all records."""


Agree = Callable[[Contents, tuple[str, ...]], None]
"""Is shown all records, and the names of the devices that go, before anything is committed or kept; raises to stop."""


def nothing_else(_contents: Contents, _stamp: Stamp) -> Edit:
    return {}


def whatever_it_is(_contents: Contents, _gone: tuple[str, ...]) -> None:
    """The person said where the address book is."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A recovered vault, opened."""

    vault: Vault
    gone: tuple[str, ...]
    """Names of the devices that are none any more."""
    stolen: bool
    """Whether everything was taken back from a thief."""


async def recover(
    home: Home,
    url: str,
    vault: bytes,
    phrase: str,
    device_name: str,
    *,
    keep: Iterable[str] = (),
    stolen: bool = False,
    mark: tuple[int, bytes] | None = None,
    also: Also = nothing_else,
    agree: Agree = whatever_it_is,
    passphrase: str | None = None,
    clock: Clock = system_clock,
    progress: Progress = no_progress,
) -> Recovered:
    """Makes this device a member with the recovery phrase, and removes all others but those named in `keep`.

    `mark`: number and hash of a commit that the server must have; `also`: what is committed with the change of members.
    `agree` may stop it once the address book was read.
    With `stolen`, the lost devices may be in a thief's hands: all relationships are taken back as well.

    Raises `Refused` (`phrase-...`, `wrong-phrase`, `no-such-device`), `ServerUnreachable`, or an `Alarm`; then
    nothing is kept here.
    """
    check_unused(home)
    entropy, wanted = entropy_of(phrase), tuple(keep)
    async with HomeServer.connect(url) as server:
        fingerprint = pin_server(await server.statement(), server.host, clock())
        access = Paper(server.url, fingerprint, vault, paper_keys(entropy))
        signed_in(server, access, clock)
        device = new_device()
        keys = DeviceKeys(server.url, access.fingerprint, vault, device.sign.seed, device.seal.seed)
        async with new_home(home) as mirror:
            work = PaperWork(mirror, server, access, clock)

            async def decide(found: Found) -> Plan:
                if also is nothing_else and not stolen:
                    _check_home(found.contents, access)
                removed = _to_remove(found, wanted)
                agree(found.contents, _names(found, removed))
                stamp = Stamp(clock(), device.id[:AUTHOR_BYTES], os.urandom)
                named = {**_named(found.contents, device, device_name, stamp), **also(found.contents, stamp)}
                plan = Plan(removed, (device.public,), named)
                if not stolen:
                    return plan
                return await taking_back(work, found, plan, await asyncio.to_thread(root_key, entropy))

            found, plan = await work.carry_out(decide, mark or (0, vault), progress)
            await keep_keys(home, keys, passphrase)
            with suppress(KithError):  # it ends by itself; until then the server lets nobody else commit
                await server.end_session(vault)
    opened = await Vault.open(home, lambda: passphrase or "", clock)
    # The lost devices know every secret of the relationships; the next sync makes new ones.
    edit = {} if stolen else demand_rekeys(opened.contents, opened.stamp())
    await opened.apply(edit, ["got the address book back with the phrase"])
    return Recovered(opened, _names(found, plan.removed), stolen)


def _names(found: Found, members: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(name_of_device(found.contents, member) for member in sorted(members))


def _check_home(contents: Contents, access: Paper) -> None:
    home = here(contents)
    if home is not None and home != Place(access.server, access.fingerprint):
        raise Refused(
            "moved",
            f"This address book moved to {home.url}: recover it there. If a thief said so, '--stolen' takes it back.",
        )


def _to_remove(found: Found, keep: tuple[str, ...]) -> frozenset[bytes]:
    others = [member for member in found.chain.members if member != found.chain.paper]
    kept: set[bytes] = set()
    for text in keep:
        named = [each for each in others if _is_called(found.contents, each, text)]
        if len(named) != 1:
            names = ", ".join(name_of_device(found.contents, each) for each in others)
            raise Refused("no-such-device", f"One of the devices to keep is not clear. There are: {names}.")
        kept.update(named)
    return frozenset(member for member in others if member not in kept)


def _is_called(contents: Contents, member: bytes, text: str) -> bool:
    return search_key(name_of_device(contents, member)) == search_key(text) or member.hex().startswith(text.lower())


def _named(contents: Contents, device: MemberKeys, name: str, stamp: Stamp) -> Edit:
    found = the_one(contents, "devices")
    if found is None:
        return {stamp.record_id(): stamp.content("devices", {device.id.hex(): name})}
    record, content = found
    return {record: Content(content.kind, {**content.units, device.id.hex(): stamp.unit(name)}, content.extra)}
