"""Notes on people: what was said, promised, and when to get in touch. Sharing one is left to `shares`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from kith_client.book.layers import MINE, Layers, peer_id
from kith_client.book.names import words
from kith_client.book.problems import BadValue, NotAllowed, checked_text
from kith_client.book.properties import put_units
from kith_client.book.resolve import resolve_id
from kith_client.relations.peers import TheirNote
from kith_client.relations.records import SHARE
from kith_client.stamp import Contents, Edit, Stamp, of_kind
from kith_protocol.content import Content

KINDS: Final = ("note", "met", "call", "promise")
MAX_NOTE_CHARS: Final = 200_000
"""Characters of a note; four bytes each still fit into a record."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note."""

    id: str
    contact: str
    """The contact's id in hex."""
    name: str
    """What the contact is called."""
    kind: str
    at: str
    """ISO date."""
    text: str
    remind: str | None
    """ISO date."""
    origin: str = MINE
    """`me`, or the id of the peer who shares it."""


def add_note(
    stamp: Stamp, contact: bytes, text: str, kind: str = "note", *, at: date, remind: date | None = None
) -> tuple[Edit, bytes]:
    """A new note: (edit, its id). Raises `BadValue`."""
    if kind not in KINDS:
        raise BadValue(f"A note is one of: {', '.join(KINDS)}.")
    if not text.strip() or len(text) > MAX_NOTE_CHARS:
        raise BadValue(f"A note has 1 to {MAX_NOTE_CHARS} characters.")
    record = stamp.record_id()
    values = {
        "contact": contact,
        "text": checked_text(text).strip(),
        "kind": kind,
        "at": at.isoformat(),
        "remind": remind.isoformat() if remind else None,
    }
    return {record: stamp.content("note", values)}, record


def list_notes(contents: Contents, contact: bytes | None = None) -> list[Note]:
    """My notes and those that peers share, on one contact or on all; the newest first."""
    layers = Layers(contents)
    mine = [
        _note(layers, record, content)
        for record, content in of_kind(contents, "note").items()
        if contact is None or content.value("contact") == contact
    ]
    theirs = [_theirs(note) for note in layers.shared.notes() if contact is None or note.contact == contact]
    return sorted([*mine, *theirs], key=lambda note: (note.at, note.id), reverse=True)


def remind_no_more(contents: Contents, stamp: Stamp, note: bytes) -> Edit:
    """The note stays, its reminder goes."""
    return {note: put_units(contents[note], stamp, {"remind": None})}


def own_note(contents: Contents, text: str) -> bytes:
    """The note of mine with this id, or the start of it. Raises `NotFound`, `Ambiguous`, `NotAllowed` for a peer's."""
    where = "'kith note list' shows them all."
    mine = {record.hex() for record in of_kind(contents, "note")}
    theirs = {note.id: note.peer for note in Layers(contents).shared.notes()}
    found = resolve_id(dict.fromkeys([*mine, *theirs]), text, "note", where, lambda _: "")
    if found in mine:
        return bytes.fromhex(found)
    layers = Layers(contents)
    peers = of_kind(contents, "peer")
    name = next(layers.peer_names(each)[0] for each in peers if peer_id(contents, each) == theirs[found])
    what = "can only be read; they can take it back. To be rid of it: 'kith forget' ends the relationship."
    raise NotAllowed(f"This note is a peer's: it {what}", shown=f"This note is {name}'s: it {what}")


def subject_of(contents: Contents, note: bytes) -> tuple[str, bytes | None]:
    """What the person is called whom a note is about, and their contact."""
    contact = contents[note].value("contact")
    return Layers(contents).name(contact), contact if isinstance(contact, bytes) else None


def readers_of(contents: Contents, note: bytes) -> list[str]:
    """The names of the peers with whom a note is shared."""
    layers, unit = Layers(contents), SHARE + note.hex()
    return sorted(
        layers.peer_names(peer)[0] for peer, content in of_kind(contents, "peer").items() if unit in content.units
    )


def remove_note(note: bytes) -> Edit:
    """Removes a note."""
    return {note: None}


def _theirs(note: TheirNote) -> Note:
    return Note(note.id, note.contact.hex(), note.subject, note.kind, note.at, note.text, None, note.peer)


def _note(layers: Layers, record: bytes, content: Content) -> Note:
    contact, remind = content.value("contact"), content.value("remind")
    return Note(
        record.hex(),
        contact.hex() if isinstance(contact, bytes) else "",
        layers.name(contact),
        words(content, "kind"),
        words(content, "at"),
        words(content, "text"),
        remind if isinstance(remind, str) else None,
    )
