"""Records that do not open here, devices that acted apart, and peers who send very much."""

from __future__ import annotations

from typing import Any

import pytest

from kith_client.book import shares
from kith_client.book.contacts import add_contact, remove_contact
from kith_client.book.layers import Layers
from kith_client.relations import bodies, inbox
from kith_client.relations.incoming import take_in
from kith_client.relations.invites import list_invites, revoke_invite
from kith_client.relations.peers import their_properties
from kith_client.relations.records import peers, their_items
from kith_client.stamp import Contents, of_kind
from kith_client.vault import UNREADABLE
from kith_protocol import share as share_protocol
from kith_protocol.parcel import Share
from kith_protocol.share import NoteKind, Payload, SharedNote, ShareKind, make_share
from tests.client.relations.people import Person, World
from tests.client.relations.test_attacks import PAIR, acquainted, crafted
from tests.client.relations.test_what_peers_get import JPEG, put_photo_on_card


def only(person: Person, kind: str) -> bytes:
    (record,) = of_kind(person.contents, kind)
    return record


@pytest.mark.parametrize("kind", ["me", "peer", "channel", "note", "persona", "contact"])
def test_a_record_that_does_not_open_takes_nothing_back_and_stops_no_sync(kind: str) -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    anna.set_card("email", "anna@work.example", "work")
    peer, note = anna.peer_named("Bob Kay"), anna.stamp().record_id()
    contact = only(anna, "contact")
    anna.grant(peer, "work")
    values: dict[str, Any] = {"contact": contact, "text": "tea", "kind": "note", "at": "2026-01-02"}
    anna.commit({note: anna.stamp().content("note", values)})
    anna.commit(shares.share(anna.contents, anna.stamp(), note, peer))
    world.settle()
    before = {item.item: (item.version, item.payload) for item in their_items(bob.contents)}
    assert len(before) == 2

    record = only(anna, kind)
    whole = anna.contents[record]
    anna.contents[record] = UNREADABLE
    world.settle()
    assert {i.item: (i.version, i.payload) for i in their_items(bob.contents)} == before
    assert anna.contents[record] is UNREADABLE

    anna.contents[record] = whole
    anna.set_card("tel", "+47 22", "work")
    world.settle()
    assert "+47 22" in bob.sees_of_contact()


def test_a_facet_is_taken_back_while_some_other_record_does_not_open() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    anna.set_card("tel", "+47 22", "work")
    anna.grant(anna.peer_named("Bob Kay"), "work")
    world.settle()
    assert "+47 22" in bob.sees_of_contact()
    other = anna.stamp().record_id()
    anna.contents[other] = UNREADABLE
    anna.withdraw(anna.peer_named("Bob Kay"), "work")
    world.settle()
    assert "+47 22" not in bob.sees_of_contact()


def test_a_picture_whose_record_is_gone_stays_with_the_peer_while_the_rest_of_the_card_goes_on() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    prop = put_photo_on_card(anna, JPEG + bytes(9000), "work")
    anna.set_card("tel", "+47 22", "work")
    anna.grant(anna.peer_named("Bob Kay"), "work")
    world.settle()
    photo = only(anna, "photo")
    whole = anna.contents[photo]
    anna.contents[photo] = UNREADABLE
    anna.unset_card("tel")
    world.settle()
    assert bob.sees_of_contact() == ["Anna Beck", prop.value]
    shown = [item for item in their_items(bob.contents) if item.kind == ShareKind.PHOTO]
    assert [item.payload is not None for item in shown] == [True]
    anna.contents[photo] = whole
    anna.withdraw(anna.peer_named("Bob Kay"), "work")
    world.settle()
    assert [item.payload for item in their_items(bob.contents) if item.kind == ShareKind.PHOTO] == [None]


def test_a_finish_that_was_not_deleted_is_recognised_at_the_next_sync() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    bob.accept(anna.invite().link, anna.server)
    world.sync(bob)
    world.sync(anna)
    bob.serve()
    waiting = bob.server.fetch(bob.read_ids())
    bob.commit(take_in(bob.contents, bob.stamp(), waiting).edit)  # and the program ends before it deletes them
    world.settle()
    assert bob.server.fetch(bob.read_ids()) == []
    assert bob.states() == ["connected"]


def test_a_connected_peer_whose_contact_another_device_deleted_gets_a_new_one() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    edit, contact = add_contact(anna.stamp(), "Bob")
    anna.commit(edit)
    deletion = remove_contact(anna.contents, anna.stamp(), contact)
    bob.accept(anna.invite(contact=contact).link, anna.server)
    world.settle()
    anna.commit(deletion)
    (peer,) = peers(anna.contents)
    assert Layers(anna.contents).shown(contact), "also before it is mended, what the peer shares can be shown"
    world.settle()
    (peer,) = peers(anna.contents)
    assert peer.contact != contact
    assert anna.contents[peer.contact].kind == "contact"
    assert [prop.value for prop, _ in their_properties(anna.contents, peer.contact)] == ["Bob Kay"]
    assert Layers(anna.contents).name(peer.contact) == "Bob Kay"
    assert take_in(anna.contents, anna.stamp(), []).edit == {}


def test_who_revokes_an_invite_that_another_device_saw_used_is_told() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    invite = anna.invite()
    revoked = revoke_invite(anna.contents, anna.stamp(), invite.id)[invite.id]
    bob.accept(invite.link, anna.server)
    world.settle()
    assert revoked is not None
    used = anna.contents[invite.id]
    anna.contents[invite.id] = type(used)(used.kind, {**used.units, "state": revoked.units["state"]})
    world.settle()
    assert [row.state for row in list_invites(anna.contents, anna.now)] == ["used"]
    (told,) = anna.issues
    assert "revoked" in told
    assert "Bob Kay" in told
    world.settle()
    assert len(anna.issues) == 1


def test_a_peer_who_sends_very_many_versions_costs_one_of_each_item(monkeypatch: pytest.MonkeyPatch) -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    item, parcels = bob.random(16), []
    for part in range(3):
        notes = [SharedNote(NoteKind.NOTE, 0, "s", str(part * 256 + number)) for number in range(256)]
        messages = [make_share(item, part * 256 + place + 1, note) for place, note in enumerate(notes)]
        parcels.append(crafted(bob, anna, messages, name=bytes([part]), sequence=7))
    counted: list[str] = []
    real_layers, real_payload = Layers, share_protocol.payload_of

    def layers(contents: Contents) -> Layers:
        counted.append("layers")
        return real_layers(contents)

    def payload_of(share: Share) -> Payload | None:
        counted.append("payload")
        return real_payload(share)

    monkeypatch.setattr(inbox, "Layers", layers)
    monkeypatch.setattr(bodies, "payload_of", payload_of)
    taken = take_in(anna.contents, anna.stamp(), parcels)
    assert len(taken.handled) == 3
    assert sorted(counted) == ["layers", "payload"]
    anna.commit(taken.edit)
    (version,) = [i.version for i in their_items(anna.contents) if i.item == item]
    assert version == 768


def test_one_version_with_two_contents_in_one_batch_is_told() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    one, two = (make_share(bytes(16), 9, SharedNote(NoteKind.NOTE, 0, "s", text)) for text in "ab")
    taken = anna.take([crafted(bob, anna, [one], name=b"1"), crafted(bob, anna, [two], name=b"2")])
    assert len(taken.handled) == 2
    assert any("two different things" in issue for issue in taken.issues)


def test_very_many_new_items_in_one_batch_are_bounded() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    parcels = []
    for part in range(4):
        messages = [
            make_share(bob.random(16), 1, SharedNote(NoteKind.NOTE, 0, "s", str(number))) for number in range(256)
        ]
        parcels.append(crafted(bob, anna, messages, name=bytes([part]), sequence=7))
    taken = anna.take(parcels)
    assert len(taken.handled) == 4
    assert len(their_items(anna.contents)) <= bodies.MAX_KEPT_ITEMS
    assert any("shares" in issue for issue in taken.issues)
