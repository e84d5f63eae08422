"""Reusable invites: whoever has one may ask, and I decide. Strangers cost nothing and push nobody out."""

from __future__ import annotations

import copy
import itertools
import random

import pytest

from kith_client.relations.draft import Draft
from kith_client.relations.ending import block_peer, end_relationship, unblock_peer
from kith_client.relations.invites import MAX_LIFETIME, REUSABLE_LIFETIME, create_invite, list_invites, revoke_invite
from kith_client.relations.outgoing import ANSWER
from kith_client.relations.peers import list_peers
from kith_client.relations.records import invites, peer_at
from kith_client.relations.requests.asking import ASK_AGAIN, MAX_WAITING
from kith_client.relations.requests.deciding import list_requests
from kith_client.relations.requests.records import MAX_ASKED, Decision, asked, read_request, requests
from kith_client.relations.requests.rules import REQUEST_LIFETIME
from kith_client.relations.requests.through_invites import accept, decline, waiting_through
from kith_client.relations.trust import introduced_by
from kith_client.stamp import of_kind
from kith_protocol.content import Content, Unit
from kith_protocol.encoding import Value
from kith_protocol.errors import Alarm, DecodingError, Refused
from kith_protocol.gateway import Put, PutStatus
from kith_protocol.handshake import ANSWER_BYTES
from kith_protocol.invite import parse_link
from kith_protocol.mailbox import MAX_SLOTS, MailboxKind, sign_put
from kith_protocol.suite import digest
from kith_protocol.wire import StoredParcel
from tests.client.relations.people import Person, World
from tests.client.relations.simserver import SimServer

DAY = 86_400_000
SEEDS = (0, 4)
NAMES = ("Anna Beck", "Bob Kay", "Cleo Ray")


@pytest.fixture
def world() -> World:
    world = World.of(*NAMES)
    world["anna"].set_card("email", "anna@work", "work")
    world["anna"].set_card("tel", "1111", "private")
    return world


def ask(world: World, asker: Person, link: str, anna: Person | None = None) -> None:
    """`asker` accepts the invite behind `link`, and the answer reaches its owner."""
    owner = anna or world["anna"]
    asker.accept(link, owner.server)
    for out in asker.to_send():
        if out.what == ANSWER:
            world.deliver(asker, out)
    owner.fetch()


def answer_of(asker: Person, link: str, anna: Person) -> Put:
    """The put of an answer that nobody delivered yet."""
    asker.accept(link, anna.server)
    return next(out.put for out in asker.to_send() if out.what == ANSWER)


def strangers(count: int, seed: int = 0) -> list[Person]:
    server = SimServer()
    return [Person.begin(f"Stranger{number} X", server, seed) for number in range(count)]


def rubbish(link: str, seed: int) -> Put:
    """What whoever holds a printed card can send without effort: a well-signed put of random bytes."""
    rng = random.Random(seed)
    to, parcel, slot = parse_link(link).mailbox, rng.randbytes(ANSWER_BYTES), rng.randbytes(16)
    return Put(to.mailbox, slot, 1, parcel, sign_put(to.deposit, to.mailbox, slot, 1, parcel))


# Asking and deciding


def test_who_answers_a_reusable_invite_waits_until_accepted(world: World) -> None:
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    new = anna.invite("work", reusable=True)
    for asker in (bob, cleo):
        ask(world, asker, new.link)
    world.settle()
    assert anna.asked_by() == ["Bob Kay", "Cleo Ray"]
    assert anna.states() == []
    assert [row.state for row in list_peers(bob.contents)] == ["waiting"]
    (row, _) = list_requests(anna.contents, anna.now)
    assert (row.kind, row.person, row.more["host"], row.more["facets"]) == ("invite", bob.id, "bob.example", ["work"])
    anna.let_in("Bob Kay", "private")
    world.settle()
    assert anna.asked_by() == ["Cleo Ray"]
    assert (anna.states(), bob.states(), cleo.states()) == (["connected"], ["connected"], ["answered"])
    assert sorted(prop.value for prop in bob.sees_of(anna)) == ["1111", "Anna Beck", "anna@work"]
    assert anna.issues == bob.issues == []
    assert list_invites(anna.contents, anna.now)[0].state == "open", "the next one may ask"
    assert "Bob Kay asked to be connected, and you accepted" in [event.split("\x1f")[0] for event in anna.events]


def test_an_accepted_person_attaches_to_the_contact_that_i_name(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    known = anna.stamp().record_id()
    anna.commit({known: anna.stamp().content("contact", {"fn": [[["", "FN", "Bobby", []]]]})})
    ask(world, bob, anna.invite(reusable=True).link)
    anna.let_in("Bob Kay", contact=known)
    world.settle()
    assert list_peers(anna.contents)[0].contact == known


def test_a_contact_of_another_person_is_not_taken_over(world: World) -> None:
    anna = world["anna"]
    world.connect("anna", "bob")
    contact = list_peers(anna.contents)[0].contact
    ask(world, world["cleo"], anna.invite(reusable=True).link)
    with pytest.raises(Alarm):
        anna.let_in("Cleo Ray", contact=contact)
    assert anna.asked_by() == ["Cleo Ray"]


def test_a_contact_that_became_another_persons_since_is_not_taken_over(world: World) -> None:
    anna = world["anna"]
    contact = anna.stamp().record_id()
    anna.commit({contact: anna.stamp().content("contact", {"uid": []})})
    ask(world, world["cleo"], anna.invite(reusable=True).link)
    anna.let_in("Cleo Ray", contact=contact)
    anna.server.put(answer_of(world["bob"], anna.invite(contact=contact).link, anna))
    world.settle()
    contacts = {row.name: row.contact for row in list_peers(anna.contents)}
    assert contacts["Bob Kay"] == contact != contacts["Cleo Ray"]
    (text,) = anna.issues
    assert text.startswith("You accepted Cleo Ray for a contact that belongs to another person by now.")


def test_somebody_accepted_for_a_contact_that_became_an_introduced_peers_since_raises_doubts_about_that_peer(
    world: World,
) -> None:
    anna, bob = world["anna"], world["bob"]
    world.people["dora"] = Person.begin("Dora Falk", SimServer())
    world.connect("anna", "dora")
    world.connect("anna", "bob")
    ask(world, world["cleo"], anna.invite(reusable=True).link)
    contact = anna.stamp().record_id()
    anna.commit({contact: anna.stamp().content("contact", {"uid": []})})
    anna.let_in("Cleo Ray", contact=contact)
    draft = Draft(anna.contents, anna.stamp())
    peer = anna.peer_named("Bob Kay")
    draft.change(peer, {"trust": introduced_by(world["dora"].id), "contact": contact})
    anna.commit(draft.edit)
    world.settle()
    assert peer_at(anna.contents, peer).trust == "unverified"
    (text,) = anna.issues
    assert "It was Dora Falk who introduced the two of you" in text
    assert bob.states() == world["cleo"].states() == ["connected"]


def test_a_declined_person_hears_nothing_and_nothing_is_left_for_them(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    ask(world, bob, anna.invite(reusable=True).link)
    boxes = len(anna.server.boxes)
    anna.turn_down("Bob Kay")
    world.settle()
    assert anna.asked_by() == []
    assert not of_kind(anna.contents, "request")
    assert len(anna.server.boxes) == boxes
    assert not [put for put in bob.server.seen if put.mailbox in bob.read_ids()]
    assert [row.state for row in list_peers(bob.contents)] == ["waiting"], "as if nobody had answered"


def test_a_declined_person_cannot_ask_again_for_a_month(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    link, other = anna.invite(reusable=True).link, anna.invite(reusable=True).link
    ask(world, bob, link)
    anna.turn_down("Bob Kay")
    anna.fetch()
    for again in (link, other):
        bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))  # not synced yet
        anna.now += ASK_AGAIN // 3
        ask(world, bob, again)
        assert anna.asked_by() == []
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    bob.to_send()
    anna.now += ASK_AGAIN
    ask(world, bob, link)
    assert anna.asked_by() == ["Bob Kay"]


def test_two_requests_of_one_person_count_once_and_the_newest_is_answered(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    one, other = anna.invite(reusable=True).link, anna.invite(reusable=True).link
    ask(world, bob, one)
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    bob.to_send()
    ask(world, bob, one)
    assert anna.asked_by() == ["Bob Kay"]
    ask(world, bob, other)
    assert anna.asked_by() == ["Bob Kay"]
    anna.let_in("Bob Kay")
    world.settle()
    assert (anna.states(), bob.states()) == (["connected"], ["connected", "ended", "ended"])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("crossed", [True, False])
def test_both_ask_and_both_accept_in_any_order_and_are_connected_once(seed: int, crossed: bool) -> None:
    for order in itertools.product(("anna", "bob"), repeat=3):
        world = World.of("Anna Beck", "Bob Kay", seed=seed)
        anna, bob = world["anna"], world["bob"]
        links = {"anna": anna.invite(reusable=True).link, "bob": bob.invite(reusable=True).link}
        anna.accept(links["bob"], bob.server)
        bob.accept(links["anna"], anna.server)
        for person in (anna, bob):
            for out in person.to_send():
                world.deliver(person, out)
        anna.fetch()
        bob.fetch()
        anna.let_in("Bob Kay")
        bob.let_in("Anna Beck")
        if crossed:  # both make and send a finish before either hears of the other's
            anna.fetch()
            bob.fetch()
            for person, sent in [(anna, anna.to_send()), (bob, bob.to_send())]:
                for out in sent:
                    world.deliver(person, out)
        for name in order:
            world.sync(world[name])
        world.settle()
        assert (anna.states().count("connected"), bob.states().count("connected")) == (1, 1), order
        assert set(anna.states() + bob.states()) == {"connected", "ended"}
        assert bob.sees_of(anna) == anna.shows_to(bob)
        assert anna.sees_of(bob) == bob.shows_to(anna)
        assert anna.asked_by() == bob.asked_by() == []


def test_each_of_the_two_has_the_smaller_person_id_once() -> None:
    worlds = [World.of("Anna Beck", "Bob Kay", seed=seed) for seed in SEEDS]
    assert [world["anna"].id < world["bob"].id for world in worlds] == [False, True]


def test_who_was_asked_and_asks_back_is_connected_by_one_yes(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    ask(world, bob, anna.invite(reusable=True).link)
    anna.accept(bob.invite(reusable=True).link, bob.server)
    world.settle()
    assert (anna.asked_by(), bob.asked_by()) == (["Bob Kay"], ["Anna Beck"])
    anna.let_in("Bob Kay")
    world.settle()
    assert anna.asked_by() == bob.asked_by() == []
    assert bob.sees_of(anna) == anna.shows_to(bob)


def test_a_request_of_somebody_who_is_connected_is_dropped_without_a_word(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    ask(world, bob, anna.invite(reusable=True).link)
    anna.accept(bob.invite().link, bob.server)
    world.settle()
    assert anna.asked_by() == []
    assert not of_kind(anna.contents, "request")
    assert not of_kind(anna.contents, "issue")


def test_who_ends_a_relationship_may_ask_anew(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    world.connect("anna", "bob")
    link = anna.invite(reusable=True).link
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    bob.to_send()
    bob.accept(link, anna.server)
    world.settle()
    assert anna.asked_by() == ["Bob Kay"]
    assert list_requests(anna.contents, anna.now)[0].more["contact"] is not None


def test_who_is_connected_and_shows_renewed_keys_may_ask_anew(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    world.connect("anna", "bob")
    link = anna.invite(reusable=True).link
    bob.contents = {record: each for record, each in bob.contents.items() if each.kind in ("me", "persona")}
    ask(world, bob, link)
    assert anna.asked_by() == [], "the same keys: connected already"
    bob.contents = {record: each for record, each in bob.contents.items() if each.kind in ("me", "persona")}
    bob.renew_persona(2)
    ask(world, bob, link)
    assert anna.asked_by() == ["Bob Kay"]
    anna.let_in("Bob Kay")
    world.settle()
    assert sorted(anna.states()) == ["connected", "ended"]
    assert bob.states() == ["connected"]


@pytest.mark.parametrize("shuffled", [None, 0, 1, 2, 3])
def test_a_request_under_outdated_keys_does_not_take_the_place_of_one_under_the_newer(
    world: World, shuffled: int | None
) -> None:
    anna, bob = world["anna"], world["bob"]
    anna.rng = random.Random(shuffled)
    link = anna.invite("work", reusable=True).link
    thief = copy.deepcopy(bob)
    bob.renew_persona(5)
    puts = [answer_of(bob, link, anna), answer_of(thief, link, anna)]
    for put in puts:
        anna.server.put(put)
        if shuffled is None:
            anna.fetch()
    anna.fetch()
    assert [request.number for request in requests(anna.contents)] == [5]
    anna.let_in("Bob Kay", "private")
    world.settle()
    assert bob.states() == ["connected"]
    thief.fetch()
    assert thief.states() == ["answered"]


def test_whom_i_decided_about_cannot_ask_under_outdated_keys_later(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    link = anna.invite(reusable=True).link
    thief = copy.deepcopy(bob)
    bob.renew_persona(5)
    ask(world, bob, link)
    anna.turn_down("Bob Kay")
    anna.fetch()
    anna.now += ASK_AGAIN
    ask(world, thief, link)
    assert anna.asked_by() == []
    mine = anna.invite().link
    thief.accept(mine, anna.server)
    world.people["thief"] = thief
    world.sync(thief)
    anna.fetch()
    assert anna.states() == [], "nor through an invite of another kind"


def test_a_no_to_stolen_keys_does_not_shut_out_the_newer_keys_of_their_owner(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    link = anna.invite(reusable=True).link
    ask(world, copy.deepcopy(bob), link)
    anna.turn_down("Bob Kay")
    anna.fetch()
    bob.renew_persona(5)
    ask(world, bob, link)
    assert anna.asked_by() == ["Bob Kay"]


def asks_again(asker: Person, link: str, owner: Person) -> None:
    """Through another link, with nothing left of what was asked before."""
    fresh = copy.deepcopy(asker)
    fresh.contents = {record: each for record, each in asker.contents.items() if each.kind in ("me", "persona")}
    owner.server.put(answer_of(fresh, link, owner))


def test_a_yes_to_one_invite_is_not_carried_out_on_another_that_the_person_asks_through_since(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    card, family = anna.invite(reusable=True).link, anna.invite("private", reusable=True).link
    ask(world, bob, card)
    anna.let_in("Bob Kay")
    asks_again(bob, family, anna)
    anna.fetch()
    world.settle()
    assert list_peers(anna.contents)[0].facets == ()
    assert (anna.asked_by(), bob.states()) == ([], ["connected"])


def test_a_request_through_the_directory_keeps_that_mark_when_the_person_asks_through_a_card_since(
    world: World,
) -> None:
    anna, bob = world["anna"], world["bob"]
    found, card = anna.invite(reusable=True), anna.invite(reusable=True).link
    draft = Draft(anna.contents, anna.stamp())
    draft.change(found.id, {"handle": "anna"})
    anna.commit(draft.edit)
    ask(world, bob, found.link)
    anna.let_in("Bob Kay")
    asks_again(bob, card, anna)
    anna.fetch()
    assert list_peers(anna.contents)[0].via == "directory"


def test_a_yes_made_offline_does_not_count_for_the_answer_that_another_device_took_in_meanwhile(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    card, family = anna.invite(reusable=True).link, anna.invite("private", reusable=True).link
    ask(world, bob, card)
    (request,) = of_kind(anna.contents, "request")
    offline = accept(anna.contents, anna.stamp(), request).edit[request]
    asks_again(bob, family, anna)
    anna.fetch()
    assert offline is not None
    merged = Content("request", {**anna.contents[request].units, "decision": offline.units["decision"]})
    anna.commit({request: merged})
    anna.fetch()
    assert (anna.asked_by(), anna.states()) == (["Bob Kay"], []), "the person is asked again"
    anna.let_in("Bob Kay")
    anna.fetch()
    assert list_peers(anna.contents)[0].facets == ("private",)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_decision_about_stolen_keys_does_not_count_for_the_newer_keys_of_their_owner(
    world: World, accepted: bool
) -> None:
    anna, bob = world["anna"], world["bob"]
    link = anna.invite(reusable=True).link
    ask(world, copy.deepcopy(bob), link)
    if accepted:
        anna.let_in("Bob Kay")
    else:
        anna.turn_down("Bob Kay")
    bob.renew_persona(5)
    ask(world, bob, link)
    assert (anna.asked_by(), anna.states()) == (["Bob Kay"], [])


def test_a_no_made_offline_counts_although_the_person_asked_again_under_the_same_keys(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    link = anna.invite(reusable=True).link
    ask(world, bob, link)
    (request,) = of_kind(anna.contents, "request")
    offline = decline(anna.contents, anna.stamp(), request).edit[request]
    asks_again(bob, link, anna)
    anna.fetch()
    assert offline is not None
    merged = Content("request", {**anna.contents[request].units, "decision": offline.units["decision"]})
    anna.commit({request: merged})
    anna.fetch()
    assert (anna.asked_by(), of_kind(anna.contents, "request")) == ([], {})


# Several devices: a decision is an edit that merges, and is carried out once


def test_yes_on_one_device_and_no_on_another_is_said_and_the_yes_that_was_sent_stands(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    ask(world, bob, anna.invite(reusable=True).link)
    (request,) = of_kind(anna.contents, "request")
    no = decline(anna.contents, anna.stamp(), request).edit
    anna.let_in("Bob Kay")
    world.settle()
    anna.commit(no)  # an edit stands against a deletion: so the other device's merge puts the record back
    anna.fetch()
    assert anna.states() == ["connected"]
    assert not of_kind(anna.contents, "request")
    assert ["accepted on another device" in text for text in anna.issues] == [True]


@pytest.mark.parametrize("settled", [True, False])
def test_two_devices_that_accept_connect_once_and_both_grants_count(world: World, settled: bool) -> None:
    anna, bob = world["anna"], world["bob"]
    ask(world, bob, anna.invite(reusable=True).link)
    (request,) = of_kind(anna.contents, "request")
    other = accept(anna.contents, anna.stamp(), request, ["Private"]).edit
    anna.let_in("Bob Kay", "work")
    if settled:
        world.settle()
    else:
        anna.fetch()  # the finish is made, and has not arrived
    anna.commit(other)
    world.settle()
    assert anna.states() == ["connected"]
    assert list_peers(anna.contents)[0].facets == ("private", "work")
    assert not of_kind(anna.contents, "request")
    assert anna.issues == []


def test_a_yes_to_an_older_answer_does_not_end_what_a_yes_to_a_newer_one_began(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    link = anna.invite(reusable=True).link
    ask(world, bob, link)
    (request,) = of_kind(anna.contents, "request")
    older = accept(anna.contents, anna.stamp(), request).edit
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    ask(world, bob, link)
    anna.let_in("Bob Kay")
    anna.fetch()
    anna.commit(older)
    world.settle()
    assert (anna.states(), bob.states()) == (["connected"], ["connected", "ended"])


def test_a_yes_stands_although_the_invite_was_revoked_or_the_request_expired_on_another_device(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    new = anna.invite(reusable=True)
    ask(world, bob, new.link)
    anna.let_in("Bob Kay")
    anna.commit(revoke_invite(anna.contents, anna.stamp(), new.id))
    anna.now += REQUEST_LIFETIME
    world.settle()
    assert (anna.states(), bob.states()) == (["connected"], ["connected"])


# Strangers


def test_rubbish_frees_its_places_with_the_next_sync_and_leaves_nothing_behind(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    link = anna.invite(reusable=True).link
    bob.accept(link, anna.server)
    before = dict(anna.contents)
    for round_ in range(3):
        places = MAX_SLOTS[MailboxKind.REQUESTS]
        puts = [anna.server.put(rubbish(link, 1000 * round_ + number)) for number in range(places + 5)]
        assert puts == [PutStatus.STORED] * places + [PutStatus.FULL] * 5
        (answer,) = (out for out in bob.to_send() if out.what == ANSWER)
        assert world.deliver(bob, answer) is PutStatus.FULL, "Bob is not told that he arrived, and tries again"
        taken = anna.fetch()
        assert (len(taken.handled), taken.edit, taken.issues) == (places, {}, ())
        assert anna.contents == before
    assert world.deliver(bob, answer) is PutStatus.STORED
    anna.fetch()
    assert anna.asked_by() == ["Bob Kay"]


def test_a_flood_of_people_made_up_pushes_nobody_out_and_ends_at_a_hundred(world: World) -> None:
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    link = anna.invite(reusable=True).link
    ask(world, bob, link)
    crowd = strangers(MAX_WAITING + MAX_SLOTS[MailboxKind.REQUESTS])
    statuses = []
    for stranger in crowd:
        statuses.append(anna.server.put(answer_of(stranger, link, anna)))
        if len(statuses) % 60 == 0:
            anna.fetch()
    anna.fetch()
    assert len(requests(anna.contents)) == MAX_WAITING
    assert anna.asked_by()[0] == "Bob Kay"
    assert waiting_through(anna.contents, invites(anna.contents)[0].id) == MAX_WAITING
    assert not of_kind(anna.contents, "issue")
    held = sum(len(box.waiting) for box in anna.server.boxes.values())
    assert held <= MAX_SLOTS[MailboxKind.REQUESTS]
    assert statuses.count(PutStatus.STORED) == MAX_WAITING - 1 + held
    waiting = answer_of(cleo, link, anna)
    while (status := anna.server.put(waiting)) is PutStatus.FULL:
        anna.turn_down(anna.asked_by()[-1])
        anna.fetch()  # drops one, takes the next, and so frees a place
        anna.fetch()
    assert status is PutStatus.STORED
    anna.let_in("Bob Kay")
    world.settle()
    assert anna.states() == ["connected"]


def test_of_a_full_list_the_same_person_is_still_renewed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kith_client.relations.requests.asking.MAX_WAITING", 1)
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    link = anna.invite(reusable=True).link
    ask(world, bob, link)
    ask(world, cleo, link)
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    bob.to_send()
    ask(world, bob, link)
    assert anna.asked_by() == ["Bob Kay"]
    anna.let_in("Bob Kay")
    world.settle()
    assert anna.states() == bob.states()[:1] == ["connected"]
    assert anna.asked_by() == ["Cleo Ray"], "who waited in the mailbox has a place now"


def test_a_blocked_person_makes_no_request_and_no_issue(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    link = anna.invite(reusable=True).link
    world.connect("anna", "bob")
    anna.commit(block_peer(anna.contents, anna.stamp(), anna.peer_named("Bob Kay")))
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    bob.to_send()
    ask(world, bob, link)
    anna.commit(unblock_peer(anna.contents, anna.stamp(), anna.peer_named("Bob Kay")))
    assert anna.asked_by() == []
    assert not of_kind(anna.contents, "issue")


def test_where_the_list_is_full_a_blocked_person_takes_no_place_in_the_mailbox_either(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kith_client.relations.requests.asking.MAX_WAITING", 1)
    anna, bob = world["anna"], world["bob"]
    link = anna.invite(reusable=True).link
    ask(world, world["cleo"], link)
    world.connect("anna", "bob")
    anna.commit(block_peer(anna.contents, anna.stamp(), anna.peer_named("Bob Kay")))
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    ask(world, bob, link)
    assert not anna.server.fetch({invites(anna.contents)[0].own.read_id})


def test_a_person_who_waits_and_is_blocked_then_is_dropped(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    world.connect("anna", "bob")
    bob.commit(end_relationship(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    world.settle()
    ask(world, bob, anna.invite(reusable=True).link)
    assert anna.asked_by() == ["Bob Kay"]
    anna.commit(block_peer(anna.contents, anna.stamp(), anna.peer_named("Bob Kay")))
    assert anna.asked_by() == []
    anna.fetch()
    assert not of_kind(anna.contents, "request")


@pytest.mark.parametrize("accepted", [True, False])
def test_an_answer_that_was_decided_does_not_come_back_when_a_server_puts_it_there_again(
    world: World, accepted: bool
) -> None:
    anna, bob = world["anna"], world["bob"]
    ask(world, bob, anna.invite(reusable=True).link)
    (replayed,) = anna.server.seen
    if accepted:
        anna.let_in("Bob Kay")
        anna.fetch()
    else:
        anna.turn_down("Bob Kay")
        anna.fetch()
        anna.now += 2 * ASK_AGAIN
    taken = anna.take([replayed])
    assert (anna.asked_by(), len(taken.handled), taken.issues) == ([], 1, ())


def test_an_answer_to_another_invite_or_altered_or_my_own_is_thrown_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, bob = world["anna"], world["bob"]
    mine, other = anna.invite(reusable=True).link, world["cleo"].invite(reusable=True).link
    to = invites(anna.contents)[0].own.read_id
    bob.accept(mine, anna.server)
    good = next(out.put.parcel for out in bob.to_send() if out.what == ANSWER)
    bob.accept(other, world["cleo"].server)
    for_cleo = next(out.put.parcel for out in bob.to_send() if out.what == ANSWER and out.put.parcel != good)
    for place in (0, 1, 600, 1168, 1200, 5000, len(good) - 1):
        altered = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        taken = anna.take([StoredParcel(to, bytes(16), 1, altered), StoredParcel(to, bytes(16), 1, for_cleo)])
        assert (len(taken.handled), taken.edit) == (2, {})
    twin = Person.begin("Anna Beck", SimServer())
    assert twin.id == anna.id
    with monkeypatch.context() as lenient:
        lenient.setattr("kith_protocol.handshake._check_other", lambda *_: None)
        put = answer_of(twin, mine, anna)
    taken = anna.take([StoredParcel(to, put.slot, 1, put.parcel)])
    assert (len(taken.handled), taken.edit, anna.asked_by()) == (1, {}, [])


def test_a_request_that_nobody_decides_is_dropped_after_ninety_days(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    ask(world, bob, anna.invite(reusable=True).link)
    anna.now += REQUEST_LIFETIME - 10
    anna.fetch()
    assert anna.asked_by() == ["Bob Kay"]
    anna.now += 10
    assert anna.asked_by() == []
    anna.fetch()
    assert not of_kind(anna.contents, "request")


def test_revoking_drops_who_waits_and_lets_nobody_ask_any_more(world: World) -> None:
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    new = anna.invite(reusable=True)
    ask(world, bob, new.link)
    cleo.accept(new.link, anna.server)
    anna.commit(revoke_invite(anna.contents, anna.stamp(), new.id))
    assert anna.asked_by() == []
    world.settle()
    assert not of_kind(anna.contents, "request")
    assert not anna.server.boxes
    assert not anna.server.greetings
    assert cleo.states() == ["ended"]


def test_who_asked_in_time_can_be_accepted_after_the_invite_ran_out(world: World) -> None:
    anna, bob = world["anna"], world["bob"]
    new = anna.invite(reusable=True, expires=anna.now + DAY)
    ask(world, bob, new.link)
    anna.now += 40 * DAY
    world.settle()
    anna.let_in("Bob Kay")
    world.settle()
    assert bob.states() == ["connected"]


def test_an_answer_that_was_declined_is_no_request_again_however_many_were_decided_since(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kith_client.relations.requests.records.MAX_ASKED", 4)
    assert MAX_ASKED == 1000
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    new = anna.invite(reusable=True)
    declined = answer_of(bob, new.link, anna)
    anna.server.put(declined)
    anna.fetch()
    for stranger in strangers(5):
        if "Bob Kay" in anna.asked_by():
            anna.turn_down("Bob Kay")
        ask(world, stranger, new.link)
        if stranger.name in anna.asked_by():
            anna.turn_down(stranger.name)
        anna.fetch()
    assert len(asked(anna.contents[new.id])) == 4
    assert ["takes no more" in text for text in anna.issues] == [True]
    anna.now += ASK_AGAIN
    anna.server.put(declined)  # the very same, put there again by the server
    anna.fetch()
    assert anna.asked_by() == []
    ask(world, cleo, new.link)
    assert anna.asked_by() == [], "it takes no more"
    ask(world, Person.begin("Emil X", SimServer()), anna.invite(reusable=True).link)
    assert anna.asked_by() == ["Emil X"]


def test_with_renewed_keys_an_old_invite_lets_nobody_in_and_says_so(world: World) -> None:
    """The finish would be signed by keys that the greeting does not name: the other side could not take it."""
    anna, bob = world["anna"], world["bob"]
    ask(world, bob, anna.invite(reusable=True).link)
    anna.renew_persona(2)
    anna.let_in("Bob Kay")
    anna.fetch()
    assert anna.states() == []
    assert ["Make a new invite" in text for text in anna.issues] == [True]
    assert not of_kind(anna.contents, "request")


# Making one


def test_a_reusable_invite_lives_a_year_and_at_most_four_hundred_days(world: World) -> None:
    anna = world["anna"]
    new = anna.invite(reusable=True)
    assert new.expires - anna.now in range(REUSABLE_LIFETIME - 100, REUSABLE_LIFETIME + 1)
    assert [row.reusable for row in list_invites(anna.contents, anna.now)] == [True]
    mine = anna.contents, anna.stamp(), anna.host, b"F" * 16
    for values, code in (
        ({"expires": mine[1].now + MAX_LIFETIME + 1}, "invite-expiry"),
        ({"contact": b"c" * 16}, "reusable-contact"),
    ):
        with pytest.raises(Refused) as refused:
            create_invite(*mine, reusable=True, **values)
        assert refused.value.code == code


def test_the_accepter_is_told_that_the_other_decides_first(world: World) -> None:
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    assert bob.accept(anna.invite(reusable=True).link, anna.server).reusable
    assert not cleo.accept(anna.invite().link, anna.server).reusable


def test_a_decision_about_what_is_not_there_is_refused(world: World) -> None:
    anna = world["anna"]
    for decide in (accept, decline):
        with pytest.raises(Refused) as refused:
            decide(anna.contents, anna.stamp(), b"?" * 16)
        assert refused.value.code == "no-such-request"


@pytest.mark.parametrize(
    ("unit", "value"),
    [("answer", "text"), ("at", None), ("person", 7), ("decision", "yes"), ("decision", {"accept": 1, "facets": []})],
)
def test_a_damaged_request_is_refused(world: World, unit: str, value: Value) -> None:
    anna = world["anna"]
    ask(world, world["bob"], anna.invite(reusable=True).link)
    ((record, content),) = of_kind(anna.contents, "request").items()
    with pytest.raises(DecodingError):
        read_request(record, Content("request", {**content.units, unit: Unit(value, 1)}))


@pytest.mark.parametrize("value", ["text", [1], [{"person": b"", "number": 1, "answer": b"", "at": 1}]])
def test_a_damaged_memory_is_refused(value: Value) -> None:
    with pytest.raises(DecodingError):
        asked(Content("invite", {"asked": Unit(value, 1)}))


def test_a_request_that_no_invite_knows_grants_nothing_to_a_peer(world: World) -> None:
    """A thief of a device wrote it, and nobody ever let this person in by such an answer."""
    world.connect("anna", "bob")
    anna = world["anna"]
    decision = Decision(True, 1, bytes(16), digest(b""), ("private",))
    values: dict[str, Value] = {"invite": bytes(16), "person": world["bob"].id, "number": 1, "name": "x"}
    values |= {"host": "x.example", "answer": b"", "at": anna.now, "decision": decision.to_value()}
    anna.commit({bytes(16): anna.stamp().content("request", values)})
    anna.fetch()
    assert requests(anna.contents) == []
    assert [row.facets for row in list_peers(anna.contents)] == [()]
