"""A vault that lives elsewhere now: the server that it left knows its members, and forgets it when it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kith_protocol.encoding import decode
from kith_protocol.mailbox import MailboxKind
from kith_protocol.member import MemberKeys
from kith_protocol.moving import SignedForgotten, check_forgotten
from kith_protocol.wire import Follow, Followed, Head, OpenMailbox, Push
from kith_server.keys import DATABASE
from kith_server.mail_keys import SERVER_KEYS
from kith_server.server_keys import load_server_key
from tests.server.test_filling import Filler, count, is_sound, is_unknown, parts, refusal
from tests.support.home_server import ORIGIN, HomeServer, Refusal, home_server
from tests.support.vaults import VaultBuilder, new_member, record_id


@pytest.fixture
async def old(tmp_path: Path) -> AsyncIterator[HomeServer]:
    async with home_server(tmp_path / "old") as running:
        yield running


async def follow(server: HomeServer, vault: VaultBuilder, *pushes: Push, member: MemberKeys | None = None) -> Head:
    commits = tuple((push.commit, push.keys) for push in pushes)
    return decode(await server.as_member(vault, "POST", "/followed", Follow(commits), member), Followed).known


async def is_out(server: HomeServer, vault: VaultBuilder, member: MemberKeys) -> bool:
    """Whether neither its sessions are good any more nor it gets a new one."""
    server.tokens.pop((vault.vault, member.id), None)
    try:
        await server.open_session(vault, member)
    except Refusal as refused:
        return (refused.status, refused.code) == (401, "session-refused")
    return False


async def test_a_device_that_was_removed_at_the_new_server_is_out_at_the_old_one(old: HomeServer) -> None:
    vault, phone = await old.begin(), new_member()
    await old.push(vault, vault.push({record_id(): {"a": 1}}))
    await old.push(vault, vault.add_device(phone.public))
    token = await old.open_session(vault, phone)
    since = [vault.push({record_id(): {"b": 1}}), vault.remove_member(phone.id)]
    assert await follow(old, vault, *since) == Head(vault.chain.number, vault.chain.head)
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/v1/vaults/{vault.vault.hex()}"
    assert await refusal(old.call("GET", f"{path}/parcels?after=0", headers=headers)) == (401, "session")
    assert await refusal(old.open_session(vault, phone)) == (401, "session-refused")
    assert await is_sound(old, vault)


async def test_a_device_that_was_added_at_the_new_server_gets_in_at_the_old_one(old: HomeServer) -> None:
    vault, tablet = await old.begin(), new_member()
    added = vault.add_device(tablet.public)
    assert await refusal(old.open_session(vault, tablet)) == (401, "session-refused")
    await follow(old, vault, added)
    await old.as_member(vault, "GET", "/parcels?after=0", member=tablet)


async def test_following_survives_a_restart(tmp_path: Path) -> None:
    vault, phone = VaultBuilder.new(), new_member()
    async with home_server(tmp_path / "old") as old:
        await old.begin(vault)
        await old.push(vault, vault.add_device(phone.public))
        await follow(old, vault, vault.remove_member(phone.id))
    async with home_server(tmp_path / "old") as old:
        assert await refusal(old.open_session(vault, phone)) == (401, "session-refused")
        assert await follow(old, vault) == Head(vault.chain.number, vault.chain.head)


async def with_thief(server: HomeServer) -> tuple[VaultBuilder, MemberKeys]:
    vault, thief = await server.begin(), new_member()
    await server.push(vault, vault.add_device(thief.public))
    return vault, thief


async def test_a_device_that_says_at_the_home_server_that_the_vault_left_stops_nobody_there(old: HomeServer) -> None:
    vault, thief = await with_thief(old)
    fork, tablet = replace(vault), new_member()
    await follow(old, vault, fork.draft({}, thief).push(), member=thief)
    await old.push(vault, vault.push({record_id(): {"a": 1}}))
    await old.push(vault, vault.add_device(tablet.public))
    await old.as_member(vault, "GET", "/parcels?after=0", member=tablet)
    await old.push(vault, vault.remove_member(thief.id))
    assert await is_out(old, vault, thief)
    assert await is_sound(old, vault)


async def test_nobody_follows_while_the_paper_key_is_at_work_but_the_paper_key(old: HomeServer) -> None:
    vault, thief = await with_thief(old)
    fork = replace(vault)
    await old.open_session(vault, vault.paper)
    lie = follow(old, vault, fork.draft({}, thief).push(), member=thief)
    assert await refusal(lie) == (423, "paper-key-at-work")
    await follow(old, vault, member=thief)  # it only asks
    await follow(old, vault, vault.push(), member=vault.paper)


async def test_whom_a_thief_shut_out_by_following_the_phrase_lets_in_again(old: HomeServer) -> None:
    vault, thief = await with_thief(old)
    fork = replace(vault)
    await follow(old, vault, fork.remove_member(vault.device.id, author=thief), member=thief)
    assert await is_out(old, vault, vault.device)
    await old.push(vault, vault.remove_member(thief.id, author=vault.paper), vault.paper)
    assert await is_out(old, vault, thief)
    assert not await is_out(old, vault, vault.device)
    assert await is_sound(old, vault)


async def test_a_device_that_tells_a_commit_of_its_own_before_it_is_removed_is_out_all_the_same(
    old: HomeServer,
) -> None:
    vault, thief = await with_thief(old)
    fork, spy = replace(vault), new_member()
    await follow(old, vault, fork.add_device(spy.public, author=thief), member=thief)
    await old.open_session(vault, spy)
    await follow(old, vault, vault.push(), vault.remove_member(thief.id))
    assert await is_out(old, vault, thief)
    assert await is_out(old, vault, spy), "whom it let in is nobody in what was told last"


async def test_a_device_that_writes_at_the_server_that_was_left_is_out_all_the_same(old: HomeServer) -> None:
    vault, thief, spy = await old.begin(), new_member(), new_member()
    history = [vault.add_device(thief.public)]
    await old.push(vault, history[0])
    fork = replace(vault)
    history += [vault.push(), vault.remove_member(thief.id)]
    await old.push(fork, fork.add_device(spy.public, author=thief), thief)
    assert await refusal(follow(old, vault, *history[1:])) == (409, "head-moved")
    await follow(old, vault, *history)  # from the first commit on, which both have
    assert await is_out(old, vault, thief)
    assert await is_out(old, vault, spy)
    assert not await is_out(old, vault, vault.device)


async def test_who_was_removed_in_either_of_two_histories_stays_out_until_the_phrase_is_used(old: HomeServer) -> None:
    vault, phone = await with_thief(old)
    fork = replace(vault)
    await follow(old, vault, vault.remove_member(phone.id))
    await follow(old, vault, fork.push({record_id(): {"a": 1}}))
    assert await is_out(old, vault, phone)
    await follow(old, vault, fork.push(), member=vault.paper)
    assert not await is_out(old, vault, phone)


async def test_it_survives_a_restart_who_was_shut_out(tmp_path: Path) -> None:
    async with home_server(tmp_path / "old") as old:
        vault, phone = await with_thief(old)
        fork = replace(vault)
        await follow(old, vault, vault.remove_member(phone.id))
        await follow(old, vault, fork.push())
    async with home_server(tmp_path / "old") as old:
        assert await is_out(old, vault, phone)


async def test_nobody_who_was_shut_out_writes_by_the_session_of_another(old: HomeServer) -> None:
    vault, phone = await with_thief(old)
    fork = replace(vault)
    await follow(old, vault, vault.remove_member(phone.id))
    assert await refusal(old.push(fork, fork.draft({}, phone).push())) == (422, "unknown-member")


async def test_only_a_member_tells_who_is_one(old: HomeServer) -> None:
    vault, thief = await with_thief(old)
    assert await refusal(follow(old, vault, vault.remove_member(thief.id), member=thief)) == (422, "unknown-member")
    assert not await is_out(old, vault, thief)


async def test_only_members_tell_the_server_who_is_one_and_only_by_the_chain(old: HomeServer) -> None:
    vault, other = await old.begin(), await old.begin()
    fork = replace(vault)
    step = vault.push()
    await follow(old, vault, step)
    fork.push({record_id(): {"a": 1}})
    assert await refusal(follow(old, vault, fork.push())) == (409, "head-moved")
    assert await refusal(follow(old, vault, other.push())) == (409, "head-moved")
    stranger = new_member()
    assert await refusal(follow(old, vault, vault.draft({}, stranger).push())) == (422, "unknown-member")
    assert await refusal(follow(old, vault, member=stranger)) == (401, "session-refused")


async def forget(server: HomeServer, vault: VaultBuilder, member: MemberKeys) -> SignedForgotten:
    return decode(await server.as_member(vault, "DELETE", "", member=member), SignedForgotten)


async def test_the_paper_key_lets_the_server_forget_everything_and_sign_that_it_did(
    old: HomeServer, tmp_path: Path
) -> None:
    vault, other = await old.begin(), await old.begin()
    await old.push(vault, vault.push({record_id(): {"a": 1}}))
    mailbox = OpenMailbox(b"w" * 16, vault.device.sign.public, MailboxKind.PARCELS)
    await old.as_member(vault, "PUT", f"/mailboxes/{bytes(16).hex()}", mailbox)
    said = await forget(old, vault, vault.paper)
    key = load_server_key(tmp_path / "old").public
    assert check_forgotten(said, key, ORIGIN, vault.vault).time == old.clock()
    assert old.app[SERVER_KEYS].statement
    assert await is_unknown(old, vault)
    assert await count(old, "vaults") == 1
    for table in ("commits", "records", "blobs", "mailboxes", "sessions", "nonces"):
        query = f"SELECT count(*) FROM {table} WHERE vault = ?"
        rows = await old.app[DATABASE].read(lambda c, q=query: c.execute(q, (vault.vault,)).fetchone())  # type: ignore[misc]
        assert rows[0] == 0, table
    assert await is_sound(old, other)


async def test_a_device_cannot_delete_a_vault(old: HomeServer) -> None:
    vault = await old.begin()
    assert await refusal(forget(old, vault, vault.device)) == (403, "paper-key-only")
    assert await is_sound(old, vault)


async def test_the_phrase_overcomes_a_removed_device_that_occupies_the_vaults_id_with_an_old_state(
    tmp_path: Path,
) -> None:
    async with home_server(tmp_path / "old") as old, home_server(tmp_path / "new") as new:
        vault, thief = await old.begin(), new_member()
        await old.push(vault, vault.push({record_id(): {"a": 1}}))
        await old.push(vault, vault.add_device(thief.public))
        stale, then = parts(await old.feed(vault))[1:], Head(vault.chain.number, vault.chain.head)
        await old.push(vault, vault.remove_member(thief.id))
        await Filler(new, vault, thief).fill(stale, then)
        mine = Filler(new, vault)
        assert await refusal(mine.begin()) == (409, "vault-exists")
        await forget(new, vault, vault.paper)
        await mine.fill(parts(await old.feed(vault))[1:], Head(vault.chain.number, vault.chain.head))
        assert await is_sound(new, vault)
        assert await refusal(new.open_session(vault, thief)) == (401, "session-refused")
