"""What another device's or a peer's changes mean, in words for the log."""

from __future__ import annotations

from typing import Final

from kith_client.book.events import entry
from kith_client.book.layers import Layers
from kith_client.stamp import Contents, Edit
from kith_protocol.content import Content

MAX_LINES: Final = 50
"""More changes than this become one line, so that a first sync does not fill the log."""

_NAMES: Final = {"contact": "contact", "note": "note", "circle": "circle", "me": "my card", "peer": "peer"}


def describe(before: Contents, edit: Edit) -> list[str]:
    """One sentence for each changed contact, note, circle or peer; one in all where there are many."""
    layers = Layers({**before, **{record: after for record, after in edit.items() if after is not None}})
    lines = [line for record in edit if (line := _line(layers, record, before.get(record), edit[record])) is not None]
    if len(lines) > MAX_LINES:
        return [f"{len(lines)} entries changed"]
    return lines


def _line(layers: Layers, record: bytes, before: Content | None, after: Content | None) -> str | None:
    stands = after or before
    if stands is None or stands.kind not in _NAMES:
        return None
    what = "deleted" if after is None else "added" if before is None else "changed"
    sentence = f"{what} {_NAMES[stands.kind]} {_title(layers, record, stands)}".rstrip()
    return entry(sentence, record if stands.kind == "contact" else None)


def _title(layers: Layers, record: bytes, content: Content) -> str:
    match content.value("fn") if content.kind == "contact" else content.value("name"):
        case [[_, _, _, str(name)], *_]:
            return name
        case str(name):
            return name
        case _:
            # A contact that came with a peer has no name of its own yet.
            return layers.name(record) if content.kind == "contact" else ""
