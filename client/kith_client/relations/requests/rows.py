"""The shape of a request for whoever shows it, and of a decision about one; the same for every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kith_client.stamp import Edit


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request that waits."""

    id: bytes
    """Of the record that holds it."""
    kind: str
    """`invite` or `introduction`."""
    name: str
    """What the other person is called, and who says so is told by `text`; unproven."""
    person: bytes
    """The person id."""
    text: str
    """What is asked, in one sentence; may name contacts."""
    at: int
    """When it came, in milliseconds since 1970."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the JSON answer."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, to be committed; what it brings about comes with the next sync."""

    edit: Edit
    event: str
    """For the local log."""
    then: str = ""
    """What the person should know of what follows; empty where the other hears of it at once."""
