"""What a person means by a contact."""

from __future__ import annotations

import pytest

from kith_client.book.grants import resolve_target
from kith_client.book.layers import BY_PEER
from kith_client.book.names import short_ids
from kith_client.book.problems import Ambiguous, NotFound
from kith_client.book.resolve import MAX_CHOICES, resolve_contact, resolve_peer, resolve_record
from tests.client.book.library import contact, new_book, peer
from tests.support.memory_book import MemoryBook


def test_words_find_the_one_contact_whose_name_has_them() -> None:
    book = new_book()
    anna, carla = contact(book, "Anna Beck"), contact(book, "Carla Ruíz García")
    for words in ("Anna Beck", "beck ANNA", "anna", "be", "  beck "):
        assert resolve_contact(book.contents, words) == anna
    for words in ("ruiz", "García Carla", "carla gar"):
        assert resolve_contact(book.contents, words) == carla


def test_the_full_name_wins_over_longer_ones_and_whole_words_over_beginnings() -> None:
    book = new_book()
    short, longer, other = contact(book, "Anna"), contact(book, "Anna Beck"), contact(book, "Beckett Lee")
    assert resolve_contact(book.contents, "anna") == short
    assert resolve_contact(book.contents, "beck") == longer
    assert resolve_contact(book.contents, "becke") == other


def test_an_id_or_its_start_finds_the_contact() -> None:
    book = new_book()
    anna = contact(book, "Anna Beck")
    contact(book, "Carla")
    assert resolve_contact(book.contents, anna.hex()) == anna
    assert resolve_contact(book.contents, anna.hex()[:4].upper()) == anna


def test_three_digits_are_no_start_of_an_id() -> None:
    book = new_book()
    with pytest.raises(NotFound):
        resolve_contact(book.contents, contact(book, "Anna").hex()[:3])


def test_a_name_made_of_hex_digits_is_not_taken_for_an_id_by_chance() -> None:
    book = new_book()
    book.random = lambda size: b"\xab\xba" + bytes(size - 2)
    other = contact(book, "Zoe")
    book.random = lambda size: b"\x11" * size
    abba = contact(book, "Abba")
    assert other.hex().startswith("abba")
    with pytest.raises(Ambiguous):
        resolve_contact(book.contents, "abba")
    assert resolve_contact(book.contents, abba.hex()) == abba


def test_several_matches_are_listed_with_names_and_ids_and_the_error_itself_names_nobody() -> None:
    book = new_book()
    ids = {contact(book, "Anna Beck").hex(), contact(book, "Anna Ruiz").hex()}
    with pytest.raises(Ambiguous) as caught:
        resolve_contact(book.contents, "anna")
    assert {choice.name for choice in caught.value.choices} == {"Anna Beck", "Anna Ruiz"}
    assert {choice.id for choice in caught.value.choices} == {full[:8] for full in ids}
    assert "Anna" not in str(caught.value)


def test_of_very_many_matches_the_first_are_listed() -> None:
    book = new_book()
    for number in range(MAX_CHOICES + 5):
        contact(book, f"Anna {number}")
    with pytest.raises(Ambiguous, match=f"{MAX_CHOICES + 5} contacts match") as caught:
        resolve_contact(book.contents, "anna")
    assert len(caught.value.choices) == MAX_CHOICES


def test_no_match_says_so_and_the_error_itself_names_nobody() -> None:
    book = new_book()
    for words in ("Nobody", "", "   ", "ffffffff"):
        with pytest.raises(NotFound) as caught:
            resolve_contact(book.contents, words)
        assert "Nobody" not in str(caught.value)


def test_a_peer_is_found_by_its_own_name_the_contact_s_name_or_the_person_id() -> None:
    book = new_book()
    bob = contact(book, "Robert Klein")
    record = peer(book, bob, "Bob")
    person = book.contents[record].value("person")
    assert isinstance(person, bytes)
    for text in ("bob", "klein", person.hex(), person.hex()[:6]):
        assert resolve_peer(book.contents, text) == record
    assert resolve_contact(book.contents, "bob") == bob


def nameless(book: MemoryBook) -> bytes:
    """The contact of somebody who is known by a relationship alone."""
    stamp = book.stamp()
    record = stamp.record_id()
    book.put({record: stamp.content("contact", {})})
    return record


def test_a_peer_who_takes_another_s_name_is_not_granted_what_is_meant_for_the_other() -> None:
    book = new_book()
    mum = contact(book, "Mum")
    record = peer(book, nameless(book), "Mum")
    with pytest.raises(Ambiguous) as caught:
        resolve_target(book.contents, "Mum")
    person = book.contents[record].value("person")
    assert isinstance(person, bytes)
    shown = {choice.id: choice.name for choice in caught.value.choices}
    assert shown == {person.hex()[:8]: f"Mum {BY_PEER}", mum.hex()[:8]: "Mum, who is no peer"}
    assert resolve_peer(book.contents, person.hex()[:8]) == record
    assert resolve_contact(book.contents, "mum") == mum, "my own name decides"


@pytest.mark.parametrize("taken", ["Anna", "anna BECK", "Anna Beck Lee"])
def test_my_own_name_for_a_peer_stands_against_what_another_peer_calls_itself(taken: str) -> None:
    book = new_book()
    anna = peer(book, contact(book, "Anna Beck"), "A.")
    peer(book, nameless(book), taken)
    assert resolve_peer(book.contents, "Anna Beck") == anna
    if taken == "Anna":
        with pytest.raises(Ambiguous):
            resolve_peer(book.contents, "anna")


def test_two_peers_who_call_themselves_the_same_are_listed() -> None:
    book = new_book()
    for _ in range(2):
        peer(book, nameless(book), "Bob Lund")
    with pytest.raises(Ambiguous) as caught:
        resolve_peer(book.contents, "bob")
    assert {choice.name for choice in caught.value.choices} == {f"Bob Lund {BY_PEER}"}


def test_a_name_that_only_one_peer_bears_in_any_layer_is_enough() -> None:
    book = new_book()
    contact(book, "Carla")
    record = peer(book, nameless(book), "Bob Lund")
    assert resolve_peer(book.contents, "bob") == record


def test_a_nickname_that_i_entered_is_my_own_name() -> None:
    book = new_book()
    anna = contact(book, "Anna Beck", nickname="Mum")
    record = peer(book, anna, "A.")
    peer(book, nameless(book), "Mum")
    assert resolve_peer(book.contents, "mum") == record


def test_a_contact_who_is_no_peer_is_not_found_as_one() -> None:
    book = new_book()
    contact(book, "Carla")
    with pytest.raises(NotFound):
        resolve_peer(book.contents, "carla")


def test_a_record_is_found_by_the_start_of_its_id_only() -> None:
    book = new_book()
    anna = contact(book, "Anna")
    assert resolve_record(book.contents, "contact", anna.hex()[:5], "contact", "") == anna
    with pytest.raises(NotFound):
        resolve_record(book.contents, "note", anna.hex(), "note", "")


def test_short_ids_grow_until_they_tell_the_ids_apart() -> None:
    one, two, three = "a" * 32, "a" * 12 + "b" * 20, "c" * 32
    assert short_ids([one, two, three]) == {one: "a" * 13, two: "a" * 12 + "b", three: "c" * 8}
    assert short_ids([]) == {}
