"""Two people whose devices are stolen again and again, and a network that loses, delays, repeats and reorders.

Whatever crosses: in the end there is one relationship, under the newest personas, and each has what the other shares.
"""

from __future__ import annotations

import copy
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from kith_client.relations.outgoing import Outgoing
from kith_client.relations.records import Channel, channels, own_persona, peers, persona_of
from kith_client.relations.rekeying import DAY, plan_rekeys
from tests.client.relations.people import Person, World

WHO = st.sampled_from(("anna", "bob"))
STEP = st.one_of(
    st.tuples(st.just("theft"), WHO, st.just(0)),
    st.tuples(st.just("both"), WHO, st.integers(1, 3)),
    st.tuples(st.just("sync"), WHO, st.just(0)),
    st.tuples(st.just("hold"), WHO, st.just(0)),
    st.tuples(st.just("fetch"), WHO, st.integers(1, 3)),
    st.tuples(st.just("edit"), WHO, st.just(0)),
    st.tuples(st.just("rekey"), WHO, st.just(0)),
    st.tuples(st.just("arrive"), WHO, st.integers(0, 50)),
    st.tuples(st.just("lose"), WHO, st.integers(0, 50)),
    st.tuples(st.just("repeat"), WHO, st.integers(0, 50)),
)


@cache
def _connected() -> World:
    world = World.of("Anna Beck", "Bob Kay")
    for person in world.people.values():
        person.set_card("email", f"{person.name}@work", "work")
    world.connect("anna", "bob", ("work",))
    world["bob"].grant(world["bob"].peer_named("Anna Beck"), "work")
    world.settle()
    return world


class Network:
    """The two, and what is on its way."""

    def __init__(self) -> None:
        self.world = copy.deepcopy(_connected())
        self.flying: list[tuple[Person, Outgoing]] = []
        self.edits = 0

    def step(self, what: str, who: str, pick: int) -> None:
        person = self.world[who]
        match what:
            case "theft":
                person.renew_persona(persona_of(own_persona(person.contents).raw).number + 1)
            case "both":
                self.both(pick)
            case "sync":
                self.world.sync(person)
            case "hold":
                waiting = {out.key for _, out in self.flying}
                self.flying += [(person, out) for out in person.to_send() if out.key not in waiting]
            case "fetch":
                person.serve()
                person.take(person.server.fetch(person.read_ids())[:pick])
            case "edit":
                self.edits += 1
                person.set_card("email", f"value {self.edits}", "work")
            case "rekey":
                person.commit(plan_rekeys(person.contents, person.stamp(), forced=True))
            case "repeat":
                person.take(person.server.seen[pick % (len(person.server.seen) + 1) :][:2])
            case _ if self.flying:
                sender, out = self.flying.pop(pick % len(self.flying))
                if what == "arrive":
                    sender.receipt(out, self.world.server_at(out.host).put(out.put))

    def both(self, exchanges: int) -> None:
        """Both lose a device, and then do everything at the same moments."""
        two = list(self.world.people.values())
        for who in self.world.people:
            self.step("theft", who, 0)
        for _ in range(exchanges):
            for sender, out in [(person, out) for person in two for out in person.to_send()]:
                self.world.deliver(sender, out)
            for person in two:
                person.fetch()

    def calm(self) -> None:
        """The network is well for some months."""
        for sender, out in self.flying:
            sender.receipt(out, self.world.server_at(out.host).put(out.put))
        for days in (0, 2, 61, 2, 61, 2):
            for person in self.world.people.values():
                person.now += days * DAY
            for _ in range(3):
                for person in self.world.people.values():
                    self.world.sync(person)


def standing(person: Person) -> Channel:
    (channel,) = (each for each in channels(person.contents) if not each.ended)
    return channel


@settings(max_examples=25, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_thefts_on_both_sides_end_in_one_relationship_under_the_newest_personas(
    steps: list[tuple[str, str, int]],
) -> None:
    network = Network()
    for step in steps:
        network.step(*step)
    network.calm()
    anna, bob = network.world["anna"], network.world["bob"]
    for person, other in ((anna, bob), (bob, anna)):
        (peer,) = peers(person.contents)
        channel = standing(person)
        assert peer.channel == channel.id
        assert channel.established is not None
        assert channel.persona == persona_of(own_persona(person.contents).raw).number
        assert channel.established.peer_persona == own_persona(other.contents).raw
        assert person.sees_of(other) == other.shows_to(person)
    mine, theirs = standing(anna).established, standing(bob).established
    assert mine is not None
    assert theirs is not None
    assert mine.rs == theirs.rs
