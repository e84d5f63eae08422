"""A thief writes into the vault that it lives elsewhere: the phrase has it stay where the person uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kith_client.errors import HomeMoved
from kith_client.lifecycle.moving import at_home
from kith_client.lifecycle.recovering import recover
from kith_client.relations.homes import HOME, Place, here, moved
from kith_client.stamp import Edit
from kith_client.store.home import Home
from kith_client.sync.push import push_all
from kith_client.sync.run import sync
from kith_protocol.encoding import Value
from kith_protocol.errors import KithError, Refused
from tests.adversary.test_stolen import Theft, theft
from tests.adversary.world import link

__all__ = ["theft"]

NOWHERE = "https://nowhere.example"
NO_HOME: dict[str, dict[str, Value]] = {
    "no server at all": {"here": 1},
    "no URL": {"here": {"url": "https://[1:2", "fingerprint": bytes(16), "since": 1}},
    "a URL in another form": {"here": {"url": NOWHERE.upper(), "fingerprint": bytes(16), "since": 1}},
    "a server without encryption": {"here": {"url": "http://nowhere.example", "fingerprint": bytes(16), "since": 1}},
    "a damaged former one": {"here": {"url": NOWHERE, "fingerprint": bytes(16), "since": 1}, "former/x": 1},
}
"""Records that nobody goes by."""


def place_of(theft: Theft) -> Place:
    return Place(theft.laptop.vault.device.server, theft.laptop.vault.device.fingerprint)


def said(theft: Theft, kind: str) -> Edit:
    """The thief's record."""
    stamp = theft.thief.vault.stamp()
    if kind in NO_HOME:
        return {stamp.record_id(): stamp.content(HOME, NO_HOME[kind])}
    if kind == "this server's key at another":
        return moved(theft.thief.vault.contents, stamp, Place(NOWHERE, place_of(theft).fingerprint), None)
    if kind == "another key at this server":
        return moved(theft.thief.vault.contents, stamp, Place(theft.site.url, bytes(16)), None)
    return moved(theft.thief.vault.contents, stamp, Place(NOWHERE, bytes(16)), None)


KINDS = ["another server", "this server's key at another", "another key at this server"]


@pytest.mark.parametrize("kind", NO_HOME)
async def test_a_record_that_names_no_server_leads_nobody_away(theft: Theft, kind: str) -> None:
    await theft.write(said(theft, kind))
    await theft.laptop.sync()
    assert here(theft.laptop.vault.contents) is None
    await theft.take_back()
    await theft.settle()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("heard", [False, True])
async def test_a_device_takes_the_vault_back_where_it_is_whatever_home_a_thief_wrote(
    theft: Theft, kind: str, heard: bool
) -> None:
    await theft.write(said(theft, kind))
    if heard:
        with pytest.raises(HomeMoved):
            await theft.laptop.sync()
    assert await theft.take_back() == 1
    assert here(theft.laptop.vault.contents) == place_of(theft)
    async with at_home(theft.laptop.vault) as server:
        await sync(theft.laptop.vault, server)
    await theft.works_again()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_recovery_takes_the_vault_back_at_the_server_that_the_person_names(
    theft: Theft, tmp_path: Path, kind: str
) -> None:
    await theft.write(said(theft, kind))
    vault_id = theft.laptop.vault.id
    made = await recover(Home(tmp_path / "new"), theft.site.url, vault_id, theft.phrase, "new", stolen=True)
    async with made.vault as vault, at_home(vault) as server:
        assert here(vault.contents) == place_of(theft)
        await sync(vault, server)


async def test_another_device_that_believed_the_thief_comes_back_by_itself(theft: Theft) -> None:
    async with await link(theft.site, theft.laptop, theft.folder / "tablet", "tablet") as tablet:
        await theft.thief.sync()
        await theft.write(said(theft, "another server"))
        with pytest.raises(HomeMoved):
            await tablet.sync()
        with pytest.raises(KithError):
            async with at_home(tablet.vault):
                pass
        await theft.take_back(keep=frozenset({tablet.vault.member.id}))
        async with at_home(tablet.vault) as server:
            await sync(tablet.vault, server)
        await theft.laptop.sync()
        assert tablet.vault.chain.head == theft.laptop.vault.chain.head


async def test_the_phrase_is_not_used_at_a_server_that_a_device_which_stays_left(theft: Theft) -> None:
    """The tablet moved the vault; on the laptop, which did not hear of it, the phrase would make a fork."""
    async with await link(theft.site, theft.laptop, theft.folder / "tablet", "tablet") as tablet:
        edit = moved(tablet.vault.contents, tablet.vault.stamp(), Place(NOWHERE, bytes(16)), None)
        await push_all(tablet.vault, tablet.server, edit)
        with pytest.raises(Refused) as refused:
            await theft.take_back(keep=frozenset({tablet.vault.member.id}))
        assert refused.value.code == "moved"
        assert theft.site.rows("SELECT max(number) FROM commits") == [(tablet.vault.chain.number,)]
