"""Ids for units that need no randomness."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count

from kith_client.contacts.importing import RandomIds


def counting_ids() -> RandomIds:
    """A source of ids that never repeats."""
    numbers = count(1)

    def source(_: Iterable[str]) -> Callable[[], bytes]:
        return lambda: next(numbers).to_bytes(6, "big")

    return source
