"""My card: its properties and the facets they are in. What a peer sees of it is decided in `views`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kith_client.book.choosing import choose, described, given_property, is_key
from kith_client.book.facets import facet_name
from kith_client.book.photos import apart
from kith_client.book.problems import Ambiguous, NotAllowed
from kith_client.book.properties import facets_of, me_value, named, new_key, put_units, units_of, with_value
from kith_client.contacts.model import REGISTERS, Unit, lead_property
from kith_client.contacts.views import make_property, name_from_words, text_of
from kith_client.stamp import Contents, Edit, Stamp, the_one
from kith_protocol.content import Content

_EMPTY = Content("me", {})


@dataclass(frozen=True, slots=True)
class Mine:
    """One property of my card."""

    id: str
    unit: Unit
    facets: tuple[str, ...]


def my_card(contents: Contents) -> list[Mine]:
    """The properties of my card, in their order."""
    me = the_one(contents, "me")
    if me is None:
        return []
    return [Mine(key, unit, facets_of(me[1].units[key].value)) for key, unit in units_of(me[1]).items()]


def first_card(stamp: Stamp, name: str) -> Edit:
    """The card that a vault begins with: FN, which every peer sees, and the name's parts, which nobody sees yet."""
    fn = (make_property("FN", name, ()),)
    values = {"fn": me_value(fn, ()), "n": me_value(name_from_words(name), ())}
    return {stamp.record_id(): stamp.content("me", values)}


def set_mine(
    contents: Contents,
    stamp: Stamp,
    prop: str,
    text: str,
    facets: Iterable[str] = (),
    params: tuple[tuple[str, tuple[str, ...]], ...] = (),
    add: bool = False,
) -> tuple[Edit, str]:
    """Sets a property of my card: (edit, the property's id). `prop` is a name or the id of one property.

    By name, the one property of that name and of exactly these facets is replaced; where there is none, one is added.
    By id, or for what a card has once (FN), the facets stay unless some are given.
    Raises `Ambiguous` where several fit, `NotFound` for an unknown id, `BadValue`.
    """
    record, content = the_one(contents, "me") or (stamp.record_id(), _EMPTY)
    units = units_of(content)
    wanted = tuple(sorted({facet_name(facet) for facet in facets}))
    if wanted and prop.upper() == "FN":
        raise NotAllowed("Every peer sees your name (FN), so it is in no facet; leave --facet out.")
    key = None if add else _target(content, units, prop, wanted)
    if key is None:
        unit: Unit = (given_property(prop, text, params),)
        key, seen = new_key(unit, content.units, stamp.random), wanted
    else:
        unit = with_value(units[key], given_property(lead_property(units[key]).name, text, params))
        seen = wanted or facets_of(content.units[key].value)
    kept, picture = apart(stamp, unit)
    return {record: put_units(content, stamp, {key: me_value(kept, seen)}), **picture}, key


def unset_mine(contents: Contents, stamp: Stamp, prop: str, text: str | None = None) -> tuple[Edit, str]:
    """Takes a property off my card: (edit, its id); `text` chooses among several by value.

    Raises `NotFound`, `Ambiguous`, or `NotAllowed` for FN.
    """
    record, content = the_one(contents, "me") or (b"", _EMPTY)
    key = choose(units_of(content), prop, text, "your card")
    if key == "fn":
        raise NotAllowed("Your card needs a name (FN): every peer sees it. Change it with 'kith me set fn NAME'.")
    return {record: put_units(content, stamp, {key: None})}, key


def _target(content: Content, units: Mapping[str, Unit], prop: str, wanted: tuple[str, ...]) -> str | None:
    """The property to replace; None where one is to be added."""
    if is_key(prop, units):
        return prop.lower()
    same = named(units, prop)
    fitting = [key for key in same if facets_of(content.units[key].value) == wanted]
    if prop.upper() in REGISTERS and len(same) == 1:
        return next(iter(same))
    if len(fitting) > 1:
        raise Ambiguous(
            f"Your card has {len(fitting)} such properties in these facets. Give the id of one, or --add for one more.",
            choices=described({key: units[key] for key in fitting}),
        )
    return fitting[0] if fitting else None


def my_name(contents: Contents) -> str:
    """The name on my card; empty before there is one."""
    return next((text_of(mine.unit[0]) for mine in my_card(contents) if mine.id == "fn"), "")
