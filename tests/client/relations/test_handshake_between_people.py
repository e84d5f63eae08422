"""Invites, accepting and connecting, as two people live through it."""

from __future__ import annotations

import pytest

from kith_client.book.contacts import add_contact
from kith_client.relations.incoming import take_in
from kith_client.relations.invites import create_invite, greeting_for, list_invites, revoke_invite
from kith_client.relations.outgoing import FINISH, outgoing
from kith_client.relations.peers import list_peers, state_of, their_properties
from kith_client.relations.records import invites, peers
from kith_client.relations.server_side import ANSWER_GRACE, server_side
from kith_client.relations.verify import mark_verified, safety_number_of
from kith_client.stamp import of_kind
from kith_protocol.content import Content
from kith_protocol.errors import Alarm, KithError, Refused
from kith_protocol.gateway import PutStatus
from kith_protocol.invite import MAX_NAME_BYTES
from tests.client.relations.people import World

PAIR = ("Anna Beck", "Bob Kay")
DAY = 24 * 3600 * 1000


def refused(code: str) -> pytest.RaisesExc[KithError]:
    return pytest.RaisesExc((Refused, Alarm), check=lambda error: error.code == code)


def test_two_people_connect_and_see_what_was_granted() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    anna.set_card("email", "anna@work.example", "work")
    anna.set_card("tel", "+49 40 1234", "private")
    link = anna.invite("work").link
    bob.accept(link, anna.server)
    world.settle()
    assert anna.states() == bob.states() == ["connected"]
    assert bob.sees_of(anna) == anna.shows_to(bob)
    assert anna.sees_of(bob) == bob.shows_to(anna)
    assert [prop.value for prop in bob.sees_of(anna)] == ["Anna Beck", "anna@work.example"]


def test_the_list_of_peers_says_how_far_each_is() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    accepted = bob.accept(anna.invite().link, anna.server, "work")
    row = list_peers(bob.contents)[0]
    assert (row.name, row.host, row.state, row.trust) == ("Anna Beck", "anna.example", "waiting", "unverified")
    assert (row.id, row.facets, row.updated) == (anna.id.hex(), ("work",), None)
    assert state_of(bob.contents, accepted.peer) == "waiting"
    world.settle()
    row = list_peers(bob.contents)[0]
    assert row.state == state_of(bob.contents, accepted.peer) == "connected"
    assert row.updated is not None
    assert row.missing == 0


def test_a_relationship_makes_a_contact_of_its_own() -> None:
    world = World.of(*PAIR)
    world.connect("anna", "bob")
    for person in world.people.values():
        (contact,) = of_kind(person.contents, "contact").values()
        assert list(contact.units) == ["uid"]


def test_a_relationship_attaches_to_the_contact_that_the_person_names() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    edit, known = add_contact(anna.stamp(), "Bobby")
    anna.commit(edit)
    bob.accept(anna.invite(contact=known).link, anna.server)
    world.settle()
    assert list_peers(anna.contents)[0].contact == known
    assert list(of_kind(anna.contents, "contact")) == [known]


def test_the_finish_may_come_after_a_share() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    bob.accept(anna.invite().link, anna.server)
    world.sync(bob)
    anna.fetch()
    finish, card = sorted(anna.to_send(), key=lambda out: out.what != FINISH)
    assert finish.what == FINISH
    world.deliver(anna, card)
    assert bob.fetch().handled == ()
    world.deliver(anna, finish)
    assert len(bob.fetch().handled) == 2
    assert bob.sees_of(anna) == anna.shows_to(bob)


def test_a_peer_is_where_its_mailbox_is_and_not_where_a_link_was_led_to() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    bob.accept(anna.invite().link.replace("anna.example", "mallory.example"), anna.server)
    (answer,) = bob.to_send()
    assert (answer.host, peers(bob.contents)[0].host) == ("mallory.example", "mallory.example")
    bob.receipt(answer, anna.server.put(answer.put))  # the server in the link passes everything on
    world.settle()
    assert bob.states() == ["connected"]
    assert peers(bob.contents)[0].host == "anna.example"


def test_two_people_who_invite_each_other_connect_once() -> None:
    for first, second in (("anna", "bob"), ("bob", "anna")):
        world = World.of(*PAIR)
        anna, bob = world["anna"], world["bob"]
        link_a, link_b = anna.invite().link, bob.invite().link
        bob.accept(link_a, anna.server)
        anna.accept(link_b, bob.server)
        for name in (first, second):
            for out in world[name].to_send():
                world.deliver(world[name], out)
        for name in (second, first, second, first):
            world.sync(world[name])
        world.settle()
        assert sorted(anna.states() + bob.states()) == ["connected", "connected", "ended"]
        assert len(list_peers(anna.contents)) == len(list_peers(bob.contents)) == 1
        assert bob.sees_of(anna) == anna.shows_to(bob)
        assert anna.sees_of(bob) == bob.shows_to(anna)


def test_a_person_who_waits_may_accept_a_second_invite_of_the_same_person() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    bob.accept(anna.invite().link, anna.server)
    bob.accept(anna.invite().link, anna.server)
    world.settle()
    assert anna.states() == ["connected"]
    assert bob.states() == ["connected", "ended"]
    assert bob.sees_of(anna) == anna.shows_to(bob)


def test_one_cannot_accept_ones_own_invite() -> None:
    world = World.of(*PAIR)
    anna = world["anna"]
    link = anna.invite().link
    with refused("self-invite"):
        anna.accept(link, anna.server)


def test_one_cannot_accept_an_invite_twice() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    link = anna.invite().link
    bob.accept(link, anna.server)
    with refused("already-accepted"):
        bob.accept(link, anna.server)


def test_one_cannot_connect_with_the_same_person_twice() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    world.connect("anna", "bob")
    with refused("already-connected"):
        bob.accept(anna.invite().link, anna.server)
    with refused("already-connected"):
        anna.accept(bob.invite().link, bob.server)
    with refused("already-connected"):
        anna.invite(contact=list_peers(anna.contents)[0].contact)


def test_an_expired_invite_is_refused() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    link = anna.invite(expires=anna.now + DAY).link
    bob.now += 2 * DAY
    with refused("invite-expired"):
        bob.accept(link, anna.server)
    with refused("invite-expired"):
        create_invite(anna.contents, anna.stamp(), anna.host, b"F" * 16, expires=anna.now)


def test_a_contact_that_is_another_peers_raises_an_alarm() -> None:
    world = World.of("Anna Beck", "Bob Kay", "Cleo Ray")
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    world.connect("anna", "bob")
    known = list_peers(bob.contents)[0].contact
    link = cleo.invite().link
    with refused("person-changed"):
        bob.accept(link, cleo.server, contact=known)
    assert len(list_peers(bob.contents)) == 1
    assert anna.states() == ["connected"]


def test_a_second_answer_to_an_invite_is_an_issue_and_connects_nobody() -> None:
    world = World.of("Anna Beck", "Bob Kay", "Cleo Ray")
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    link = anna.invite().link
    bob.accept(link, anna.server)
    cleo.accept(link, anna.server)
    world.settle()
    assert sorted(bob.states() + cleo.states()) == ["answered", "connected"]
    assert len(list_peers(anna.contents)) == 1
    assert len(anna.issues) == 1
    assert of_kind(anna.contents, "issue")
    assert anna.fetch().issues == ()


def test_an_invite_is_open_used_revoked_or_expired() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    used, revoked, expired, open_ = (anna.invite(expires=anna.now + DAY + n) for n in (0, 0, -DAY + 5, 9 * DAY))
    bob.accept(used.link, anna.server)
    world.settle()
    anna.commit(revoke_invite(anna.contents, anna.stamp(), revoked.id))
    states = {row.id: (row.state, row.link) for row in list_invites(anna.contents, anna.now)}
    assert states[used.id] == ("used", "")
    assert states[revoked.id] == ("revoked", "")
    assert states[expired.id] == ("expired", "")
    assert states[open_.id] == ("open", open_.link)
    with refused("invite-used"):
        revoke_invite(anna.contents, anna.stamp(), used.id)
    with refused("no-such-invite"):
        revoke_invite(anna.contents, anna.stamp(), b"?" * 16)


def test_a_revoked_invite_lets_nobody_in_and_the_accepter_learns_it() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    new = anna.invite()
    bob.accept(new.link, anna.server)
    anna.commit(revoke_invite(anna.contents, anna.stamp(), new.id))
    anna.serve()
    assert not anna.server.boxes
    assert not anna.server.greetings
    (answer,) = bob.to_send()
    assert world.deliver(bob, answer) is PutStatus.NO_MAILBOX
    assert bob.states() == ["ended"]
    assert of_kind(bob.contents, "issue")
    assert list_peers(bob.contents) == []
    world.settle()
    assert anna.states() == []


def test_the_home_server_is_asked_to_hold_what_is_needed_and_no_more() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    new = anna.invite()
    link_id = greeting_for(invites(anna.contents)[0])[0]
    side = server_side(anna.contents, anna.now)
    assert [greeting.link_id for greeting in side.greetings] == [link_id]
    assert len(side.mailboxes) == 1
    assert greeting_for(invites(anna.contents)[0]) == greeting_for(invites(anna.contents)[0])
    bob.accept(new.link, anna.server)
    world.settle()
    side = server_side(anna.contents, anna.now)
    assert (side.greetings, side.closed_greetings) == ((), (link_id,))
    assert len(side.mailboxes) == 2, "a second answer is to be seen"
    later = server_side(anna.contents, new.expires + ANSWER_GRACE)
    assert later.closed_mailboxes == (invites(anna.contents)[0].own.read_id,)
    anna.now = new.expires + ANSWER_GRACE
    anna.serve()
    assert server_side(anna.contents, anna.now).closed_mailboxes == ()


def test_an_answer_that_was_long_on_its_way_counts_after_the_expiry_but_not_for_ever() -> None:
    for days, states in ((ANSWER_GRACE // DAY - 1, ["finished"]), (ANSWER_GRACE // DAY + 1, [])):
        world = World.of(*PAIR)
        anna, bob = world["anna"], world["bob"]
        bob.accept(anna.invite(expires=anna.now + DAY).link, anna.server)
        (answer,) = bob.to_send()
        anna.server.put(answer.put)
        waiting = anna.server.fetch(anna.read_ids())
        anna.now += DAY + days * DAY
        anna.take(waiting)
        assert anna.states() == states
        anna.serve()
        assert not anna.server.greetings


def test_an_answer_that_is_taken_in_again_changes_nothing() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    bob.accept(anna.invite().link, anna.server)
    world.sync(bob)
    (answer,) = anna.server.seen
    assert anna.take([answer]).edit
    again = take_in(anna.contents, anna.stamp(), [answer, answer])
    assert again.edit == {}
    assert len(again.handled) == 1
    assert again.issues == ()


def test_what_has_a_receipt_is_not_sent_again_and_what_is_queued_can_be_left_out() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    bob.accept(anna.invite().link, anna.server)
    (answer,) = bob.to_send()
    assert outgoing(bob.contents, bob.stamp(), {answer.key}) == []
    (again,) = bob.to_send()
    assert again.put == answer.put, "an answer is one and the same each time"
    bob.receipt(answer, PutStatus.FULL)
    assert len(bob.to_send()) == 1
    bob.receipt(answer, PutStatus.HAVE)
    assert bob.to_send() == []


def test_the_safety_number_is_the_same_on_both_sides_and_verifies() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    world.connect("anna", "bob")
    theirs, mine = anna.peer_named("Bob Kay"), bob.peer_named("Anna Beck")
    number = safety_number_of(anna.contents, theirs)
    assert number == safety_number_of(bob.contents, mine)
    anna.commit(mark_verified(anna.contents, anna.stamp(), theirs, number.replace(" ", "  ")))
    assert list_peers(anna.contents)[0].trust == "verified"
    bob.commit(mark_verified(bob.contents, bob.stamp(), mine, number.replace(" ", "")))
    assert list_peers(bob.contents)[0].trust == "verified"


def test_comparing_numbers_raises_the_trust_of_who_was_introduced_and_not_of_who_was_met() -> None:
    for before, after in (("introduced:" + "0" * 64, "verified"), ("met", "met"), ("later kind", "verified")):
        world = World.of(*PAIR)
        world.connect("anna", "bob")
        anna = world["anna"]
        peer = anna.peer_named("Bob Kay")
        content = anna.contents[peer]
        anna.commit({peer: Content("peer", {**content.units, "trust": anna.stamp().unit(before)}, content.extra)})
        anna.commit(mark_verified(anna.contents, anna.stamp(), peer, safety_number_of(anna.contents, peer)))
        assert list_peers(anna.contents)[0].trust == after


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("", "safety-number"),
        ("12345", "safety-number"),
        ("٣" * 60, "safety-number"),
        ("0" * 60, "safety-number-differs"),
    ],
)
def test_another_safety_number_does_not_verify(number: str, code: str) -> None:
    world = World.of(*PAIR)
    anna = world["anna"]
    world.connect("anna", "bob")
    with refused(code):
        mark_verified(anna.contents, anna.stamp(), anna.peer_named("Bob Kay"), number)
    assert list_peers(anna.contents)[0].trust == "unverified"


def test_a_long_name_is_cut_for_the_greeting_and_whole_on_the_card() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    name = "Anna " + "ü" * 80
    anna.set_card("fn", name)
    bob.accept(anna.invite().link, anna.server)
    world.settle()
    row = list_peers(bob.contents)[0]
    assert row.name.startswith("Anna üü")
    assert row.name.endswith("…")
    assert len(row.name.encode()) <= MAX_NAME_BYTES
    assert [prop.value for prop, _ in their_properties(bob.contents, row.contact)] == [name]
