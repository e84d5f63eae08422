"""`kith sync`, `log`, `doctor`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from kith_client.book.dates import iso_time
from kith_client.book.events import Event, read_entry
from kith_client.book.names import device_name
from kith_client.book.resolve import resolve_contact
from kith_client.book.showing import history
from kith_client.cli.failure import ALARM
from kith_client.cli.online import with_server
from kith_client.cli.options import command, settings
from kith_client.cli.output import Output
from kith_client.cli.seam import Book
from kith_client.cli.session import ask_passphrase, home_of, run_async, with_book
from kith_client.relations.requests.deciding import list_requests
from kith_protocol.errors import AlarmCode

if TYPE_CHECKING:
    from kith_client.sync.run import Report
    from kith_client.transport import HomeServer
    from kith_client.vault import Vault

_LOG_LENGTH = 500
_MEMBER_DIGITS = 64
_ALARMS = frozenset(code.value for code in AlarmCode)


@command("sync", "kith sync")
@with_server
async def sync_command(vault: Vault, server: HomeServer, out: Output) -> None:
    """Send what was entered here, fetch what changed elsewhere, and exchange parcels with peers."""
    from kith_client.errors import ManyDeletions

    try:
        report = await _sync(vault, server, out, allow_deletions=False)
    except ManyDeletions as error:
        if not out.confirm(f"{error} Go on?"):
            raise
        report = await _sync(vault, server, out, allow_deletions=True)
    requests = len(list_requests(vault.contents, vault.clock()))
    document = {**dataclasses.asdict(report), "requests": requests}
    alarm = next((code for each in report.alarms if (code := each.partition(":")[0]) in _ALARMS), None)
    if alarm is None:
        out.result(document, lambda: _report(out, report, requests))
        return
    if not out.json:
        _report(out, dataclasses.replace(report, alarms=[]), requests)
    # The vault itself is in step, but somebody's server broke a promise: that must not pass unseen.
    click.get_current_context().exit(out.failed(alarm, "\n".join(report.alarms), ALARM, **document))


async def _sync(vault: Vault, server: HomeServer, out: Output, *, allow_deletions: bool) -> Report:
    from kith_client.sync.run import sync

    with out.counted("Syncing") as progress:
        return await sync(vault, server, allow_deletions=allow_deletions, progress=progress)


def _report(out: Output, report: Report, requests: int) -> None:
    out.line(f"Sent {report.pushed}, fetched {report.pulled} entries.")
    if report.parcels_in or report.parcels_out or report.waiting:
        out.line(f"Peers: {report.parcels_in} received, {report.parcels_out} delivered, {report.waiting} on the way.")
    for alarm in report.alarms:
        out.warn(f"Warning: {alarm}")
    for issue in report.issues:
        out.warn(f"See 'kith issues': {issue}")
    if report.conflicts:
        out.message(f"{report.conflicts} values were changed in two places; both are kept: see 'kith issues'.")
    if requests:
        out.message(f"{_people(requests)} to be connected: see 'kith requests'.")


def _people(count: int) -> str:
    return "One person asks" if count == 1 else f"{count} people ask"


@command("log", "kith log", "kith log Anna")
@click.argument("contact", required=False)
@with_book
async def log_command(book: Book, out: Output, contact: str | None) -> None:
    """What happened on this device, oldest first; or everything about CONTACT."""
    events = [read_entry(each.at, each.what, each.by) for each in await book.events(_LOG_LENGTH)]
    if contact is not None:
        found = resolve_contact(book.contents, contact)
        before = [
            Event(past.at, f"{past.property} was {past.value}", past.by) for past in history(book.contents, found)
        ]
        events = sorted([*(each for each in events if each.contact == found), *before], key=lambda event: event.at)
    shapes = [{"at": iso_time(each.at), "what": each.what, "by": _who(book, each.by)} for each in events]
    out.result({"events": shapes}, lambda: _log(out, shapes))


def _who(book: Book, by: str) -> str:
    """The device that did it, by its name; "me" is this one, and what a peer did names the peer itself."""
    return device_name(book.contents, bytes.fromhex(by)) if len(by) == _MEMBER_DIGITS else by


def _log(out: Output, events: list[dict[str, Any]]) -> None:
    if events:
        out.table(("When", "What", "By"), [(each["at"], each["what"], each["by"]) for each in events])
    else:
        out.message("Nothing happened yet.")


@command("doctor", "kith doctor", "kith doctor --rebuild")
@click.option("--rebuild", is_flag=True, help="Make a damaged local copy anew, with what was not sent.")
def doctor_command(rebuild: bool) -> None:
    """Check this device, the address book and the server."""
    run_async(_rebuild() if rebuild else _doctor())


async def _rebuild() -> None:
    from kith_client.lifecycle.rebuilding import rebuild

    chosen = settings()
    out = Output(chosen)

    async def trust() -> bool:
        out.warn(
            "The damaged copy does not say any more how far this device had read. If your server gave back an older "
            "state of the address book now, it would not be noticed; 'kith doctor' on another device shows the same "
            "words for the head if all is well."
        )
        return out.confirm("Go on with what the server has?")

    with out.counted("Fetching") as progress:
        made = await rebuild(home_of(chosen), ask_passphrase, trust, progress=progress)
    out.message(f"The local copy is whole again: {made.records} records, and {made.kept} edits that wait for a sync.")
    if made.lost is None:
        out.warn("What else was entered here and not sent yet could not be read.")
    elif made.lost:
        out.warn(f"{made.lost} edits that were not sent yet could not be read.")
    out.message(f"The damaged copy is kept as {made.old.name}; delete it when you miss nothing.")
    lost = {} if made.lost is None else {"lost": made.lost}
    out.result({"records": made.records, "kept": made.kept, **lost, "old": str(made.old)})


async def _doctor() -> None:
    from kith_client.doctor import examine
    from kith_client.vault import Vault

    chosen = settings()
    out = Output(chosen)
    async with await Vault.open(home_of(chosen), ask_passphrase) as vault:
        checks = await examine(vault)
    shapes = [{"name": check.name, "ok": check.ok, "text": check.text} for check in checks]
    rows = [("ok" if check.ok else "PROBLEM", check.name, check.text) for check in checks]

    def show() -> None:
        for state, name, text in rows:
            out.line(f"{state:<8} {name}: {text}")

    out.result({"checks": shapes}, show)
