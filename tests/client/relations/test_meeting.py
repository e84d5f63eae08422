"""Meeting in person, decided: what is kept where no server is in reach, and what two devices did apart."""

from __future__ import annotations

from kith_client.relations import meeting, records
from kith_client.relations.homes import Place
from kith_client.relations.invites import display_name_of_mine
from kith_client.relations.meeting import Wishes
from kith_client.relations.peers import list_peers
from kith_client.stamp import Edit, overlay
from kith_protocol.invite import open_greeting, seal_greeting
from kith_protocol.relationship import RelationshipState
from tests.client.relations.people import Person, World


def met(shows: Person, types: Person, *facets: str) -> tuple[Edit, Edit]:
    """What a meeting of two devices keeps, neither of which can reach anything else."""
    places = [Place(f"https://{each.host}", b"F" * 16) for each in (shows, types)]
    own = meeting.new_offer(shows.contents, shows.stamp(), places[0])
    opened = open_greeting(own.invite, seal_greeting(own, nonce=types.random(24)), types.now)
    them = meeting.Them(
        records.persona_of(records.own_persona(types.contents).raw), display_name_of_mine(types.contents)
    )
    waits = meeting.answer_offer(types.contents, types.stamp(), own.invite, opened, places[1], Wishes(facets))
    answer = meeting.check_answer(shows.contents, own, waits.send, them)
    stands = meeting.finish_offer(shows.contents, shows.stamp(), own, answer, places[0], Wishes(facets))
    after = overlay(types.contents, waits.edit)
    me = records.own_persona(types.contents)
    return stands.edit, {**waits.edit, **meeting.take_finish(after, types.stamp(), waits, stands.send, me)}


def standing(person: Person) -> list[bytes]:
    """Ids of the relationships that stand."""
    found = (channel for channel in records.channels(person.contents) if not channel.ended)
    return [channel.established.relationship for channel in found if channel.established is not None]


def test_mailboxes_that_a_meeting_named_are_opened_by_the_next_sync_and_what_is_shared_comes() -> None:
    world = World.of("Anna Beck", "Bob Lund")
    anna, bob = world["anna"], world["bob"]
    anna.set_card("email", "anna@work", "work")
    for person, edit in zip((anna, bob), met(anna, bob, "work"), strict=True):
        person.commit(edit)
    assert [(row.name, row.state, row.trust) for row in list_peers(bob.contents)] == [("Anna Beck", "connected", "met")]
    world.settle()
    assert standing(anna) == standing(bob)
    assert [channel.state for channel in records.channels(anna.contents)] == [RelationshipState.CONNECTED]
    assert any(prop.value == "anna@work" for prop in bob.sees_of(anna))


def test_two_devices_of_one_person_that_met_two_people_offline_both_bring_their_peer() -> None:
    world = World.of("Anna Beck", "Bob Lund", "Carla Ruiz")
    anna, bob, carla = world["anna"], world["bob"], world["carla"]
    of_laptop, of_bob = met(anna, bob)
    of_phone, of_carla = met(carla, anna)[::-1]
    for person, edit in ((anna, of_laptop), (anna, of_phone), (bob, of_bob), (carla, of_carla)):
        person.commit(edit)
    world.settle()
    assert sorted(row.name for row in list_peers(anna.contents)) == ["Bob Lund", "Carla Ruiz"]
    assert {row.state for row in list_peers(anna.contents)} == {"connected"}
    assert standing(bob) + standing(carla) == [
        each for each in standing(bob) + standing(carla) if each in standing(anna)
    ]


def test_two_devices_that_met_one_person_at_two_of_theirs_keep_one_relationship_and_the_same() -> None:
    for seed in range(4):  # whichever of the two has the smaller id
        world = World.of("Anna Beck", "Bob Lund", seed=seed)
        anna, bob = world["anna"], world["bob"]
        anna.set_card("email", "anna@work", "work")
        anna.set_card("tel", "1", "private")
        first, second = met(anna, bob, "work"), met(bob, anna, "private")[::-1]
        for person, edits in ((anna, (first[0], second[0])), (bob, (first[1], second[1]))):
            for edit in edits:
                person.commit(edit)
        world.settle()
        assert len(standing(anna)) == 1
        assert standing(anna) == standing(bob)
        assert [(row.name, row.trust) for row in list_peers(anna.contents)] == [("Bob Lund", "met")]
        assert {prop.value for prop in bob.sees_of(anna)} >= {"anna@work", "1"}, "what either device granted"
