"""The laws of merging (spec: merge.md)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kith_protocol.content import Content, Unit, same_value
from kith_protocol.encoding import Value
from kith_protocol.merge import CONFLICT, KINDS_WITH_CONFLICTS, conflict_name, merge, past_name

LATEST = 1000
KEYS = ["fn", "tel-1", "tel-2", "email-1"]
_unit = st.builds(
    Unit, st.sampled_from(["a", "b", "c", 1, True, ["x"]]), st.integers(0, 60), st.sampled_from([b"A", b"B"])
)
_units = st.dictionaries(st.sampled_from(KEYS), _unit, max_size=4)
_extra = st.dictionaries(st.sampled_from(["new", "newer"]), st.integers(0, 2), max_size=2)
_kind = st.sampled_from(["contact", "note", "circle"])


def content(units: dict[str, Unit], kind: str = "contact", extra: dict[str, Any] | None = None) -> Content:
    return Content(kind, units, extra or {})


@st.composite
def edits(draw: st.DrawFn, count: int = 2, kind: str | None = None) -> tuple[Content, list[Content | None]]:
    """A base, and what `count` devices made of it: units edited later than in base, added, deleted; or all deleted."""
    kind = kind or draw(_kind)
    base = content(draw(_units), kind, draw(_extra))
    made: list[Content | None] = []
    for _ in range(count):
        if draw(st.integers(0, 9)) == 0:
            made.append(None)
            continue
        units = dict(base.units)
        for key in draw(st.lists(st.sampled_from(KEYS), max_size=3)):
            if draw(st.booleans()):
                units[key] = draw(_unit.map(lambda unit: Unit(unit.value, unit.at + 100, unit.by)))
            else:
                units.pop(key, None)
        made.append(content(units, kind, {**base.extra, **draw(_extra)}))
    return base, made


def join(base: Content | None, local: Content | None, remote: Content | None) -> Content | None:
    return merge(base, local, remote, latest=LATEST).content


def entered(held: Content | None) -> set[tuple[str, bytes]]:
    """Every value that `held` keeps, in a unit or as a conflict: (unit, fingerprint)."""
    found: set[tuple[str, bytes]] = set()
    for key, unit in (held.units if held else {}).items():
        match unit.value if key.startswith(CONFLICT) else None:
            case [str(name), value, int(at), bytes(by)]:
                found.add((name, Unit(value, at, by).fingerprint))
            case _:
                found.add((key, unit.fingerprint))
    return found


def edited(base: Content, made: Content | None) -> set[str]:
    """The units that were edited or added, not those deleted."""
    return {key for key, unit in made.units.items() if base.units.get(key) != unit} if made else set()


# Laws


@given(edits())
def test_merging_is_deterministic(case: tuple[Content, list[Content | None]]) -> None:
    base, (local, remote) = case
    assert merge(base, local, remote, latest=LATEST) == merge(base, local, remote, latest=LATEST)


@given(edits())
def test_merging_again_changes_nothing(case: tuple[Content, list[Content | None]]) -> None:
    base, (local, remote) = case
    merged = join(base, local, remote)
    assert join(base, merged, remote) == merged
    assert join(remote, merged, remote) == merged
    assert join(base, local, merged) == merged


@given(edits())
def test_without_a_local_edit_what_is_remote_stands(case: tuple[Content, list[Content | None]]) -> None:
    base, (_, remote) = case
    assert merge(base, base, remote, latest=LATEST).content == remote
    assert merge(base, base, remote, latest=LATEST).conflicts == 0


@given(edits())
def test_without_a_remote_edit_what_is_local_stands(case: tuple[Content, list[Content | None]]) -> None:
    base, (local, _) = case
    assert join(base, local, base) == local


@given(edits())
def test_the_same_edit_on_both_sides_is_no_conflict(case: tuple[Content, list[Content | None]]) -> None:
    base, (local, _) = case
    merged = merge(base, local, local, latest=LATEST)
    assert (merged.content, merged.conflicts) == (local, 0)


@pytest.mark.parametrize(
    ("base", "edit"), [(1, True), (0, False), (1, 1.0), (0.0, -0.0), ([1], [True]), ({"a": 1}, {"a": True})]
)
def test_values_that_only_python_takes_for_one_are_two(base: Value, edit: Value) -> None:
    assert base == edit
    was, mine, theirs = (content({"fn": Unit(value, 1, b"A")}) for value in (base, edit, "theirs"))
    merged = join(was, mine, theirs)
    assert {("fn", Unit(edit, 1).fingerprint), ("fn", Unit("theirs", 1).fingerprint)} == entered(merged)
    assert join(was, mine, None) == mine
    changed = join(content({}, extra={"new": base}), content({}, extra={"new": edit}), content({}, extra={"new": base}))
    assert changed is not None
    assert same_value(changed.extra["new"], edit)


def test_equal_values_are_one_whatever_the_order_of_their_keys() -> None:
    assert Unit({"a": [1, None], "b": 0.5}, 1) == Unit({"b": 0.5, "a": [1, None]}, 1)
    assert Unit(float("nan"), 1) == Unit(float("nan"), 1)
    assert Unit("a", 1) != "a"
    assert not same_value({"a": 1}, {"b": 1})
    assert not same_value([1], [1, 2])


@given(edits(kind="contact"))
def test_nothing_that_was_entered_is_lost(case: tuple[Content, list[Content | None]]) -> None:
    base, (local, remote) = case
    merged = join(base, local, remote)
    for made in (local, remote):
        if made is not None:
            assert {(key, made.units[key].fingerprint) for key in edited(base, made)} <= entered(merged)


@given(edits(kind="circle"))
def test_edits_to_different_units_both_stand(case: tuple[Content, list[Content | None]]) -> None:
    base, (local, remote) = case
    merged = join(base, local, remote)
    mine, theirs = edited(base, local), edited(base, remote)
    for made, only in ((local, mine - theirs), (remote, theirs - mine)):
        for key in only:
            assert made is not None
            assert merged is not None
            assert merged.units[key] == made.units[key]


@given(edits())
def test_an_edit_of_a_unit_stands_against_its_deletion(case: tuple[Content, list[Content | None]]) -> None:
    base, (local, remote) = case
    assume(local is not None and remote is not None)
    merged = join(base, local, remote)
    assert merged is not None
    for key in edited(base, local) | edited(base, remote):
        assert key in merged.units


@given(edits())
def test_an_edit_of_a_record_stands_against_its_deletion(case: tuple[Content, list[Content | None]]) -> None:
    base, (local, _) = case
    stands = None if local is None or (local.units, local.extra) == (base.units, base.extra) else local
    assert join(base, local, None) == stands
    assert join(base, None, local) == stands


@given(edits())
def test_a_deletion_of_a_unit_stands_where_nobody_edited_it(case: tuple[Content, list[Content | None]]) -> None:
    base, (local, remote) = case
    assume(local is not None and remote is not None)
    merged = join(base, local, remote)
    assert local is not None
    assert remote is not None
    assert merged is not None
    for key in base.units.keys() - edited(base, local) - edited(base, remote):
        assert (key in merged.units) == (key in local.units and key in remote.units)


def comparable(held: Content | None) -> tuple[dict[str, Unit], set[str]] | None:
    """What stands, and the values that were kept beside it. Which edit of one equal value a conflict tells of may
    differ by order, its value may not."""
    if held is None:
        return None
    standing = {key: unit for key, unit in held.units.items() if not key.startswith(CONFLICT)}
    return standing, {key for key in held.units if key.startswith(CONFLICT)}


@given(edits(count=3))
def test_the_result_is_the_same_in_whichever_order_three_devices_merge(
    case: tuple[Content, list[Content | None]],
) -> None:
    base, made = case
    results = []
    for order in itertools.permutations(made):
        head: Content | None = base
        for local in order:
            head = join(base, local, head)
        results.append(comparable(head))
    assert all(result == results[0] for result in results)


@given(edits(kind="circle"))
def test_kinds_that_a_program_keeps_make_no_conflicts(case: tuple[Content, list[Content | None]]) -> None:
    base, (local, remote) = case
    assert "circle" not in KINDS_WITH_CONFLICTS
    merged = merge(base, local, remote, latest=LATEST)
    assert merged.conflicts == 0
    assert not any(key.startswith(CONFLICT) for key in (merged.content.units if merged.content else {}))


# Single cases


BASE = content({"fn": Unit("Anna", 1, b"A")})


def test_the_later_edit_stands_and_the_other_value_is_kept() -> None:
    early, late = content({"fn": Unit("Anne", 10, b"A")}), content({"fn": Unit("Hanna", 20, b"B")})
    for local, remote in ((early, late), (late, early)):
        merged = merge(BASE, local, remote, latest=LATEST)
        assert merged.conflicts == 1
        assert merged.content is not None
        assert merged.content.value("fn") == "Hanna"
        kept = merged.content.units[conflict_name("fn", early.units["fn"])]
        assert kept == Unit(["fn", "Anne", 10, b"A"], 20, b"B")


def test_a_clock_that_is_ahead_wins_nothing() -> None:
    ahead, honest = content({"fn": Unit("a", 10**12, b"A")}), content({"fn": Unit("b", LATEST, b"B")})
    merged = join(BASE, ahead, honest)
    assert merged is not None
    expected = max(("a", "b"), key=lambda value: Unit(value, 0).fingerprint)
    assert merged.value("fn") == expected
    assert join(BASE, honest, ahead) == merged


def test_two_records_with_one_id_and_no_base_keep_all_they_hold() -> None:
    mine, theirs = content({"fn": Unit("Anne", 10)}), content({"fn": Unit("Hanna", 20), "tel-1": Unit("1", 20)})
    merged = join(None, mine, theirs)
    assert entered(merged) == entered(mine) | entered(theirs)


def test_a_record_that_was_deleted_on_both_sides_stays_deleted() -> None:
    assert join(BASE, None, None) is None
    assert join(None, None, BASE) == BASE


def test_a_conflict_that_was_settled_on_one_device_stays_settled() -> None:
    early, late = content({"fn": Unit("Anne", 10)}), content({"fn": Unit("Hanna", 20)})
    open_ = join(BASE, early, late)
    assert open_ is not None
    settled = content({"fn": open_.units["fn"]})
    other = content({**open_.units, "tel-1": Unit("1", 30)})
    merged = join(open_, settled, other)
    assert merged == content({"fn": open_.units["fn"], "tel-1": Unit("1", 30)})


def test_two_conflicts_of_the_same_name_are_no_conflict_of_conflicts() -> None:
    name = conflict_name("fn", Unit("Anne", 1))
    one, other = content({name: Unit(["fn", "Anne", 1, b"A"], 5)}), content({name: Unit(["fn", "Anne", 2, b"B"], 6)})
    merged = merge(content({}), one, other, latest=LATEST)
    assert merged.content == other
    assert merged.conflicts == 0


def test_a_conflict_is_over_when_its_value_stands_again() -> None:
    head = join(BASE, content({"fn": Unit("Anne", 10)}), content({"fn": Unit("Hanna", 20)}))
    merged = join(BASE, content({"fn": Unit("Anne", 30)}), head)
    assert merged is not None
    assert merged.value("fn") == "Anne"
    assert [unit.value for key, unit in merged.units.items() if key.startswith(CONFLICT)] == [["fn", "Hanna", 20, b""]]


def test_unknown_keys_of_a_newer_program_survive() -> None:
    local = content(dict(BASE.units), extra={"new": 1})
    remote = content(dict(BASE.units), extra={"newer": [2]})
    merged = join(BASE, local, remote)
    assert merged is not None
    assert merged.extra == {"new": 1, "newer": [2]}
    assert join(BASE, local, None) == local


def test_a_value_that_is_not_equal_to_itself_makes_no_conflict() -> None:
    first, second = (content({"fn": Unit(float("nan"), at)}) for at in (5, 6))
    assert merge(BASE, first, second, latest=LATEST).conflicts == 0


@pytest.mark.parametrize("at", [0, 2**53])
def test_replaced_values_have_names_of_their_own(at: int) -> None:
    names = {past_name(key, Unit(value, at)) for key in ("fn", "n") for value in ("a", "b")}
    assert len(names) == 4
    assert past_name("fn", Unit("a", at)) != past_name("fn", Unit("a", at - 1 if at else 1))


@pytest.mark.parametrize("other", [Unit("Anne", 10, b"B"), Unit("Anne", 9_999_999, b"A")])
def test_the_same_value_entered_by_two_gets_the_same_origin_on_both_devices(other: Unit) -> None:
    first = Unit("Anne", 10 if other.at == 10 else 8_888_888, b"A")
    one, two = content({"fn": first}), content({"fn": other})
    assert join(BASE, one, two) == join(BASE, two, one)
