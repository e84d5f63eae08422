"""What a dishonest introducer, and dishonest persons who are introduced, try."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kith_client.book.contacts import add_contact
from kith_client.relations.draft import Draft
from kith_client.relations.homes import Place
from kith_client.relations.introductions.introduced import agree, decline_introduction, links_to_use
from kith_client.relations.introductions.records import Decision, Introducing, introducings, introductions
from kith_client.relations.introductions.suspicion import PersonChanged
from kith_client.relations.invites import list_invites
from kith_client.relations.meeting import Wishes, answer_offer, new_offer
from kith_client.relations.records import own_persona, peers
from kith_client.relations.verify import NumbersDiffer, mark_verified, safety_number_of
from kith_client.stamp import of_kind
from kith_protocol.encoding import encode
from kith_protocol.errors import Alarm, KithError, Refused
from kith_protocol.gateway import Put, PutStatus
from kith_protocol.handshake import answer_slot, make_answer
from kith_protocol.introduction import MAX_INTRODUCTIONS, Introduce, IntroduceAnswer, IntroduceInvite, makes_invite
from kith_protocol.invite import format_link, open_greeting, parse_link, seal_greeting
from kith_protocol.mailbox import new_mailbox, sign_put
from tests.client.relations.acquaintances import (
    ANNA,
    BOB,
    CARLA,
    DORA,
    acquaintances,
    agreed,
    are_connected,
    introduced,
    introduction_id,
    know_nothing_of_each_other,
    link_of,
    maker_and_other,
    row_of,
    said_by,
    tell,
    the_introduction,
)
from tests.client.relations.people import Person, World


def refused(code: str) -> pytest.RaisesExc[KithError]:
    return pytest.RaisesExc((Refused, Alarm), check=lambda error: error.code == code)


def offer(
    person: bytes, label: str = CARLA, text: str = "", name: bytes = b"i" * 16, expires: int = 2**50
) -> Introduce:
    return Introduce(name, label, person, text, expires)


def put_answer(by: Person, link: IntroduceInvite, maker: Person) -> PutStatus:
    """Answers the invite of an introduction as `by`, who got hold of it."""
    invite = link.invite
    opened = open_greeting(invite, maker.server.greetings[invite.link_id], by.now)
    secrets = {"seal_seed": by.random(32), "secret": by.random(32), "nonce": by.random(24)}
    inbox = new_mailbox(by.host, b"F" * 16, by.random(64))
    raw, _ = make_answer(invite, opened, own_persona(by.contents), by.name, inbox=inbox, **secrets)  # type: ignore[arg-type]
    to, slot = invite.mailbox, answer_slot(raw)
    return maker.server.put(Put(to.mailbox, slot, 1, raw, sign_put(to.deposit, to.mailbox, slot, 1, raw)))


def until_passed_on() -> World:
    """Both agreed, the invite lies with Anna, and the other has not seen it."""
    world = introduced(acquaintances())
    world["bob"].agree()
    world["carla"].agree()
    maker, other = maker_and_other(world)
    for person in (other, maker, world["anna"], maker, world["anna"]):
        world.sync(person)
    return world


# What an introduction says


def test_an_introduction_carries_no_address() -> None:
    """Nothing that Anna sends, from the offer to the end, holds a host, mailbox or key of one for the other; the invite
    goes out only after both agreed."""
    world = acquaintances()
    anna = world["anna"]
    anna.set_card("email", "anna@work", "work")
    anna.introduce(BOB, CARLA, "hello")
    world.settle()
    for one, other in ((world["bob"], world["carla"]), (world["carla"], world["bob"])):
        message = offer_in(one)
        raw = encode(message)
        assert message == Introduce(introduction_id(anna), other.name, other.id, "hello", message.expires)
        assert other.host.encode() not in raw
        for channel in of_kind(other.contents, "channel").values():
            established = channel.value("established")
            assert isinstance(established, bytes)
            assert not any(established[at : at + 16] in raw for at in range(0, len(established) - 16))


def offer_in(person: Person) -> Introduce:
    each = the_introduction(person)
    return Introduce(each.introduction, each.label, each.person, each.text, each.expires)


def test_an_introducer_cannot_bring_a_person_together_with_themself_or_with_the_introducer() -> None:
    world = acquaintances()
    anna, bob = world["anna"], world["bob"]
    assert tell(anna, bob, [offer(bob.id, name=b"1" * 16), offer(anna.id, name=b"2" * 16)]) == []
    assert introductions(bob.contents) == []


# Consent


def test_introducing_without_both_consents_leads_to_nothing() -> None:
    """Anna tells the maker that both agreed, gets the invite, and gives it to the other, who did not."""
    world = introduced(acquaintances())
    anna, (maker, other) = world["anna"], maker_and_other(world)
    maker.agree()
    world.settle()
    tell(anna, maker, [agreed(introduction_id(anna))])
    world.sync(maker)
    link = link_of(maker)
    assert tell(anna, other, [link]) == []
    assert links_to_use(other.contents, other.now) == []
    world.settle()
    assert know_nothing_of_each_other(maker, other)
    # Also not later, when the other agrees: the parcel is gone, and only what Anna passes on then counts.
    assert the_introduction(other).link is None


def test_an_introducer_who_says_that_both_agreed_gets_no_invite_from_who_did_not() -> None:
    world = introduced(acquaintances())
    anna, (maker, _) = world["anna"], maker_and_other(world)
    tell(anna, maker, [agreed(introduction_id(anna))])
    world.settle()
    assert list_invites(maker.contents, maker.now) == []
    maker.decline()
    tell(anna, maker, [agreed(introduction_id(anna))])
    world.settle()
    assert list_invites(maker.contents, maker.now) == []
    assert [out for out in maker.to_send() if out.what.startswith("introduce")] == []


def test_an_invite_before_both_agreed_is_not_passed_on() -> None:
    """The maker has a program that sends one at once."""
    world = introduced(acquaintances())
    anna, (maker, other) = world["anna"], maker_and_other(world)
    early = IntroduceInvite(introduction_id(anna), maker.host, b"s" * 32, b"F" * 16)
    tell(maker, anna, [early])
    assert introducings(anna.contents)[0].link is None
    other.agree()
    world.settle()
    assert know_nothing_of_each_other(maker, other)


def test_an_invite_from_the_one_who_does_not_make_it_is_not_passed_on() -> None:
    world = introduced(acquaintances())
    anna, (maker, other) = world["anna"], maker_and_other(world)
    for person in (maker, other):
        person.agree()
        world.sync(person)
    world.sync(anna)
    tell(other, anna, [IntroduceInvite(introduction_id(anna), other.host, b"s" * 32, b"F" * 16)])
    assert introducings(anna.contents)[0].link is None
    world.settle()
    assert are_connected(maker, other)


def test_a_second_invite_of_the_maker_does_not_take_the_place_of_the_first_one() -> None:
    world = introduced(acquaintances())
    anna = world["anna"]
    maker, _ = maker_and_other(world)
    name = introduction_id(anna)
    for person in maker_and_other(world):
        tell(person, anna, [agreed(name)])
    first, second = (IntroduceInvite(name, maker.host, bytes([n]) * 32, b"F" * 16) for n in (1, 2))
    for invite in (first, second):
        tell(maker, anna, [invite])
    (each,) = introducings(anna.contents)
    assert each.link == first


def test_a_stranger_to_an_introduction_says_nothing_about_it() -> None:
    """Dora, a peer of Anna, knows the id of an introduction that is not hers."""
    world = introduced(acquaintances())
    anna, dora = world["anna"], world["dora"]
    world.connect("anna", "dora")
    before = introducings(anna.contents)
    tell(
        dora,
        anna,
        [agreed(introduction_id(anna)), IntroduceInvite(introduction_id(anna), "d.example", bytes(32), bytes(16))],
    )
    assert introducings(anna.contents) == before


def test_another_peer_cannot_go_on_with_an_introduction_that_is_not_theirs() -> None:
    """Dora, a peer of Bob, tells him that both agreed, and passes an invite of her own on, under Anna's id."""
    world = introduced(acquaintances("anna"))
    anna, bob, dora = world["anna"], world["bob"], world["dora"]
    world.connect("dora", "bob")
    bob.agree()
    forged = IntroduceInvite(introduction_id(anna), dora.host, b"s" * 32, b"F" * 16)
    tell(dora, bob, [agreed(introduction_id(anna)), forged, IntroduceAnswer(introduction_id(anna), False)])
    each = the_introduction(bob)
    assert (each.agreed, each.link, each.taken_back) == (False, None, False)


def test_a_false_word_of_one_who_is_introduced_takes_nothing_back() -> None:
    world = introduced(acquaintances())
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    tell(bob, anna, [IntroduceAnswer(introduction_id(anna), False)])
    assert not introducings(anna.contents)[0].taken_back
    bob.agree()
    carla.agree()
    world.settle()
    assert are_connected(bob, carla)


# Changing what was said


@pytest.mark.parametrize("swap", ["label", "person", "text"])
def test_an_introducer_who_swaps_what_was_said_after_it_was_agreed_to_is_named(swap: str) -> None:
    world = introduced(acquaintances())
    anna, bob = world["anna"], world["bob"]
    bob.agree()
    true = offer_in(bob)
    other = {
        "label": replace(true, label=DORA),
        "person": replace(true, person=world["dora"].id),
        "text": replace(true, text="a word more"),
    }[swap]
    before = the_introduction(bob)
    (issue,) = tell(anna, bob, [other])
    assert issue.startswith(f"{ANNA} changed an introduction after making it.")
    assert the_introduction(bob) == before
    assert tell(anna, bob, [other]) == [], "said once"


def test_an_introduction_that_comes_again_changes_nothing() -> None:
    """A server gives every old parcel again, in any order, before and after the end."""
    world = introduced(acquaintances())
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    bob.decline()

    def again() -> None:
        for person in (anna, bob, carla):
            person.take([old for old in person.server.seen if old.mailbox in person.read_ids()])

    again()
    assert bob.requests() == []
    carla.agree()
    world.settle()
    again()
    world.settle()
    assert know_nothing_of_each_other(bob, carla)
    for person in (anna, bob, carla):
        person.now = the_introduction(bob).expires + 15 * 24 * 3600 * 1000 if person is bob else person.now
    bob.fetch()
    bob.to_send()
    assert introductions(bob.contents) == []
    again()
    assert introductions(bob.contents) == [], "one that lapsed is not brought back"


def test_a_second_invite_for_one_introduction_is_an_alarm_that_names_the_introducer() -> None:
    world = until_passed_on()
    anna, (maker, other) = world["anna"], maker_and_other(world)
    other.fetch()
    first = the_introduction(other).link
    assert first == link_of(maker)
    second = IntroduceInvite(introduction_id(anna), anna.host, b"s" * 32, b"F" * 16)
    (issue,) = tell(anna, other, [second, second])
    assert issue.startswith(f"{ANNA} passed on two different invites")
    assert the_introduction(other).link == first
    world.settle()
    assert are_connected(maker, other)


# Putting oneself between


def test_an_introducer_who_answers_the_invite_herself_is_named_and_not_connected() -> None:
    world = until_passed_on()
    anna, (maker, other) = world["anna"], maker_and_other(world)
    assert put_answer(anna, link_of(maker), maker) is PutStatus.STORED
    maker.fetch()
    (issue,) = maker.issues
    assert issue.startswith(f"{ANNA} introduced you to somebody, but another person answered the invite")
    assert [row.state for row in list_invites(maker.contents, maker.now)] == ["open"]
    world.settle()
    assert are_connected(maker, other), "the invite stays open for the person it is for"


def test_somebody_to_whom_the_introducer_gives_the_invite_is_not_connected() -> None:
    world = until_passed_on()
    dora, (maker, other) = world["dora"], maker_and_other(world)
    put_answer(dora, link_of(maker), maker)
    world.settle()
    assert ANNA in maker.issues[0]
    assert row_of(maker, dora) is None
    assert are_connected(maker, other)


def test_an_introducer_who_passes_on_an_invite_of_another_person_is_named() -> None:
    """The other holds the greeting against the person that was named."""
    world = introduced(acquaintances())
    anna, (maker, other), dora = world["anna"], maker_and_other(world), world["dora"]
    other.agree()
    link = parse_link(dora.invite().link)
    tell(anna, other, [IntroduceInvite(introduction_id(anna), link.host, link.secret, link.fingerprint)])
    world.settle()
    (issue,) = other.issues
    assert issue.startswith(f"{ANNA} introduced you to one person and passed on the invite of another.")
    assert row_of(other, dora) is None
    assert row_of(other, maker) is None


def test_a_greeting_that_a_server_forged_is_told_and_the_right_one_counts_later() -> None:
    world = until_passed_on()
    maker, other = maker_and_other(world)
    link_id = link_of(maker).invite.link_id
    real = maker.server.greetings[link_id]
    maker.server.greetings[link_id] = real[:5000] + bytes([real[5000] ^ 1]) + real[5001:]
    other.fetch()
    other.use_links(world.server_at)
    other.use_links(world.server_at)
    (issue,) = other.issues
    assert issue.startswith(f"The invite that {ANNA} passed on was not used.")
    maker.server.greetings[link_id] = real
    world.settle()
    assert are_connected(maker, other)


def test_an_invite_that_is_gone_is_told() -> None:
    world = until_passed_on()
    maker, other = maker_and_other(world)
    maker.server.greetings.pop(link_of(maker).invite.link_id)
    other.fetch()
    other.use_links(world.server_at)
    (issue,) = other.issues
    assert issue == f"{ANNA} introduced you to somebody, but the invite for it is gone."
    assert links_to_use(other.contents, other.now) == []


def test_an_old_invite_of_the_right_person_is_told_and_not_used() -> None:
    """Anna passes on one that the maker made for her long ago."""
    world = introduced(acquaintances())
    anna, (maker, other) = world["anna"], maker_and_other(world)
    other.agree()
    old = parse_link(maker.invite(expires=maker.now + 1000).link)
    greeting = maker.server.greetings[old.link_id]
    tell(anna, other, [IntroduceInvite(introduction_id(anna), old.host, old.secret, old.fingerprint)])
    other.now += 2000
    maker.server.greetings[old.link_id] = greeting
    other.use_links(world.server_at)
    (issue,) = other.issues
    assert issue.startswith(f"The invite that {ANNA} passed on cannot be used.")
    assert row_of(other, maker) is None


def test_a_contact_that_became_another_person_s_since_is_not_mixed_up() -> None:
    """The other agreed for a contact, and a stranger came through another invite for that contact meanwhile."""
    world = until_passed_on()
    anna, (maker, other), dora = world["anna"], maker_and_other(world), world["dora"]
    edit, contact = add_contact(other.stamp(), "From the club")
    other.commit(edit)
    each = the_introduction(other)
    other.commit(decline_introduction(other.contents, other.stamp(), each.id))
    decision = Decision(True, (), contact).to_value()
    draft = Draft(other.contents, other.stamp())
    draft.change(each.id, {"decision": decision})
    other.commit(draft.edit)
    other.accept(dora.invite().link, dora.server, contact=contact)
    other.fetch()
    other.use_links(world.server_at)
    (issue,) = other.issues
    assert issue.startswith(f"{ANNA} introduced you to somebody for a contact that belongs to another person.")
    assert row_of(other, maker) is None
    assert anna.issues == []


def in_between() -> tuple[World, Person]:
    """The world, and the Carla whom Anna made up: a program with a root of Anna's own, which is all that it takes."""
    return acquaintances(), World.of(CARLA, seed=7)["carla"]


def test_an_introducer_who_puts_herself_between_is_named_when_numbers_are_compared() -> None:
    world, false_carla = in_between()
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    take_false_one(world, bob, false_carla)
    row = row_of(bob, false_carla)
    assert row is not None
    assert (row.trust, row.introducer) == ("introduced", anna.id.hex())
    shown = safety_number_of(bob.contents, row.record)
    read_out = "1" * 60  # what the real Carla reads out differs from what Bob sees
    assert shown.replace(" ", "") != read_out
    with pytest.raises(NumbersDiffer) as differ:
        mark_verified(bob.contents, bob.stamp(), row.record, read_out)
    assert f"It was {ANNA} who introduced the two of you" in differ.value.shown
    assert ANNA not in str(differ.value), "names of contacts stand in no error text"
    bob.commit(differ.value.edit)
    row = row_of(bob, false_carla)
    assert row is not None
    assert row.trust == "unverified"
    (text,) = [c.value("text") for c in of_kind(bob.contents, "issue").values() if c.value("kind") == "alarm"]
    assert isinstance(text, str)
    assert f"It was {ANNA} who introduced the two of you" in text
    assert carla.issues == []


def take_false_one(world: World, bob: Person, false_carla: Person) -> None:
    """Bob agrees to know 'Carla', whose root is Anna's own; Anna does both ends."""
    anna = world["anna"]
    name = b"f" * 16
    tell(anna, bob, [offer(false_carla.id, name=name)])
    bob.agree()
    if makes_invite(bob.id, false_carla.id):
        tell(anna, bob, [agreed(name)])
        bob.to_send()
        link = link_of(bob)
        false_carla.accept(format_link(link.invite), bob.server)
    else:
        link_ = parse_link(false_carla.invite().link)
        tell(anna, bob, [IntroduceInvite(name, link_.host, link_.secret, link_.fingerprint)])
        bob.use_links(lambda _host: false_carla.server)
    for _ in range(4):
        for person in (bob, false_carla):
            person.fetch()
            for out in person.to_send():
                server = bob.server if out.host == bob.host and person is false_carla else false_carla.server
                person.receipt(out, server.put(out.put))


def test_comparing_numbers_raises_introduced_to_verified() -> None:
    world = introduced(acquaintances())
    bob, carla = world["bob"], world["carla"]
    bob.agree()
    carla.agree()
    world.settle()
    mine, theirs = row_of(bob, carla), row_of(carla, bob)
    assert mine is not None
    assert theirs is not None
    number = safety_number_of(carla.contents, theirs.record)
    bob.commit(mark_verified(bob.contents, bob.stamp(), mine.record, number))
    mine = row_of(bob, carla)
    assert mine is not None
    assert mine.trust == "verified"


# The same contact, another root


def test_the_real_person_who_comes_another_way_exposes_the_introducer() -> None:
    """Bob accepts an invite of the real Carla for the contact of the false one: an alarm, and Anna is named."""
    world, false_carla = in_between()
    bob, carla = world["bob"], world["carla"]
    take_false_one(world, bob, false_carla)
    row = row_of(bob, false_carla)
    assert row is not None
    with pytest.raises(PersonChanged) as changed:
        bob.accept(carla.invite().link, carla.server, contact=row.contact)
    assert f"It was {ANNA} who introduced the two of you" in changed.value.shown
    assert ANNA not in str(changed.value)
    bob.commit(changed.value.edit)
    row = row_of(bob, false_carla)
    assert row is not None
    assert (row.trust, row.introducer) == ("unverified", "")
    (text,) = [c.value("text") for c in of_kind(bob.contents, "issue").values()]
    assert f"It was {ANNA} who introduced the two of you" in str(text)


def test_the_real_person_who_answers_an_invite_for_the_contact_exposes_the_introducer() -> None:
    world, false_carla = in_between()
    bob, carla = world["bob"], world["carla"]
    edit, contact = add_contact(bob.stamp(), "Carla from the club")
    bob.commit(edit)
    link = bob.invite(contact=contact).link
    (peer,) = peers(bob.contents)
    carla.accept(link, bob.server)
    take_false_one_for(world, bob, false_carla, contact)
    for person in (carla, bob):
        world.sync(person)
    assert peer.name == ANNA
    alarm = next(text for text in bob.issues if "the contact belongs to another person" in text)
    assert f"It was {ANNA} who introduced the two of you" in alarm
    row = row_of(bob, false_carla)
    assert row is not None
    assert row.trust == "unverified"


def test_the_real_person_met_in_person_exposes_the_introducer() -> None:
    """For the same contact it is an alarm; without one, two peers of one name are."""
    world, false_carla = in_between()
    bob, carla = world["bob"], world["carla"]
    take_false_one(world, bob, false_carla)
    row = row_of(bob, false_carla)
    assert row is not None
    place = Place(f"https://{carla.host}", b"F" * 16)
    own = new_offer(carla.contents, carla.stamp(), place)
    opened = open_greeting(own.invite, seal_greeting(own, nonce=bytes(24)), bob.now)
    wishes = Wishes.of(bob.contents, (), row.contact)
    with pytest.raises(PersonChanged) as changed:
        answer_offer(bob.contents, bob.stamp(), own.invite, opened, place, wishes)
    assert f"It was {ANNA} who introduced the two of you" in changed.value.shown

    met = answer_offer(bob.contents, bob.stamp(), own.invite, opened, place, Wishes())
    bob.commit(met.edit)
    (text,) = [str(c.value("text")) for c in of_kind(bob.contents, "issue").values()]
    assert text.startswith(f"Two of your peers are called {CARLA}, and they are two persons.")
    assert f"One of them was introduced to you by {ANNA}." in text


def test_a_false_friend_beside_the_real_one_is_told() -> None:
    """Bob knows Carla already, and is introduced to 'Carla' by the same name."""
    world, false_carla = in_between()
    bob = world["bob"]
    world.connect("bob", "carla")
    take_false_one(world, bob, false_carla)
    texts = [str(c.value("text")) for c in of_kind(bob.contents, "issue").values()]
    assert [text.startswith(f"Two of your peers are called {CARLA}") for text in texts] == [True]


def test_two_peers_of_one_name_are_no_issue_where_nobody_introduced_them() -> None:
    world, false_carla = in_between()
    bob = world["bob"]
    world.connect("bob", "carla")
    bob.accept(false_carla.invite().link, false_carla.server)
    assert of_kind(bob.contents, "issue") == {}


def take_false_one_for(world: World, bob: Person, false_carla: Person, contact: bytes) -> None:
    real_agree = bob.agree
    bob.agree = lambda *facets, contact=contact: real_agree(*facets, contact=contact)  # type: ignore[method-assign]
    take_false_one(world, bob, false_carla)


def test_an_introducer_who_names_another_root_than_the_one_i_know_is_found_out_at_once() -> None:
    """Bob knows Carla, and accepts 'Carla' for her contact: the roots differ."""
    world = acquaintances()
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    world.connect("bob", "carla")
    tell(anna, bob, [offer(world["dora"].id)])
    row = row_of(bob, carla)
    (request,) = bob.requests()
    assert row is not None
    with pytest.raises(PersonChanged) as changed:
        agree(bob.contents, bob.stamp(), request.id, (), row.contact)
    assert f"It is {ANNA} who names the other one." in changed.value.shown
    bob.commit(changed.value.edit)
    assert bob.requests() == [request]
    (issue,) = of_kind(bob.contents, "issue").values()
    assert ANNA in str(issue.value("text"))


# Floods


def test_a_flood_of_introductions_costs_little_and_hides_none() -> None:
    world = acquaintances("anna", "dora")
    anna, bob, dora = world["anna"], world["bob"], world["dora"]
    flood = [
        said_by(dora, bob, offer(bytes([1, n]) * 16, label=f"No {n}", name=bytes([1, n]) * 8), sequence=n + 1)
        for n in range(60)
    ]
    anna.introduce(BOB, CARLA)
    world.sync(anna)
    bob.serve()
    bob.take([*flood, *bob.server.fetch(bob.read_ids())])
    by = [row.by_name for row in bob.requests()]
    assert by.count(DORA) == MAX_INTRODUCTIONS
    assert by.count(ANNA) == 1
    assert len(bob.issues) == 1
    bob.take(flood)
    assert len(introductions(bob.contents)) == MAX_INTRODUCTIONS + 1
    assert len(bob.issues) == 1


def test_who_introduces_and_takes_back_again_and_again_fills_no_address_book() -> None:
    world = acquaintances()
    anna, bob = world["anna"], world["bob"]
    for n in range(3 * MAX_INTRODUCTIONS):
        name = bytes([2, n]) * 8
        tell(anna, bob, [offer(bytes([1, n]) * 16, name=name), IntroduceAnswer(name, False)])
    assert len(introductions(bob.contents)) == MAX_INTRODUCTIONS
    assert bob.requests() == []


def test_an_introduction_for_ever_lapses_all_the_same() -> None:
    world = acquaintances()
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    tell(anna, bob, [offer(carla.id, expires=2**53)])
    assert the_introduction(bob).expires <= bob.now + 30 * 24 * 3600 * 1000
    tell(anna, bob, [offer(carla.id, name=b"o" * 16, expires=bob.now)])
    assert len(introductions(bob.contents)) == 1


def test_a_record_does_not_show_a_secret() -> None:
    world = until_passed_on()
    (each,) = introducings(world["anna"].contents)
    assert isinstance(each, Introducing)
    assert each.link is not None
    assert repr(each.link.secret) not in repr(each)
