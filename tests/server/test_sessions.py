"""Sessions over real HTTP: who gets one, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kith_protocol.encoding import decode
from kith_protocol.session import PAPER_SESSION, SESSION_LIFETIME, SESSION_SKEW
from kith_protocol.suite import digest
from kith_protocol.wire import SessionGrant, SessionRequest
from kith_server.keys import DATABASE, SESSIONS
from tests.support.home_server import ORIGIN, HomeServer, Refusal, home_server
from tests.support.vaults import VaultBuilder, new_member, record_id


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HomeServer]:
    async with home_server(tmp_path / "anna") as running:
        yield running


async def refused(server: HomeServer, asked: SessionRequest) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        await server.call("POST", "/v1/sessions", asked)
    return caught.value.status, caught.value.code


async def with_token(server: HomeServer, vault: VaultBuilder, authorization: str) -> int:
    path = f"{server.base}/v1/vaults/{vault.vault.hex()}/head"
    async with server.http.get(path, headers={"Authorization": authorization} if authorization else {}) as response:
        return response.status


async def test_a_member_gets_a_session_for_a_day_at_most(server: HomeServer) -> None:
    vault = await server.begin()
    raw = await server.call("POST", "/v1/sessions", vault.session(ORIGIN, server.clock()))
    grant = decode(raw, SessionGrant)
    assert grant.expires == server.clock() + SESSION_LIFETIME
    authorization = f"Bearer {grant.token.hex()}"
    assert await with_token(server, vault, authorization) == 200
    server.clock.now += SESSION_LIFETIME
    assert await with_token(server, vault, authorization) == 401


async def test_the_paper_key_gets_one_too(server: HomeServer) -> None:
    vault = await server.begin()
    await server.open_session(vault, vault.paper)
    assert await server.as_member(vault, "GET", "/head", member=vault.paper)


async def test_strangers_learn_nothing_about_what_is_there(server: HomeServer) -> None:
    vault, elsewhere = await server.begin(), VaultBuilder.new()
    stranger = new_member()
    good = vault.session(ORIGIN, server.clock())
    by_stranger = vault.session(ORIGIN, server.clock(), stranger)
    forged = SessionRequest(good.statement, by_stranger.signature)
    unknown_vault = elsewhere.session(ORIGIN, server.clock())
    answers = [await refused(server, asked) for asked in (by_stranger, forged, unknown_vault)]
    assert answers == [(401, "session-refused")] * 3


async def test_a_request_for_a_session_cannot_be_replayed(server: HomeServer) -> None:
    vault = await server.begin()
    asked = vault.session(ORIGIN, server.clock())
    await server.call("POST", "/v1/sessions", asked)
    assert await refused(server, asked) == (401, "session-replayed")
    server.clock.now += SESSION_SKEW
    assert await refused(server, asked) == (401, "session-replayed")


async def test_a_request_meant_for_another_server_is_refused(server: HomeServer) -> None:
    vault = await server.begin()
    assert (await refused(server, vault.session("bob.example", server.clock())))[1] == "session-origin"


@pytest.mark.parametrize("skew", [SESSION_SKEW + 1, -SESSION_SKEW - 1])
async def test_a_request_from_another_time_is_refused(server: HomeServer, skew: int) -> None:
    vault = await server.begin()
    assert (await refused(server, vault.session(ORIGIN, server.clock() + skew)))[1] == "session-time"


async def test_a_token_is_good_for_its_vault_only(server: HomeServer) -> None:
    anna, bob = await server.begin(), await server.begin()
    authorization = f"Bearer {server.tokens[anna.vault, anna.device.id]}"
    assert await with_token(server, anna, authorization) == 200
    assert await with_token(server, bob, authorization) == 401


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer zz", "Bearer 00", f"Bearer {'00' * 32}", "Basic YTpi"])
async def test_wrong_tokens_are_answered_alike(server: HomeServer, authorization: str) -> None:
    vault = await server.begin()
    assert await with_token(server, vault, authorization) == 401


async def test_the_session_of_a_removed_member_ends_at_once_and_it_gets_no_other(server: HomeServer) -> None:
    vault = await server.begin()
    second = new_member()
    await server.push(vault, vault.add_device(second.public))
    await server.open_session(vault, second)
    assert await server.as_member(vault, "GET", "/head", member=second)
    await server.push(vault, vault.remove_member(second.id))
    with pytest.raises(Refusal, match="401"):
        await server.as_member(vault, "GET", "/head", member=second)
    assert (await refused(server, vault.session(ORIGIN, server.clock(), second))) == (401, "session-refused")


async def test_the_database_holds_no_token(server: HomeServer) -> None:
    vault = await server.begin()
    token = bytes.fromhex(server.tokens[vault.vault, vault.device.id])
    rows = await server.app[DATABASE].read(lambda c: c.execute("SELECT token FROM sessions").fetchall())
    assert rows == [(digest(token),)]


async def test_a_session_outlives_a_restart_of_the_memory(server: HomeServer) -> None:
    vault = await server.begin()
    server.app[SESSIONS].clear()
    assert await server.as_member(vault, "GET", "/head")


async def test_guessing_tokens_is_slowed_down(server: HomeServer) -> None:
    vault = await server.begin()
    path = f"{server.base}/v1/vaults/{vault.vault.hex()}/head"
    headers = {"Authorization": f"Bearer {'00' * 32}", "X-Forwarded-For": "198.51.100.7"}
    statuses = []
    for _ in range(125):
        async with server.http.get(path, headers=headers) as response:
            statuses.append(response.status)
    assert statuses.count(401) >= 120
    assert 429 in statuses
    # A member in the same network goes on.
    headers["Authorization"] = f"Bearer {server.tokens[vault.vault, vault.device.id]}"
    async with server.http.get(path, headers=headers) as response:
        assert response.status == 200


async def test_while_the_paper_key_is_at_work_nobody_else_commits(server: HomeServer) -> None:
    """Whoever holds a stolen device is faster than the person with the paper."""
    vault = await server.begin()
    await server.open_session(vault, vault.paper)
    push = vault.draft({record_id(): {}}).push()
    with pytest.raises(Refusal) as caught:
        await server.push(vault, push)
    assert (caught.value.status, caught.value.code) == (423, "paper-key-at-work")
    assert (await server.push(vault, vault.push({record_id(): {}}, vault.paper), vault.paper)).number == 1


async def test_the_paper_keys_time_ends_with_its_session_or_after_a_quarter_of_an_hour(server: HomeServer) -> None:
    vault = await server.begin()
    await server.open_session(vault, vault.paper)
    await server.as_member(vault, "DELETE", "/session", member=vault.paper)
    assert (await server.push(vault, vault.push({record_id(): {}}))).number == 1
    await server.open_session(vault, vault.paper)
    server.clock.now += PAPER_SESSION
    assert (await server.push(vault, vault.push({record_id(): {}}))).number == 2


async def test_a_session_that_was_ended_is_none_any_more(server: HomeServer) -> None:
    vault = await server.begin()
    await server.as_member(vault, "DELETE", "/session")
    with pytest.raises(Refusal, match="session"):
        await server.as_member(vault, "GET", "/head")
