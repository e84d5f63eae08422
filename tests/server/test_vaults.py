"""Registering, pushing and the head, over real HTTP."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kith_protocol.commit import change_list
from kith_protocol.encoding import decode, encode
from kith_protocol.member import MemberKind
from kith_protocol.recordheader import MAX_RECORD_BYTES
from kith_protocol.suite import digest
from kith_protocol.tree import Tree
from kith_protocol.wire import Head, Push, Register
from kith_server.config import Config, Quotas, Registration
from kith_server.keys import DATABASE
from kith_server.storage.sessions import SqliteTokens
from tests.support.home_server import URL, HomeServer, Refusal, home_server
from tests.support.vaults import Draft, VaultBuilder, new_member, record_id


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HomeServer]:
    async with home_server(tmp_path / "anna") as running:
        yield running


async def refused(server: HomeServer, vault: VaultBuilder, push: Push) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await server.push(vault, push)
    return caught.value


async def head(server: HomeServer, vault: VaultBuilder) -> Head:
    return decode(await server.as_member(vault, "GET", "/head"), Head)


def draft(vault: VaultBuilder) -> Draft:
    """The next commit, with one record replaced, one new and one deleted."""
    kept, gone = vault.hashes
    return vault.draft({kept: {"n": 2}, gone: None, record_id(): {"n": 3}})


async def begun(server: HomeServer) -> VaultBuilder:
    vault = await server.begin()
    await server.push(vault, vault.push({record_id(): {"n": 0}, record_id(): {"n": 1}}))
    return vault


async def test_registering_twice_changes_nothing(server: HomeServer) -> None:
    vault = VaultBuilder.new()
    assert await server.register(vault) == Head(0, vault.vault)
    await server.push(vault, vault.push({record_id(): {}}))
    assert (await server.register(vault)).number == 1


async def test_a_registration_with_other_keys_beside_it_is_refused(server: HomeServer) -> None:
    vault, other = VaultBuilder.new(), VaultBuilder.new()
    with pytest.raises(Refusal, match="wrong-epoch"):
        await server.call("POST", "/v1/vaults", Register("", vault.register.genesis, other.register.keys))


async def test_a_genesis_that_names_another_tree_is_refused(server: HomeServer) -> None:
    vault = VaultBuilder.new()
    genesis = vault.genesis.with_body(tree=Tree.of({record_id(): bytes(32)}).root)
    with pytest.raises(Refusal, match="wrong-tree"):
        await server.call("POST", "/v1/vaults", Register("", genesis.sign().raw, vault.register.keys))


async def test_a_genesis_that_changes_a_record_is_refused(server: HomeServer) -> None:
    vault = VaultBuilder.new()
    changes = encode(change_list([(record_id(), bytes(32))]))
    genesis = vault.genesis.with_body(changes=digest(changes))
    with pytest.raises(Refusal, match="wrong-changes"):
        await server.call("POST", "/v1/vaults", Register("", genesis.sign().raw, vault.register.keys))


async def test_pushes_move_the_head(server: HomeServer) -> None:
    vault = await begun(server)
    pushed = await server.push(vault, vault.advance(draft(vault)))
    assert pushed == Head(2, vault.chain.head) == await head(server, vault)


async def test_a_push_again_changes_nothing_even_when_others_followed(server: HomeServer) -> None:
    vault = await begun(server)
    first, second = vault.push({record_id(): {}}), vault.push({record_id(): {}})
    for push in (first, second, first, second, first):
        last = await server.push(vault, push)
    assert last == Head(3, vault.chain.head)


async def test_a_commit_on_an_old_head_is_told_only_that_the_head_moved(server: HomeServer) -> None:
    vault = await begun(server)
    late = vault.draft({record_id(): {}}).push()
    await server.push(vault, vault.push({record_id(): {}}))
    answer = await refused(server, vault, late)
    assert (answer.status, answer.code) == (409, "head-moved")
    assert (await head(server, vault)).number == 2


async def test_of_two_pushes_at_once_one_wins(server: HomeServer) -> None:
    vault = await begun(server)
    pushes = [vault.draft({record_id(): {"n": n}}).push() for n in range(8)]
    outcomes = await asyncio.gather(*(server.push(vault, push) for push in pushes), return_exceptions=True)
    assert sum(isinstance(outcome, Head) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Refusal) and outcome.code == "head-moved" for outcome in outcomes) == 7


async def test_a_commit_by_a_stranger_is_refused(server: HomeServer) -> None:
    vault = await begun(server)
    answer = await refused(server, vault, vault.draft({}, new_member()).push())
    assert (answer.status, answer.code) == (422, "unknown-member")


async def test_a_commit_signed_by_a_stranger_in_a_members_name_is_refused(server: HomeServer) -> None:
    vault = await begun(server)
    answer = await refused(server, vault, replace(draft(vault), key=new_member().sign).push())
    assert answer.code == "unknown-member"


async def test_a_commit_of_another_vault_is_refused(server: HomeServer) -> None:
    vault, other = await begun(server), await begun(server)
    answer = await refused(server, vault, other.push({record_id(): {}}))
    assert answer.code == "wrong-vault"


async def test_a_wrong_tree_is_refused_and_the_vault_goes_on(server: HomeServer) -> None:
    vault = await begun(server)
    answer = await refused(server, vault, draft(vault).with_body(tree=bytes(32)).push())
    assert answer.code == "wrong-tree"
    assert (await server.push(vault, vault.advance(draft(vault)))).number == 2


async def test_a_tree_that_forgets_a_standing_record_is_refused(server: HomeServer) -> None:
    vault = await begun(server)
    new = vault.draft({record_id(): {}})
    forgotten = next(iter(vault.hashes))
    tree = Tree.of({id_: hash_ for id_, hash_ in new.hashes.items() if id_ != forgotten}).root
    assert (await refused(server, vault, new.with_body(tree=tree).push())).code == "wrong-tree"


async def test_a_change_list_other_than_the_signed_one_is_refused(server: HomeServer) -> None:
    vault = await begun(server)
    good = draft(vault)
    other = vault.draft({record_id(): {}})
    assert (await refused(server, vault, replace(good, changes=other.changes).push())).code == "wrong-changes"


@pytest.mark.parametrize("spoil", ["missing", "extra", "order", "other bytes"])
async def test_records_other_than_those_of_the_change_list_are_refused(server: HomeServer, spoil: str) -> None:
    vault = await begun(server)
    good = draft(vault)
    (first, blob), second = good.records
    records = {
        "missing": (second,),
        "extra": (*good.records, (b"\xff" * 16, blob)),
        "order": (second, (first, blob)),
        "other bytes": ((first, blob[:-1] + bytes([blob[-1] ^ 1])), second),
    }[spoil]
    assert (await refused(server, vault, replace(good, records=records).push())).code == "wrong-records"


async def test_a_record_sealed_in_another_epoch_is_refused(server: HomeServer) -> None:
    vault = await begun(server)
    good = vault.draft({record_id(): {}})
    (id_, blob), *_ = good.records
    old = blob[:1] + (7).to_bytes(4, "big") + blob[5:]
    changes = encode(change_list([(id_, digest(old))]))
    tree = Tree.of({**good.hashes, id_: digest(old)}).root
    bad = replace(good, records=((id_, old),), changes=changes).with_body(changes=digest(changes), tree=tree)
    assert (await refused(server, vault, bad.push())).code == "wrong-epoch"


async def test_a_record_over_its_limit_is_refused(server: HomeServer) -> None:
    vault = await begun(server)
    good = vault.draft({record_id(): {}})
    (id_, blob), *_ = good.records
    big = blob + bytes(MAX_RECORD_BYTES)
    changes = encode(change_list([(id_, digest(big))]))
    bad = replace(good, records=((id_, big),), changes=changes).with_body(changes=digest(changes))
    answer = await refused(server, vault, bad.push())
    assert (answer.status, answer.code) == (413, "limit-exceeded")


async def test_a_push_with_trailing_bytes_is_undecodable(server: HomeServer) -> None:
    vault = await begun(server)
    with pytest.raises(Refusal) as caught:
        await server.as_member(vault, "POST", "/commits", encode(draft(vault).push()) + b"\x00")
    assert (caught.value.status, caught.value.code) == (422, "undecodable")


async def test_a_push_over_the_body_limit_is_refused_before_it_is_read(server: HomeServer) -> None:
    vault = await begun(server)
    with pytest.raises(Refusal) as caught:
        await server.as_member(vault, "POST", "/commits", bytes(18 * 1024 * 1024))
    assert caught.value.status == 413


async def test_a_compressed_push_is_refused(server: HomeServer) -> None:
    vault = await begun(server)
    token = server.tokens[vault.vault, vault.device.id]
    headers = {"Authorization": f"Bearer {token}", "Content-Encoding": "gzip"}
    with pytest.raises(Refusal) as caught:
        await server.call("POST", f"/v1/vaults/{vault.vault.hex()}/commits", b"x" * 99, headers=headers)
    assert caught.value.status == 415


async def test_a_device_that_was_added_pushes_and_one_that_was_removed_cannot(server: HomeServer) -> None:
    vault = await begun(server)
    second = new_member()
    await server.push(vault, vault.add_device(second.public))
    await server.push(vault, vault.push({record_id(): {}}, second), second)
    removed_by_first = vault.remove_member(second.id)
    await server.push(vault, removed_by_first)
    with pytest.raises(Refusal) as caught:
        await server.push(vault, vault.draft({}, second).push(), second)
    assert (caught.value.status, caught.value.code) == (401, "session")
    assert (await refused(server, vault, vault.draft({}, second).push())).code == "unknown-member"


async def test_a_repair_on_the_head_is_taken_and_one_without_a_new_epoch_is_refused(server: HomeServer) -> None:
    """The server holds it against the rules as every commit; whom it gives up commits for is not its business."""
    vault = await begun(server)
    lost = (secrets.token_bytes(32),)
    bare = vault.draft({}).with_body(abandoned=lost)
    assert (await refused(server, vault, bare.push())).code == "wrong-epoch"
    second = new_member()
    await server.push(vault, vault.add_device(second.public))
    repair = vault.draft_removal(second.id).with_body(abandoned=lost)
    assert await server.push(vault, vault.advance(repair)) == Head(vault.chain.number, vault.chain.head)
    await server.push(vault, vault.push({record_id(): {}}))


async def test_a_commit_that_adds_a_second_paper_key_is_refused(server: HomeServer) -> None:
    vault = await begun(server)
    paper = new_member(MemberKind.PAPER)
    push = vault.draft_addition(paper.public).push()
    assert (await refused(server, vault, push)).code == "membership"


async def test_a_full_vault_takes_deletions_but_no_records(tmp_path: Path) -> None:
    config = Config(URL, registration=Registration.OPEN, quotas=Quotas(vault_bytes=12_000))
    async with home_server(tmp_path / "small", config=config) as server:
        vault = await begun(server)
        big = record_id()
        answer = await refused(server, vault, vault.draft({big: {"b": bytes(20_000)}}).push())
        assert (answer.status, answer.code) == (413, "quota-exceeded")
        await server.push(vault, vault.push({next(iter(vault.hashes)): None}))


async def test_closed_registration_takes_nobody(tmp_path: Path) -> None:
    config = Config(URL, registration=Registration.CLOSED)
    async with home_server(tmp_path / "closed", config=config) as server:
        with pytest.raises(Refusal) as caught:
            await server.register(VaultBuilder.new())
        assert (caught.value.status, caught.value.code) == (403, "registration-closed")


async def test_a_registration_token_is_good_for_one_vault(tmp_path: Path) -> None:
    config = Config(URL, registration=Registration.TOKEN)
    async with home_server(tmp_path / "token", config=config) as server:
        token = secrets.token_hex(16)
        await SqliteTokens(server.app[DATABASE]).add([digest(token.encode())], 0)
        first, second = VaultBuilder.new(token), VaultBuilder.new(token)
        for wrong in ("", "no-such-token"):
            with pytest.raises(Refusal, match="registration-token"):
                await server.register(VaultBuilder.new(wrong))
        assert (await server.register(first)).number == 0
        assert (await server.register(first)).number == 0
        with pytest.raises(Refusal, match="registration-token"):
            await server.register(second)


async def test_a_server_with_enough_vaults_takes_no_more(tmp_path: Path) -> None:
    config = Config(URL, registration=Registration.OPEN, quotas=Quotas(vaults=1))
    async with home_server(tmp_path / "one", config=config) as server:
        await server.begin()
        with pytest.raises(Refusal, match="registration-full"):
            await server.begin()


async def test_registrations_from_one_network_are_limited_and_others_go_on(server: HomeServer) -> None:
    async def register(address: str) -> int:
        try:
            body = VaultBuilder.new().register
            await server.call("POST", "/v1/vaults", body, headers={"X-Forwarded-For": f"10.0.0.1, {address}"})
        except Refusal as refusal:
            return refusal.status
        return 200

    assert [await register("198.51.100.7") for _ in range(11)].count(429) == 1
    assert await register("198.51.100.200") == 429
    assert await register("203.0.113.9") == 200


async def test_answers_carry_security_headers_and_do_not_name_the_software(server: HomeServer) -> None:
    async with server.http.get(server.base + "/healthz") as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Server"] == "kith"
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/v1/vaults/zz/head", "/v1/vaults/00/head", "/nothing", f"/v1/vaults/{'AB' * 32}/head"]
)
async def test_unknown_paths_are_answered_as_failures(server: HomeServer, path: str) -> None:
    with pytest.raises(Refusal) as caught:
        await server.call("GET", path)
    assert (caught.value.status, caught.value.code) == (404, "not-found")


async def test_a_restarted_server_has_everything(tmp_path: Path) -> None:
    async with home_server(tmp_path / "anna") as server:
        vault = await begun(server)
        expected = await head(server, vault)
        token = server.tokens[vault.vault, vault.device.id]
    async with home_server(tmp_path / "anna") as server:
        server.tokens[vault.vault, vault.device.id] = token
        assert await head(server, vault) == expected
        await server.push(vault, vault.push({record_id(): {}}))
