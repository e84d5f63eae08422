"""My card, circles, grants, and what follows for a peer: who sees what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_client.book.circles import add_to_circle, list_circles, remove_circle, remove_from_circle
from kith_client.book.facets import facet_name
from kith_client.book.grants import grant, resolve_target, still_granted_by, views, withdraw
from kith_client.book.me import my_card, my_name, set_mine, unset_mine
from kith_client.book.problems import Ambiguous, BadValue, NotAllowed, NotFound
from kith_client.book.shares import share, shared_with, unshare
from kith_client.book.views import view_of
from kith_client.contacts.model import lead_property
from kith_client.contacts.views import text_of
from kith_protocol.encoding import Value
from tests.client.book.library import contact, mine, new_book, peer
from tests.support.memory_book import MemoryBook


def seen(book: MemoryBook, record: bytes) -> list[str]:
    return [text_of(prop) for prop in view_of(book.contents, record)]


def card(book: MemoryBook) -> list[tuple[str, tuple[str, ...]]]:
    return [(text_of(lead_property(each.unit)), each.facets) for each in my_card(book.contents)]


def give(book: MemoryBook, target: str, facet: str) -> None:
    book.put(grant(book.contents, book.stamp(), resolve_target(book.contents, target), facet))


def take(book: MemoryBook, target: str, facet: str) -> None:
    book.put(withdraw(book.contents, book.stamp(), resolve_target(book.contents, target), facet))


def test_a_peer_sees_the_name_and_nothing_else_before_anything_is_granted() -> None:
    book = new_book()
    mine(book, "email", "a@work", "work")
    mine(book, "tel", "1111")
    assert seen(book, peer(book, contact(book, "Bob"), "Bob")) == ["Anna Beck"]


def test_a_property_without_a_facet_is_seen_by_nobody() -> None:
    book = new_book()
    mine(book, "tel", "1111")
    mine(book, "email", "a@work", "work")
    bob = peer(book, contact(book, "Bob"), "Bob")
    give(book, "Bob", "work")
    assert seen(book, bob) == ["Anna Beck", "a@work"]


def test_a_view_is_the_union_of_what_the_peer_and_its_circles_were_granted() -> None:
    book = new_book()
    for text, facets in (
        ("work", ["work"]),
        ("private", ["private"]),
        ("work private", ["work", "private"]),
        ("club", ["club"]),
    ):
        mine(book, "x-a", text, *facets)
    bob_contact = contact(book, "Bob")
    bob = peer(book, bob_contact, "Bob")
    book.put(add_to_circle(book.contents, book.stamp(), "Fencing", [bob_contact]))
    give(book, "Bob", "work")
    assert seen(book, bob) == ["Anna Beck", "work", "work private"]
    give(book, "Fencing", "private")
    assert seen(book, bob) == ["Anna Beck", "work", "private", "work private"]
    take(book, "Bob", "WORK")
    assert seen(book, bob) == ["Anna Beck", "private", "work private"]
    book.put(remove_from_circle(book.contents, book.stamp(), "fencing", [bob_contact]))
    assert seen(book, bob) == ["Anna Beck"]


def test_removing_a_circle_ends_what_was_granted_to_it() -> None:
    book = new_book()
    mine(book, "tel", "1111", "private")
    bob_contact = contact(book, "Bob")
    bob = peer(book, bob_contact, "Bob")
    book.put(add_to_circle(book.contents, book.stamp(), "Fencing", [bob_contact]))
    give(book, "Fencing", "private")
    book.put(remove_circle(book.contents, "Fencing"))
    assert seen(book, bob) == ["Anna Beck"]


def test_an_unknown_facet_is_refused_and_those_that_exist_are_named() -> None:
    book = new_book()
    peer(book, contact(book, "Bob"), "Bob")
    with pytest.raises(NotFound, match="no facets yet"):
        give(book, "Bob", "work")
    mine(book, "tel", "1", "private", "family")
    with pytest.raises(NotFound, match="family, private"):
        give(book, "Bob", "work")


def test_withdrawing_what_was_granted_through_a_circle_says_so() -> None:
    book = new_book()
    mine(book, "tel", "1", "private")
    bob = contact(book, "Bob")
    peer(book, bob, "Bob")
    book.put(add_to_circle(book.contents, book.stamp(), "Fencing", [bob]))
    give(book, "Fencing", "private")
    with pytest.raises(NotFound) as caught:
        take(book, "Bob", "private")
    assert "Fencing" in caught.value.shown
    give(book, "Bob", "private")
    take(book, "Bob", "private")
    assert still_granted_by(book.contents, resolve_target(book.contents, "Bob"), "private") == ["Fencing"]


def test_a_grant_to_a_circle_concerns_the_peers_in_it() -> None:
    book = new_book()
    mine(book, "tel", "1", "private")
    bob, carla = contact(book, "Bob"), contact(book, "Carla")
    person = book.contents[peer(book, bob, "Bob")].value("person")
    assert isinstance(person, bytes)
    peer(book, contact(book, "Dora"), "Dora")
    book.put(add_to_circle(book.contents, book.stamp(), "Fencing", [bob, carla]))
    give(book, "Fencing", "private")
    answer = views(book.contents, resolve_target(book.contents, "Fencing"))
    assert {key: [text_of(prop) for prop in view] for key, view in answer.items()} == {person.hex(): ["Anna Beck", "1"]}


def test_a_name_that_is_a_peer_s_and_a_circle_s_is_refused() -> None:
    book = new_book()
    bob = contact(book, "Bob")
    record = peer(book, bob, "Bob")
    book.put(add_to_circle(book.contents, book.stamp(), "Bob", [bob]))
    with pytest.raises(Ambiguous):
        resolve_target(book.contents, "bob")
    person = book.contents[record].value("person")
    assert isinstance(person, bytes)
    assert resolve_target(book.contents, person.hex()).records == (record,)


def test_two_circles_of_one_name_begun_apart_count_as_one() -> None:
    book = new_book()
    mine(book, "tel", "1", "private")
    bob_contact, carla = contact(book, "Bob"), contact(book, "Carla")
    bob = peer(book, bob_contact, "Bob")
    stamp = book.stamp()
    for name, member in (("Fencing", bob_contact), ("fencing", carla)):
        book.put({stamp.record_id(): stamp.content("circle", {"name": name, f"member/{member.hex()}": True})})
    assert [set(circle.contacts) for circle in list_circles(book.contents)] == [{bob_contact, carla}]
    give(book, "Fencing", "private")
    book.put(add_to_circle(book.contents, book.stamp(), "FENCING", [bob_contact, carla]))
    book.put(remove_from_circle(book.contents, book.stamp(), "fencing", [carla]))
    assert [circle.contacts for circle in list_circles(book.contents)] == [(bob_contact,)]
    take(book, "fencing", "private")
    assert seen(book, bob) == ["Anna Beck"]


def test_me_set_replaces_the_property_of_that_name_and_these_facets() -> None:
    book = new_book()
    for text, facets in (("w1", ["work"]), ("p1", ["private"]), ("w2", ["Work"]), ("b", ["private", "work"])):
        book.put(set_mine(book.contents, book.stamp(), "email", text, facets)[0])
    assert card(book)[2:] == [("w2", ("work",)), ("p1", ("private",)), ("b", ("private", "work"))]


def test_me_set_by_id_keeps_the_facets_unless_some_are_given() -> None:
    book = new_book()
    key = mine(book, "tel", "1", "private")
    book.put(set_mine(book.contents, book.stamp(), key, "2")[0])
    assert card(book)[-1] == ("2", ("private",))
    book.put(set_mine(book.contents, book.stamp(), key, "2", ["work"])[0])
    assert card(book)[-1] == ("2", ("work",))


def test_me_set_with_several_lists_their_ids() -> None:
    book = new_book()
    keys = {mine(book, "tel", "1", "work"), mine(book, "tel", "2", "work")}
    with pytest.raises(Ambiguous) as caught:
        set_mine(book.contents, book.stamp(), "tel", "3", ["work"])
    assert {choice.id for choice in caught.value.choices} == keys


def test_the_name_on_my_card_can_be_changed_and_not_removed() -> None:
    book = new_book()
    with pytest.raises(NotAllowed):  # every peer sees it, so a facet would promise something else
        set_mine(book.contents, book.stamp(), "FN", "Anna at work", ["work"])
    book.put(set_mine(book.contents, book.stamp(), "FN", "Anna Klein")[0])
    assert my_name(book.contents) == "Anna Klein"
    with pytest.raises(NotAllowed):
        unset_mine(book.contents, book.stamp(), "fn")


def test_me_unset_takes_one_off_by_name_value_or_id() -> None:
    book = new_book()
    mine(book, "tel", "1")
    second = mine(book, "tel", "2")
    with pytest.raises(Ambiguous):
        unset_mine(book.contents, book.stamp(), "tel")
    book.put(unset_mine(book.contents, book.stamp(), "tel", "1")[0])
    assert [text for text, _ in card(book)][2:] == ["2"]
    book.put(unset_mine(book.contents, book.stamp(), second)[0])
    with pytest.raises(NotFound):
        unset_mine(book.contents, book.stamp(), "tel")


@pytest.mark.parametrize("name", ["", " ", "a/b", "x" * 65, "a\x00b", "a\u202eb", "\udcff"])
def test_what_is_no_facet_is_refused(name: str) -> None:
    with pytest.raises(BadValue):
        facet_name(name)


def test_notes_and_cards_are_shared_by_an_act_that_names_them() -> None:
    book = new_book()
    bob_contact, carla = contact(book, "Bob"), contact(book, "Carla")
    bob = peer(book, bob_contact, "Bob")
    assert shared_with(book.contents, bob) == []
    book.put(share(book.contents, book.stamp(), carla, bob))
    assert [(each.kind, each.name, each.version) for each in shared_with(book.contents, bob)] == [("card", "Carla", 1)]
    with pytest.raises(NotAllowed):
        share(book.contents, book.stamp(), bob_contact, bob)
    book.put(unshare(book.contents, book.stamp(), carla, bob))
    assert shared_with(book.contents, bob) == []
    with pytest.raises(NotFound):
        unshare(book.contents, book.stamp(), carla, bob)


FACETS = st.sampled_from(["work", "private", "family"])


@given(
    st.lists(st.frozensets(FACETS), max_size=6),
    st.frozensets(FACETS),
    st.lists(st.tuples(st.booleans(), st.frozensets(FACETS)), max_size=3),
)
def test_nothing_outside_the_granted_facets_is_ever_in_a_view(
    properties: list[frozenset[str]], own: frozenset[str], circles: list[tuple[bool, frozenset[str]]]
) -> None:
    book = new_book()
    for number, facets in enumerate(properties):
        mine(book, "x-p", str(number), *facets)
    bob_contact = contact(book, "Bob")
    bob = peer(book, bob_contact, "Bob", *own)
    stamp = book.stamp()
    for number, (inside, facets) in enumerate(circles):
        member = {f"member/{bob_contact.hex()}": True} if inside else {}
        values: dict[str, Value] = {"name": f"c{number}", **member, **{f"facet/{facet}": True for facet in facets}}
        book.put({stamp.record_id(): stamp.content("circle", values)})
    may = own.union(*(facets for inside, facets in circles if inside))
    expected = [str(number) for number, facets in enumerate(properties) if facets & may]
    assert seen(book, bob) == ["Anna Beck", *expected]
