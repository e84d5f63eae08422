"""A thief holds a copy of all that Anna's phone held, is faster than she is, and loses to the recovery phrase.

Anna has a laptop and the phone; Bob, on another server, is her peer. The thief's device is a copy of the phone's whole
folder, with the real program: whatever she does, she does as a member of the vault, until the phrase takes it back.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from kith_client.book import grants, me
from kith_client.errors import ServerRefused, ServerUnreachable
from kith_client.lifecycle import versions
from kith_client.lifecycle.recovering import recover
from kith_client.lifecycle.removing import remove_device
from kith_client.lifecycle.setup import create_vault
from kith_client.lifecycle.stolen import remove_stolen
from kith_client.relations import records
from kith_client.relations.ending import end_relationship
from kith_client.relations.invites import list_invites
from kith_client.relations.outgoing import outgoing
from kith_client.relations.peers import list_peers, their_properties
from kith_client.relations.rekeying import plan_rekeys, rekeying
from kith_client.stamp import Edit, of_kind, overlay
from kith_client.store.home import Home
from kith_client.sync.befriend import accept_invite, make_invite
from kith_client.sync.knock import Errand, sealed
from kith_client.sync.push import push_all
from kith_client.vault import UNREADABLE
from kith_protocol.commit import parse_commit
from kith_protocol.content import Content
from kith_protocol.encoding import decode, encode
from kith_protocol.errors import Alarm, AlarmCode, Refused
from kith_protocol.gateway import PutStatus
from kith_protocol.phrase import phrase_of
from kith_protocol.wire import FeedCommit, FeedRecords, Frame, ReplacedPage, ReplacedRecord
from tests.adversary.friends import Friends, set_mail, share_note, told
from tests.adversary.test_removed_device_speaks import EVIL, speak_as_anna
from tests.adversary.test_thieves_epochs import begin_epoch
from tests.adversary.world import Device, Site, link
from tests.support.lying_proxy import honest_answer

NEW = "after@work.example"


@dataclass
class Theft:
    """Anna on her laptop, Bob, Carl who helps the thief, and the thief."""

    friends: Friends
    site: Site
    laptop: Device
    bob: Device
    thief: Device
    phrase: str
    bobs_phrase: str
    folder: Path

    async def take_back(self, **options: object) -> int:
        laptop = self.laptop
        return await remove_stolen(laptop.vault, laptop.server, self.thief.vault.member.id, self.phrase, **options)  # type: ignore[arg-type]

    async def settle(self) -> None:
        for device in (self.laptop, self.bob, self.laptop, self.bob, self.laptop):
            await device.sync()

    async def write(self, edit: Edit) -> None:
        """The thief changes records as she likes, also those that programs keep."""
        await push_all(self.thief.vault, self.thief.server, edit)

    def change(self, record: bytes, **values: object) -> Edit:
        content, stamp = self.thief.vault.contents[record], self.thief.vault.stamp()
        units = {**content.units, **{name: stamp.unit(value) for name, value in values.items()}}  # type: ignore[arg-type]
        return {record: Content(content.kind, units, content.extra)}

    def of(self, kind: str) -> bytes:
        (record,) = of_kind(self.thief.vault.contents, kind)
        return record

    async def works_again(self) -> None:
        """Anna and Bob see each other's newest cards, and nothing that the thief says or knows changes it."""
        await self.settle()
        await set_mail(self.laptop, NEW)
        await self.settle()
        assert told(self.bob) == [NEW]
        assert rekeying(self.laptop.vault.contents) == {peer_of(self.laptop).id: True}
        answers = await speak_as_anna(self.thief.vault.contents, self.thief, self.friends)
        assert answers <= {PutStatus.STORED, PutStatus.NO_MAILBOX, PutStatus.TAKEN, PutStatus.LOWER_SEQUENCE}
        await self.settle()
        assert told(self.bob) == [NEW]
        assert EVIL not in str(self.bob.vault.contents)
        with pytest.raises(ServerRefused) as refused:
            await self.thief.sync()
        assert refused.value.code == "not-a-member"


def peer_of(device: Device) -> records.PeerRecord:
    (peer,) = records.peers(device.vault.contents)
    return peer


def issues_of(device: Device) -> str:
    return " ".join(str(content.value("text")) for content in of_kind(device.vault.contents, "issue").values())


@pytest.fixture
async def theft(friends: Friends, tmp_path: Path) -> AsyncIterator[Theft]:
    async with AsyncExitStack() as stack:
        home = Home(tmp_path / "laptop")
        kit = await create_vault(home, friends.anna_site.url, "Anna Falk", "laptop")
        laptop = await stack.enter_async_context(await Device.open(home))
        await set_mail(laptop, "before@work.example")
        made = await make_invite(laptop.vault, laptop.server, ["work"])
        bobs_kit = await create_vault(Home(tmp_path / "bob"), friends.bob_site.url, "Bob Holm", "laptop")
        bob = await stack.enter_async_context(await Device.open(Home(tmp_path / "bob")))
        await accept_invite(bob.vault, bob.server, made.link)
        for device in (laptop, bob, laptop, bob, laptop):
            await device.sync()
        phone = await link(friends.anna_site, laptop, tmp_path / "phone", "phone")
        await phone.sync()
        await phone.close()
        shutil.copytree(tmp_path / "phone", tmp_path / "thief")
        thief = await stack.enter_async_context(await Device.open(Home(tmp_path / "thief")))
        yield Theft(
            friends, friends.anna_site, laptop, bob, thief, kit.recovery_phrase, bobs_kit.recovery_phrase, tmp_path
        )


async def test_a_thief_of_a_device_loses_the_vault_and_every_relationship_to_the_phrase(theft: Theft) -> None:
    assert await theft.take_back() == 1
    assert theft.thief.vault.member.id not in theft.laptop.vault.chain.members
    assert rekeying(theft.laptop.vault.contents) == {}
    await theft.laptop.sync()
    assert rekeying(theft.laptop.vault.contents) == {peer_of(theft.laptop).id: False}
    await theft.works_again()
    assert "replaced all keys" in issues_of(theft.bob)
    assert "replaced after a theft" in issues_of(theft.laptop)
    assert not list(theft.laptop.home.path.glob("paper*"))


async def test_the_attack_of_these_tests_succeeds_while_nothing_is_taken_back(theft: Theft) -> None:
    answers = await speak_as_anna(theft.thief.vault.contents, theft.thief, theft.friends)
    assert answers == {PutStatus.STORED}
    await theft.bob.sync()
    assert told(theft.bob) == [EVIL]


async def test_a_thief_who_gave_the_peer_new_keys_and_mailboxes_of_hers_does_not_keep_the_peer(theft: Theft) -> None:
    thief, bob = theft.thief, theft.bob
    await theft.write(plan_rekeys(thief.vault.contents, thief.vault.stamp(), forced=True))
    for device in (thief, bob, thief, bob):
        await device.sync()
    assert bob.channel.established.outbox == thief.channel.established.inbox.address  # type: ignore[union-attr]
    await theft.take_back()
    await theft.works_again()


async def test_a_thief_whose_new_keys_anna_never_saw_does_not_keep_the_peer(theft: Theft, tmp_path: Path) -> None:
    """She speaks to Bob by herself, so that Anna's vault knows nothing of it, and Bob's newest mailbox neither."""
    thief, bob = theft.thief, theft.bob
    stamp = thief.vault.stamp()
    mine = overlay(thief.vault.contents, plan_rekeys(thief.vault.contents, stamp, forced=True))
    errand = Errand(theft.friends.carl.vault, theft.friends.carl.server, 5)
    for out in outgoing(mine, stamp):
        _, raw = await sealed(await errand.statement(out.host, out.fingerprint), out.put, thief.vault.clock())
        await errand.carry(out.host, raw)
    await bob.sync()
    known = theft.laptop.channel.established
    heard = bob.channel.established
    assert known is not None
    assert heard is not None
    assert heard.outbox != known.inbox.address, "Bob writes to the thief now"
    assert bob.channel.mine.under_way, "and told only her where he is to be reached"
    await theft.take_back()
    await theft.works_again()


async def test_a_thief_who_ended_relationships_in_the_vault_and_by_farewell_did_not_end_them(theft: Theft) -> None:
    thief = theft.thief
    await thief.apply(end_relationship(thief.vault.contents, thief.vault.stamp(), peer_of(thief).id))
    await thief.sync()
    await theft.bob.sync()
    assert list_peers(theft.bob.vault.contents) == []
    await theft.laptop.sync()
    assert list_peers(theft.laptop.vault.contents) == []
    await theft.take_back()
    assert "Put back as it was before: what you decided about Bob Holm" in issues_of(theft.laptop)
    await theft.works_again()


async def test_a_thief_who_deleted_the_records_of_a_peer_did_not_make_it_forgotten(theft: Theft) -> None:
    contact = peer_of(theft.laptop).contact
    await theft.write({theft.of("peer"): None, theft.of("channel"): None})
    await theft.laptop.sync()
    assert records.peers(theft.laptop.vault.contents) == []
    await theft.take_back()
    assert peer_of(theft.laptop).contact == contact
    await theft.works_again()


async def test_what_a_thief_wrote_over_a_peers_mailbox_key_persona_and_name_is_not_believed(theft: Theft) -> None:
    mallory, thief = theft.friends.carl, theft.thief
    theirs = records.own_persona(mallory.vault.contents)
    established = thief.channel.established
    assert established is not None
    false = replace(
        established,
        peer=theirs.person,
        peer_persona=theirs.raw,
        outbox=thief.channel.inbox.address,
        peer_seal_key=records.persona_of(theirs.raw).seal_key,
    )
    await theft.write(theft.change(thief.channel.id, established=encode(false), former=[], persona=2**52))
    await theft.write(theft.change(theft.of("peer"), person=theirs.person, trust="verified", host="evil.example"))
    before = peer_of(theft.laptop)
    await theft.laptop.sync()
    assert peer_of(theft.laptop).trust == "verified"
    await theft.take_back()
    assert (peer_of(theft.laptop).person, peer_of(theft.laptop).trust) == (before.person, "unverified")
    await theft.works_again()


async def test_what_others_decided_after_the_thief_stays_and_what_she_decided_goes(theft: Theft) -> None:
    laptop, thief = theft.laptop, theft.thief
    peer = peer_of(laptop).id
    for facet in ("home", "secret"):
        await laptop.apply(
            me.set_mine(laptop.vault.contents, laptop.vault.stamp(), "url", f"https://{facet}", [facet])[0]
        )
    await laptop.sync()
    await thief.sync()
    target = grants.Target("peer", (peer,), "")
    await thief.apply(grants.grant(thief.vault.contents, thief.vault.stamp(), target, "secret"))
    await thief.sync()
    await laptop.sync()
    await laptop.apply(grants.grant(laptop.vault.contents, laptop.vault.stamp(), target, "home"))
    note = await share_note(laptop, "for Bob")
    await laptop.sync()
    assert peer_of(laptop).facets == ("home", "secret", "work")
    await theft.take_back()
    assert peer_of(laptop).facets == ("home", "work")
    assert peer_of(laptop).shares == (note,)
    await theft.works_again()


async def test_a_thief_who_answered_an_open_invite_from_elsewhere_later_is_not_let_in(theft: Theft) -> None:
    made = await make_invite(theft.laptop.vault, theft.laptop.server, ["work"])
    await theft.take_back()
    assert list_invites(theft.laptop.vault.contents, theft.laptop.vault.clock())[-1].state == "revoked"
    await theft.laptop.sync()
    with pytest.raises(Refused) as refused:
        await accept_invite(theft.friends.carl.vault, theft.friends.carl.server, made.link)
    assert refused.value.code == "invite-gone"
    await theft.works_again()


async def test_an_accomplice_whom_a_thief_made_a_peer_sees_nothing_new_and_is_named(theft: Theft) -> None:
    thief, mallory = theft.thief, theft.friends.carl
    made = await make_invite(thief.vault, thief.server, ["work"])
    accepted = await accept_invite(mallory.vault, mallory.server, made.link)
    for device in (thief, mallory, thief, mallory):
        await device.sync()
    assert told_of(mallory, accepted.peer) == ["before@work.example"]
    await theft.take_back()
    await theft.laptop.sync()
    assert "Added on a removed device: Carl Moor" in issues_of(theft.laptop)
    await set_mail(theft.laptop, NEW)
    for device in (theft.laptop, mallory, theft.laptop, mallory):
        await device.sync()
    assert NEW not in str(mallory.vault.contents)
    (row,) = (row for row in list_peers(theft.laptop.vault.contents) if row.name == "Carl Moor")
    assert (row.trust, row.facets) == ("unverified", ())


def told_of(device: Device, peer: bytes) -> list[str]:
    contact = records.peer_at(device.vault.contents, peer).contact
    return [prop.value for prop, _ in their_properties(device.vault.contents, contact) if prop.key == "EMAIL"]


async def test_devices_that_a_thief_added_go_with_her(theft: Theft) -> None:
    async with await link(theft.site, theft.thief, theft.folder / "more", "more") as accomplice:
        await theft.laptop.sync()
        assert await theft.take_back() == 2
        with pytest.raises(ServerRefused) as refused:
            await accomplice.sync()
        assert refused.value.code == "not-a-member"
    await theft.works_again()


@pytest.mark.parametrize("good_link", [False, True])
async def test_an_epoch_that_a_thief_made_unreadable_does_not_stop_it(theft: Theft, good_link: bool) -> None:
    cheated = (theft.laptop, theft.laptop.vault.chain.paper) if good_link else ()
    await begin_epoch(theft.thief, cheated=cheated, good_link=good_link)
    with pytest.raises(Alarm) as raised:
        await theft.laptop.sync()
    assert raised.value.alarm is AlarmCode.WRONG_EPOCH
    await theft.take_back()
    await theft.works_again()


async def test_what_a_thief_wrote_in_an_epoch_of_hers_alone_is_put_back(theft: Theft) -> None:
    thief, peer = theft.thief, theft.of("peer")
    await begin_epoch(thief, cheated=(theft.laptop, theft.laptop.vault.chain.paper))
    await thief.sync()
    await theft.write(theft.change(peer, trust="verified"))
    await theft.take_back()
    assert theft.laptop.vault.contents[peer] is not UNREADABLE
    assert peer_of(theft.laptop).trust == "unverified"
    await theft.works_again()


async def test_a_thief_who_hides_the_persona_under_another_one_does_not_keep_the_old_one(theft: Theft) -> None:
    thief = theft.thief
    content = thief.vault.contents[theft.of("persona")]
    await theft.write({bytes(16): Content("persona", dict(content.units)), theft.of("persona"): None})
    await theft.take_back()
    assert len(of_kind(theft.laptop.vault.contents, "persona")) == 1
    await theft.works_again()


async def test_a_thief_who_removed_the_laptop_first_loses_to_a_recovery(theft: Theft) -> None:
    await remove_device(theft.thief.vault, theft.thief.server, theft.laptop.vault.member.id)
    await theft.thief.sync()
    with pytest.raises(Refused, match="recover --stolen") as refused:
        await theft.take_back()
    assert refused.value.code == "device-removed"
    made = await recover(
        Home(theft.folder / "new"), theft.site.url, theft.laptop.vault.id, theft.phrase, "new", stolen=True
    )
    assert made.gone == ("phone",)
    await made.vault.close()
    async with await Device.open(Home(theft.folder / "new")) as new:
        theft.laptop, old = new, theft.laptop
        assert "Added on a removed device: Bob Holm" in issues_of(new), "nobody who stays can say who he is"
        await theft.settle()
        assert told(theft.bob) == []
        target = grants.Target("peer", (peer_of(new).id,), "")
        await new.apply(grants.grant(new.vault.contents, new.vault.stamp(), target, "work"))
        await theft.works_again()
        theft.laptop = old


async def test_a_thief_who_commits_all_the_time_is_no_faster_than_the_phrase(theft: Theft) -> None:
    codes: list[str] = []

    async def race() -> None:
        while not codes or codes[-1] == "paper-key-at-work":
            try:
                await theft.thief.apply(
                    me.set_mine(theft.thief.vault.contents, theft.thief.vault.stamp(), "title", "x")[0]
                )
                await theft.thief.sync(patience=0)
            except ServerRefused as refusal:
                codes.append(refusal.code)

    racing = asyncio.create_task(race())
    await theft.take_back()
    async with asyncio.timeout(30):
        await racing
    assert codes[-1] == "not-a-member"
    await theft.works_again()


async def test_another_phrase_takes_nothing_back(theft: Theft) -> None:
    before = theft.laptop.state()
    theft.phrase = phrase_of(bytes(32))
    with pytest.raises(Refused) as refused:
        await theft.take_back()
    assert refused.value.code == "wrong-phrase"
    assert theft.laptop.state() == before


async def test_a_device_that_was_added_after_the_stolen_one_stays_if_it_is_this_one_or_named(theft: Theft) -> None:
    """The laptop of this test is the thief's: the person types the phrase on the device that it added."""
    async with (
        await link(theft.site, theft.laptop, theft.folder / "tablet", "tablet") as tablet,
        await link(theft.site, theft.laptop, theft.folder / "watch", "watch") as watch,
    ):
        await tablet.sync()
        keep = frozenset({watch.vault.member.id})
        stolen = theft.laptop.vault.member.id
        assert await remove_stolen(tablet.vault, tablet.server, stolen, theft.phrase, keep=keep) == 2
        assert set(tablet.vault.chain.members) == {
            tablet.vault.member.id,
            watch.vault.member.id,
            tablet.vault.chain.paper,
        }
        await watch.sync()


async def test_taking_back_that_broke_off_after_the_removal_is_done_again(theft: Theft) -> None:
    """The answer to the commit is lost: asked again, the thief is gone already, and all goes on."""

    def lose(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        return (502, b"") if method == "POST" and path.endswith("/commits") else (status, body)

    theft.site.proxy.answer = lose
    with pytest.raises((ServerRefused, ServerUnreachable)):
        await theft.take_back()
    theft.site.proxy.answer = honest_answer
    await theft.laptop.sync()
    assert await theft.take_back() == 0
    await theft.works_again()


async def test_a_server_cannot_pass_a_record_off_as_written_by_somebody_else(theft: Theft) -> None:
    await theft.write(theft.change(theft.of("peer"), trust="verified"))
    await theft.write(theft.change(theft.of("peer"), trust="met"))

    def lie(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if "/replaced" not in path or status != 200:
            return status, body
        rows = decode(body, ReplacedPage).records
        return status, encode(
            ReplacedPage(tuple(ReplacedRecord(r.number, r.record, max(0, r.written - 1), r.sealed) for r in rows))
        )

    theft.site.proxy.answer = lie
    with pytest.raises(Alarm) as raised:
        await theft.take_back()
    assert raised.value.alarm is AlarmCode.RECORD_SWAPPED


def say_replaced(theft: Theft, row: ReplacedRecord) -> None:
    """The server adds a row to those of what was replaced."""
    said: list[ReplacedRecord] = []

    def lie(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if "/replaced" not in path or status != 200 or said:
            return status, body
        said.append(row)
        rows = (*decode(body, ReplacedPage).records, row)
        return status, encode(ReplacedPage(tuple(sorted(rows, key=lambda each: (each.number, each.record)))))

    theft.site.proxy.answer = lie


@pytest.mark.parametrize("past_the_head", [False, True])
async def test_a_server_cannot_make_the_phrase_delete_what_stands_by_a_commit_that_did_not_touch_it(
    theft: Theft, past_the_head: bool
) -> None:
    peer = peer_of(theft.laptop)
    written = (await theft.laptop.vault.mirror.writers(staged=False))[peer.id]
    sealed = (await theft.laptop.vault.mirror.records([peer.id]))[peer.id]
    number = 10**6 if past_the_head else theft.thief.vault.chain.number
    assert written < number
    say_replaced(theft, ReplacedRecord(number, peer.id, written, sealed))
    with pytest.raises(Alarm) as raised:
        await theft.take_back()
    assert raised.value.alarm is AlarmCode.RECORD_SWAPPED
    theft.site.proxy.be_honest()
    await theft.take_back()
    assert peer_of(theft.laptop).id == peer.id
    await theft.works_again()


async def test_a_server_that_hides_what_a_commit_wrote_does_not_make_it_a_deletion(theft: Theft) -> None:
    """The laptop wrote the record anew, then the thief did; of the three versions the server shows the first and the
    last, as if the laptop had deleted it in between."""
    laptop, peer = theft.laptop, theft.of("peer")
    trusted = laptop.vault.stamp().unit("met")
    content = laptop.vault.contents[peer]
    await laptop.apply({peer: Content(content.kind, {**content.units, "trust": trusted}, content.extra)})
    await laptop.sync()
    await theft.thief.sync()
    await theft.write({peer: None})

    def lie(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if "/replaced" not in path or status != 200 or not (rows := decode(body, ReplacedPage).records):
            return status, body
        newest = max((row.number for row in rows if row.record == peer), default=-1)
        return status, encode(ReplacedPage(tuple(r for r in rows if (r.record, r.number) != (peer, newest))))

    theft.site.proxy.answer = lie
    await theft.take_back()
    assert peer_of(laptop).id == peer


async def test_a_server_that_leaves_lists_out_cannot_pass_a_thiefs_record_off_as_anothers(theft: Theft) -> None:
    """As if the vault had moved there just now: no commit has its list, and nothing that was replaced is there."""
    peer = theft.of("peer")
    honest = (await theft.laptop.vault.mirror.writers(staged=False))[peer]
    await theft.write(theft.change(peer, trust="verified"))
    moved: list[int] = []

    def lie(frames: list[Frame]) -> list[Frame]:
        if not any(isinstance(each, FeedCommit) and parse_commit(each.commit).body.number == 0 for each in frames):
            return frames
        sealed = next(blob for each in frames if isinstance(each, FeedRecords) for r, blob in each.records if r == peer)
        told: list[Frame] = []
        for each in frames:
            if isinstance(each, FeedCommit):
                told.append(FeedCommit(each.commit, each.keys, b""))
                moved.append(parse_commit(each.commit).body.number)
                if moved[-1] == honest:
                    told.append(FeedRecords(((peer, sealed),)))
            elif isinstance(each, FeedRecords):
                rest = tuple(row for row in each.records if row[0] != peer)
                told += [FeedRecords(rest)] if rest else []
            else:
                told.append(each)
        return told

    def hide(_method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        return (status, encode(ReplacedPage(()))) if "/replaced" in path and status == 200 else (status, body)

    theft.site.proxy.feed, theft.site.proxy.answer = lie, hide
    await theft.take_back()
    assert moved, "the lie was told"
    found = peer_of(theft.laptop)
    assert (found.trust, found.facets) == ("unverified", ())


async def test_a_thief_whose_clock_is_behind_wrote_what_she_wrote_all_the_same(theft: Theft) -> None:
    thief, before = theft.thief, theft.thief.vault.clock
    await thief.sync()
    thief.vault.clock = lambda: before() - 2 * versions.WINDOW
    await theft.write(theft.change(theft.of("peer"), trust="verified"))
    await theft.take_back()
    assert peer_of(theft.laptop).trust == "unverified"


async def test_what_a_removed_device_wrote_before_the_last_30_days_counts(
    theft: Theft, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert versions.WINDOW == 30 * 24 * 3600 * 1000
    await theft.write(theft.change(theft.of("peer"), trust="verified"))
    monkeypatch.setattr(versions, "WINDOW", -60_000)
    await theft.take_back()
    assert peer_of(theft.laptop).trust == "verified"
    monkeypatch.undo()
    await theft.works_again()


async def test_two_peers_who_lose_devices_at_the_same_time_find_each_other_again(theft: Theft) -> None:
    """Bob's thief knows Bob's persona, to which Anna's reclaim is sealed, and the other way round."""
    laptop, bob = theft.laptop, theft.bob
    async with await link(theft.friends.bob_site, bob, theft.folder / "bobs-phone", "phone") as his:
        await theft.take_back()
        await remove_stolen(bob.vault, bob.server, his.vault.member.id, theft.bobs_phrase)
        for device in (laptop, bob, bob, laptop):
            await device.sync()
        await theft.settle()
        await theft.works_again()
        assert list(rekeying(bob.vault.contents).values()) == [True]
        stolen = dict(his.vault.contents)
        assert (await speak_as_anna(stolen, his, theft.friends)) <= {PutStatus.STORED, PutStatus.NO_MAILBOX}
        await laptop.sync()
        assert EVIL not in str(laptop.vault.contents)
