"""Three people with printed cards who ask, accept, decline and part in any order; driven by Hypothesis.

Whatever they do and however mail is delayed: one person has one request, and in the end two people are connected on
both sides with one relationship, or on neither.
"""

from __future__ import annotations

import contextlib
import copy
from functools import cache

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kith_client.relations.ending import end_relationship
from kith_client.relations.outgoing import Outgoing
from kith_client.relations.peers import list_peers
from kith_client.relations.records import Channel, channels, peers
from kith_client.relations.requests.deciding import accept_request, decline_request, list_requests
from kith_client.relations.requests.records import requests
from kith_client.stamp import of_kind
from kith_protocol.errors import Refused
from kith_protocol.relationship import RelationshipState
from tests.client.relations.people import Person, World

NAMES = ("Anna Beck", "Bob Kay", "Cleo Ray")
KEYS = tuple(name.split()[0].lower() for name in NAMES)
WHO = st.sampled_from(KEYS)
DAY = 86_400_000


@cache
def fresh_world() -> tuple[World, dict[str, str]]:
    world = World.of(*NAMES)
    for person in world.people.values():
        person.set_card("email", f"{person.name}@work", "work")
    return world, {key: world[key].invite("work", reusable=True).link for key in KEYS}


class PeopleWithCards(RuleBasedStateMachine):
    world: World

    @initialize()
    def begin(self) -> None:
        world, self.cards = fresh_world()
        self.world = copy.deepcopy(world)
        self.flying: list[tuple[Person, Outgoing]] = []

    @rule(asker=WHO, asked=WHO)
    def ask(self, asker: str, asked: str) -> None:
        with contextlib.suppress(Refused, KeyError):  # one's own card, asked already, connected; the card ran out
            self.world[asker].accept(self.cards[asked], self.world[asked].server)

    @rule(who=WHO, place=st.integers(0, 2), yes=st.booleans())
    def decide(self, who: str, place: int, yes: bool) -> None:
        person = self.world[who]
        rows = list_requests(person.contents, person.now)
        if place < len(rows):
            choose = accept_request if yes else decline_request
            person.commit(choose(person.contents, person.stamp(), rows[place]).edit)

    @rule(who=WHO, place=st.integers(0, 2))
    def part(self, who: str, place: int) -> None:
        person = self.world[who]
        rows = list_peers(person.contents)
        if place < len(rows):
            person.commit(end_relationship(person.contents, person.stamp(), rows[place].record))

    @rule(who=WHO)
    def sync(self, who: str) -> None:
        self.world.sync(self.world[who])

    @rule(who=WHO)
    def read(self, who: str) -> None:
        self.world[who].fetch()

    @rule(who=WHO)
    def send_slowly(self, who: str) -> None:
        person = self.world[who]
        self.flying += [(person, out) for out in person.to_send()]

    @rule(days=st.sampled_from([1, 1, 1, 31, 91]))
    def days_pass(self, days: int) -> None:
        for person in self.world.people.values():
            person.now += days * DAY

    @rule()
    def slow_mail_arrives(self) -> None:
        for sender, out in self.flying:
            sender.receipt(out, self.world.server_at(out.host).put(out.put))
        self.flying = []

    @invariant()
    def each_person_has_one_request(self) -> None:
        for person in self.world.people.values():
            asking = [request.person for request in requests(person.contents)]
            assert len(asking) == len(set(asking))
            assert person.id not in asking

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.slow_mail_arrives()
        for _ in range(4):
            self.world.settle(40)
        for one in KEYS:
            for other in KEYS:
                if one < other:
                    self.check(self.world[one], self.world[other])
        for person in self.world.people.values():
            assert not of_kind(person.contents, "issue") or all("no longer be used" in text for text in person.issues)

    def check(self, one: Person, other: Person) -> None:
        mine, theirs = connected(one, other), connected(other, one)
        assert len(mine) == len(theirs) <= 1, "connected on one side only"
        for here, there in zip(mine, theirs, strict=True):
            assert here.established is not None
            assert there.established is not None
            assert here.established.relationship == there.established.relationship
            assert one.sees_of(other) == other.shows_to(one)
            assert other.sees_of(one) == one.shows_to(other)


def connected(person: Person, other: Person) -> list[Channel]:
    mine = {peer.id for peer in peers(person.contents) if peer.person == other.id}
    standing = (channel for channel in channels(person.contents) if channel.peer in mine)
    return [channel for channel in standing if channel.state is RelationshipState.CONNECTED]


# A failure is shown as it was found: making it shorter takes many minutes.
PeopleWithCards.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
test_people_with_cards = PeopleWithCards.TestCase
