"""Planning an import: what is new, what is an update, what is known; whom a card belongs to; circles."""

from __future__ import annotations

from itertools import count

import pytest

from kith_client.contacts.circles import Group, group_of, resolve_groups
from kith_client.contacts.groups import is_group
from kith_client.contacts.importing import (
    ImportIndex,
    KnownContact,
    NewContact,
    Plan,
    Unchanged,
    UpdatedContact,
    uid_of,
)
from kith_client.contacts.model import Card, SetAside, Unit
from kith_client.contacts.vcard_write import write_card
from tests.client.contacts.corpus import card_text, cards, hostile, needs_corpus, one
from tests.client.contacts.ids import counting_ids


class Vault:
    """Carries plans out as the client does, in memory."""

    def __init__(self) -> None:
        self.units: dict[bytes, dict[str, Unit]] = {}
        self.fingerprints: dict[bytes, set[bytes]] = {}
        self._ids = count(1)
        self._random = counting_ids()

    def index(self) -> ImportIndex:
        known = (
            KnownContact(id_, uid_of(units.values()), units, frozenset(self.fingerprints[id_]))
            for id_, units in self.units.items()
        )
        return ImportIndex(known, self._random)

    def take(self, *given: Card) -> list[Plan]:
        index = self.index()
        return [self._carry_out(index, card) for card in given]

    def _carry_out(self, index: ImportIndex, card: Card) -> Plan:
        plan = index.plan(card)
        id_ = None
        match plan:
            case NewContact(units, fingerprint):
                id_ = next(self._ids).to_bytes(16, "big")
                self.units[id_] = units
                self.fingerprints[id_] = {fingerprint}
            case UpdatedContact(known, put, fingerprint):
                self.units[known] |= put
                self.fingerprints[known].add(fingerprint)
            case Unchanged(known, remember) if remember is not None:
                self.fingerprints[known].add(remember)
            case _:
                pass
        index.taken(plan, id_)
        return plan

    def values(self, name: str) -> list[str]:
        return [p.value for units in self.units.values() for unit in units.values() for p in unit if p.key == name]


def test_the_same_card_again_is_unchanged_even_after_edits() -> None:
    vault = Vault()
    card = one(card_text("FN:Anna", "TEL:1", "UID:7"))
    assert isinstance(vault.take(card)[0], NewContact)
    (contact,) = vault.units.values()
    contact["fn"] = one(card_text("FN:Anna Beck")).units[0]
    assert vault.take(card) == [Unchanged(next(iter(vault.units)))]
    assert vault.values("FN") == ["Anna Beck"]


def test_the_same_card_twice_in_one_file_is_one_contact() -> None:
    # Google Takeout repeats a person, without a UID, in the folder of every label.
    vault = Vault()
    card = one(card_text("FN:Anna", "TEL:1", "CATEGORIES:myContacts,Friends"))
    first, second = vault.take(card, card)
    assert isinstance(first, NewContact)
    assert first.circles == ("Friends",)
    assert isinstance(second, Unchanged)


def test_a_newer_card_adds_what_is_missing_and_changes_the_name_only() -> None:
    vault = Vault()
    vault.take(one(card_text("FN:Anna Beck", "N:Beck;Anna", "TEL:+49 30 1", "EMAIL:a@x", "NOTE:old", "REV:1", "UID:7")))
    newer = card_text(
        "FN:Anna Ruiz", "N:Ruiz;Anna;;;", "TEL;TYPE=home:+49 (30) 1", "TEL:2", "NOTE:new", "REV:2", "UID:7"
    )
    (plan,) = vault.take(one(newer))
    assert isinstance(plan, UpdatedContact)
    assert sorted(key.partition("-")[0] for key in plan.put) == ["fn", "n", "note", "rev", "tel"]
    assert vault.values("FN") == ["Anna Ruiz"]
    assert vault.values("TEL") == ["+49 30 1", "2"]
    assert vault.values("NOTE") == ["old", "new"]
    assert vault.values("EMAIL") == ["a@x"]


def test_a_card_that_only_looks_newer_changes_nothing_and_is_remembered() -> None:
    vault = Vault()
    vault.take(one(card_text("FN:Anna", "TEL:1", "REV:1", "UID:7")))
    card = one(card_text("FN:Anna", "TEL;TYPE=cell:1", "REV:2", "PRODID:x", "UID:7"))
    (plan,) = vault.take(card)
    assert plan == Unchanged(next(iter(vault.units)), card.fingerprint)
    assert vault.values("REV") == ["1"]


def test_an_empty_name_does_not_replace_a_name() -> None:
    vault = Vault()
    vault.take(one(card_text("FN:Anna", "N:Beck;Anna", "UID:7")))
    vault.take(one(card_text("FN:", "N:;;;;", "TEL:1", "UID:7")))
    assert vault.values("FN") == ["Anna"]
    assert vault.values("N") == ["Beck;Anna"]
    assert vault.values("TEL") == ["1"]


def test_a_second_name_in_another_script_does_not_replace_the_first() -> None:
    vault = Vault()
    vault.take(one(card_text("N;ALTID=1:Beck;Anna", "FN:Anna", "UID:7")))
    vault.take(one(card_text("N;ALTID=1:Beck;Anna", "N;ALTID=1:Бек;Анна", "FN:Anna", "UID:7")))
    (contact,) = vault.units.values()
    assert contact["n"][0].value == "Beck;Anna"
    assert vault.values("N") == ["Beck;Anna", "Бек;Анна"]


@needs_corpus
def test_two_people_with_one_uid_stay_two_contacts_and_an_empty_uid_is_none() -> None:
    vault = Vault()
    plans = vault.take(*cards(hostile("uid_clash")))
    assert [type(plan) for plan in plans] == [NewContact] * 3
    assert len(set(vault.values("UID"))) == 2


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        (["FN:Anna Ruiz", "N:Ruiz;Anna"], True),
        (["FN:A. Beck", "N:Beck;A."], True),
        (["FN:Bernd Beck", "N:Beck;Bernd"], False),
        (["FN:Bernd Beck", "N:Beck;Bernd", "TEL:+49 30-1"], True),
        (["FN:Someone Else"], False),
        (["FN:ÄNNA"], True),
        (["FN:anna"], True),
        (["TEL:5"], True),
    ],
)
def test_one_uid_means_one_person_only_where_the_cards_agree(lines: list[str], same: bool) -> None:
    vault = Vault()
    vault.take(one(card_text("FN:Anna Beck", "N:Beck;Anna", "TEL:+49301", "UID:7")))
    (plan,) = vault.take(one(card_text(*lines, "UID:urn:uuid:7")))
    assert isinstance(plan, UpdatedContact if same else NewContact)


def test_a_card_without_a_uid_gets_one_that_follows_from_the_card() -> None:
    first, second = Vault(), Vault()
    card = one(card_text("FN:Anna", "TEL:1", "UID:"))
    first.take(card)
    second.take(card)
    (uid,) = first.values("UID")
    assert uid.startswith("urn:uuid:")
    assert second.values("UID") == [uid]
    # It finds its contact again when it comes back from another program, changed.
    exported = write_card([*next(iter(first.units.values())).values(), *one(card_text("EMAIL:a@x")).units], "4.0")
    assert isinstance(first.take(one(exported))[0], UpdatedContact)


def test_an_empty_card_is_set_aside_with_its_bytes() -> None:
    card = one(card_text("FN:", "N:;;;;", "TEL:"))
    (plan,) = Vault().take(card)
    assert isinstance(plan, SetAside)
    assert plan.source == card.source


def test_a_thousand_strangers_with_one_uid_take_no_time_and_none_is_lost() -> None:
    vault = Vault()
    given = [one(card_text(f"FN:P{i:04}x", f"N:;P{i:04}x", "UID:same")) for i in range(1000)]
    assert [type(plan) for plan in vault.take(*given)] == [NewContact] * 1000
    assert [type(plan) for plan in vault.take(*given)] == [Unchanged] * 1000


def test_units_of_one_contact_never_share_a_key() -> None:
    vault = Vault()
    card = one(card_text("FN:a", "FN:b", *[f"TEL:{i}" for i in range(20)], "UID:1", "UID:2"))
    vault.take(card)
    (contact,) = vault.units.values()
    assert len(contact) == len(card.units)


def test_groups_become_circles_of_those_who_are_known() -> None:
    apple = one(
        card_text("FN:Team", "X-ADDRESSBOOKSERVER-KIND:group", "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:A1", "UID:g")
    )
    four = one(card_text("FN:Club", "KIND:group", "MEMBER:urn:uuid:gone", "MEMBER:a2", version="4.0"))
    assert is_group(apple)
    assert is_group(four)
    vault = Vault()
    people = [one(card_text(f"FN:P{i}", f"UID:a{i}")) for i in (1, 2)]
    index = vault.index()
    for number, card in enumerate(people):
        index.taken(index.plan(card), bytes([number]))
    groups = [group_of(apple), group_of(four)]
    assert resolve_groups(groups, index.by_uid()) == {"Team": frozenset([b"\0"]), "Club": frozenset([b"\1"])}


def test_groups_in_groups_bring_their_members_and_loops_end() -> None:
    groups = [Group("A", "ga", ("gb", "ga", "x"), b""), Group("B", "gb", ("ga", "y"), b"")]
    everybody = frozenset([b"x", b"y"])
    assert resolve_groups(groups, {"x": b"x", "y": b"y", "ga": b"?"}) == {"A": everybody, "B": everybody}


@needs_corpus
def test_apple_groups_that_contain_each_other_end() -> None:
    groups = [group_of(card) for card in cards(hostile("apple_group_loop"))]
    assert resolve_groups(groups, {}) == {"G1": frozenset(), "G2": frozenset()}
