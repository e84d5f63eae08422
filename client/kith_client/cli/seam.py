"""The one seam between the commands and the core: what a command needs of an opened vault."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kith_client.stamp import Contents, Edit, Stamp


class LoggedEvent(Protocol):
    """One entry of the device's log."""

    @property
    def at(self) -> int: ...
    @property
    def what(self) -> str: ...
    @property
    def by(self) -> str: ...


class Book(Protocol):
    """What commands need of an opened vault."""

    @property
    def contents(self) -> Contents:
        """All records as they stand."""

    def stamp(self) -> Stamp:
        """What an edit made now carries."""

    async def apply(self, edit: Edit, what: Iterable[str] = ()) -> None:
        """Makes an edit, durable before it returns; `what` goes to the log."""

    async def events(self, last: int = 500) -> Sequence[LoggedEvent]:
        """The newest entries of the log, oldest first."""
