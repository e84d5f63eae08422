"""What taking in a batch of parcels adds up to: edits, parcels that are done with, and what to tell the person."""

from __future__ import annotations

from dataclasses import dataclass, field

from kith_client.book.events import entry
from kith_client.book.layers import Layers
from kith_client.relations.draft import MAX_TOLD, Draft
from kith_client.stamp import Edit
from kith_protocol.suite import digest
from kith_protocol.wire import StoredParcel


@dataclass(frozen=True, slots=True)
class TakenIn:
    """The outcome. Commit `edit` as one, then delete `handled` at the home server; or drop all of it and begin anew."""

    edit: Edit
    handled: tuple[bytes, ...]
    """SHA-256 of each parcel that is done with. The others stay where they are, until they expire."""
    events: tuple[str, ...]
    """Lines for the local log; they name contacts."""
    issues: tuple[str, ...]
    """What was left for the person in `kith issues`; may name contacts."""


@dataclass
class Inbox:
    """The same while it is being worked out."""

    draft: Draft
    handled: dict[bytes, None] = field(default_factory=dict)
    events: dict[tuple[bytes, str], None] = field(default_factory=dict)
    """(`peer` record, what it did), in the order in which it was first seen."""
    issues: list[str] = field(default_factory=list)

    def handle(self, stored: StoredParcel) -> None:
        """This parcel may be deleted once the edit is committed."""
        self.handled[digest(stored.parcel)] = None

    def is_handled(self, stored: StoredParcel) -> bool:
        return digest(stored.parcel) in self.handled

    def event(self, peer: bytes, what: str) -> None:
        """Logs that a peer did something; the sentence will begin with its name."""
        self.events[peer, what] = None

    def tell(self, kind: str, about: bytes, text: str, *, at_most: int = MAX_TOLD) -> None:
        """Leaves an issue, unless it or enough of them about the same are there."""
        if self.draft.tell(kind, about, text, at_most=at_most):
            self.issues.append(text)

    def keep_told(self, record: bytes, kind: str, about: bytes, text: str) -> None:
        """The same for an issue that is brought up to date, whatever else is there."""
        if self.draft.keep_told(record, kind, about, text):
            self.issues.append(text)

    @property
    def outcome(self) -> TakenIn:
        layers = Layers(self.draft.contents)  # once: reading names goes through the whole address book
        events = tuple(dict.fromkeys(_line(layers, peer, what) for peer, what in self.events))
        return TakenIn(self.draft.edit, tuple(self.handled), events, tuple(self.issues))


def _line(layers: Layers, peer: bytes, what: str) -> str:
    contact = layers.contents[peer].value("contact")
    return entry(f"{layers.peer_names(peer)[0]} {what}", contact if isinstance(contact, bytes) else None)
