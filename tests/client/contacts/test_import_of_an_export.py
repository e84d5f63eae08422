"""Bringing one's own export back changes nothing: neither what peers share, nor who has no name, becomes one's own."""

from __future__ import annotations

from kith_client.contacts.importing import ImportIndex, KnownContact, NewContact, Unchanged
from kith_client.contacts.model import Card, Property, Unit
from kith_client.contacts.vcard_convert import to_version
from kith_client.contacts.vcard_read import read_cards
from kith_client.contacts.vcard_write import Version, write_card

UID = (Property("UID", "urn:uuid:11111111-2222-3333-4444-555555555555"),)
MINE = (Property("NOTE", "fencing"),)
THEIRS: tuple[Unit, ...] = ((Property("FN", "Bob Lund"),), (Property("EMAIL", "bob@bob.example"),))


def read(units: tuple[Unit, ...], version: Version) -> Card:
    (card,) = read_cards([write_card(to_version(units, version), version).encode()])
    assert isinstance(card, Card)
    return card


def test_what_a_peer_shares_does_not_become_my_own_by_an_export_and_import() -> None:
    known = KnownContact(b"bob", UID[0].value, {"uid": UID, "note-1": MINE}, beside=THEIRS)
    index = ImportIndex([known], lambda _: lambda: bytes(6))
    for version in ("3.0", "4.0"):
        plan = index.plan(read((UID, MINE, *THEIRS), version))
        assert isinstance(plan, Unchanged), version


def test_somebody_without_a_name_gets_none_by_an_export_and_import() -> None:
    for version in ("3.0", "4.0"):
        plan = ImportIndex([], lambda _: lambda: bytes(6)).plan(read((MINE,), version))
        assert isinstance(plan, NewContact)
        assert not [prop for unit in plan.units.values() for prop in unit if "no name" in prop.value]
