"""Adding, changing and removing contacts; what the list and the page of one show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_client.book.circles import add_to_circle, list_circles
from kith_client.book.contacts import remove_contact, set_property, unset_property
from kith_client.book.layers import Layers
from kith_client.book.listing import list_contacts
from kith_client.book.problems import Ambiguous, BadValue, NotFound
from kith_client.book.properties import KEPT_PAST, past_of, units_of
from kith_client.book.showing import show_contact
from kith_client.contacts.views import InvalidProperty, emails, text_of
from kith_protocol.content import content_of
from tests.client.book.library import contact, new_book
from tests.support.memory_book import MemoryBook


def set_(book: MemoryBook, record: bytes, prop: str, text: str, add: bool = False) -> str:
    edit, key = set_property(book.contents, book.stamp(), record, prop, text, add=add)
    book.put(edit)
    book.now += 1
    return key


def values(book: MemoryBook, record: bytes, prop: str) -> list[str]:
    shown = show_contact(book.contents, record).properties
    return [text_of(each.property) for each in shown if each.property.key == prop.upper()]


def test_a_new_contact_has_name_parts_and_a_uid() -> None:
    book = new_book()
    anna = contact(book, "Anna van der Berg", email="a@x.org")
    units = units_of(book.contents[anna])
    assert list(units)[:2] == ["fn", "n"]
    assert list(units)[-1] == "uid"
    assert values(book, anna, "n") == ["van der Berg;Anna;;;"]


def test_set_replaces_the_one_property_and_the_old_value_is_remembered() -> None:
    book = new_book()
    anna = contact(book, "Anna", email="old@x.org")
    key = set_(book, anna, "EMAIL", "new@x.org")
    assert set_(book, anna, "email", "newest@x.org") == key
    assert values(book, anna, "email") == ["newest@x.org"]
    assert [past.value for past in show_contact(book.contents, anna).history] == ["new@x.org", "old@x.org"]


def test_set_adds_where_there_is_none_and_with_add_one_more() -> None:
    book = new_book()
    anna = contact(book, "Anna")
    set_(book, anna, "tel", "1111")
    set_(book, anna, "tel", "2222", add=True)
    assert values(book, anna, "tel") == ["1111", "2222"]


def test_set_with_several_lists_their_ids_and_an_id_chooses() -> None:
    book = new_book()
    anna = contact(book, "Anna", tel="1111")
    second = set_(book, anna, "tel", "2222", add=True)
    with pytest.raises(Ambiguous) as caught:
        set_(book, anna, "tel", "3333")
    assert second in {choice.id for choice in caught.value.choices}
    set_(book, anna, second.upper(), "3333")
    assert values(book, anna, "tel") == ["1111", "3333"]


def test_an_unknown_property_id_is_not_taken_for_a_name() -> None:
    book = new_book()
    anna = contact(book, "Anna")
    with pytest.raises(NotFound):
        set_(book, anna, "tel-0123456789ab", "1")


@pytest.mark.parametrize(
    ("prop", "text"), [("te l", "1"), ("", "1"), ("BEGIN", "VCARD"), ("version", "4.0"), ("tel", ""), ("tel", "\udcff")]
)
def test_what_is_no_property_is_refused(prop: str, text: str) -> None:
    book = new_book()
    anna = contact(book, "Anna")
    with pytest.raises((BadValue, InvalidProperty)):
        set_(book, anna, prop, text)


def test_setting_what_is_there_already_changes_nothing() -> None:
    book = new_book()
    anna = contact(book, "Anna", email="a@x.org")
    before = book.contents[anna]
    set_(book, anna, "email", "a@x.org")
    assert book.contents[anna] == before


def test_the_name_s_parts_follow_the_name_unless_somebody_entered_them() -> None:
    book = new_book()
    anna = contact(book, "Anna Beck")
    set_(book, anna, "fn", "Anna Klein")
    assert values(book, anna, "n") == ["Klein;Anna;;;"]
    set_(book, anna, "n", "Klein;Anna;Maria;Dr.;")
    set_(book, anna, "fn", "Dr. Anna Groß")
    assert values(book, anna, "n") == ["Klein;Anna;Maria;Dr.;"]


def test_unset_takes_one_away_and_remembers_it() -> None:
    book = new_book()
    anna = contact(book, "Anna", org="ACME")
    book.put(unset_property(book.contents, book.stamp(), anna, "org")[0])
    assert values(book, anna, "org") == []
    assert [past.value for past in show_contact(book.contents, anna).history] == ["ACME"]


def test_unset_of_several_needs_a_value_or_an_id() -> None:
    book = new_book()
    anna = contact(book, "Anna", tel="1111")
    set_(book, anna, "tel", "2222", add=True)
    with pytest.raises(Ambiguous):
        unset_property(book.contents, book.stamp(), anna, "tel")
    with pytest.raises(NotFound, match="It has"):
        unset_property(book.contents, book.stamp(), anna, "tel", "3333")
    book.put(unset_property(book.contents, book.stamp(), anna, "tel", "1111")[0])
    assert values(book, anna, "tel") == ["2222"]


def test_the_newest_replaced_values_are_kept_and_no_more() -> None:
    book = new_book()
    anna = contact(book, "Anna", tel="0")
    for number in range(1, KEPT_PAST + 11):
        set_(book, anna, "tel", str(number))
    past = [show.value for show in show_contact(book.contents, anna).history]
    assert past == [str(number) for number in range(KEPT_PAST + 9, 9, -1)]
    assert len(past_of(book.contents[anna])) == KEPT_PAST


def test_a_removed_contact_is_in_the_trash_and_out_of_its_circles() -> None:
    book = new_book()
    anna, carla = contact(book, "Anna", tel="1111"), contact(book, "Carla")
    book.put(add_to_circle(book.contents, book.stamp(), "Fencing", [anna, carla]))
    before = book.contents[anna]
    book.put(remove_contact(book.contents, book.stamp(), anna))
    assert anna not in book.contents
    assert list_circles(book.contents)[0].contacts == (carla,)
    trash = next(content for content in book.contents.values() if content.kind == "trash")
    assert trash.value("original") == anna
    assert content_of({"kind": "contact", "units": trash.value("units")}).units == before.units
    assert Layers(book.contents).name(anna) == "Anna (deleted)"


def test_every_word_of_a_query_must_match_somewhere() -> None:
    book = new_book()
    anna = contact(book, "Anna Beck", email="anna@work.example", tel="+49 (0)40 1234-56", org="Größe & Söhne")
    contact(book, "Carla Ruiz", email="carla@x.org")
    book.put(add_to_circle(book.contents, book.stamp(), "Fencing", [anna]))
    for query in (
        "",
        "beck",
        "BECK anna",
        "work.example",
        "grosse",
        "fenc beck",
        "040 1234",
        "+49401234",
        "4940123456",
    ):
        assert anna.hex() in {row.id for row in list_contacts(book.contents, query)}, query
    for query in ("beck ruiz", "xyz", "040 9999", "12 99"):
        assert anna.hex() not in {row.id for row in list_contacts(book.contents, query)}, query


def test_the_list_is_sorted_by_name_and_can_be_of_one_circle() -> None:
    book = new_book()
    zoe, emil, anna = contact(book, "zoe"), contact(book, "Émil"), contact(book, "Anna")
    book.put(add_to_circle(book.contents, book.stamp(), "Fencing", [zoe, anna]))
    assert [row.id for row in list_contacts(book.contents)] == [anna.hex(), emil.hex(), zoe.hex()]
    assert [row.id for row in list_contacts(book.contents, circle="fencing")] == [anna.hex(), zoe.hex()]
    with pytest.raises(NotFound):
        list_contacts(book.contents, circle="Nobody")


@given(
    st.lists(
        st.tuples(st.sampled_from(["tel", "email", "url", "x-skype"]), st.text("abc123@.", min_size=1, max_size=9))
    )
)
def test_properties_keep_the_order_in_which_they_were_entered(entered: list[tuple[str, str]]) -> None:
    book = new_book()
    anna = contact(book, "Anna")
    for prop, text in entered:
        set_(book, anna, prop, text, add=True)
    shown = [
        (each.property.key.lower(), text_of(each.property)) for each in show_contact(book.contents, anna).properties
    ]
    assert shown[2:-1] == entered
    assert emails(units_of(book.contents[anna]).values()) == list(dict.fromkeys(t for p, t in entered if p == "email"))
