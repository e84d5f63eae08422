"""Beginning a vault: a phrase, its keys, a first device, and what stands in the address book from the first day."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from kith_client.book.me import first_card
from kith_client.errors import VaultExists
from kith_client.online import signed_in
from kith_client.relations.theft.personas import new_persona
from kith_client.stamp import Edit, Stamp
from kith_client.store import keyfile, unlock
from kith_client.store.home import Home
from kith_client.store.keyfile import DeviceKeys
from kith_client.store.mirror import AcceptedPush, Mirror
from kith_client.sync.building import genesis
from kith_client.sync.push import push_all
from kith_client.transport import HomeServer
from kith_client.vault import AUTHOR_BYTES, Clock, Vault, system_clock
from kith_protocol import wire
from kith_protocol.chain import begin, freeze_chain
from kith_protocol.encoding import decode
from kith_protocol.epoch import encode_keys
from kith_protocol.errors import KithError, Refused
from kith_protocol.member import MemberKeys, MemberKind
from kith_protocol.persona import FIRST_NUMBER, person_id
from kith_protocol.phrase import ENTROPY_BYTES, paper_keys, phrase_of, root_key
from kith_protocol.server_statement import (
    ServerStatement,
    SignedServerStatement,
    server_fingerprint,
    verify_server_statement,
)
from kith_protocol.suite import KEY_BYTES, SEED_BYTES, SealKey, SignKey


@dataclass(frozen=True, slots=True)
class Created:
    """What `create_vault` gives back; the phrase is shown once and kept nowhere."""

    person: bytes
    vault: bytes
    recovery_phrase: str

    def __repr__(self) -> str:
        return "Created(...)"


async def create_vault(
    home: Home,
    url: str,
    name: str,
    device_name: str,
    *,
    token: str = "",
    passphrase: str | None = None,
    clock: Clock = system_clock,
) -> Created:
    """Makes a vault at the server `url` with this device as its first. `passphrase` None leaves the key unprotected.

    Raises `VaultExists`, `ServerUnreachable` or `ServerRefused`; then nothing is kept.
    """
    check_unused(home)
    if not name.strip():
        raise Refused("no-name", "Your name is empty; peers see it, so give one with --name.")
    async with HomeServer.connect(url) as server:
        fingerprint = pin_server(await server.statement(), server.host, clock())
        entropy, epoch_key = os.urandom(ENTROPY_BYTES), os.urandom(KEY_BYTES)
        device = new_device()
        commit, keys = await asyncio.to_thread(genesis, device, paper_keys(entropy).public, epoch_key, clock())
        await server.register(wire.Register(token, commit.raw, encode_keys(keys)))
        chain = begin(commit, keys)
        local = DeviceKeys(server.url, fingerprint, chain.vault, device.sign.seed, device.seal.seed)
        first = await asyncio.to_thread(_first_records, entropy, device, name, device_name, clock())
        async with new_home(home) as mirror:
            row = (chain.number, commit.raw, encode_keys(keys))
            await mirror.apply_push(AcceptedPush(freeze_chain(chain), {}, [row], []))
            await keep_keys(home, local, passphrase)
        async with await Vault.open(home, lambda: passphrase or "", clock) as vault:
            await vault.apply(first, ["began the address book"])
            await _push_first(vault, signed_in(server, vault.device, clock))
    root = await asyncio.to_thread(root_key, entropy)
    return Created(person_id(root.public), chain.vault, phrase_of(entropy))


def new_device() -> MemberKeys:
    """Fresh keys of a device."""
    return MemberKeys(MemberKind.DEVICE, SignKey(os.urandom(SEED_BYTES)), SealKey(os.urandom(SEED_BYTES)))


def pin_server(raw: bytes, host: str, now: int) -> bytes:
    """The fingerprint of a home server that is met for the first time; the statement must hold under its own key."""
    signed = decode(raw, SignedServerStatement)
    fingerprint = server_fingerprint(decode(signed.body, ServerStatement).server_key)
    verify_server_statement(raw, fingerprint, host, now)
    return fingerprint


@asynccontextmanager
async def new_home(home: Home) -> AsyncIterator[Mirror]:
    """An empty mirror for a device that is not there before its key file is written, which belongs into the block.

    Nobody else can begin in the same folder meanwhile. Raises `VaultExists` or `Busy`.
    """
    async with home.locked():
        check_unused(home)
        for leftover in home.path.glob(home.mirror.name + "*"):
            leftover.unlink()  # of an attempt that broke off before its key file was written
        mirror = await Mirror.open(home.mirror)
        try:
            yield mirror
        finally:
            await mirror.close()


def check_unused(home: Home) -> None:
    """Raises `VaultExists` where there is an address book already."""
    if home.exists:
        raise VaultExists(f"There is an address book in {home.path} already. Choose another folder with --home.")


async def keep_keys(home: Home, keys: DeviceKeys, passphrase: str | None) -> None:
    """Writes the key file, after the mirror: with it, the vault is there."""
    raw, key = await asyncio.to_thread(keyfile.seal_key_file, keys, passphrase)
    await asyncio.to_thread(keyfile.write_key_file, home.key_file, raw)
    if passphrase is not None:
        await asyncio.to_thread(unlock.remember, home, key)


def _first_records(entropy: bytes, device: MemberKeys, name: str, device_name: str, now: int) -> Edit:
    stamp = Stamp(now, device.id[:AUTHOR_BYTES], os.urandom)
    persona = new_persona(root_key(entropy), FIRST_NUMBER, os.urandom)
    return {
        **first_card(stamp, name),
        stamp.record_id(): stamp.content("persona", persona),
        stamp.record_id(): stamp.content("devices", {device.id.hex(): device_name}),
    }


async def _push_first(vault: Vault, server: HomeServer) -> None:
    # Whatever goes wrong: the vault is made, its phrase must be shown now, and the next sync sends the edits.
    with suppress(KithError):
        await push_all(vault, server, {})
