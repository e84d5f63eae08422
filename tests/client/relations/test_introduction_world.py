"""Two introducers, two who are introduced, faulty networks, two devices: driven by Hypothesis.

At every step: nothing goes between the two whom nobody introduced with both their consents. In the end: they are peers
of each other, once, exactly if both agreed to one and the same introduction.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kith_client.relations.incoming import take_in
from kith_client.relations.introductions.introduced import agree, decline_introduction
from kith_client.relations.introductions.introducing import take_back
from kith_client.relations.introductions.records import introducings, read_introducing, read_introduction
from kith_client.relations.outgoing import Outgoing
from kith_client.relations.records import invites
from kith_client.relations.rekeying import plan_rekeys
from kith_protocol.content import Content
from kith_protocol.errors import KithError
from kith_protocol.merge import merge
from tests.client.relations.acquaintances import (
    BOB,
    CARLA,
    acquaintances,
    are_connected,
    know_nothing_of_each_other,
    row_of,
)
from tests.client.relations.people import Person, World

INTRODUCER = st.sampled_from(("anna", "dora"))
PAIR = st.sampled_from(("bob", "carla"))
WHO = st.sampled_from(("anna", "bob", "carla", "dora"))
ANY = st.integers(0, 10_000)
MOSTLY = st.sampled_from((True, True, True, False))
HALF_A_DAY = 12 * 3600 * 1000


@dataclass
class Said:
    """What the two decided about one introduction."""

    agreed: set[str] = field(default_factory=set)
    against: bool = False
    """Whether somebody declined it, or it was taken back."""


@dataclass(frozen=True)
class Elsewhere:
    """A decision that another device made on what it knew, and has not sent."""

    who: str
    record: bytes
    base: Content
    local: Content
    accepts: bool


class Introducers(RuleBasedStateMachine):
    world: World

    @initialize(introduced_by=st.sets(INTRODUCER), agreed=st.sets(PAIR))
    def begin(self, introduced_by: set[str], agreed: set[str]) -> None:
        self.world = copy.deepcopy(acquaintances("anna", "dora"))
        self.flying: list[tuple[Person, Outgoing]] = []
        self.said: dict[bytes, Said] = {}
        self.elsewhere: list[Elsewhere] = []
        for who in sorted(introduced_by):
            self.introduce(who)
        self.world.settle()
        for who in sorted(agreed):
            for _ in introduced_by:
                self.decide(who, 0, True)

    # What people do

    @rule(who=INTRODUCER)
    def introduce(self, who: str) -> None:
        try:
            record = self.world[who].introduce(BOB, CARLA, "You two!")
        except KithError as refusal:
            if refusal.code not in ("introduced-already", "too-many-introductions"):
                raise
            return
        content = self.world[who].contents[record]
        self.said[read_introducing(record, content).introduction] = Said()

    @rule(who=PAIR, pick=ANY, accepts=MOSTLY)
    def decide(self, who: str, pick: int, accepts: bool) -> None:
        person = self.world[who]
        made = self.decided(person, pick, accepts)
        if made is not None:
            person.commit({made.record: made.local})
            self.note(made)

    @rule(who=PAIR, pick=ANY, accepts=MOSTLY)
    def decide_on_another_device(self, who: str, pick: int, accepts: bool) -> None:
        made = self.decided(self.world[who], pick, accepts, who)
        if made is not None:
            self.elsewhere.append(made)

    @precondition(lambda self: self.elsewhere)
    @rule(pick=ANY)
    def the_other_device_syncs(self, pick: int) -> None:
        made = self.elsewhere.pop(pick % len(self.elsewhere))
        person = self.world[made.who]
        stands = merge(made.base, made.local, person.contents[made.record], latest=person.now).content
        person.commit({made.record: stands})
        self.note(made)

    @rule(who=INTRODUCER, sure=st.integers(0, 3))
    def take_it_back(self, who: str, sure: int) -> None:
        person = self.world[who]
        for each in introducings(person.contents):
            if not sure and each.link is None and not each.taken_back:
                person.commit(take_back(person.contents, person.stamp(), each.id))
                self.said[each.introduction].against = True

    # What programs and networks do

    @rule(who=WHO)
    def sync(self, who: str) -> None:
        self.world.sync(self.world[who])

    @rule(who=WHO)
    def hand_over(self, who: str) -> None:
        person = self.world[who]
        waiting = {out.key for _, out in self.flying}
        self.flying += [(person, out) for out in person.to_send() if out.key not in waiting]

    @precondition(lambda self: self.flying)
    @rule(pick=ANY, again=st.booleans(), receipt=st.booleans())
    def a_put_arrives(self, pick: int, again: bool, receipt: bool) -> None:
        sender, out = self.flying[pick % len(self.flying)]
        status = self.world.server_at(out.host).put(out.put)
        if receipt:
            sender.receipt(out, status)
        if not again:
            self.flying.remove((sender, out))

    @precondition(lambda self: self.flying)
    @rule(pick=ANY)
    def a_put_is_lost(self, pick: int) -> None:
        del self.flying[pick % len(self.flying)]

    @rule(who=WHO, crash=st.booleans(), keep=st.integers(1, 3))
    def fetch_some(self, who: str, crash: bool, keep: int) -> None:
        person = self.world[who]
        person.serve()
        parcels = person.server.fetch(person.read_ids())
        person.rng.shuffle(parcels)
        if crash:
            take_in(person.contents, person.stamp(), parcels[:keep])  # and never committed
        else:
            person.take(parcels[:keep])

    @rule(who=WHO, pick=ANY)
    def a_server_gives_an_old_parcel_again(self, who: str, pick: int) -> None:
        person = self.world[who]
        mine = person.read_ids()
        old = [stored for stored in person.server.seen if stored.mailbox in mine]
        if old:
            person.take([old[pick % len(old)]])

    @rule(who=WHO)
    def new_keys(self, who: str) -> None:
        person = self.world[who]
        person.commit(plan_rekeys(person.contents, person.stamp(), forced=True))

    @rule()
    def time_passes(self) -> None:
        for person in self.world.people.values():
            person.now += HALF_A_DAY

    # What must hold

    def decided(self, person: Person, pick: int, accepts: bool, who: str = "") -> Elsewhere | None:
        rows = person.requests()
        if not rows:
            return None
        record = rows[pick % len(rows)].id
        edit = (agree if accepts else decline_introduction)(person.contents, person.stamp(), record)
        local = edit[record]
        assert local is not None
        return Elsewhere(who or self.who(person), record, person.contents[record], local, accepts)

    def note(self, made: Elsewhere) -> None:
        said = self.said[read_introduction(made.record, made.local).introduction]
        if made.accepts:
            said.agreed.add(made.who)
        else:
            said.against = True

    def who(self, person: Person) -> str:
        return next(name for name, each in self.world.people.items() if each is person)

    @property
    def pair(self) -> tuple[Person, Person]:
        return self.world["bob"], self.world["carla"]

    @invariant()
    def nothing_goes_between_the_two_before_both_agreed_to_one_introduction(self) -> None:
        if hasattr(self, "said") and not any(len(said.agreed) == 2 for said in self.said.values()):
            assert know_nothing_of_each_other(*self.pair)
            assert not any(invite.expected for person in self.pair for invite in invites(person.contents))

    def teardown(self) -> None:
        if not hasattr(self, "said"):
            return
        while self.elsewhere:
            self.the_other_device_syncs(0)
        self.world.settle()
        # Everything that the network still held arrives late, and every server gives all old parcels once more.
        for sender, out in self.flying:
            sender.receipt(out, self.world.server_at(out.host).put(out.put))
        for person in self.world.people.values():
            person.take([old for old in person.server.seen if old.mailbox in person.read_ids()])
        self.world.settle()
        self.nothing_goes_between_the_two_before_both_agreed_to_one_introduction()
        bob, carla = self.pair
        event(f"connected: {are_connected(bob, carla)}, introductions: {len(self.said)}")
        if any(len(said.agreed) == 2 and not said.against for said in self.said.values()):
            assert are_connected(bob, carla)
        else:
            assert are_connected(bob, carla) or not (row_of(bob, carla) or row_of(carla, bob))
        for one, other in ((bob, carla), (carla, bob)):
            row = row_of(one, other)
            if row is not None:
                assert row.trust == "introduced"
                assert row.introducer in {self.world["anna"].id.hex(), self.world["dora"].id.hex()}


Introducers.TestCase.settings = settings(
    max_examples=40, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
test_introducers = Introducers.TestCase
