"""How a record that the person decides about stands after a theft (spec: stolen.md).

As if the removed devices had not written it: each change by others is made, theirs are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Final, Protocol

from kith_client.relations.guardians.guarding import GIVEN, GUARDING
from kith_client.relations.guardians.splits import SPLIT
from kith_client.relations.handles import HANDLE, HandleState
from kith_client.relations.homes import HOME
from kith_client.relations.pins import SERVER
from kith_client.relations.records import FACET, SHARE
from kith_client.stamp import Stamp
from kith_protocol.content import Content
from kith_protocol.relationship import Trust

DECIDED: Final = frozenset({"peer", "circle", HOME, HANDLE, SERVER, SPLIT, GUARDING})
_NEVER_BY_A_THIEF: Final = frozenset({HOME, SERVER})
"""Kinds of which a record that came about on a removed device goes. A split stays: the root signed it, or it counts for
nothing."""


class Version(Protocol):
    """A record as one commit left it."""

    @property
    def number(self) -> int:
        """Of the commit."""

    @property
    def content(self) -> Content | None:
        """None where it was deleted."""

    @property
    def suspect(self) -> bool:
        """Whether a thief may have written it."""


def as_decided(versions: Sequence[Version], stamp: Stamp) -> Content | None:
    """The record whose readable versions these are, oldest first."""
    state = _of_a_thief(versions, stamp) if versions[0].suspect else versions[0].content
    for before, after in pairwise(versions):
        if not after.suspect:
            state = _carried(state, before.content, after.content)
    return _with_given(state, versions) if state is not None and state.kind == GUARDING else state


def _carried(state: Content | None, before: Content | None, after: Content | None) -> Content | None:
    """`state`, changed as `before` was changed into `after`."""
    if after is None or before is None or state is None:
        return after
    gone = before.units.keys() - after.units.keys()
    new = {name: unit for name, unit in after.units.items() if before.units.get(name) != unit}
    units = {name: unit for name, unit in {**state.units, **new}.items() if name not in gone}
    return Content(state.kind, units, after.extra)


def _of_a_thief(versions: Sequence[Version], stamp: Stamp) -> Content | None:
    """What a record that came about on a removed device is good for: it grants, proves and shows nothing."""
    content = versions[0].content
    if content is None or content.kind in _NEVER_BY_A_THIEF:
        return None
    if content.kind == GUARDING:
        return _last_with_words(versions)
    units = {name: unit for name, unit in content.units.items() if not name.startswith((FACET, SHARE))}
    if content.kind == "peer":
        units["trust"] = stamp.unit(Trust.UNVERIFIED.value)
    if content.kind == HANDLE:
        units |= {"state": stamp.unit(HandleState.PRIVATE.value), "facets": stamp.unit([])}
    return Content(content.kind, units, content.extra)


def _last_with_words(versions: Sequence[Version]) -> Content | None:
    """The share of somebody else's phrase, also where it was erased since: it grants the thief nothing."""
    hers = [each.content for each in takewhile(lambda each: each.suspect, versions) if each.content is not None]
    return next((each for each in reversed(hers) if each.value("words")), hers[0])


def _with_given(state: Content, versions: Sequence[Version]) -> Content:
    """Whatever was handed out was, by whomever: the one whose share it is has to hear of it."""
    contents = [each.content for each in versions if each.content is not None]
    given = {name: unit for each in contents for name, unit in each.units.items() if name.startswith(GIVEN)}
    return Content(state.kind, {**state.units, **given}, state.extra)
