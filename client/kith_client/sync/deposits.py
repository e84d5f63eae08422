"""Depositing what is committed: parcels go to the peers' servers by way of the relay, and their receipts come back.

A sealed request is kept until its receipt is here, so that a retry sends the same bytes. The relay keeps trying while
the destination is down; handing a request over again makes it try at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from kith_client.errors import ServerRefused, ServerUnreachable
from kith_client.mirror import Request
from kith_client.relations.outgoing import Key, Outgoing, outgoing, receipted
from kith_client.relations.records import channel_at
from kith_client.stamp import Edit, overlay
from kith_client.sync.knock import Statements, hand_over, sealed
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.encoding import Value
from kith_protocol.errors import Alarm, KithError, Undecryptable
from kith_protocol.gateway import PutResult, PutStatus, open_put_answer, request_hash

AT_ONCE: Final = 8
"""Requests handed over at the same time."""


@dataclass(slots=True)
class Deposited:
    """What became of the parcels that were due."""

    edit: Edit = field(default_factory=dict)
    """The receipts, to be committed."""
    receipts: int = 0
    waiting: int = 0
    alarms: list[str] = field(default_factory=list)

    def warn(self, host: str, error: KithError) -> None:
        """Notes why nothing goes to a server, once; that it is down now is nothing to warn of."""
        code = f"{error.code}: " if isinstance(error, Alarm) else ""
        text = f"{code}{host}: {error}"
        if not isinstance(error, ServerUnreachable | ServerRefused) and text not in self.alarms:
            self.alarms.append(text)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A sealed request, what it is about, and the key of its answer."""

    request: Request
    key: Key
    response_key: bytes


async def deposit(vault: Vault, server: HomeServer, patience: float) -> Deposited:
    """Sends everything that is due and waits up to `patience` seconds for receipts."""
    outcome = Deposited()
    waiting = [_opened(vault, request) for request in await vault.mirror.requests()]
    for late in [sent for sent in waiting if _is_outdated(vault, sent)]:
        await _forget(vault, server, late.request)
        waiting.remove(late)
    skip = {sent.key for sent in waiting}
    due = await asyncio.to_thread(outgoing, vault.contents, vault.stamp(), skip)
    fresh = await _seal_all(vault, server, due, outcome)
    semaphore = asyncio.Semaphore(AT_ONCE)

    async def send(sent: _Sent) -> tuple[_Sent, PutResult | None]:
        async with semaphore:
            return sent, await _send(vault, server, sent, patience, outcome)

    results = await asyncio.gather(*(send(sent) for sent in [*waiting, *fresh]))
    await _settle(vault, server, results, outcome)
    outcome.waiting += sum(result is None for _, result in results)
    return outcome


def _is_outdated(vault: Vault, sent: _Sent) -> bool:
    """Whether a newer version or a withdrawal is due: what is still at the relay must not arrive before it."""
    record, what, version = sent.key
    channel = channel_at(vault.contents, record)
    if channel is None or channel.ended:
        return True
    return any(key.hex() == what and item.version > version for key, item in channel.items.items())


async def _seal_all(vault: Vault, server: HomeServer, due: Iterable[Outgoing], outcome: Deposited) -> list[_Sent]:
    """Seals and keeps a request for each put whose server's statement can be had and verified."""
    statements, fresh = Statements(vault, server), []
    for put in due:
        try:
            statement = await statements.get(put.host, put.fingerprint)
        except KithError as error:
            # Whatever one destination publishes: parcels to the others go out.
            outcome.warn(put.host, error)
            outcome.waiting += 1
            continue
        request, raw = await sealed(statement, put.put, vault.clock())
        note: dict[str, Value] = {"key": [put.channel, put.what, put.version], "response_key": request.response_key}
        kept = Request(request_hash(raw), put.host, raw, vault.seal_note(note))
        await vault.mirror.add_request(kept)
        fresh.append(_Sent(kept, put.key, request.response_key))
    return fresh


async def _send(vault: Vault, server: HomeServer, sent: _Sent, patience: float, outcome: Deposited) -> PutResult | None:
    """The receipt of one request; None while there is none, or where it has to be sealed again."""
    request = sent.request
    try:
        answer = await hand_over(vault, server, request.host, request.request, patience)
    except ServerRefused as refusal:
        outcome.alarms.append(f"{request.host}: {refusal}")
        await _forget(vault, server, request)
        return None
    except ServerUnreachable:
        return None
    if answer is None:
        return None
    try:
        return await asyncio.to_thread(open_put_answer, sent.response_key, request.hash, answer)
    except Undecryptable:
        # The gateway key was changed since, or somebody answered in its place: seal anew at the next sync.
        await _forget(vault, server, request)
        return None


async def _settle(
    vault: Vault, server: HomeServer, results: Iterable[tuple[_Sent, PutResult | None]], outcome: Deposited
) -> None:
    stamp = vault.stamp()
    for sent, result in results:
        if result is None:
            continue
        outcome.edit.update(receipted(overlay(vault.contents, outcome.edit), stamp, sent.key, result.status))
        if result.receipted:
            outcome.receipts += 1
        elif result.status is not PutStatus.NO_MAILBOX:
            outcome.waiting += 1
        await _forget(vault, server, sent.request)


async def _forget(vault: Vault, server: HomeServer, request: Request) -> None:
    await vault.mirror.drop_requests([request.hash])
    try:
        await server.forget_relayed(vault.id, request.hash)
    except KithError:
        return  # it expires there by itself


def _opened(vault: Vault, request: Request) -> _Sent:
    match vault.open_note(request.note):
        case {"key": [bytes(channel), str(what), int(version)], "response_key": bytes(response_key)}:
            return _Sent(request, (channel, what, version), response_key)
        case _:
            raise Undecryptable("A note about a parcel is damaged.")
