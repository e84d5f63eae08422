"""Scenarios of the format `share`."""

from __future__ import annotations

from collections.abc import Iterator

from kith_protocol.encoding import Statement, encode
from kith_protocol.parcel import MAX_ITEMS, MAX_VERSION, Share
from kith_protocol.share import CardView, NoteKind, SharedNote, SharedPhoto, SharedProperty, ShareKind, digest_of
from tests.protocol.people import NOW, fixed
from tests.support.vectors.vector import Json, Vector

ITEM = fixed("item", 16)
NOTE = SharedNote(NoteKind.MET, NOW, "Carla Ruiz", "wants to try fencing")
TEL = SharedProperty("item1", "TEL", (("TYPE", ("home", "cell")),), "+49 40 1234")


def plain(payload: bytes, kind: int = ShareKind.NOTE) -> dict[str, Json]:
    return {"item": ITEM.hex(), "version": 3, "kind": int(kind), "payload": payload.hex(), "known": []}


def shares() -> Iterator[Vector]:
    def vector(
        name: str,
        says: str,
        fails: str | None = None,
        payload: Statement = NOTE,
        kind: int = ShareKind.NOTE,
        **turned: Json,
    ) -> Vector:
        return Vector("share", name, says, {**plain(encode(payload), kind), **turned}, fails)

    def damaged(name: str, says: str, payload: Statement = NOTE, kind: int = ShareKind.NOTE, **turned: Json) -> Vector:
        return vector(name, says, "undecodable", payload, kind, **turned)

    same, other = digest_of(Share(ITEM, 3, ShareKind.NOTE, encode(NOTE))).hex(), fixed("other").hex()
    yield vector("note", "A note that is new.")
    yield vector("card", "The sender's own card.", None, CardView((TEL,)), ShareKind.MY_CARD)
    yield vector("unknown-kind", "Of a newer program: kept, not shown.", kind=9)
    yield vector("again", "The same version with the same contents.", known=[[ITEM.hex(), 3, same]])
    yield vector("older", "A later version is known.", known=[[ITEM.hex(), 4, other]])
    yield vector("equivocation", "Two contents as one version.", "item-equivocation", known=[[ITEM.hex(), 3, other]])
    yield vector(
        "withdrawn-comes-back", "It was taken back in this version.", "item-equivocation", known=[[ITEM.hex(), 3, ""]]
    )
    full = [[fixed(f"item {number}", 16).hex(), 1, other] for number in range(MAX_ITEMS)]
    yield vector("too-many-items", "The peer shares 256 already.", "too-many-items", known=full)
    yield damaged("version-0", "Versions begin with 1.", version=0)
    yield damaged("version-too-large", "Over 2^53.", version=MAX_VERSION + 1)
    yield damaged("short-item", "An item id of 15 bytes.", item=ITEM[:15].hex())
    yield damaged("another-kind", "A note that says it is a photo.", kind=ShareKind.PHOTO)
    raw = encode(NOTE)
    yield Vector("share", "trailing-byte", "A byte after the end.", plain(raw + b"\x00"), "undecodable")
    yield Vector("share", "cut", "The last byte is missing.", plain(raw[:-1]), "undecodable")
    long = SharedNote(NoteKind.MET, NOW, "a" * 257, "")
    yield damaged("long-subject", "A subject of 257 bytes.", long)
    yield damaged("date-out-of-bounds", "Before all time.", SharedNote(NoteKind.MET, -(2**53) - 1, "", ""))
    yield damaged("no-image", "A photo that is a page.", SharedPhoto(ITEM, "text/html", b"x"), ShareKind.PHOTO)
    yield damaged("empty-photo", "Nothing in it.", SharedPhoto(ITEM, "image/png", b""), ShareKind.PHOTO)
    unnamed = CardView((SharedProperty("", "", (), "x"),))
    yield damaged("property-without-name", "A property without a name.", unnamed, ShareKind.MY_CARD)
    many = CardView((SharedProperty("", "N", (), ""),) * 513)
    yield damaged("too-many-properties", "513 of them.", many, ShareKind.MY_CARD)
