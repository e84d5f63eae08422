"""The list of contacts, and which of them a query means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kith_client.book.circles import MEMBER, require_circle
from kith_client.book.layers import MINE, Layers, card_name, peer_id
from kith_client.contacts.views import display_name, emails, organisation, phones, search_key
from kith_client.relations.peers import TheirCard
from kith_client.stamp import Contents, of_kind

_NUMBER = re.compile(r"\+?[\d\s()./-]+")
_MIN_NUMBER: Final = 4
"""Digits from which on a word is looked for in phone numbers, whatever their spelling."""


@dataclass(frozen=True, slots=True)
class Row:
    """One contact of a list."""

    id: str
    name: str
    emails: tuple[str, ...]
    phones: tuple[str, ...]
    org: str
    circles: tuple[str, ...]
    peer: str | None
    """The id of the peer whose contact this is."""
    origin: str = MINE
    """`me`, or the id of the peer who shares this card with me: it can only be read."""


def list_contacts(contents: Contents, query: str = "", circle: str | None = None) -> list[Row]:
    """The contacts that `query` means, sorted by name: each of its words is in a name, address, number or circle.

    Raises `NotFound` for an unknown circle.
    """
    members = None if circle is None else _members(contents, circle)
    words = search_key(query).split()
    digits = _digits(query) if _NUMBER.fullmatch(query.strip()) else ""
    found = [row for row in _rows(contents, members) if _fits(row, words) or _has_number(row, digits)]
    return sorted(found, key=lambda row: (search_key(row.name), row.id))


def _rows(contents: Contents, members: frozenset[str] | None) -> Iterator[Row]:
    layers = Layers(contents)
    for record in of_kind(contents, "contact"):
        if members is None or MEMBER + record.hex() in members:
            yield _row(layers, record)
    if members is None:
        for record, card in layers.cards.items():
            yield _their_row(record, card)


def _row(layers: Layers, record: bytes) -> Row:
    units = layers.units(record)
    peer = layers.peers.get(record)
    return Row(
        record.hex(),
        layers.names(record)[0] if peer else display_name(units),
        tuple(dict.fromkeys(emails(units))),
        tuple(dict.fromkeys(phones(units))),
        organisation(units),
        layers.circles.get(record, ()),
        None if peer is None else peer_id(layers.contents, peer),
    )


def _their_row(record: bytes, card: TheirCard) -> Row:
    units = [(prop,) for prop in card.properties]
    name = card_name(card)
    return Row(record.hex(), name, tuple(emails(units)), tuple(phones(units)), organisation(units), (), None, card.peer)


def _members(contents: Contents, circle: str) -> frozenset[str]:
    return frozenset(key for record in require_circle(contents, circle) for key in contents[record].units)


def _fits(row: Row, words: list[str]) -> bool:
    if not words:
        return True
    text = search_key("\n".join((row.name, *row.emails, *row.phones, row.org, *row.circles)))
    return all(word in text for word in words)


def _has_number(row: Row, digits: str) -> bool:
    return len(digits) >= _MIN_NUMBER and any(digits in _digits(phone) for phone in row.phones)


def _digits(text: str) -> str:
    """The digits of a number without what stands before the area code at home or abroad."""
    return "".join(sign for sign in text.replace("(0)", "") if sign.isdigit()).lstrip("0")
