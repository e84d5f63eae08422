"""The rules of the chain for epochs and the keys sealed beside a commit (spec: vault.md, Epochs)."""

from __future__ import annotations

from typing import Any

import msgspec

from kith_protocol.chain import MAX_EPOCH_STEP, freeze_chain, thaw_chain
from kith_protocol.commit import sign_commit
from kith_protocol.encoding import encode
from kith_protocol.epoch import SealedKeys, epoch_commitment
from kith_protocol.recordheader import MAX_EPOCH
from kith_protocol.suite import digest
from tests.protocol.people import fixed
from tests.protocol.test_chain import PHONE, STRANGER, TABLET, refused, story, with_phone
from tests.protocol.vaults import Step, Story, without_sealing


def new_epoch(told: Story, epoch: int, **fields: Any) -> Step:
    """An epoch that begins without a removal."""
    members = [standing.member for standing in told.chain.members.values()]
    sealed = told.seal(fixed("key"), told.vault, epoch, members, previous=told.epoch_keys[1], nonce=bytes(24))
    turned = {"epoch": epoch, "epoch_commitment": epoch_commitment(epoch, fixed("key")), **fields}
    return told.make(sealed=sealed, **turned)


def test_an_epoch_may_begin_without_a_removal_and_skip_numbers() -> None:
    told = story()
    told.take(new_epoch(told, 1 + MAX_EPOCH_STEP))
    assert sorted(told.chain.commitments) == [1, 1 + MAX_EPOCH_STEP]


def test_removing_a_member_begins_a_new_epoch_whose_commitment_is_kept() -> None:
    told = with_phone()
    told.remove(PHONE)
    assert told.chain.epoch == 2
    assert told.chain.commitments[2] == epoch_commitment(2, told.epoch_keys[2])


def test_a_removal_without_a_new_epoch_is_refused() -> None:
    told = with_phone()
    assert refused(told, told.make(removed=(PHONE.id,))) == "wrong-epoch"


def test_an_epoch_that_goes_back_or_leaps_ahead_is_refused() -> None:
    told = with_phone()
    told.remove(PHONE)
    for epoch in (0, 1, 2 + MAX_EPOCH_STEP + 1, MAX_EPOCH + 1):
        assert refused(told, new_epoch(told, epoch)) == "wrong-epoch"


def test_no_epoch_beyond_what_a_record_can_name_is_taken() -> None:
    told = story()
    told.chain = thaw_chain(freeze_chain(told.chain))
    object.__setattr__(told.chain, "epoch", MAX_EPOCH)
    assert refused(told, new_epoch(told, MAX_EPOCH + 1)) == "wrong-epoch"


def test_an_epoch_without_a_commitment_or_a_commitment_without_an_epoch_is_refused() -> None:
    told = story()
    assert refused(told, new_epoch(told, 2, epoch_commitment=b"")) == "wrong-epoch"
    assert refused(told, told.make(epoch_commitment=fixed("c"))) == "wrong-epoch"


def test_a_new_epoch_that_is_not_linked_to_the_one_before_is_refused() -> None:
    told = with_phone()
    honest = told.make_removing(PHONE)
    unlinked = SealedKeys(honest.keys.keys)
    assert refused(told, _with_keys(told, honest, unlinked)) == "wrong-epoch"


def test_a_link_where_no_epoch_begins_is_refused() -> None:
    told = story()
    linked = without_sealing(fixed("k"), told.vault, 1, [], previous=fixed("p"), nonce=bytes(24))
    assert refused(told, told.make(sealed=linked)) == "wrong-epoch"


def test_a_new_epoch_sealed_to_the_removed_member_is_refused() -> None:
    told = with_phone()
    honest = told.make_removing(PHONE)
    everybody = SealedKeys(
        tuple(sorted([*honest.keys.keys, *told.steps[1].keys.keys], key=lambda key: key.member)), honest.keys.previous
    )
    assert PHONE.id in {key.member for key in everybody.keys}
    assert refused(told, _with_keys(told, honest, everybody)) == "wrong-epoch"


def test_a_new_epoch_that_leaves_out_a_member_is_refused() -> None:
    told = with_phone()
    honest = told.make_removing(PHONE)
    fewer = SealedKeys(honest.keys.keys[1:], honest.keys.previous)
    assert refused(told, _with_keys(told, honest, fewer)) == "wrong-epoch"


def test_an_added_device_without_the_key_is_refused() -> None:
    told = story()
    assert refused(told, told.make(added=(PHONE.public,))) == "wrong-epoch"


def test_an_ordinary_commit_that_seals_the_key_to_somebody_is_refused() -> None:
    told = story()
    sealed = without_sealing(told.epoch_keys[1], told.vault, 1, [STRANGER.public])
    assert refused(told, told.make(sealed=sealed)) == "wrong-epoch"


def test_sealed_keys_that_were_exchanged_on_the_way_are_refused() -> None:
    told = story()
    honest = told.make_adding(PHONE)
    other = told.seal(fixed("another key"), told.vault, 1, [PHONE.public, TABLET.public])
    assert refused(told, Step(honest.commit, other)) == "wrong-epoch"


def _with_keys(told: Story, step: Step, keys: SealedKeys) -> Step:
    body = msgspec.structs.replace(step.commit.body, keys=digest(encode(keys)))
    return Step(sign_commit(body, told.device.sign), keys)
