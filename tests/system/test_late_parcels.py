"""What still lies at the relay when something newer is due must never arrive before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kith_client.book import grants, me
from kith_client.errors import ServerRefused
from kith_client.lifecycle.setup import create_vault
from kith_client.online import home_server
from kith_client.relations import records
from kith_client.relations.peers import their_properties
from kith_client.store.home import Home
from kith_client.sync.befriend import accept_invite, make_invite
from kith_client.sync.run import sync
from kith_client.vault import Vault
from tests.support.mail_world import sites


async def test_what_was_withdrawn_while_the_peers_server_was_down_is_never_delivered(tmp_path: Path) -> None:
    async with sites(tmp_path, "anna-server", "bob-server") as (anna_site, bob_site):
        bob_site.clock = clock = anna_site.clock
        for name, site in (("Anna Beck", anna_site), ("Bob Lund", bob_site)):
            await create_vault(Home(tmp_path / name), site.url, name, "laptop", clock=clock)
        async with (
            await Vault.open(Home(tmp_path / "Anna Beck"), clock=clock) as anna,
            await Vault.open(Home(tmp_path / "Bob Lund"), clock=clock) as bob,
            home_server(anna) as annas,
            home_server(bob) as bobs,
        ):
            await accept_invite(bob, bobs, (await make_invite(anna, annas)).link)
            for vault, server in ((anna, annas), (bob, bobs), (anna, annas), (bob, bobs)):
                await sync(vault, server)
            await bob_site.stop()
            edit, _ = me.set_mine(anna.contents, anna.stamp(), "tel", "+49 40 1234567", ["private"])
            await anna.apply(edit)
            target = grants.resolve_target(anna.contents, "Bob Lund")
            await anna.apply(grants.grant(anna.contents, anna.stamp(), target, "private"))
            assert (await sync(anna, annas, patience=0)).waiting == 1
            (granting,) = await anna.mirror.requests()

            await anna.apply(grants.withdraw(anna.contents, anna.stamp(), target, "private"))
            assert (await sync(anna, annas, patience=0)).waiting == 1
            (withdrawing,) = await anna.mirror.requests()
            assert withdrawing.hash != granting.hash
            with pytest.raises(ServerRefused):
                await annas.relayed(anna.id, granting.hash)

            await bob_site.start()
            assert (await sync(anna, annas)).waiting == 0
            await sync(bob, bobs)
            (peer,) = records.peers(bob.contents)
            assert [prop.key for prop, _ in their_properties(bob.contents, peer.contact)] == ["FN"]
