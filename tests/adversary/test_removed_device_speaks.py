"""A removed device knows every secret of its person's relationships; that ends once the peers have new keys."""

from __future__ import annotations

from pathlib import Path

from kith_client.book import me
from kith_client.lifecycle.removing import remove_device
from kith_client.relations.outgoing import outgoing
from kith_client.relations.rekeying import rekeying
from kith_client.relations.upkeep import plan
from kith_client.stamp import Contents, overlay
from kith_client.sync.knock import Errand, sealed
from kith_protocol.gateway import PutStatus, open_put_answer, request_hash
from tests.adversary.friends import MAIL, Friends, told
from tests.adversary.world import Device, link

EVIL = "thief@evil.example"


async def speak_as_anna(stolen: Contents, thief: Device, friends: Friends) -> set[PutStatus]:
    """Puts a forged card into Bob's mailbox with all that Anna's vault held, by way of somebody else's server."""
    stamp = thief.vault.stamp()
    edit, _ = me.set_mine(stolen, stamp, "email", EVIL, ["work"])
    forged = overlay(stolen, edit)
    forged = overlay(forged, plan(forged, stamp).edit)
    answers = set()
    errand = Errand(friends.carl.vault, friends.carl.server, 5)
    for each in outgoing(forged, stamp):
        statement = await errand.statement(each.host, each.fingerprint)
        request, raw = await sealed(statement, each.put, thief.vault.clock())
        answer = await errand.carry(each.host, raw)
        answers.add(open_put_answer(request.response_key, request_hash(raw), answer or b"").status)
    return answers


async def test_a_removed_device_cannot_speak_to_peers_in_its_persons_name_once_they_have_new_keys(
    friends: Friends, tmp_path: Path
) -> None:
    anna, bob = friends.anna, friends.bob
    async with await link(friends.anna_site, anna, tmp_path / "phone") as thief:
        stolen = dict(thief.vault.contents)
        await remove_device(anna.vault, anna.server, thief.vault.member.id)
        assert rekeying(anna.vault.contents) == {anna.channel.peer: False}
        for device in (anna, bob, anna, bob, anna):
            await device.sync()
        assert rekeying(anna.vault.contents) == {anna.channel.peer: True}
        await speak_as_anna(stolen, thief, friends)
        await bob.sync()
    assert told(bob) == [MAIL]
    await anna.apply(me.set_mine(anna.vault.contents, anna.vault.stamp(), "email", "new@work.example", ["work"])[0])
    for device in (anna, bob):
        await device.sync()
    assert told(bob) == ["new@work.example"]


async def test_the_attack_of_these_tests_succeeds_while_the_device_is_one(friends: Friends, tmp_path: Path) -> None:
    async with await link(friends.anna_site, friends.anna, tmp_path / "phone") as thief:
        assert await speak_as_anna(thief.vault.contents, thief, friends) == {PutStatus.STORED}
    await friends.bob.sync()
    assert told(friends.bob) == [EVIL]


async def test_a_removed_device_never_sees_the_new_keys(friends: Friends, tmp_path: Path) -> None:
    """They are made after the removal, though the decision was kept before it."""
    anna = friends.anna
    async with await link(friends.anna_site, anna, tmp_path / "phone") as thief:
        before = {key.seed for key in anna.channel.mine.keys}
        await remove_device(anna.vault, anna.server, thief.vault.member.id)
        assert {key.seed for key in anna.channel.mine.keys} == before
        removal = anna.vault.chain.number
        await anna.sync()
        assert {key.seed for key in anna.channel.mine.keys} != before
        assert anna.vault.chain.number > removal
        assert thief.vault.member.id not in anna.vault.chain.members
