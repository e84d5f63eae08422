"""Whom a device follows after its server lost commits, and whom never (spec: repair.md)."""

from __future__ import annotations

import pytest

from kith_protocol.chain import Chain
from kith_protocol.errors import Refused
from kith_protocol.repair import find_repair, shut_out
from tests.protocol.vaults import Step, Story, keys_of, paper_of, without_sealing

PHONE, TABLET, SPY = keys_of("phone"), keys_of("tablet"), keys_of("spy")


def restored() -> tuple[Story, Story]:
    """A device's history, in which the tablet was removed, and the server's, from before that."""
    lost = Story(seal=without_sealing)
    lost.add(PHONE)
    lost.add(TABLET)
    shown = lost.fork()
    lost.remove(TABLET)
    lost.put(carla="met at PyCon")
    return lost, shown


def found(lost: Story, shown: Story, *, common: int = 3, known: Chain | None = None) -> Step:
    """The shown step that the device of `lost` follows."""
    sides = [[step.commit for step in story.steps[common:]] for story in (lost, shown)]
    repair = find_repair(known or lost.chain, *sides)
    return next(step for step in shown.steps if step.commit == repair)


def refused(lost: Story, shown: Story) -> str:
    with pytest.raises(Refused) as caught:
        found(lost, shown)
    assert caught.value.code == "not-repaired"
    return str(caught.value)


def test_a_device_follows_a_member_that_names_all_it_had_and_repeats_the_removals() -> None:
    for by in (lambda story: story.device, lambda _: PHONE, lambda story: story.paper):
        lost, shown = restored()
        step = shown.repair(lost.steps[3:], TABLET, author=by(shown))
        shown.put(dora="owes me a book")
        assert found(lost, shown) is step


def test_a_removed_device_with_an_old_server_cannot_give_up_its_own_removal() -> None:
    lost, shown = restored()
    shown.repair(lost.steps[3:], author=TABLET)
    assert "no member" in refused(lost, shown)


def test_nor_can_an_accomplice_whom_it_lets_in_on_the_old_history() -> None:
    lost, shown = restored()
    shown.add(SPY, TABLET)
    shown.repair(lost.steps[3:], TABLET, author=SPY)
    assert "no member" in refused(lost, shown)


def test_a_stolen_phrase_that_was_replaced_gives_nothing_up() -> None:
    lost, shown = restored()
    lost.take(lost.make_removing(lost.paper, author=lost.paper, added=(paper_of("anna-new"),)))
    shown.repair(lost.steps[3:], TABLET, author=shown.paper)
    assert "no member" in refused(lost, shown)


def test_nobody_gives_up_what_he_has_not_seen() -> None:
    for named in (slice(3, -1), slice(4, None)):
        lost, shown = restored()
        shown.repair(lost.steps[named], TABLET)
        assert "not seen everything" in refused(lost, shown)


def test_a_repair_does_not_let_a_removed_device_in_again() -> None:
    lost, shown = restored()
    shown.repair(lost.steps[3:])
    assert "removed device" in refused(lost, shown)
    shown.remove(TABLET)
    assert "removed device" in refused(lost, shown), "it could read what was written in between"


def test_a_device_that_was_added_and_removed_within_what_was_lost_stays_out() -> None:
    lost, shown = restored()
    lost.add(SPY)
    lost.remove(SPY)
    other = shown.fork()
    other.repair(lost.steps[3:], TABLET)
    assert "removed device" in refused(lost, other)
    step = shown.repair(lost.steps[3:], TABLET, SPY)
    assert found(lost, shown) is step


def test_a_removal_that_the_old_history_repeated_by_itself_need_not_be_repeated() -> None:
    lost, shown = restored()
    shown.remove(TABLET, author=PHONE)
    step = shown.repair(lost.steps[3:])
    assert found(lost, shown) is step


def test_an_epoch_that_was_seen_is_not_begun_again() -> None:
    lost, shown = restored()
    shown.repair(lost.steps[3:], TABLET, epoch=lost.chain.epoch)
    assert "epoch" in refused(lost, shown)


def test_an_old_history_alone_is_no_repair() -> None:
    lost, shown = restored()
    assert "Nobody" in refused(lost, shown)
    shown.put(dora="owes me a book")
    assert "Nobody" in refused(lost, shown)


def test_a_second_repair_that_names_everything_is_followed() -> None:
    lost, shown = restored()
    shown.repair(lost.steps[3:4], TABLET, author=PHONE)
    assert "not seen everything" in refused(lost, shown)
    step = shown.repair(lost.steps[3:])
    assert found(lost, shown) is step


def test_whoever_followed_one_of_two_repairs_is_not_led_to_the_other() -> None:
    """A server that lets two devices repair apart, and shows each its own."""
    lost, shown = restored()
    other = shown.fork()
    shown.repair(lost.steps[3:], TABLET)
    other.repair(lost.steps[3:], TABLET, author=PHONE)
    assert refused(shown, other)
    assert refused(other, shown)


def test_an_old_history_that_holds_a_repair_does_not_take_a_device_back_behind_it() -> None:
    lost, shown = restored()
    shown.repair(lost.steps[3:], TABLET)
    shown.put(carla="met at PyCon")
    assert refused(shown, lost)


def test_whoever_a_removed_device_lets_in_is_shut_out_with_it() -> None:
    _, shown = restored()
    accomplice, later = keys_of("accomplice"), keys_of("later")
    for member, author in ((SPY, TABLET), (accomplice, SPY), (later, PHONE)):
        shown.add(member, author)
    commits = [step.commit for step in shown.steps[3:]]
    assert shut_out([TABLET.id], commits) == {TABLET.id, SPY.id, accomplice.id}
    assert shut_out([], commits) == frozenset()
