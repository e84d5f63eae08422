"""A forced new key through real servers: the peer learns it, answers with its own, and old mailboxes are retired."""

from __future__ import annotations

from pathlib import Path

from kith_client.relations import records
from kith_client.relations.rekeying import plan_rekeys, rekeying
from kith_client.sync.push import push_all
from tests.system.test_deposits import anna_and_peers


async def test_a_sync_carries_a_new_key_to_the_peer_and_back(tmp_path: Path) -> None:
    async with anna_and_peers(tmp_path, "bob") as (anna, (bob,), _):
        edit = plan_rekeys(anna.vault.contents, anna.vault.stamp(), forced=True)
        await push_all(anna.vault, anna.server, edit)
        (channel,) = records.channels(anna.vault.contents)
        assert rekeying(anna.vault.contents) == {channel.peer: False}
        for person in (anna, bob, anna, bob, anna):
            await person.sync()
        assert rekeying(anna.vault.contents) == {channel.peer: True}
        await anna.share()
        for person in (anna, bob):
            await person.sync()
        (theirs,) = records.channels(bob.vault.contents)
        (mine,) = records.channels(anna.vault.contents)
        assert (len(mine.mine.keys), len(mine.mine.retired), len(theirs.mine.retired)) == (1, 1, 1)
        assert any(item.kind == 3 for item in records.their_items(bob.vault.contents)), "the note arrived"
