"""Looking after the vault: what is checked, what was found, and what to do. Changes nothing."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import dataclass
from typing import Final

from kith_client.online import home_server
from kith_client.relations.guardians.splits import list_guardians, splits
from kith_client.store import keyfile
from kith_client.store.mirror import PENDING
from kith_client.store.record_index import RecordIndex
from kith_client.sync.following import REPAIRABLE, is_repaired
from kith_client.sync.pull import follow
from kith_client.transport import HomeServer
from kith_client.vault import UNREADABLE, Vault
from kith_protocol.errors import Alarm, KithError
from kith_protocol.phrase import word_numbers
from kith_protocol.server_statement import verify_server_statement
from kith_protocol.suite import digest

CLOCK_TOLERANCE: Final = 5 * 60 * 1000
"""Milliseconds by which this device's clock may differ from the server's before it is worth saying."""
_HEAD_WORDS: Final = 6


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    text: str


async def examine(vault: Vault) -> list[Check]:
    """Everything that can be checked from this device; the server is asked if it can be reached."""
    return [
        _key_file(vault),
        await _records(vault),
        _history(vault),
        await _unsent(vault),
        *_guardians(vault),
        *await _server(vault),
    ]


def head_words(head: bytes) -> str:
    """The head of the history as words that two persons can compare aloud, 66 bits."""
    words, number = list(word_numbers()), int.from_bytes(head, "big") >> (256 - 11 * _HEAD_WORDS)
    return " ".join(words[number >> 11 * place & 0x7FF] for place in reversed(range(_HEAD_WORDS)))


def _key_file(vault: Vault) -> Check:
    path = vault.home.key_file
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Check("key file", False, f"Others on this machine can read {path}; run 'chmod 600' on it.")
    protected = keyfile.needs_passphrase(path.read_bytes())
    how = "under a passphrase" if protected else "without a passphrase: whoever gets the file can read the address book"
    return Check("key file", True, f"Readable by its owner alone, {how}.")


async def _records(vault: Vault) -> Check:
    """Every record of the mirror against its hash, and all of them against the last commit."""
    wrong = 0
    hashes: list[tuple[bytes, bytes]] = []

    def verify(rows: list[tuple[bytes, bytes, bytes]]) -> None:
        nonlocal wrong
        wrong += sum(digest(blob) != hash_ for _, hash_, blob in rows)
        hashes.extend((record, hash_) for record, hash_, _ in rows)

    await vault.mirror.record_batches(verify)
    root = await asyncio.to_thread(lambda: RecordIndex(hashes).root)
    unreadable = sum(content is UNREADABLE for content in vault.contents.values())
    if wrong or root != vault.chain.tree:
        return Check("local copy", False, "The local copy is damaged: 'kith doctor --rebuild' makes it anew.")
    if unreadable:
        return Check("local copy", False, f"{unreadable} of {len(hashes)} records cannot be read by this program.")
    return Check("local copy", True, f"{len(hashes)} records, each as the history names it.")


def _history(vault: Vault) -> Check:
    chain = vault.chain
    text = f"Up to commit {chain.number}, epoch {chain.epoch}. Its words: {head_words(chain.head)}."
    return Check("history", True, text + " Another device of yours that is in step shows the same words.")


def _guardians(vault: Vault) -> list[Check]:
    """Whether enough guardians still keep a share; nothing where there never were any."""
    current = splits(vault.contents)[:1]
    if not current or not any(current[0].guardians.values()):
        return []
    states = [row.state for row in list_guardians(vault.contents)]
    kept, needed = states.count("kept"), current[0].needed
    text = f"{kept} keep a share, {needed} are needed."
    if kept >= needed:
        return [Check("guardians", True, text)]
    hint = "'kith sync' may bring answers" if kept + states.count("waiting") >= needed else "'kith guardians add' helps"
    return [Check("guardians", False, f"{text} They could not bring your address book back; {hint}.")]


async def _unsent(vault: Vault) -> Check:
    drafts = await vault.mirror.drafts()
    pending = await vault.mirror.state(PENDING) is not None
    waiting = len(await vault.mirror.requests())
    if not drafts and not pending and not waiting:
        return Check("unsent", True, "Nothing waits to be sent.")
    return Check("unsent", True, f"{len(drafts)} edits wait for a sync, {waiting} parcels for a receipt.")


async def _shown(vault: Vault, server: HomeServer) -> Check:
    """Whether the server's history goes on from what this device verified; takes nothing in."""
    name = "server's history"
    try:
        chain, _ = await follow(vault, server)
    except Alarm as alarm:
        if alarm.alarm not in REPAIRABLE:
            return Check(name, False, f"{alarm.code}: {alarm}")
        if await is_repaired(vault, server):
            return Check(name, False, "The server was put back to an earlier day, and repaired; 'kith sync' follows.")
        text = (
            f"{alarm.code}: {alarm} If whoever runs the server put it back to an earlier day, 'kith repair' shows what "
            "it lacks, and puts it right when you agree."
        )
        return Check(name, False, text)
    return Check(name, True, f"It goes on from what this device verified, up to commit {chain.number}.")


async def _server(vault: Vault) -> list[Check]:
    try:
        async with home_server(vault) as server:
            raw = await server.statement()
            verify_server_statement(raw, vault.device.fingerprint, server.host, vault.clock())
            skew = abs(server.server_time - vault.clock())
            history = await _shown(vault, server)
    except KithError as error:
        return [Check("server", False, str(error))]
    checks = [Check("server", True, f"{server.host} answers, with the key that this device knows."), history]
    if skew > CLOCK_TOLERANCE:
        text = f"This device's clock and the server's differ by {skew // 60_000} minutes; set the one that is wrong."
        checks.append(Check("clock", False, text))
    return checks
