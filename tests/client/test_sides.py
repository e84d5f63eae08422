"""Which side of two parted histories changed a record, and what stands (spec: repair.md, Following)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kith_client.sync.sides import Sides
from kith_protocol.content import Content, Unit

RECORD, LATEST = b"\x01" * 16, 10_000
FORK, REPAIR = 10, 20
OLD, MINE, THEIRS = (
    Content("contact", {"fn": Unit(text, at)}) for text, at in (("Old", 1), ("Mine", 5), ("Theirs", 6))
)


def sides(here: int | None, there: int | None, *, void: Mapping[int, str] | None = None, unlisted: int = -1) -> Sides:
    """Who wrote the record last: numbers of commits."""
    return Sides(
        FORK,
        REPAIR,
        {} if here is None else {RECORD: here},
        {} if there is None else {RECORD: there},
        frozenset(void or ()),
        unlisted,
    )


def stands(found: Sides, kept: Content | None, remote: Content | None, local: Content | None = None) -> Content | None:
    """What stands; without an unsent edit unless `local` is one."""
    return found.merge(RECORD, kept, kept if local is None else local, remote, LATEST).content


def test_what_only_this_side_changed_stands() -> None:
    assert stands(sides(12, 3), MINE, OLD) == MINE
    assert stands(sides(12, None), MINE, None) == MINE


def test_what_only_this_side_deleted_is_deleted_again() -> None:
    assert stands(sides(None, 3), None, OLD) is None


def test_what_only_the_server_has_newer_stands() -> None:
    assert stands(sides(3, 12), OLD, THEIRS) == THEIRS
    assert stands(sides(None, 12), None, THEIRS) == THEIRS


def test_what_was_deleted_on_the_server_only_stays_deleted() -> None:
    assert stands(sides(3, 12), OLD, None) is None
    assert stands(sides(3, None, unlisted=15), OLD, None) is None


def test_an_edit_on_one_side_stands_against_a_deletion_on_the_other() -> None:
    assert stands(sides(12, 13), MINE, None) == MINE
    assert stands(sides(None, 13), None, THEIRS) == THEIRS


def test_what_both_changed_is_kept_twice() -> None:
    kept = stands(sides(12, 13), MINE, THEIRS)
    assert kept is not None
    assert kept.value("fn") == "Theirs"
    assert any(name.startswith("conflict/") for name in kept.units)


def test_an_unsent_edit_is_merged_into_what_stands() -> None:
    edited = Content("contact", {**OLD.units, "note": Unit("unsent", 7)})
    assert stands(sides(3, 3), OLD, OLD, edited) == edited
    both = stands(sides(3, 12), OLD, THEIRS, edited)
    assert both is not None
    assert (both.value("fn"), both.value("note")) == ("Theirs", "unsent")
    assert stands(sides(3, REPAIR), OLD, THEIRS, edited) == both


@pytest.mark.parametrize("here", [3, 12])
def test_what_was_written_after_the_repair_stands_as_it_is(here: int) -> None:
    """Its author knew both sides."""
    assert stands(sides(here, REPAIR), MINE, THEIRS) == THEIRS
    assert stands(sides(here, REPAIR + 1), MINE, None) is None


def test_what_a_removed_device_wrote_on_the_server_counts_for_nothing() -> None:
    void = {13: "tablet"}
    assert stands(sides(3, 13, void=void), OLD, THEIRS) == OLD
    assert stands(sides(12, 13, void=void), MINE, None) == MINE
    assert stands(sides(None, 13, void=void), None, THEIRS) is None


def test_a_server_that_hides_which_commit_is_whose_helps_no_removed_device() -> None:
    """Without its list of changes a record may be named under any commit of its epoch."""
    void = {13: "tablet"}
    assert stands(sides(3, 12, void=void, unlisted=14), OLD, THEIRS) == OLD
    assert stands(sides(3, None, void=void, unlisted=14), OLD, None) == OLD
    assert stands(sides(3, 12, void=void, unlisted=FORK), OLD, THEIRS) == THEIRS


def test_a_channel_that_went_on_on_both_sides_is_joined_and_not_merged() -> None:
    one, other = (
        Content("theirs", {"version": Unit(version, 5), "payload": Unit(text, at)})
        for version, text, at in ((7, "seven", 5), (6, "six", 9))
    )
    assert stands(sides(12, 13), one, other) == one
    assert stands(sides(12, 13), other, one) == one
