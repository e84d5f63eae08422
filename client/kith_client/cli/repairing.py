"""`kith repair`: the server was put back to an earlier day."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from kith_client.cli.online import with_server
from kith_client.cli.options import command
from kith_client.cli.output import Output

if TYPE_CHECKING:
    from kith_client.lifecycle.repairing import Missing
    from kith_client.transport import HomeServer
    from kith_client.vault import Vault


@command("repair", "kith repair", "kith repair --yes")
@with_server
async def repair_command(vault: Vault, server: HomeServer, out: Output) -> None:
    """Put right what the server lost: after the restore of a backup it lacks what was written since.

    First it shows what is missing; nothing changes before you agree. Your other devices follow with their next sync.
    """
    from kith_client.lifecycle.repairing import look, repair
    from kith_client.sync.run import sync

    with out.counted("Reading") as progress:
        missing = await look(vault, server, progress)
    if missing is None:
        out.message("The server has all that this device has. There is nothing to repair.")
        out.result({"missing": None, "repaired": False})
        return
    for line in _words(missing):
        out.message(line)
    if not out.confirm("Go on only if whoever runs the server did put it back. Repair it?"):
        out.message("Nothing was changed.")
        out.result({"missing": dataclasses.asdict(missing), "repaired": False})
        return
    with out.counted("Repairing") as progress:
        repaired = await repair(vault, server, progress)
    await sync(vault, server, allow_deletions=True)
    out.message("Repaired. Your other devices follow with their next sync; your peers get new keys.")
    out.result({"missing": dataclasses.asdict(missing), "repaired": repaired})


def _words(missing: Missing) -> list[str]:
    """What is missing, and what comes of it."""
    lines = [f"The server lacks {_many(missing.commits, 'commit')} that this device has verified."]
    if missing.written_since:
        lines.append(f"In their place it has {_many(missing.written_since, 'other')}; what they changed is merged.")
    entries = [
        _many(missing.contacts, "contact"),
        _many(missing.notes, "note"),
        _many(missing.others, "other entry", "other entries"),
    ]
    lines.append(f"To be written again: {', '.join(entries)}; to be deleted again: {missing.deleted}.")
    named = (
        ("Removed, and taken for a device there; it is removed again", missing.removed_devices),
        ("A device that the server does not know any more; it is added again", missing.lost_devices),
        ("Removed on the server since; it stays out, and has to join again", missing.gone_devices),
    )
    lines += [f"{what}: {', '.join(names)}." for what, names in named if names]
    if missing.epochs:
        lines.append(f"The key of the address book was changed {_many(missing.epochs, 'time')} since; it gets another.")
    places = f"{_many(missing.mailboxes, 'mailbox', 'mailboxes')} and {_many(missing.greetings, 'invite')}"
    lines.append(f"Opened again where they are lost: {places}. Parcels that are lost come again from your peers.")
    return lines


def _many(count: int, one: str, several: str = "") -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"
