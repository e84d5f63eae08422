"""A device that was removed, with all it ever had and a server that helps it: no session, no push, nothing newer."""

from __future__ import annotations

import secrets

import pytest

from kith_client.errors import ServerRefused
from kith_client.lifecycle.linking import remove_device
from kith_client.sync.building import build_push
from kith_protocol import wire
from kith_protocol.chain import ZERO, Chain
from kith_protocol.commit import parse_commit
from kith_protocol.encoding import encode
from kith_protocol.epoch import open_epoch_key, open_previous_key, parse_keys
from kith_protocol.errors import Alarm, KithError, Undecryptable
from kith_protocol.record import open_record, record_key
from kith_protocol.session import sign_session
from tests.adversary.scene import KNOWN, Scene
from tests.adversary.world import link


async def test_a_removed_device_gets_no_session_and_keeps_what_it_had(scene: Scene) -> None:
    tablet = scene.removed
    before = tablet.state()
    with pytest.raises(ServerRefused) as raised:
        await tablet.sync()
    assert raised.value.code == "not-a-member"
    assert tablet.state() == before
    assert set(tablet.names) < set(KNOWN)


async def test_a_session_from_before_the_removal_is_worth_nothing_after_it(scene: Scene) -> None:
    """A fourth device opens a session, is removed, and tries to go on with its token."""
    laptop = scene.laptop
    await laptop.sync()
    thief = await link(scene.site, laptop, scene.laptop.home.path.parent / "thief", "thief")
    async with thief:
        await thief.sync()
        await laptop.sync()
        await remove_device(laptop.vault, laptop.server, thief.vault.member.id)
        thief.server.sign_in = None
        with pytest.raises(ServerRefused):
            await thief.sync()
        with pytest.raises(ServerRefused):
            [frame async for frame in thief.server.feed(thief.vault.id, -1)]


async def test_a_removed_device_cannot_push_even_in_another_devices_session(scene: Scene) -> None:
    """The signature of the commit counts, not who carries it."""
    phone = scene.phone
    push = scene.forged(scene.tablet, {})
    with pytest.raises(ServerRefused) as raised:
        await phone.server.push(phone.vault.id, encode(push))
    assert raised.value.code == "unknown-member"
    old = scene.removed.vault
    on_old_head = build_push(old.chain, old.member, {}, old.index.root, old.clock())
    with pytest.raises(KithError):
        await phone.server.push(phone.vault.id, encode(on_old_head))
    await scene.laptop.sync()


async def test_a_removed_device_cannot_sign_in_as_another(scene: Scene) -> None:
    phone, tablet = scene.phone.vault, scene.tablet
    nonce = secrets.token_bytes(16)
    forged = sign_session(phone.id, phone.member.id, scene.phone.server.host, phone.clock(), nonce, tablet.sign)
    with pytest.raises(ServerRefused):
        await scene.phone.server.open_session(wire.SessionRequest(*forged))


async def test_with_the_whole_database_a_removed_device_reads_nothing_that_came_after(scene: Scene) -> None:
    """It gets every commit, every sealed key and every record, and tries every key that it ever had on each."""
    await scene.laptop.sync()
    await scene.phone.sync()
    chain, tablet = scene.phone.vault.chain, scene.removed.vault
    removal = next(number for number, epoch in _epochs(scene) if epoch == 2)
    keys = _keys_within_reach(scene, chain)
    assert {epoch for epoch, _ in keys} == {1}, "the old epoch is readable, or this test tries nothing"
    read: set[tuple[bytes, int]] = set()
    unread: set[tuple[bytes, int]] = set()
    for record, number, blob in scene.site.rows("SELECT record, number, sealed FROM blobs"):
        (unread if _open_with_any(keys, tablet.id, record, blob) is None else read).add((record, number))
    assert read, "what was written before is readable, or this test proves nothing"
    assert unread, "something was written after"
    assert max(number for _, number in read) < removal <= min(number for _, number in unread)
    theirs = {record for record, _ in unread}
    assert any(scene.phone.vault.contents[record].kind == "contact" for record in theirs if record in _contents(scene))


async def test_the_new_epochs_key_is_not_under_the_old_one(scene: Scene) -> None:
    """The link between epochs leads backwards only."""
    old = scene.old_epoch_key
    for raw, raw_keys in scene.site.rows("SELECT raw, keys FROM commits WHERE number > 0"):
        body, keys = parse_commit(raw).body, parse_keys(raw_keys)
        if body.epoch == 2 and keys.previous:
            with pytest.raises(Alarm):
                open_previous_key(keys, scene.phone.vault.id, 2, old, 1, scene.phone.vault.chain.commitments[1])
            new = scene.phone.vault.record_keys.epoch_key(2)
            back = open_previous_key(keys, scene.phone.vault.id, 2, new, 1, scene.phone.vault.chain.commitments[1])
            assert back == old
            return
    pytest.fail("no commit began the second epoch")


def _keys_within_reach(scene: Scene, chain: Chain) -> set[tuple[int, bytes]]:
    """(epoch, record key) of every epoch key that the tablet had, or can open in the database."""
    tablet = scene.removed.vault
    found = {(epoch, tablet.record_keys.epoch_key(epoch)) for epoch in (1,)}
    for raw, raw_keys in scene.site.rows("SELECT raw, keys FROM commits"):
        body, keys = parse_commit(raw).body, parse_keys(raw_keys)
        for sealed in keys.keys:
            # Also what is sealed to others, as if it were its own.
            stolen = type(keys)((type(sealed)(tablet.member.id, sealed.sealed),), keys.previous)
            for scope in (tablet.id, ZERO):
                try:
                    key = open_epoch_key(stolen, scope, body.epoch, tablet.member, chain.commitments[body.epoch])
                except Alarm:
                    continue
                found.add((body.epoch, key))
    return {(epoch, record_key(key, tablet.id)) for epoch, key in found}


def _open_with_any(keys: set[tuple[int, bytes]], vault: bytes, record: bytes, blob: bytes) -> object:
    for _, key in keys:
        try:
            return open_record(key, vault, record, blob)
        except Undecryptable:
            continue
    return None


def _epochs(scene: Scene) -> list[tuple[int, int]]:
    """(number, epoch) of every commit, in order."""
    rows = scene.site.rows("SELECT raw FROM commits ORDER BY number")
    return [(body.number, body.epoch) for body in (parse_commit(raw).body for (raw,) in rows)]


def _contents(scene: Scene) -> set[bytes]:
    return set(scene.phone.vault.contents)
