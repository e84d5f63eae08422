"""Depositing what is committed: parcels go to the peers' servers by way of the relay, and their receipts come back.

A sealed request is kept until its receipt is here, so that a retry sends the same bytes. The relay keeps trying while
the destination is down; handing a request over again makes it try at once. What something newer replaces is taken back
from the relay first; carrying requests there and taking them back is `knock`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from kith_client.errors import ServerRefused, ServerUnreachable
from kith_client.relations.introductions.exchange import said
from kith_client.relations.outgoing import Key, Outgoing, is_outdated, outgoing, receipted
from kith_client.relations.pins import note_shown
from kith_client.relations.records import channel_at
from kith_client.stamp import Contents, Edit, Stamp, overlay
from kith_client.store.mirror import Request
from kith_client.sync.knock import GIVEN_UP, Errand, sealed, together
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.encoding import Value
from kith_protocol.errors import Alarm, KithError, Undecryptable
from kith_protocol.gateway import PutResult, PutStatus, open_put_answer, request_hash
from kith_protocol.server_statement import ServerStatement


@dataclass(slots=True)
class Deposited:
    """What became of the parcels that were due."""

    edit: Edit = field(default_factory=dict)
    """What was learned, to be committed."""
    shown: dict[tuple[bytes, str, bytes], None] = field(default_factory=dict)
    """(channel, host, fingerprint) of servers whose statement was verified before something went there."""
    receipts: int = 0
    waiting: int = 0
    alarms: list[str] = field(default_factory=list)

    def warn(self, host: str, error: KithError) -> None:
        """Notes why nothing goes to a server, once; that it is down now is nothing to warn of."""
        code = f"{error.code}: " if isinstance(error, Alarm) else ""
        text = f"{code}{host}: {error}"
        if not isinstance(error, ServerUnreachable) and text not in self.alarms:
            self.alarms.append(text)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A sealed request, what it is about, and the key of its answer."""

    request: Request
    key: Key
    response_key: bytes

    @property
    def place(self) -> tuple[bytes, str]:
        """What its versions follow each other in."""
        return self.key[:2]


_Results = list[tuple[_Sent, PutResult | None]]


async def deposit(vault: Vault, server: HomeServer, patience: float) -> Deposited:
    """Sends everything that is due and waits up to `patience` seconds in all for receipts.

    Handing over goes on for a while after that (`knock.OVERTIME`), so that everything is at the relay.
    """
    outcome = Deposited()
    errand = Errand(vault, server, patience)
    waiting, late = await asyncio.to_thread(_parted, vault, await vault.mirror.requests())
    stuck = await _take_back(errand, late)
    # What cannot be taken back may still arrive, so nothing newer overtakes it: that waits for the next sync.
    held = {sent.place for sent in stuck}
    due = await asyncio.to_thread(outgoing, vault.contents, vault.stamp(), {sent.key for sent in waiting})
    by_server: dict[tuple[str, bytes], list[Outgoing]] = {}
    for put in due:
        if (put.channel, put.what) not in held:
            by_server.setdefault((put.host, put.fingerprint), []).append(put)
    again = [sent for sent in waiting if sent.place not in held]
    fresh = [_seal_and_send(errand, *target, puts, outcome) for target, puts in by_server.items()]
    results = await together([_send_all(errand, again, outcome), *fresh])
    await _settle(errand, [one for some in results for one in some], outcome)
    outcome.waiting += len(stuck)
    return outcome


def _parted(vault: Vault, requests: Iterable[Request]) -> tuple[list[_Sent], list[_Sent]]:
    """The kept requests: those that still count, and those that something newer replaces."""
    waiting: list[_Sent] = []
    late: list[_Sent] = []
    talk = said(vault.contents, vault.clock())
    for request in requests:
        sent = _opened(vault, request)
        channel = channel_at(vault.contents, sent.key[0])
        (late if is_outdated(channel, sent.key, talk) else waiting).append(sent)
    return waiting, late


async def _take_back(errand: Errand, late: list[_Sent]) -> list[_Sent]:
    """Takes requests back from the relay; returns those that may still be there."""
    done = await together(errand.take_back(sent.request.hash) for sent in late)
    return [sent for sent, taken in zip(late, done, strict=True) if not taken]


async def _seal_and_send(
    errand: Errand, host: str, fingerprint: bytes, puts: list[Outgoing], outcome: Deposited
) -> _Results:
    """Seals, keeps and sends what goes to one server, whose statement is asked for once."""
    try:
        statement = await errand.statement(host, fingerprint)
    except KithError as error:
        # Whatever one destination publishes: parcels to the others go out.
        if not isinstance(error, ServerRefused):
            outcome.warn(host, error)
        outcome.waiting += len(puts)
        return []
    outcome.shown.update(((put.channel, host, fingerprint), None) for put in puts)
    return await _send_all(errand, [await _seal(errand.vault, statement, put) for put in puts], outcome)


async def _seal(vault: Vault, statement: ServerStatement, put: Outgoing) -> _Sent:
    request, raw = await sealed(statement, put.put, vault.clock())
    note: dict[str, Value] = {"key": list(put.key), "response_key": request.response_key}
    kept = Request(request_hash(raw), put.host, raw, vault.seal_note(note))
    await vault.mirror.add_request(kept)
    return _Sent(kept, put.key, request.response_key)


async def _send_all(errand: Errand, requests: list[_Sent], outcome: Deposited) -> _Results:
    results = await together(_send(errand, sent, outcome) for sent in requests)
    return list(zip(requests, results, strict=True))


async def _send(errand: Errand, sent: _Sent, outcome: Deposited) -> PutResult | None:
    """The receipt of one request; None while there is none, or where it has to be sealed again."""
    request = sent.request
    try:
        answer = await errand.carry(request.host, request.request)
        if answer is None:
            return None
        return await asyncio.to_thread(open_put_answer, sent.response_key, request.hash, answer)
    except Undecryptable:
        # The gateway key was changed since, or somebody answered in its place: seal anew at the next sync.
        await errand.take_back(request.hash)
    except KithError as error:
        # Whatever is answered about one request: the receipts of the others count.
        outcome.warn(request.host, error)
        if isinstance(error, ServerRefused) and (error.final or error.code == GIVEN_UP):
            await errand.take_back(request.hash)
    return None


async def _settle(errand: Errand, results: _Results, outcome: Deposited) -> None:
    settled = [(sent, result) for sent, result in results if result is not None]
    vault = errand.vault
    outcome.edit = await asyncio.to_thread(_learned, vault.contents, vault.stamp(), settled, outcome.shown)
    outcome.waiting += len(results) - len(settled)
    for _, result in settled:
        outcome.receipts += result.receipted
        outcome.waiting += not result.receipted and result.status is not PutStatus.NO_MAILBOX
    # Answered requests are not sent again: where deleting one fails, it expires at the relay by itself.
    await vault.mirror.drop_requests([sent.request.hash for sent, _ in settled])
    await together(errand.clear(sent.request.hash) for sent, _ in settled)


def _learned(
    contents: Contents,
    stamp: Stamp,
    settled: Iterable[tuple[_Sent, PutResult]],
    shown: Iterable[tuple[bytes, str, bytes]],
) -> Edit:
    """What all receipts change together, and that servers showed their keys. Each is weighed against channels and
    issues only, all that they touch."""
    touched = {record: content for record, content in contents.items() if content.kind in ("channel", "issue")}
    edit: Edit = {}
    for place in shown:
        edit.update(note_shown(overlay(touched, edit), stamp, *place))
    for sent, result in settled:
        edit.update(receipted(overlay(touched, edit), stamp, sent.key, result.status))
    return edit


def _opened(vault: Vault, request: Request) -> _Sent:
    match vault.open_note(request.note):
        case {"key": [bytes(channel), str(what), int(version), bytes(mailbox)], "response_key": bytes(response_key)}:
            return _Sent(request, (channel, what, version, mailbox), response_key)
        case _:
            raise Undecryptable("A note about a parcel is damaged.")
