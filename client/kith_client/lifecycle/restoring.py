"""The server is gone: a backup and the recovery phrase put the vault on another one (spec: backup.md, Restoring).

The server is filled from the file; then the phrase does what it does in any recovery, and the vault's own record says
where it lives from now on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from kith_client.errors import ServerRefused
from kith_client.lifecycle.backup import Backup, backup_parts, read_backup
from kith_client.lifecycle.filling import Filler, History, fill
from kith_client.lifecycle.recovering import Agree, Recovered, recover, whatever_it_is
from kith_client.lifecycle.setup import check_unused, pin_server
from kith_client.relations.homes import Place, moved
from kith_client.relations.theft.personas import renewed
from kith_client.stamp import Contents, Edit, Stamp
from kith_client.store.home import Home
from kith_client.sync.receiving import Progress, no_progress
from kith_client.transport import HomeServer
from kith_client.vault import Clock, system_clock
from kith_protocol.errors import Alarm, Refused
from kith_protocol.phrase import entropy_of, paper_keys, root_key
from kith_protocol.wire import Head


async def restore(
    home: Home,
    path: Path,
    url: str,
    phrase: str,
    device_name: str,
    *,
    keep: Iterable[str] = (),
    token: str = "",
    agree: Agree = whatever_it_is,
    passphrase: str | None = None,
    clock: Clock = system_clock,
    progress: Progress = no_progress,
) -> Recovered:
    """Fills the server at `url` from the backup at `path`, and makes this device a member with the phrase.

    A server that has the vault already, from an attempt that broke off or because it is the old one, is taken as it is
    if it knows at least what the backup does. `agree` as in `recover`: who stops there leaves the new server filled,
    and may begin again. Raises `Refused` (`phrase-...`, `wrong-phrase`, `other-state`,
    `no-such-device`), `DecodingError` for a damaged file, `ServerUnreachable`, `ServerRefused`, or an `Alarm`.
    """
    check_unused(home)
    entropy = entropy_of(phrase)
    paper, root = paper_keys(entropy), await asyncio.to_thread(root_key, entropy)
    backup = await asyncio.to_thread(read_backup, path)
    if backup.chain.paper != paper.id:
        raise Refused("wrong-phrase", "This phrase does not belong to the address book in the backup.")
    async with HomeServer.connect(url) as server:
        place = Place(server.url, pin_server(await server.statement(), server.host, clock()))
        try:
            await fill(Filler(server, paper, clock, token), _history(backup, path), progress)
        except ServerRefused as refusal:
            if refusal.code != "vault-exists":
                raise
    mark = (backup.chain.number, backup.chain.head)

    def begin_anew(contents: Contents, stamp: Stamp) -> Edit:
        # Peers know versions, keys and addresses that came after the backup: under a new persona, whose number is the
        # time and so above all that came, every relationship is made anew.
        return {**moved(contents, stamp, place, None), **renewed(contents, (), stamp, root)}

    try:
        return await recover(
            home,
            url,
            backup.chain.vault,
            phrase,
            device_name,
            keep=keep,
            mark=mark,
            also=begin_anew,
            agree=agree,
            passphrase=passphrase,
            clock=clock,
            progress=progress,
        )
    except Alarm as alarm:
        raise Refused(
            "other-state", f"The server has another or an older state of this address book than the backup. {alarm}"
        ) from None


def _history(backup: Backup, path: Path) -> History:
    head = Head(backup.chain.number, backup.chain.head)
    return History(backup.genesis, head, backup.records, partial(backup_parts, path))
