"""What a device signs is what every other one takes (spec: vault.md)."""

from __future__ import annotations

import pytest

from kith_client.sync.building import added_since, adding, build_push, genesis, removing
from kith_protocol.chain import Chain, begin, extend
from kith_protocol.commit import ChangeList, parse_commit
from kith_protocol.encoding import decode, encode
from kith_protocol.epoch import open_epoch_key, open_previous_key, parse_keys
from kith_protocol.errors import Refused
from kith_protocol.member import MemberKeys
from kith_protocol.suite import digest
from kith_protocol.tree import Tree
from kith_protocol.wire import Push
from tests.protocol.people import NOW, fixed
from tests.protocol.vaults import keys_of, paper_of

LAPTOP, PHONE, TABLET, PAPER = keys_of("laptop"), keys_of("phone"), keys_of("tablet"), paper_of("anna")
KEY, NEW_KEY = fixed("epoch-1"), fixed("epoch-2")
ID, OTHER = fixed("id", 16), fixed("other", 16)


def begun() -> Chain:
    return begin(*genesis(LAPTOP, PAPER.public, KEY, NOW))


def taken(chain: Chain, push: Push) -> Chain:
    return extend(chain, parse_commit(push.commit), parse_keys(push.keys))


def with_devices(*devices: MemberKeys) -> Chain:
    chain = begun()
    for device in devices:
        step = adding(chain, device.public, KEY)
        chain = taken(chain, build_push(chain, LAPTOP, {}, chain.tree, NOW, step=step))
    return chain


def test_a_first_commit_seals_the_key_to_the_device_and_the_paper_key() -> None:
    commit, keys = genesis(LAPTOP, PAPER.public, KEY, NOW)
    chain = begin(commit, keys)
    for member in (LAPTOP, PAPER):
        assert open_epoch_key(keys, bytes(32), 1, member, chain.commitments[1]) == KEY
    assert commit.body.tree == Tree().root
    assert commit.body.time == NOW


def test_a_push_names_its_records_in_order_and_leaves_out_deleted_ones() -> None:
    chain = begun()
    first, second, gone = sorted([ID, OTHER, fixed("third", 16)])
    push = build_push(chain, LAPTOP, {gone: None, second: b"two", first: b"one"}, fixed("tree"), NOW)
    assert push.records == ((first, b"one"), (second, b"two"))
    changes = decode(push.changes, ChangeList)
    assert changes.changes == ((first, digest(b"one")), (second, digest(b"two")), (gone, b""))
    assert taken(chain, push).tree == fixed("tree")
    assert decode(encode(push), Push) == push


def test_an_added_device_opens_the_key_in_force() -> None:
    chain = begun()
    step = adding(chain, PHONE.public, KEY)
    after = taken(chain, build_push(chain, LAPTOP, {}, chain.tree, NOW, step=step))
    assert after.members[PHONE.id].added == 1
    assert open_epoch_key(step.keys, chain.vault, 1, PHONE, after.commitments[1]) == KEY


def test_nothing_but_a_device_is_added() -> None:
    with pytest.raises(Refused, match="Only a device"):
        adding(begun(), paper_of("mallory").public, KEY)


def test_a_removed_device_gets_no_key_and_the_others_read_old_and_new() -> None:
    chain = with_devices(PHONE, TABLET)
    step, epoch = removing(chain, frozenset({PHONE.id}), KEY, NEW_KEY, fixed("nonce", 24))
    after = taken(chain, build_push(chain, LAPTOP, {}, chain.tree, NOW, step=step, epoch=epoch))
    assert (after.epoch, epoch) == (2, 2)
    assert set(after.members) == {LAPTOP.id, TABLET.id, PAPER.id}
    for member in (LAPTOP, TABLET, PAPER):
        key = open_epoch_key(step.keys, chain.vault, 2, member, after.commitments[2])
        assert key == NEW_KEY
        assert open_previous_key(step.keys, chain.vault, 2, key, 1, after.commitments[1]) == KEY
    assert PHONE.id not in {sealed.member for sealed in step.keys.keys}


def test_removing_a_device_names_those_that_it_may_have_let_in() -> None:
    chain = with_devices(PHONE, TABLET)
    assert added_since(chain, PHONE.id) == {TABLET.id}
    assert added_since(chain, TABLET.id) == frozenset()
    assert added_since(chain, LAPTOP.id) == {PHONE.id, TABLET.id}
