"""Circles in vCards: cards that are lists of members (vCard 4 KIND:group, Apple's groups), and CATEGORIES."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kith_client.contacts.escapes import split_raw, unescape
from kith_client.contacts.fields import properties
from kith_client.contacts.model import Card, Unit

MAX_CIRCLE_NAME: Final = 200
"""Characters of a circle's name; the rest is cut off."""

_KINDS: Final = ("KIND", "X-ADDRESSBOOKSERVER-KIND")
_MEMBERS: Final = ("MEMBER", "X-ADDRESSBOOKSERVER-MEMBER")
_SYSTEM: Final = frozenset({"mycontacts", "my contacts"})
"""Google's label for every contact: no circle."""


def is_group(card: Card) -> bool:
    """Whether the card is a list of members and not a contact."""
    return any(prop.value.strip().lower() == "group" for prop in properties(card.units, *_KINDS))


def group_members(card: Card) -> tuple[str, ...]:
    """The UIDs of the members as `plain_uid` gives them, each once."""
    uids = (plain_uid(unescape(prop.value)) for prop in properties(card.units, *_MEMBERS))
    return tuple(dict.fromkeys(uid for uid in uids if uid))


def plain_uid(uid: str) -> str:
    """A UID to compare with: without `urn:uuid:` and in lower case."""
    return uid.strip().lower().removeprefix("urn:uuid:")


def categories(units: Iterable[Unit]) -> tuple[str, ...]:
    """The names in CATEGORIES, each once, in order; Google's label for all contacts is left out."""
    texts = (
        unescape(part).strip()[:MAX_CIRCLE_NAME]
        for prop in properties(units, "CATEGORIES")
        for part in split_raw(prop.value, ",")
    )
    return tuple(dict.fromkeys(text for text in texts if text and text.lower() not in _SYSTEM))
