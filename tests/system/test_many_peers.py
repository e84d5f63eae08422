"""More changes by the program itself than one push may carry."""

from __future__ import annotations

from pathlib import Path

from kith_client.lifecycle.setup import create_vault
from kith_client.online import home_server
from kith_client.store.home import Home
from kith_client.sync.push import push_all
from kith_client.vault import Vault
from kith_protocol.commit import MAX_CHANGES
from tests.support.mail_world import sites


async def test_more_changes_of_the_program_than_a_push_may_carry_go_out_in_several(tmp_path: Path) -> None:
    async with sites(tmp_path, "server") as (site,):
        await create_vault(Home(tmp_path / "home"), site.url, "Anna Beck", "laptop", clock=site.clock)
        async with await Vault.open(Home(tmp_path / "home"), clock=site.clock) as vault, home_server(vault) as server:
            before, stamp = vault.chain.number, vault.stamp()
            edit = {stamp.record_id(): stamp.content("theirs", {"channel": b""}) for _ in range(MAX_CHANGES + 1)}
            assert await push_all(vault, server, {}, dict(edit)) == MAX_CHANGES + 1
            assert vault.chain.number == before + 2
            assert edit.items() <= vault.contents.items()
