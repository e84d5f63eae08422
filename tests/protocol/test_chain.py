"""The rules of the chain: who may write a commit, and what it may do to members and epochs (spec: vault.md, Rules)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from kith_protocol.chain import MAX_STRANGERS, ZERO, begin, extend, freeze_chain, thaw_chain
from kith_protocol.commit import MAX_MEMBERS, sign_commit
from kith_protocol.epoch import NO_KEYS, SealedKeys, epoch_commitment
from kith_protocol.errors import BadKey, BadSignature, DecodingError, KithError, Refused
from kith_protocol.member import Member, MemberKeys, MemberKind
from kith_protocol.suite import HASH_BYTES
from tests.protocol.people import fixed
from tests.protocol.test_member import SMALL_ORDER
from tests.protocol.vaults import Step, Story, chain_of, genesis_body, keys_of, paper_of, without_sealing

PHONE, TABLET, STRANGER = keys_of("phone"), keys_of("tablet"), keys_of("stranger")
NEW_PAPER = paper_of("anna-new")


def story() -> Story:
    return Story(seal=without_sealing)


def with_phone() -> Story:
    told = story()
    told.add(PHONE)
    return told


def refused(told: Story, step: Step) -> str:
    """The code with which `step` is refused; nothing changes."""
    before = freeze_chain(told.chain)
    with pytest.raises(Refused) as caught:
        told.take(step)
    assert freeze_chain(told.chain) == before
    return caught.value.code


# Genesis


def genesis(
    device: Member | None = None, paper: Member | None = None, keys: SealedKeys | None = None, **fields: Any
) -> Callable[[], object]:
    """Begins a vault whose first commit has `fields` turned."""
    device, paper = device or keys_of("a").public, paper or paper_of("a").public
    if keys is None:
        keys = without_sealing(fixed("epoch"), ZERO, 1, {m.id: m for m in (device, paper)}.values())
    body = genesis_body(device, paper, fixed("epoch"), keys, **fields)
    return lambda: begin(sign_commit(body, keys_of("a").sign), keys)


def code_of(attempt: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        attempt()
    return caught.value.code


def test_a_vault_begins_with_its_first_device_and_the_paper_key() -> None:
    told = story()
    chain = told.chain
    assert (chain.number, chain.epoch, chain.vault) == (0, 1, told.steps[0].commit.hash)
    assert set(chain.members) == {told.device.id, told.paper.id}
    assert chain.paper == told.paper.id
    assert chain.commitments == {1: epoch_commitment(1, told.epoch_keys[1])}


@pytest.mark.parametrize("fields", [{"number": 1}, {"vault": fixed("v")}, {"parent": fixed("p")}])
def test_a_first_commit_that_follows_something_is_refused(fields: dict[str, Any]) -> None:
    assert code_of(genesis(**fields)) == "genesis"


def test_a_first_commit_that_removes_somebody_is_refused() -> None:
    assert code_of(genesis(removed=(fixed("x"),))) == "genesis"


def test_a_first_commit_that_gives_up_others_is_refused() -> None:
    assert code_of(genesis(abandoned=(fixed("x"),))) == "genesis"


def test_a_vault_without_a_paper_key_is_refused() -> None:
    assert code_of(genesis(paper=keys_of("b").public)) == "genesis"
    assert code_of(genesis(added=(keys_of("a").public,))) == "genesis"


def test_a_vault_that_begins_with_two_devices_is_refused() -> None:
    three = (keys_of("a").public, keys_of("b").public, paper_of("a").public)
    assert code_of(genesis(added=three)) == "genesis"


def test_a_vault_whose_device_and_paper_key_are_the_same_keys_is_refused() -> None:
    twin = msgspec.structs.replace(keys_of("a").public, kind=MemberKind.PAPER)
    assert code_of(genesis(paper=twin)) == "genesis"
    assert code_of(genesis(added=(twin, keys_of("a").public))) == "genesis"


def test_a_vault_that_begins_with_another_epoch_or_without_its_commitment_is_refused() -> None:
    assert code_of(genesis(epoch=2)) == "wrong-epoch"
    assert code_of(genesis(epoch_commitment=b"")) == "wrong-epoch"


def test_a_first_commit_written_by_the_paper_key_or_a_stranger_is_refused() -> None:
    assert code_of(genesis(author=paper_of("a").id)) == "unknown-member"
    assert code_of(genesis(author=STRANGER.id)) == "unknown-member"


def test_a_first_commit_with_a_signature_of_somebody_else_is_refused() -> None:
    with pytest.raises(BadSignature):
        genesis(device=keys_of("b").public)()


def test_a_first_commit_with_an_unusable_key_is_refused() -> None:
    weak = msgspec.structs.replace(paper_of("a").public, sign_key=SMALL_ORDER)
    with pytest.raises(BadKey):
        genesis(paper=weak)()


def test_a_first_commit_that_does_not_seal_the_key_to_both_is_refused() -> None:
    device, paper = keys_of("a").public, paper_of("a").public
    assert code_of(genesis(keys=NO_KEYS)) == "wrong-epoch"
    assert code_of(genesis(keys=without_sealing(fixed("e"), ZERO, 1, [device]))) == "wrong-epoch"
    everybody = [device, paper, STRANGER.public]
    assert code_of(genesis(keys=without_sealing(fixed("e"), ZERO, 1, everybody))) == "wrong-epoch"
    linked = without_sealing(fixed("e"), ZERO, 1, [device, paper], previous=fixed("before"), nonce=bytes(24))
    assert code_of(genesis(keys=linked)) == "wrong-epoch"


def test_sealed_keys_that_the_first_commit_does_not_name_are_refused() -> None:
    device, paper = keys_of("a").public, paper_of("a").public
    keys = without_sealing(fixed("epoch"), ZERO, 1, [device, paper])
    body = genesis_body(device, paper, fixed("epoch"), NO_KEYS)
    assert code_of(lambda: begin(sign_commit(body, keys_of("a").sign), keys)) == "wrong-epoch"


# Following the head


def test_ordinary_commits_by_any_member_are_taken() -> None:
    told = with_phone()
    for author in (told.device, PHONE, told.paper):
        told.take(told.make(author))
        assert told.chain.members[author.id].last == told.chain.number
    assert told.chain.head == told.steps[-1].commit.hash
    assert told.chain.tree == told.steps[-1].commit.body.tree
    assert chain_of(told.steps) == told.chain


def test_a_commit_that_does_not_follow_the_head_is_refused() -> None:
    told = with_phone()
    for fields in ({"number": 1}, {"number": 3}, {"parent": told.vault}, {"vault": fixed("another vault")}):
        assert refused(told, told.make(**fields)) == "fork"


def test_a_commit_that_is_sent_twice_is_refused() -> None:
    told = story()
    step = told.take(told.make())
    assert refused(told, step) == "fork"


def test_a_second_commit_on_the_same_parent_is_refused() -> None:
    told = story()
    other = told.make(time=1)
    told.take(told.make(time=2))
    assert refused(told, other) == "fork"


def test_a_genesis_in_the_middle_of_a_chain_is_refused() -> None:
    told = story()
    assert refused(told, told.steps[0]) == "fork"


def test_a_commit_by_a_stranger_is_refused() -> None:
    told = story()
    assert refused(told, told.make(STRANGER)) == "unknown-member"


def test_a_commit_by_a_removed_member_is_refused() -> None:
    told = with_phone()
    told.remove(PHONE)
    assert refused(told, told.make(PHONE)) == "unknown-member"


def test_a_commit_signed_by_another_member_than_it_names_is_refused() -> None:
    told = with_phone()
    body = told.make(told.device).commit.body
    assert refused(told, Step(sign_commit(body, PHONE.sign))) == "unknown-member"


# Members


def test_a_device_adds_a_device() -> None:
    told = with_phone()
    assert told.chain.members[PHONE.id].added == 1
    told.add(TABLET, PHONE)
    assert told.chain.members[TABLET.id].added == 2


def test_a_device_adds_only_one_device_at_a_time_but_the_paper_key_several() -> None:
    told = story()
    two = tuple(member.public for member in (PHONE, TABLET))
    sealed = without_sealing(told.epoch_keys[1], told.vault, 1, two)
    assert refused(told, told.make(sealed=sealed, added=two)) == "membership"
    told.take(told.make(told.paper, sealed=sealed, added=two))
    assert len(told.chain.members) == 4


def test_a_member_that_is_there_already_cannot_be_added_again() -> None:
    told = with_phone()
    assert refused(told, told.make_adding(PHONE)) == "membership"


def test_a_removed_member_cannot_be_added_again() -> None:
    told = with_phone()
    told.remove(PHONE)
    assert refused(told, told.make_adding(PHONE)) == "membership"
    assert refused(told, told.make_adding(PHONE, told.paper)) == "membership"


def test_a_member_cannot_be_removed_and_added_in_one_commit() -> None:
    told = with_phone()
    assert refused(told, told.make_removing(PHONE, author=told.paper, added=(PHONE,))) == "membership"


def test_a_commit_that_adds_a_member_twice_is_refused() -> None:
    told = story()
    twice = (PHONE.public, PHONE.public)
    sealed = without_sealing(told.epoch_keys[1], told.vault, 1, [PHONE.public])
    assert refused(told, told.make(told.paper, sealed=sealed, added=twice)) == "membership"


def test_a_member_with_an_unusable_key_is_refused() -> None:
    told = story()
    weak = msgspec.structs.replace(PHONE.public, sign_key=SMALL_ORDER)
    sealed = without_sealing(told.epoch_keys[1], told.vault, 1, [weak])
    with pytest.raises(BadKey):
        told.take(told.make(sealed=sealed, added=(weak,)))


def test_somebody_who_is_no_member_cannot_be_removed() -> None:
    told = story()
    assert refused(told, told.make_removing(STRANGER)) == "membership"


def test_a_device_cannot_remove_itself() -> None:
    told = with_phone()
    assert refused(told, told.make_removing(PHONE, author=PHONE)) == "membership"


def test_a_vault_has_at_most_64_members() -> None:
    told = story()
    for number in range(MAX_MEMBERS - 2):
        told.add(keys_of(f"device-{number}"))
    assert len(told.chain.members) == MAX_MEMBERS
    assert refused(told, told.make_adding(PHONE)) == "membership"
    told.remove(keys_of("device-0"))
    told.add(PHONE)


def test_all_other_devices_can_be_removed_at_once() -> None:
    told = with_phone()
    told.add(TABLET)
    told.remove(PHONE, told.device, author=TABLET)
    assert set(told.chain.members) == {TABLET.id, told.paper.id}
    assert told.chain.removed == {PHONE.id, told.device.id}


# The paper key


def test_the_paper_key_replaces_itself() -> None:
    told = story()
    told.take(told.make_removing(told.paper, author=told.paper, added=(NEW_PAPER,)))
    assert told.chain.paper == NEW_PAPER.id
    assert told.paper.id in told.chain.removed
    assert refused(told, told.make(told.paper)) == "unknown-member"
    told.take(told.make(NEW_PAPER))


def test_a_device_cannot_remove_the_paper_key() -> None:
    told = with_phone()
    assert refused(told, told.make_removing(told.paper)) == "membership"


def test_a_device_cannot_replace_the_paper_key() -> None:
    told = with_phone()
    assert refused(told, told.make_removing(told.paper, added=(NEW_PAPER,))) == "membership"


def test_a_second_paper_key_is_refused_whoever_adds_it() -> None:
    told = story()
    assert refused(told, told.make_adding(NEW_PAPER)) == "membership"
    assert refused(told, told.make_adding(NEW_PAPER, told.paper)) == "membership"


def test_a_vault_never_loses_its_paper_key() -> None:
    told = story()
    assert refused(told, told.make_removing(told.paper, author=told.paper)) == "membership"


def test_the_paper_key_may_remove_every_device() -> None:
    told = with_phone()
    told.remove(PHONE, told.device, author=told.paper)
    assert set(told.chain.members) == {told.paper.id}


# Giving up what a server lost


LOST = (fixed("lost commit"),)


def test_any_member_gives_up_commits_that_a_server_lost_and_begins_an_epoch() -> None:
    for author in (PHONE, story().paper):
        told = with_phone()
        told.take(told.make_removing(author=author, abandoned=LOST, epoch=told.chain.epoch + 7))
        assert told.chain.epoch == 8
        assert thaw_chain(freeze_chain(told.chain)) == told.chain


def test_a_commit_that_gives_up_others_without_a_new_epoch_is_refused() -> None:
    told = with_phone()
    assert refused(told, told.make(abandoned=LOST)) == "wrong-epoch"


def test_a_repair_shuts_out_a_device_that_the_server_never_knew() -> None:
    told = with_phone()
    told.take(told.make_removing(TABLET, abandoned=LOST))
    assert told.chain.removed == {TABLET.id}
    assert refused(told, told.make_adding(TABLET)) == "membership"


def test_no_member_shuts_out_more_ids_than_a_vault_can_keep_for_ever() -> None:
    told = with_phone()
    ids = tuple(fixed(f"stranger {n}") for n in range(MAX_STRANGERS + 1))
    told.take(told.make_removing(author=PHONE, abandoned=LOST, strangers=ids[:40]))
    one_more = told.make_removing(author=PHONE, abandoned=LOST, strangers=ids[40:])
    assert refused(told, one_more) == "membership"
    told.take(told.make_removing(author=PHONE, abandoned=LOST, strangers=ids[:-1]))
    assert thaw_chain(freeze_chain(told.chain)) == told.chain
    assert refused(told, told.make_removing(author=PHONE, abandoned=LOST, strangers=ids[-1:])) == "membership"
    told.take(told.make_removing(PHONE, abandoned=LOST, strangers=ids[-1:]))  # others are not kept from it
    assert told.chain.removed == {PHONE.id, *ids}


def test_a_repair_adds_all_devices_again_whose_adding_was_lost() -> None:
    told = story()
    told.take(told.make_removing(abandoned=LOST, added=(PHONE, TABLET)))
    assert {PHONE.id, TABLET.id} <= told.chain.members.keys()
    told.take(told.make(PHONE))


def test_a_device_cannot_use_a_repair_to_touch_the_paper_key_or_to_bring_a_removed_device_back() -> None:
    told = with_phone()
    told.remove(PHONE)
    assert refused(told, told.make_removing(abandoned=LOST, added=(PHONE,))) == "membership"
    assert refused(told, told.make_removing(told.paper, abandoned=LOST, added=(NEW_PAPER,))) == "membership"
    assert refused(told, told.make_removing(abandoned=LOST, added=(NEW_PAPER,))) == "membership"
    assert refused(told, told.make_removing(TABLET, abandoned=LOST, added=(TABLET,))) == "membership"
    assert refused(told, told.make_removing(told.device, abandoned=LOST)) == "membership"


def test_a_stranger_or_removed_device_gives_up_nothing() -> None:
    told = with_phone()
    told.remove(PHONE)
    for author in (PHONE, STRANGER):
        assert refused(told, told.make_removing(author=author, abandoned=LOST)) == "unknown-member"


# Keeping the chain


def test_a_kept_chain_is_the_same_after_reading_it() -> None:
    told = with_phone()
    told.remove(PHONE)
    kept = freeze_chain(told.chain)
    assert thaw_chain(kept) == told.chain
    assert freeze_chain(thaw_chain(kept)) == kept
    assert extend(thaw_chain(kept), told.make().commit, NO_KEYS).number == 3


def test_a_kept_chain_that_is_damaged_is_refused() -> None:
    kept = freeze_chain(story().chain)
    with pytest.raises(DecodingError):
        thaw_chain(kept[:-1])
    with pytest.raises(DecodingError):
        thaw_chain(kept.replace(story().chain.head, bytes(HASH_BYTES - 1) + b"\xc0", 1)[:-1])


def test_refusals_tell_no_keys() -> None:
    told = story()
    attempts: list[tuple[MemberKeys, dict[str, Any]]] = [(STRANGER, {}), (told.device, {"epoch": 7})]
    for author, fields in attempts:
        with pytest.raises(KithError) as caught:
            told.take(told.make(author, **fields))
        assert told.epoch_keys[1].hex() not in str(caught.value)
        assert author.sign.seed.hex() not in str(caught.value)
