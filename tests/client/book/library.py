"""A small book to test with."""

from __future__ import annotations

from kith_client.book.choosing import given_property
from kith_client.book.contacts import add_contact
from kith_client.book.me import first_card, set_mine
from kith_protocol.encoding import Value
from tests.support.memory_book import MemoryBook


def new_book() -> MemoryBook:
    """A book with my card on it, and nobody else."""
    book = MemoryBook()
    book.put(first_card(book.stamp(), "Anna Beck"))
    return book


def contact(book: MemoryBook, name: str, **properties: str) -> bytes:
    """Adds a contact; its id."""
    edit, record = add_contact(book.stamp(), name, [given_property(key, text) for key, text in properties.items()])
    book.put(edit)
    return record


def mine(book: MemoryBook, prop: str, text: str, *facets: str) -> str:
    """Puts a property on my card; its id."""
    edit, key = set_mine(book.contents, book.stamp(), prop, text, facets, add=True)
    book.put(edit)
    return key


def peer(book: MemoryBook, contact_id: bytes, name: str, *facets: str) -> bytes:
    """A relationship with the person of this contact, without a channel; the `peer` record's id."""
    stamp = book.stamp()
    record = stamp.record_id()
    values: dict[str, Value] = {
        "contact": contact_id,
        "person": stamp.random(32),
        "name": name,
        "host": "bob.example",
        "channel": bytes(16),
        "trust": "unverified",
        **{f"facet/{facet}": True for facet in facets},
    }
    book.put({record: stamp.content("peer", values)})
    return record
