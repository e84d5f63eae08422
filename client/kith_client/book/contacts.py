"""Adding, changing and removing contacts. Listing and showing them is left to `listing` and `showing`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from kith_client.book.choosing import choose, described, given_property, is_key
from kith_client.book.circles import leave_all_circles
from kith_client.book.photos import apart
from kith_client.book.problems import Ambiguous, NotAllowed
from kith_client.book.properties import (
    Places,
    contact_value,
    named,
    new_key,
    put_and_remember,
    units_of,
    with_value,
)
from kith_client.contacts.model import Property, Unit, keyed_units, lead_property, unit_to_value
from kith_client.contacts.views import name_from_words, text_of
from kith_client.relations.peers import state_of
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.content import Content
from kith_protocol.encoding import Value

Params = tuple[tuple[str, tuple[str, ...]], ...]


def add_contact(stamp: Stamp, name: str, properties: Iterable[Property] = ()) -> tuple[Edit, bytes]:
    """A new contact: (edit, its id). Raises `BadValue` for an empty name."""
    record = stamp.record_id()
    units: list[Unit] = [(given_property("FN", name),), name_from_words(name), *((prop,) for prop in properties)]
    units.append((Property("UID", uuid.UUID(bytes=record).urn),))
    pictures: Edit = {}
    values = {}
    for key, unit in keyed_units(units, Places(stamp.random)).items():
        kept, picture = apart(stamp, unit)
        values[key] = contact_value(kept)
        pictures |= picture
    return {record: stamp.content("contact", values), **pictures}, record


def set_property(
    contents: Contents,
    stamp: Stamp,
    contact: bytes,
    prop: str,
    text: str,
    params: Params = (),
    add: bool = False,
) -> tuple[Edit, str]:
    """Sets a property: (edit, its id). `prop` is a name or the id of one property.

    The one property of that name is replaced, or one is added where there is none. Raises `Ambiguous` for several
    (unless `add`), `NotFound` for an unknown id, `BadValue`.
    """
    content = contents[contact]
    units = units_of(content)
    key = None if add else _target(units, prop)
    given = given_property(prop if key is None else lead_property(units[key]).name, text, params)
    unit, picture = apart(stamp, (given,) if key is None else with_value(units[key], given))
    if key is None:
        key = new_key(unit, content.units, stamp.random)
    values: dict[str, Value | None] = {key: contact_value(unit)}
    if key == "fn":
        values |= _name_parts(units, text)
    return {contact: put_and_remember(content, stamp, values), **picture}, key


def unset_property(
    contents: Contents, stamp: Stamp, contact: bytes, prop: str, text: str | None = None
) -> tuple[Edit, str]:
    """Takes a property away: (edit, its id); `text` chooses among several by value. Raises `NotFound`, `Ambiguous`."""
    content = contents[contact]
    key = choose(units_of(content), prop, text, "this contact")
    return {contact: put_and_remember(content, stamp, {key: None})}, key


def remove_contact(contents: Contents, stamp: Stamp, contact: bytes) -> Edit:
    """Moves a contact to the trash, and out of its circles. Raises `NotAllowed` for the contact of a peer."""
    peers = [peer for peer, content in of_kind(contents, "peer").items() if content.value("contact") == contact]
    if any(state_of(contents, peer) != "ended" for peer in peers):
        raise NotAllowed(
            "This contact is a peer's: it holds what the peer shares with you, and cannot be removed while you are "
            "connected. 'kith withdraw' takes back what the peer sees."
        )
    return {contact: None, stamp.record_id(): _trash(stamp, contact, contents[contact])} | leave_all_circles(
        contents, stamp, contact
    )


def _trash(stamp: Stamp, contact: bytes, content: Content) -> Content:
    return stamp.content("trash", {"original": contact, "units": content.to_map()["units"], "deleted": stamp.now})


def _target(units: dict[str, Unit], prop: str) -> str | None:
    """The property to replace; None where one is to be added."""
    if is_key(prop, units):
        return prop.lower()
    same = named(units, prop)
    if len(same) > 1:
        raise Ambiguous(
            f"This contact has {len(same)} such properties. Give the id of one, or --add for one more.",
            choices=described(same),
        )
    return next(iter(same), None)


def _name_parts(units: dict[str, Unit], name: str) -> dict[str, Value | None]:
    """N follows FN where it was made from it; parts that somebody entered stay."""
    fn, parts = units.get("fn"), units.get("n")
    if fn is None or parts is None or parts != name_from_words(text_of(lead_property(fn))):
        return {}
    return {"n": unit_to_value(name_from_words(name))}
