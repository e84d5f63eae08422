"""Finding properties among units, and their values as text. What they mean is left to `views`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kith_client.contacts.escapes import split_raw, unescape
from kith_client.contacts.model import Property, Unit


def properties(units: Iterable[Unit], *names: str) -> Iterator[Property]:
    """The properties with one of these names (in upper case), in order."""
    return (prop for unit in units for prop in unit if prop.key in names)


def text_of(prop: Property) -> str:
    """The value as text: escapes undone. Semicolons that part components stay as they are."""
    return unescape(prop.value)


def components(prop: Property) -> list[str]:
    """The components of a structured value (N, ADR, ORG) as text, without blanks around them."""
    return [unescape(part).strip() for part in split_raw(prop.value, ";")]
