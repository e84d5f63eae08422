"""The JSON shapes of answers (docs: commands), from the book's values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kith_client.book.dates import iso_time
from kith_client.book.layers import Shown
from kith_client.book.listing import Row
from kith_client.book.me import Mine
from kith_client.book.notes import Note
from kith_client.book.showing import ContactPage, Past
from kith_client.contacts.model import Property, lead_property
from kith_client.contacts.views import text_of


def contact_row(row: Row) -> dict[str, Any]:
    """One of `contacts`."""
    return {
        "id": row.id,
        "name": row.name,
        "emails": list(row.emails),
        "phones": list(row.phones),
        "org": row.org,
        "circles": list(row.circles),
        "peer": row.peer,
        "from": row.origin,
    }


def params_of(prop: Property) -> dict[str, list[str]]:
    """A property's parameters, names in upper case."""
    return {name.upper(): list(prop.param(name)) for name, _ in prop.params}


def shown_property(shown: Shown) -> dict[str, Any]:
    """One of `properties` of a contact."""
    return {
        "id": shown.id,
        "name": shown.property.key,
        "value": text_of(shown.property),
        "params": params_of(shown.property),
        "from": shown.origin,
    }


def page(contact: ContactPage) -> dict[str, Any]:
    """What `show` answers."""
    return {
        "id": contact.id,
        "name": contact.name,
        "properties": [shown_property(shown) for shown in contact.properties],
        "notes": [note(each) for each in contact.notes],
        "circles": list(contact.circles),
        "peer": contact.peer,
        "trust": contact.trust,
        "introduced_by": contact.introducer,
        "history": [past(each) for each in contact.history],
    }


def past(each: Past) -> dict[str, Any]:
    """One of `history`."""
    what = f"{each.property} was {each.value}"
    return {"at": iso_time(each.at), "what": what, "by": each.by, "property": each.property, "value": each.value}


def note(each: Note) -> dict[str, Any]:
    """One of `notes`."""
    return {
        "id": each.id,
        "contact": each.contact,
        "name": each.name,
        "kind": each.kind,
        "at": each.at,
        "text": each.text,
        "remind": each.remind,
        "from": each.origin,
    }


def mine(each: Mine) -> dict[str, Any]:
    """One of `properties` of my card."""
    lead = lead_property(each.unit)
    return {
        "id": each.id,
        "name": lead.key,
        "value": text_of(lead),
        "params": params_of(lead),
        "facets": list(each.facets),
    }


def view(properties: Iterable[Property]) -> list[dict[str, str]]:
    """A `view`."""
    return [{"name": prop.key, "value": text_of(prop)} for prop in properties]
