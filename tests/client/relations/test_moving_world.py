"""People who move from server to server while keys cross and the network loses, delays, repeats and reorders.

The laws are those of `test_rekeying_world`: nobody goes back to an older key, and in the end everybody has everything
that the other shares. Here each also ends with its one mailbox for parcels where the vault lives.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from kith_client.relations.homes import Place, former_places, here, moved, without_former
from kith_client.relations.server_side import cleared, server_side
from kith_protocol.mailbox import MailboxKind
from kith_protocol.wire import StoredParcel
from tests.client.relations.people import Person, World
from tests.client.relations.simserver import Box, SimServer
from tests.client.relations.test_rekeying_world import WHO, TwoPeopleRekey, only_channel

PLACES = 3
"""Servers that each person moves between."""


@dataclass
class Servers(SimServer):
    """Several servers of one person, by host, seen as one."""

    parts: dict[str, SimServer] = field(default_factory=dict)

    def everything(self) -> dict[bytes, Box]:
        return {write: box for part in self.parts.values() for write, box in part.boxes.items()}

    def fetch(self, read_ids: set[bytes]) -> list[StoredParcel]:
        return [stored for part in self.parts.values() for stored in part.fetch(read_ids)]

    def delete(self, read_ids: set[bytes], hashes: list[bytes]) -> None:
        for part in self.parts.values():
            part.delete(read_ids, hashes)

    def expire(self, lifetime: int) -> bool:
        for part in self.parts.values():
            part.now = self.now
        expired = [part.expire(lifetime) for part in self.parts.values()]
        return any(expired)

    def look(self) -> None:
        """Lets the shared rules of the test see all boxes and all that was ever put."""
        self.boxes = self.everything()
        self.seen = [stored for part in self.parts.values() for stored in part.seen]


@dataclass
class Mover(Person):
    """Somebody whose vault lives at one of several servers, and is read at those that it left."""

    @property
    def servers(self) -> Servers:
        assert isinstance(self.server, Servers)
        return self.server

    def place(self, number: int) -> Place:
        return Place(f"https://{self.host if number == 0 else f'{number}.{self.host}'}", b"F" * 16)

    @property
    def home(self) -> Place:
        return here(self.contents) or self.place(0)

    def read_places(self) -> Iterable[Place]:
        return [self.home, *(former.place for former in former_places(self.contents, self.now))]

    def serve(self) -> None:
        for place in self.read_places():
            side = server_side(self.contents, self.now, place)
            self.servers.parts[place.host].hold(side)
            self.commit(cleared(self.contents, self.stamp(), side))
        self.servers.look()

    def move(self, number: int) -> None:
        new, old = self.place(number), self.home
        if new == old:
            return
        if new.host in self.servers.parts:
            self.fetch()  # what it has of the vault is deleted before the vault comes back
        self.servers.parts[new.host] = SimServer(now=self.now)
        self.commit(moved(self.contents, self.stamp(), new, old))

    def have_forgotten(self) -> None:
        """What waits at the servers that were left is read, then they forget everything."""
        self.fetch()
        for former in former_places(self.contents, self.now):
            self.servers.parts[former.place.host] = SimServer(now=self.now)
            self.commit(without_former(self.contents, former.place.host))
        self.servers.look()


@dataclass
class MovingWorld(World):
    def server_at(self, host: str) -> SimServer:
        name = host.removesuffix(".example").rpartition(".")[2]
        mover = self.people[name]
        assert isinstance(mover, Mover)
        return mover.servers.parts[host]


@cache
def fresh_world() -> MovingWorld:
    people: dict[str, Person] = {}
    for name in ("Anna Beck", "Bob Kay"):
        first = name.split()[0].lower()
        people[first] = Mover.begin(name, Servers(parts={f"{first}.example": SimServer()}))
    world = MovingWorld(people)
    for person in people.values():
        person.set_card("email", f"{person.name}@work", "work")
    link = world["anna"].invite("work").link
    world["bob"].accept(link, world.server_at("anna.example"))
    world.settle()
    world["bob"].grant(world["bob"].peer_named("Anna Beck"), "work")
    world.settle()
    return world


class TwoPeopleMove(TwoPeopleRekey):
    world: World

    @initialize(honest=st.booleans())
    def begin(self, honest: bool) -> None:
        super().begin(honest)
        self.world = copy.deepcopy(fresh_world())
        for person in self.world.people.values():
            person.server.now = person.now

    def mover(self, who: str) -> Mover:
        person = self.world[who]
        assert isinstance(person, Mover)
        return person

    @rule(who=WHO, number=st.integers(0, PLACES - 1))
    def move(self, who: str, number: int) -> None:
        self.mover(who).move(number)

    @rule(who=WHO, number=st.integers(0, PLACES - 1))
    def move_while_the_other_is_away(self, who: str, number: int) -> None:
        self.mover(who).move(number)
        self.edit_card(who)
        self.sync(who)
        self.days_pass(30)
        self.sync(who)

    @rule(who=WHO)
    def servers_that_were_left_forget(self, who: str) -> None:
        self.mover(who).have_forgotten()

    def teardown(self) -> None:
        """A key for the new server waits while four others are under way: more rounds than without moves."""
        for _ in range(4 if hasattr(self, "flying") else 0):
            self.days_pass(1)
            for who in ("anna", "bob"):
                self.sync(who)
        super().teardown()

    def check(self, person: Person, other: Person) -> None:
        assert isinstance(person, Mover)
        assert person.sees_of(other) == other.shows_to(person), "something was lost for good"
        channel, mine = only_channel(person)
        _, theirs = only_channel(other)
        assert mine.outbox == theirs.inbox.address
        assert not channel.mine.under_way
        assert person.home.has(mine.inbox.address)
        at_home = person.servers.parts[person.home.host].boxes.values()
        live = [box.owner.mailbox for box in at_home if box.owner.kind is MailboxKind.PARCELS]
        assert live == [mine.inbox.address.mailbox]


TwoPeopleMove.TestCase.settings = settings(
    max_examples=8,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
test_two_people_move = TwoPeopleMove.TestCase
