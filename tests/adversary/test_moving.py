"""A vault moves to another server: devices and peers follow, nobody else decides it, nothing is lost or doubled."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from kith_client.access import At
from kith_client.errors import HomeMoved, ServerRefused, ServerUnreachable
from kith_client.lifecycle.filling import Filler
from kith_client.lifecycle.forgetting import forget_at, give_up
from kith_client.lifecycle.moving import _history, _leave, at_home, follow_home, move, progressed
from kith_client.lifecycle.recovering import recover
from kith_client.lifecycle.removing import remove_device
from kith_client.lifecycle.setup import Created, create_vault
from kith_client.online import signed_in
from kith_client.relations.homes import Place, home_of, moved
from kith_client.store.home import Home
from kith_client.sync import formers
from kith_client.sync.befriend import accept_invite, make_invite
from kith_client.sync.run import Report, sync
from kith_client.transport import HomeServer
from kith_client.vault import Vault
from kith_protocol.encoding import encode
from kith_protocol.errors import Alarm, AlarmCode, Refused
from kith_protocol.moving import sign_forgotten
from kith_protocol.server_statement import server_fingerprint
from kith_protocol.suite import digest
from kith_protocol.wire import CONTENT_TYPE, Failure
from kith_server.config import Registration
from kith_server.filling import FILL_LIFETIME, RESTING
from kith_server.keys import DATABASE, FILLS
from kith_server.server_keys import load_server_key
from tests.adversary.friends import Friends, set_mail, told
from tests.adversary.test_backups import told_by
from tests.adversary.world import Device, Site, begin, link, lying_site


@dataclass
class Moving:
    """Dora on a server of hers, with her peer Carl on another, and a third server to which she moves."""

    old: Site
    new: Site
    dora: Vault
    home: Home
    kit: Created
    carl: Device
    folder: Path

    @property
    def old_place(self) -> Place:
        return place_of(self.old)

    @property
    def new_place(self) -> Place:
        return place_of(self.new)

    async def move(self) -> None:
        await step(self.dora)
        await move(self.dora, self.new.url)

    async def reopen(self) -> None:
        """As after a crash: what is not on the disk is gone."""
        await self.dora.close()
        self.dora = await Vault.open(self.home)

    async def settle(self, rounds: int = 4) -> None:
        for _ in range(rounds):
            await step(self.dora)
            await self.carl.sync()

    async def mail_both(self, name: str) -> None:
        """New cards both ways, and whether they arrived."""
        for vault, who in ((self.dora, "dora"), (self.carl.vault, "carl")):
            await set_mail_of(vault, f"{who}@{name}.example")
        await self.settle()
        assert told_by(self.carl, "Dora Falk") == [f"dora@{name}.example"]
        assert told(as_device(self.dora)) == [f"carl@{name}.example"]


def place_of(site: Site) -> Place:
    return Place(site.url, server_fingerprint(load_server_key(site.data).public))


def as_device(vault: Vault) -> Device:
    """For what only looks at a vault."""
    return Device(vault.home, vault, None, None)  # type: ignore[arg-type]


async def set_mail_of(vault: Vault, address: str) -> None:
    await set_mail(as_device(vault), address)


async def step(vault: Vault) -> Report:
    """A sync as the commands do it: at the server where the vault lives."""
    try:
        async with at_home(vault) as server:
            return await sync(vault, server)
    except HomeMoved:
        async with at_home(vault) as server:
            return await sync(vault, server)


@pytest.fixture
async def moving(friends: Friends, tmp_path: Path) -> AsyncIterator[Moving]:
    async with lying_site(tmp_path / "dora-server") as old, lying_site(tmp_path / "new-server") as new:
        home, carl = Home(tmp_path / "dora"), friends.carl
        kit = await create_vault(home, old.url, "Dora Falk", "laptop")
        async with await Device.open(home) as dora:
            await dora.add("Carla Ruiz")
            await set_mail(dora, "dora@work.example")
            await set_mail(carl, "carl@work.example")
            made = await make_invite(dora.vault, dora.server, ["work"])
            await accept_invite(carl.vault, carl.server, made.link, ["work"])
            for device in (dora, carl, dora, carl, dora):
                await device.sync()
        scene = Moving(old, new, await Vault.open(home), home, kit, carl, tmp_path)
        try:
            yield scene
        finally:
            await scene.dora.close()


@asynccontextmanager
async def phone_of(moving: Moving) -> AsyncIterator[Device]:
    await moving.dora.close()
    async with (
        await Device.open(moving.home) as laptop,
        await link(moving.old, laptop, moving.folder / "phone") as phone,
    ):
        await phone.sync()
        await laptop.close()
        moving.dora = await Vault.open(moving.home)
        yield phone


def commits_at(site: Site) -> int:
    return int(site.rows("SELECT max(number) FROM commits")[0][0])


def in_mailboxes(site: Site) -> int:
    return int(site.rows("SELECT count(*) FROM parcels")[0][0])


async def test_the_vault_and_both_sides_of_a_relationship_follow(moving: Moving) -> None:
    await moving.move()
    assert moving.dora.device.server == moving.new.url
    last = commits_at(moving.old)
    await moving.mail_both("new")
    assert progressed(moving.dora).waiting == ()
    assert commits_at(moving.old) == last
    assert moving.new.rows("SELECT vault FROM vaults") == [(moving.kit.vault,)]
    await moving.reopen()
    assert moving.dora.device.server == moving.new.url
    await moving.old.stop()
    await moving.mail_both("later")


async def test_a_peer_who_comes_back_later_hears_of_it_and_what_it_sends_arrives(moving: Moving) -> None:
    await moving.move()
    await set_mail_of(moving.dora, "dora@new.example")
    await step(moving.dora)
    await set_mail(moving.carl, "carl@later.example")
    await moving.carl.sync()
    assert told_by(moving.carl, "Dora Falk") == ["dora@new.example"]
    await moving.settle()
    assert told(as_device(moving.dora)) == ["carl@later.example"]
    assert in_mailboxes(moving.old) == in_mailboxes(moving.new) == 0


async def test_parcels_that_wait_at_the_old_server_are_fetched_from_there(moving: Moving) -> None:
    await moving.move()
    # Carl's server has nothing of Dora's yet: he writes to the old mailbox.
    await set_mail(moving.carl, "carl@meanwhile.example")
    await moving.carl.sync()
    assert in_mailboxes(moving.old) > 0
    await step(moving.dora)
    assert told(as_device(moving.dora)) == ["carl@meanwhile.example"]
    assert in_mailboxes(moving.old) == 0


async def test_another_device_learns_it_from_the_last_commit_and_brings_its_unsent_edits(moving: Moving) -> None:
    async with phone_of(moving) as phone:
        await moving.move()
        await phone.add("Emil Roth")
        with pytest.raises(HomeMoved):
            await phone.sync()
        await step(phone.vault)
        assert phone.vault.device.server == moving.new.url
        await step(moving.dora)
        assert "Emil Roth" in as_device(moving.dora).names
        last = commits_at(moving.old)
        await step(phone.vault)
        assert commits_at(moving.old) == last


async def test_a_device_with_nothing_to_send_leaves_the_old_server_too(moving: Moving, tmp_path: Path) -> None:
    home = Home(tmp_path / "gus")
    await create_vault(home, moving.old.url, "Gus Lone", "laptop")
    async with await Device.open(home) as gus, await link(moving.old, gus, tmp_path / "gus-phone") as phone:
        await move(gus.vault, moving.new.url)
        with pytest.raises(HomeMoved):
            await phone.sync()
        await step(phone.vault)
        assert phone.vault.device.server == moving.new.url


async def test_whatever_a_device_wants_to_commit_goes_to_no_server_that_the_vault_left(moving: Moving) -> None:
    async with phone_of(moving) as phone:
        await moving.move()
        last = commits_at(moving.old)
        with pytest.raises(HomeMoved):
            await make_invite(phone.vault, phone.server, ["work"])
        with pytest.raises(HomeMoved):
            await remove_device(phone.vault, phone.server, moving.dora.member.id)
        assert commits_at(moving.old) == last
        async with at_home(phone.vault) as server:
            await make_invite(phone.vault, server, ["work"])


async def test_a_device_that_knows_of_the_move_writes_nowhere_while_the_new_server_is_down(moving: Moving) -> None:
    async with phone_of(moving) as phone:
        await moving.move()
        await moving.new.stop()
        await phone.add("Emil Roth")
        last = commits_at(moving.old)
        for _ in range(2):
            with pytest.raises((ServerUnreachable, ServerRefused)):
                await step(phone.vault)
        assert commits_at(moving.old) == last
        assert "Emil Roth" in phone.names
        await moving.new.start()
        await step(phone.vault)
        await step(moving.dora)
        assert "Emil Roth" in as_device(moving.dora).names


async def leave(moving: Moving) -> None:
    """The move up to the commit at the old server."""
    await step(moving.dora)
    async with HomeServer.connect(moving.new.url) as new:
        filler = Filler(new, moving.dora.member, moving.dora.clock)
        await _leave(moving.dora, moving.new_place, filler, lambda _done, _total: None)


@pytest.mark.parametrize("who", ["the same device", "the same device, told again", "another device"])
async def test_a_move_that_broke_off_behind_its_commit_is_finished(moving: Moving, who: str) -> None:
    async with phone_of(moving) as phone:
        await leave(moving)
        await moving.reopen()
        assert moving.dora.device.server == moving.old.url
        if who == "another device":
            await moving.dora.close()
            with pytest.raises(HomeMoved):
                await phone.sync()
            with pytest.raises(ServerRefused) as busy:
                await step(phone.vault)
            assert busy.value.code == "fill-busy"
            moving.dora = await Vault.open(moving.home)
        elif who == "the same device, told again":
            await move(moving.dora, moving.new.url)
        await moving.mail_both("new")
        await step(phone.vault)
        assert moving.dora.device.server == phone.vault.device.server == moving.new.url


async def test_a_move_that_broke_off_before_its_commit_changes_nothing_and_begins_again(moving: Moving) -> None:
    moving.new.proxy.drop_requests = lambda _method, path: path.endswith("/parts")
    with pytest.raises(ServerUnreachable):
        await move(moving.dora, moving.new.url)
    moving.new.proxy.be_honest()
    await moving.reopen()
    await moving.mail_both("old")
    assert moving.dora.device.server == moving.old.url
    assert moving.new.rows("SELECT closed FROM vaults") == [(2,)]
    await moving.move()
    await moving.mail_both("new")


@pytest.mark.parametrize("lost", ["the request", "the answer"])
async def test_a_move_whose_commit_has_no_answer_is_finished_by_the_next_sync(moving: Moving, lost: str) -> None:
    def dropping(method: str, path: str) -> bool:
        return method == "POST" and path.endswith("/commits")

    if lost == "the request":
        moving.old.proxy.drop_requests = dropping
    else:
        moving.old.proxy.drop_answers = dropping
    with pytest.raises(ServerUnreachable):
        await move(moving.dora, moving.new.url)
    moving.old.proxy.be_honest()
    await moving.reopen()
    await moving.mail_both("new")
    assert moving.dora.device.server == moving.new.url


async def test_what_another_device_writes_during_a_move_is_not_lost(moving: Moving) -> None:
    async with phone_of(moving) as phone:
        written: list[str] = []

        async def late(request: web.Request) -> web.StreamResponse | None:
            if request.method == "POST" and request.path.endswith("/parts") and not written:
                written.append("Late Edit")
                await phone.add("Late Edit")
                await phone.sync()
            return None

        moving.new.proxy.instead = late
        await moving.move()
        assert written
        await step(moving.dora)
        assert "Late Edit" in as_device(moving.dora).names
        await step(phone.vault)


async def test_a_server_cannot_make_a_device_move_by_itself(moving: Moving) -> None:
    """It can refuse to work; where the vault lives only its members say."""

    def left(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if path.endswith("/commits") or path.endswith("/changes"):
            return 409, encode(Failure("vault-left", "Go to https://mallory.example"))
        return status, body

    moving.old.proxy.answer = left

    async def gone(request: web.Request) -> web.StreamResponse | None:
        if request.path.endswith(("/commits", "/changes")):
            failure = encode(Failure("vault-left", f"This vault lives on {moving.new.url} now."))
            headers = {"Location": moving.new.url}
            return web.Response(status=409, body=failure, content_type=CONTENT_TYPE, headers=headers)
        return None

    moving.old.proxy.instead = gone
    with pytest.raises(ServerRefused):
        await step(moving.dora)
    assert moving.dora.device.server == moving.old.url
    moving.old.proxy.be_honest()
    await moving.mail_both("old")


async def test_the_new_server_must_show_the_key_that_a_member_named(moving: Moving) -> None:
    async with phone_of(moving) as phone, lying_site(moving.folder / "mallory") as mallory:
        await moving.move()
        wrong = moved(moving.dora.contents, moving.dora.stamp(), Place(mallory.url, moving.new_place.fingerprint), None)
        await moving.dora.apply(wrong)
        with pytest.raises(Alarm) as alarm:
            await follow_home(moving.dora)
        assert alarm.value.alarm is AlarmCode.SERVER_KEY_CHANGED
        assert moving.dora.device.server == moving.new.url
        assert phone.vault.device.server == moving.old.url


async def test_a_device_removed_after_the_move_can_neither_read_nor_delete_at_the_old_server(moving: Moving) -> None:
    async with phone_of(moving) as phone:
        await moving.move()
        await phone.server.parcels(phone.vault.id, 0)  # a session from before
        async with at_home(moving.dora) as server:
            await remove_device(moving.dora, server, phone.vault.member.id)
        await step(moving.dora)
        for attempt in (
            phone.server.parcels(phone.vault.id, 0),
            phone.server.delete_parcels(phone.vault.id, (bytes(32),)),
            phone.server.delete_mailbox(phone.vault.id, bytes(16)),
        ):
            with pytest.raises(ServerRefused) as refused:
                await attempt
            assert refused.value.code == "not-a-member"
        await set_mail(moving.carl, "carl@still.example")
        await moving.settle()
        assert told(as_device(moving.dora)) == ["carl@still.example"]


async def test_a_removed_device_that_heard_of_the_move_comes_in_nowhere(moving: Moving) -> None:
    async with phone_of(moving) as phone:
        await moving.move()
        with pytest.raises(HomeMoved):
            await phone.sync()
        async with at_home(moving.dora) as server:
            await remove_device(moving.dora, server, phone.vault.member.id)
        with pytest.raises(Refused) as refused:
            await step(phone.vault)
        assert refused.value.code == "other-state"
        assert phone.vault.device.server == moving.old.url
        await moving.mail_both("new")


async def test_the_old_server_cannot_pass_off_a_state_from_before_the_move(moving: Moving, tmp_path: Path) -> None:
    """To a device that heard of the move it is not asked any more; one that did not notices at the new server."""
    async with phone_of(moving) as phone:
        backup = tmp_path / "before"
        await moving.old.back_up(backup)
        await moving.move()
        await moving.old.restore(backup)
        await moving.mail_both("new")
        await phone.add("Written On A Fork")
        await phone.sync()
        with pytest.raises(Refused) as refused:
            await move(phone.vault, moving.new.url)
        assert refused.value.code == "other-state"
        assert isinstance(refused.value.__cause__, Alarm)
        assert phone.vault.device.server == moving.old.url
        assert "Written On A Fork" in phone.names


async def test_a_device_that_comes_after_the_old_server_forgot_is_told_the_new_one(moving: Moving) -> None:
    async with phone_of(moving) as phone:
        await moving.move()
        await moving.settle()
        await forget_at(moving.old_place, moving.kit.vault, moving.kit.recovery_phrase, moving.dora.clock)
        await phone.add("Emil Roth")
        with pytest.raises(ServerRefused):
            await step(phone.vault)
        await move(phone.vault, moving.new.url)
        assert phone.vault.device.server == moving.new.url
        await step(phone.vault)
        await step(moving.dora)
        assert "Emil Roth" in as_device(moving.dora).names


async def test_a_server_that_only_has_the_vault_is_not_where_it_lives(moving: Moving) -> None:
    """A stranger's server with a copy of the vault cannot be made its home by a slip of the person."""
    await step(moving.dora)
    async with HomeServer.connect(moving.new.url) as new:
        filler = Filler(new, moving.dora.member, moving.dora.clock)
        await filler.bring(await _history(moving.dora))
        await filler.end((await _history(moving.dora)).head)
    with pytest.raises(Refused) as refused:
        await move(moving.dora, moving.new.url)
    assert refused.value.code == "not-moved"
    assert home_of(moving.dora.contents) is None


async def test_the_old_server_forgets_everything_says_so_and_is_not_needed(moving: Moving) -> None:
    await moving.move()
    await moving.settle()
    said = await forget_at(moving.old_place, moving.kit.vault, moving.kit.recovery_phrase, moving.dora.clock)
    assert (said.host, said.vault) == (moving.old_place.host, moving.kit.vault)
    for table in ("vaults", "commits", "blobs", "mailboxes", "parcels", "greetings", "relay_requests", "sessions"):
        assert moving.old.rows(f"SELECT * FROM {table}") == [], table
    home = home_of(moving.dora.contents)
    assert home is not None
    await moving.dora.apply(give_up(moving.dora.contents, moving.dora.stamp(), home.former[0]))
    await moving.old.stop()
    await moving.mail_both("new")
    assert formers.needed(moving.dora) == []


async def test_a_server_that_signs_that_it_forgot_and_did_not_is_found_out(moving: Moving) -> None:
    await moving.move()
    key, host = load_server_key(moving.old.data), moving.old_place.host

    async def lie(request: web.Request) -> web.StreamResponse | None:
        if request.method == "DELETE" and request.path.count("/") == 3:
            body = encode(sign_forgotten(key, host, moving.kit.vault, moving.dora.clock()))
            return web.Response(status=200, body=body, content_type=CONTENT_TYPE)
        return None

    moving.old.proxy.instead = lie
    with pytest.raises(Refused) as refused:
        await forget_at(moving.old_place, moving.kit.vault, moving.kit.recovery_phrase, moving.dora.clock)
    assert refused.value.code == "not-forgotten"


async def test_a_wrong_phrase_deletes_nothing(moving: Moving) -> None:
    from kith_protocol.phrase import phrase_of

    await moving.move()
    with pytest.raises(Refused) as refused:
        await forget_at(moving.old_place, moving.kit.vault, phrase_of(secrets.token_bytes(32)), moving.dora.clock)
    assert refused.value.code == "nothing-there"
    assert moving.old.rows("SELECT vault FROM vaults") == [(moving.kit.vault,)]


async def test_moving_back_to_the_first_server_needs_the_phrase_and_works(moving: Moving) -> None:
    await moving.move()
    await moving.mail_both("new")
    with pytest.raises(Refused) as refused:
        await move(moving.dora, moving.old.url)
    assert refused.value.code == "other-state"
    await forget_at(moving.old_place, moving.kit.vault, moving.kit.recovery_phrase, moving.dora.clock)
    await move(moving.dora, moving.old.url)
    await moving.mail_both("back")
    assert moving.dora.device.server == moving.old.url
    home = home_of(moving.dora.contents)
    assert home is not None
    assert [each.place for each in home.former] == [moving.new_place]


async def test_a_move_to_where_the_vault_lives_changes_nothing(moving: Moving) -> None:
    last = commits_at(moving.old)
    await move(moving.dora, moving.old.url)
    assert commits_at(moving.old) == last


async def test_an_open_invite_of_before_the_move_still_works(moving: Moving, tmp_path: Path) -> None:
    async with at_home(moving.dora) as server:
        made = await make_invite(moving.dora, server, ["work"])
    await moving.move()
    assert progressed(moving.dora).invites == 1
    async with await begin(moving.new, tmp_path / "emil", "Emil Roth") as emil:
        await accept_invite(emil.vault, emil.server, made.link)
        for _ in range(3):
            await step(moving.dora)
            await emil.sync()
        assert told(emil) == ["dora@work.example"]
        (channel,) = [c for c in [emil.channel] if c.established is not None]
        assert channel.established is not None
        assert channel.established.outbox.host == moving.new_place.host


async def test_what_waits_in_the_old_relay_goes_by_way_of_the_new_one(moving: Moving, friends: Friends) -> None:
    await friends.bob_site.stop()
    await set_mail_of(moving.dora, "dora@queued.example")
    report = await step(moving.dora)
    assert report.waiting
    await move(moving.dora, moving.new.url)
    await step(moving.dora)
    assert moving.old.rows("SELECT * FROM relay_requests") == []
    await set_mail_of(moving.dora, "dora@newer.example")
    await friends.bob_site.start()
    await moving.settle()
    assert told_by(moving.carl, "Dora Falk") == ["dora@newer.example"]


async def test_a_server_that_is_gone_is_left_without_it(moving: Moving) -> None:
    async with phone_of(moving) as phone:
        await step(moving.dora)
        await phone.sync()
        await moving.old.stop()
        with pytest.raises((ServerUnreachable, ServerRefused)):
            await move(moving.dora, moving.new.url)
        await move(moving.dora, moving.new.url, old_is_gone=True)
        home = home_of(moving.dora.contents)
        assert home is not None
        assert (home.here, home.former) == (moving.new_place, ())
        await moving.mail_both("new")
        await phone.add("Emil Roth")
        await move(phone.vault, moving.new.url)
        await step(phone.vault)
        await step(moving.dora)
        assert "Emil Roth" in as_device(moving.dora).names


async def test_a_move_without_the_old_server_goes_on_where_the_answer_to_its_commit_was_lost(moving: Moving) -> None:
    await step(moving.dora)
    await moving.old.stop()
    moving.new.proxy.drop_answers = lambda method, path: method == "POST" and path.endswith("/commits")
    with pytest.raises(ServerUnreachable):
        await move(moving.dora, moving.new.url, old_is_gone=True)
    moving.new.proxy.be_honest()
    await moving.reopen()
    await move(moving.dora, moving.new.url, old_is_gone=True)
    assert moving.dora.device.server == moving.new.url
    last = commits_at(moving.new)
    await step(moving.dora)
    await moving.mail_both("new")
    assert commits_at(moving.new) > last


@pytest.mark.parametrize("dropped", [False, True])
async def test_a_move_that_broke_off_at_a_server_with_tokens_is_finished_by_any_device(
    moving: Moving, dropped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fills = moving.new._runner.app[FILLS]  # type: ignore[union-attr]
    monkeypatch.setattr(fills, "_config", dataclasses.replace(fills._config, registration=Registration.TOKEN))
    await moving.new._runner.app[DATABASE].write(  # type: ignore[union-attr]
        lambda connection: connection.execute("INSERT INTO tokens (token, created) VALUES (?, 0)", (digest(b"tok"),))
    )
    async with phone_of(moving) as phone:
        await step(moving.dora)
        async with HomeServer.connect(moving.new.url) as new:
            filler = Filler(new, moving.dora.member, moving.dora.clock, "tok")
            await _leave(moving.dora, moving.new_place, filler, lambda _done, _total: None)
        later = fills._clock() + (FILL_LIFETIME if dropped else RESTING) + 1
        with monkeypatch.context() as time:
            time.setattr(fills, "_clock", lambda: later)
            await fills.sweep()
        with pytest.raises(HomeMoved):
            await phone.sync()
        if dropped:
            with pytest.raises(ServerRefused) as refused:
                await step(phone.vault)
            assert refused.value.code == "registration-token"
            await move(phone.vault, moving.new.url, token="tok")
        else:
            await moving.reopen()
            await step(moving.dora)
        await step(phone.vault)
        await step(moving.dora)
        assert phone.vault.device.server == moving.dora.device.server == moving.new.url


async def test_the_phrase_is_sent_to_where_the_vault_lives_now(moving: Moving) -> None:
    await moving.move()
    with pytest.raises(Refused, match=moving.new_place.host) as refused:
        await recover(Home(moving.folder / "rec"), moving.old.url, moving.kit.vault, moving.kit.recovery_phrase, "rec")
    assert refused.value.code == "moved"
    assert not Home(moving.folder / "rec").exists
    made = await recover(
        Home(moving.folder / "rec"), moving.new.url, moving.kit.vault, moving.kit.recovery_phrase, "rec"
    )
    await made.vault.close()


async def test_a_device_added_after_the_move_reads_at_the_old_server_too(moving: Moving) -> None:
    await moving.move()
    await moving.dora.close()
    async with (
        await Device.open(moving.home) as laptop,
        await link(moving.new, laptop, moving.folder / "phone") as phone,
    ):
        await laptop.sync()
        access = At(moving.old.url, moving.old_place.fingerprint, phone.vault.id, phone.vault.member)
        async with HomeServer.connect(moving.old.url) as old:
            await signed_in(old, access, phone.vault.clock).parcels(phone.vault.id, 0)
    moving.dora = await Vault.open(moving.home)
