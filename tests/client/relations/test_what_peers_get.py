"""Views, notes, cards and photos: what leaves, in which version, and what does not."""

from __future__ import annotations

from datetime import date

import pytest

from kith_client.book import circles, grants, shares
from kith_client.book.contacts import add_contact, remove_contact, set_property
from kith_client.book.notes import add_note, remove_note
from kith_client.book.parts import cut
from kith_client.book.properties import contact_value, me_value
from kith_client.contacts.model import Property
from kith_client.contacts.photos import split_photo
from kith_client.contacts.views import make_property
from kith_client.relations import planning
from kith_client.relations.images import media_type
from kith_client.relations.outgoing import outgoing
from kith_client.relations.peers import TheirLayer, TheirNote, list_peers
from kith_client.relations.planning import plan_shares
from kith_client.relations.records import channels, peers
from kith_client.stamp import of_kind, the_one
from kith_protocol.gateway import PutStatus
from kith_protocol.padding import INNER_CLASSES
from kith_protocol.share import MAX_NOTE_BYTES, MAX_PHOTO_BYTES
from tests.client.relations.people import Person, World

PAIR = ("Anna Beck", "Bob Kay")
JPEG = b"\xff\xd8\xff\xe0"


@pytest.fixture
def world() -> World:
    world = World.of(*PAIR)
    world.connect("anna", "bob", ("work",))
    return world


def photo_of(data: bytes) -> tuple[Property, bytes]:
    import base64

    prop = Property("PHOTO", "data:image/jpeg;base64," + base64.b64encode(data).decode(), ())
    split = split_photo((prop,))
    assert split is not None
    return split[0][0], split[1]


def put_photo_on_card(person: Person, data: bytes, *facets: str) -> Property:
    prop, apart = photo_of(data)
    found = the_one(person.contents, "me")
    assert found is not None
    person.commit(cut(person.stamp(), "photo", "data", apart, {}))
    content = found[1]
    units = {**content.units, "photo-000100000000": person.stamp().unit(me_value((prop,), facets))}
    person.commit({found[0]: type(content)(content.kind, units, content.extra)})
    return prop


def note_on(person: Person, text: str, *, share_with: bytes) -> bytes:
    about, dora = add_contact(person.stamp(), "Dora Quist")
    person.commit(about)
    edit, note = add_note(person.stamp(), dora, text, "met", at=date(2026, 3, 1), remind=date(2027, 1, 1))
    person.commit(edit)
    person.commit(shares.share(person.contents, person.stamp(), note, share_with))
    return note


def peer_of(person: Person) -> bytes:
    (peer,) = peers(person.contents)
    return peer.id


def notes_of(person: Person) -> list[TheirNote]:
    return TheirLayer(person.contents).notes()


def test_an_edit_reaches_those_who_may_see_it_and_a_withdrawal_takes_it_away(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    anna.set_card("email", "anna@work.example", "work")
    anna.set_card("tel", "+49 40 1", "private")
    world.settle()
    assert bob.sees_of_contact() == ["Anna Beck", "anna@work.example"]
    anna.grant(peer_of(anna), "private")
    world.settle()
    assert bob.sees_of_contact() == ["Anna Beck", "anna@work.example", "+49 40 1"]
    anna.withdraw(peer_of(anna), "work")
    world.settle()
    assert bob.sees_of_contact() == ["Anna Beck", "+49 40 1"]


def test_a_circle_grants_and_withdraws_for_its_members(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    anna.set_card("tel", "+49 40 1", "private")
    contact = list_peers(anna.contents)[0].contact
    anna.commit(circles.add_to_circle(anna.contents, anna.stamp(), "Friends", [contact]))
    target = grants.resolve_target(anna.contents, "Friends")
    anna.commit(grants.grant(anna.contents, anna.stamp(), target, "private"))
    world.settle()
    assert "+49 40 1" in bob.sees_of_contact()
    anna.commit(circles.remove_from_circle(anna.contents, anna.stamp(), "Friends", [contact]))
    world.settle()
    assert "+49 40 1" not in bob.sees_of_contact()


def test_what_a_peer_does_not_see_sends_nothing(world: World) -> None:
    anna = world["anna"]
    anna.set_card("tel", "+49 40 1", "private")
    assert plan_shares(anna.contents, anna.stamp()).edit == {}
    assert anna.to_send() == []


def test_a_note_goes_without_its_reminder_and_with_the_name_of_its_subject(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    note_on(anna, "wants to try fencing", share_with=peer_of(anna))
    world.settle()
    (note,) = notes_of(bob)
    assert (note.text, note.kind, note.at, note.subject) == ("wants to try fencing", "met", "2026-03-01", "Dora Quist")
    assert note.contact == list_peers(bob.contents)[0].contact
    assert b"2027" not in repr(bob.contents).encode()


def test_a_note_that_is_deleted_is_taken_back(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    note = note_on(anna, "secret plan", share_with=peer_of(anna))
    world.settle()
    anna.commit(remove_note(note))
    world.settle()
    assert notes_of(bob) == []
    assert "secret plan" not in repr(bob.contents)


def test_a_note_too_long_to_send_is_said_and_does_not_stop_the_rest(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    note_on(anna, "x" * (MAX_NOTE_BYTES + 1), share_with=peer_of(anna))
    anna.set_card("email", "a@b.example", "work")
    planned = plan_shares(anna.contents, anna.stamp())
    assert len(planned.left_out) == 1
    world.settle()
    assert notes_of(bob) == []
    assert "a@b.example" in bob.sees_of_contact()


def test_a_shared_card_goes_without_what_is_about_my_address_book(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    props = [make_property(name, f"my {name}", ()) for name in ("EMAIL", "NOTE", "CATEGORIES", "REV", "PRODID")]
    edit, dora = add_contact(anna.stamp(), "Dora Quist", props)
    anna.commit(edit)
    anna.commit(shares.share(anna.contents, anna.stamp(), dora, peer_of(anna)))
    world.settle()
    (card,) = TheirLayer(bob.contents).cards()
    assert card.label == "Dora Quist"
    assert [prop.key for prop in card.properties] == ["FN", "N", "EMAIL"]
    anna.commit(set_property(anna.contents, anna.stamp(), dora, "EMAIL", "new@dora.example")[0])
    world.settle()
    assert "new@dora.example" in [prop.value for prop in TheirLayer(bob.contents).cards()[0].properties]
    assert len(of_kind(bob.contents, "contact")) == 1, "it is no contact of Bob's own"
    anna.commit(remove_contact(anna.contents, anna.stamp(), dora))
    world.settle()
    assert TheirLayer(bob.contents).cards() == []


def test_what_a_peer_shares_with_me_is_not_passed_on_with_its_contact() -> None:
    world = World.of("Anna Beck", "Bob Kay", "Cleo Ray")
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    bob.set_card("tel", "+49 40 555", "private")
    anna.accept(bob.invite("private").link, bob.server)
    world.settle()
    world.connect("anna", "cleo")
    contact = next(row.contact for row in list_peers(anna.contents) if row.name == "Bob Kay")
    anna.commit(shares.share(anna.contents, anna.stamp(), contact, anna.peer_named("Cleo Ray")))
    world.settle()
    (card,) = TheirLayer(cleo.contents).cards()
    assert card.label == "Bob Kay"
    assert card.properties == ()
    assert "555" not in repr(cleo.contents)


def test_a_photo_is_an_item_of_its_own_and_is_not_sent_again_with_a_new_number(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    data = JPEG + bytes(range(256)) * 100
    prop = put_photo_on_card(anna, data, "work")
    assert len(anna.to_send()) == 2
    world.settle()
    assert prop in bob.sees_of(anna)
    digest = bytes.fromhex(prop.value.rpartition(":")[2])
    photo = TheirLayer(bob.contents).photo(digest)
    assert photo is not None
    assert (photo.data, photo.media_type) == (data, "image/jpeg")
    assert TheirLayer(bob.contents).photo(b"?" * 32) is None
    anna.set_card("tel", "1", "work")
    (card,) = anna.to_send()
    assert len(card.put.parcel) == INNER_CLASSES[0]
    anna.withdraw(peer_of(anna), "work")
    world.settle()
    assert TheirLayer(bob.contents).photo(digest) is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (JPEG + bytes(MAX_PHOTO_BYTES), "KiB"),
        (b"\x00" * 5000, "not a JPEG"),
        (b"<svg onload='x()'>" + b" " * 5000, "not a JPEG"),
    ],
)
def test_a_photo_that_cannot_be_sent_is_left_out_and_said(world: World, data: bytes, why: str) -> None:
    anna, bob = world["anna"], world["bob"]
    put_photo_on_card(anna, data, "work")
    planned = plan_shares(anna.contents, anna.stamp())
    assert planned.edit == {}
    assert len(planned.left_out) == 1
    assert why in planned.left_out[0]
    world.settle()
    assert bob.sees_of_contact() == ["Anna Beck"]


def test_a_photo_of_which_a_part_is_not_here_is_left_out_and_said(world: World) -> None:
    for missing in ("whole", "changed"):
        anna = Person.begin("Anna Beck", world["anna"].server)
        anna.contents = dict(world["anna"].contents)
        put_photo_on_card(anna, JPEG + bytes(5000), "work")
        (record,) = of_kind(anna.contents, "photo")
        if missing == "whole":
            del anna.contents[record]
        else:
            content = anna.contents[record]
            units = {**content.units, "data": anna.stamp().unit(JPEG)}
            anna.commit({record: type(content)(content.kind, units, content.extra)})
        assert "not here" in plan_shares(anna.contents, anna.stamp()).left_out[0]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"<svg/>", None),
        (b"", None),
    ],
)
def test_pictures_are_known_by_their_first_bytes(data: bytes, kind: str | None) -> None:
    assert media_type(data) == kind


def test_a_property_too_long_to_send_is_left_out_and_said(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    anna.set_card("email", "x" * 70_000, "work")
    anna.set_card("title", "fits", "work")
    assert "EMAIL" in plan_shares(anna.contents, anna.stamp()).left_out[0].upper()
    world.settle()
    assert bob.sees_of_contact() == ["Anna Beck", "fits"]


def test_a_card_too_long_to_send_arrives_as_far_as_it_goes(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    found = the_one(anna.contents, "me")
    assert found is not None
    record, content = found
    long = {f"x-long-{n:012x}": (Property("X-LONG", "y" * 60_000),) for n in range(6)}
    units = {key: anna.stamp().unit(me_value(unit, ["work"])) for key, unit in long.items()}
    anna.commit({record: type(content)(content.kind, {**content.units, **units}, content.extra)})
    assert len(plan_shares(anna.contents, anna.stamp()).left_out) >= 1
    world.settle()
    assert len(bob.sees_of_contact()) == 5


def test_only_what_was_committed_leaves(world: World) -> None:
    anna = world["anna"]
    anna.set_card("email", "one@example", "work")
    anna.commit(plan_shares(anna.contents, anna.stamp()).edit)
    assert len(outgoing(anna.contents, anna.stamp())) == 1
    anna.set_card("email", "two@example", "work")
    assert outgoing(anna.contents, anna.stamp()) == [], "its digest is not the committed one: plan first"
    (after,) = anna.to_send()
    assert after.version == 3


def test_a_version_counts_as_delivered_only_with_a_receipt(world: World) -> None:
    anna = world["anna"]
    anna.set_card("email", "one@example", "work")
    (out,) = anna.to_send()
    for status in (PutStatus.FULL, PutStatus.NO_MAILBOX, PutStatus.LOWER_SEQUENCE):
        anna.receipt(out, status)
        assert len(anna.to_send()) == 1
    anna.receipt(out, PutStatus.HAVE)
    assert anna.to_send() == []


def test_a_receipt_for_an_older_version_leaves_the_newer_one_waiting(world: World) -> None:
    anna = world["anna"]
    anna.set_card("email", "one@example", "work")
    (old,) = anna.to_send()
    anna.set_card("email", "two@example", "work")
    (new,) = anna.to_send()
    anna.receipt(old, PutStatus.STORED)
    assert [out.version for out in anna.to_send()] == [new.version]
    anna.receipt(new, PutStatus.STORED)
    anna.receipt(old, PutStatus.STORED)
    assert anna.to_send() == []


def test_places_of_withdrawn_shares_are_used_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MAX_ITEMS", 3)
    anna, bob = world["anna"], world["bob"]
    for number in range(4):
        text = f"note {number}"
        note = note_on(anna, text, share_with=peer_of(anna))
        world.settle()
        assert [shown.text for shown in notes_of(bob)] == [text]
        anna.commit(shares.unshare(anna.contents, anna.stamp(), note, peer_of(anna)))
        world.settle()
        assert notes_of(bob) == []
    assert len(channels(anna.contents)[0].items) <= 3


def test_more_than_a_relationship_can_carry_is_left_out_and_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MAX_ITEMS", 3)
    anna, bob = world["anna"], world["bob"]
    for number in range(4):
        note_on(anna, f"note {number}", share_with=peer_of(anna))
    planned = plan_shares(anna.contents, anna.stamp())
    assert len(set(planned.left_out)) == 1
    world.settle()
    assert len(notes_of(bob)) == 2
    assert bob.sees_of_contact() == ["Anna Beck"]


def test_a_share_that_comes_back_takes_the_next_version(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    note = note_on(anna, "again", share_with=peer_of(anna))
    world.settle()
    anna.commit(shares.unshare(anna.contents, anna.stamp(), note, peer_of(anna)))
    world.settle()
    anna.commit(shares.share(anna.contents, anna.stamp(), note, peer_of(anna)))
    world.settle()
    assert [shown.text for shown in notes_of(bob)] == ["again"]
    assert shares.version(anna.contents, peer_of(anna), note) == 3


def test_a_new_relationship_with_a_former_peer_grants_nothing_old() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    anna.set_card("tel", "+49 40 1", "private")
    world.connect("anna", "bob", ("private",))
    assert "+49 40 1" in bob.sees_of_contact()
    for person in (anna, bob):
        for channel in channels(person.contents):
            content = person.contents[channel.id]
            units = {**content.units, "state": person.stamp().unit("ended")}
            person.commit({channel.id: type(content)(content.kind, units, content.extra)})
    assert list_peers(anna.contents) == []
    world.connect("anna", "bob")
    assert len(peers(anna.contents)) == 1, "the root is the same, so the peer is"
    assert bob.sees_of_contact() == ["Anna Beck"]


def test_a_contact_group_travels_with_its_label(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    edit, dora = add_contact(anna.stamp(), "Dora Quist")
    anna.commit(edit)
    unit = (Property("TEL", "1", (), "item1"), Property("X-ABLabel", "boat", (), "item1"))
    content = anna.contents[dora]
    units = {**content.units, "tel-000900000000": anna.stamp().unit(contact_value(unit))}
    anna.commit({dora: type(content)(content.kind, units, content.extra)})
    anna.commit(shares.share(anna.contents, anna.stamp(), dora, peer_of(anna)))
    world.settle()
    (card,) = TheirLayer(bob.contents).cards()
    assert card.properties[-2:] == unit


def test_the_log_says_what_peers_did(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    note = note_on(anna, "hello", share_with=peer_of(anna))
    anna.set_card("email", "one@example", "work")
    world.settle()
    anna.commit(shares.unshare(anna.contents, anna.stamp(), note, peer_of(anna)))
    world.settle()
    said = [line.partition("\x1f")[0] for line in bob.events]
    assert said[0].endswith("is connected with you now")
    assert "Anna Beck updated their card" in said
    assert "Anna Beck shared a note with you" in said
    assert "Anna Beck took something back" in said
