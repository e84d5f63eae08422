"""Two people, new keys that cross, and a network that loses, delays, repeats and reorders; driven by Hypothesis.

At every step: nobody seals to a key older than the newest it learned, and no key comes back. In the end, once the
network is well for some months, each has everything that the other shares, at its newest key and mailbox.
"""

from __future__ import annotations

import copy
from functools import cache

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kith_client.relations.outgoing import ANSWER, FINISH, Outgoing
from kith_client.relations.records import Channel, channels
from kith_client.relations.rekeying import DAY, RETIRED_FOR, plan_rekeys
from kith_protocol import labels
from kith_protocol.errors import Undecryptable
from kith_protocol.handshake import Established
from kith_protocol.mailbox import MailboxKind
from kith_protocol.parcel import MAX_RECEIVER_KEYS, ParcelContext
from kith_protocol.relationship import Side
from kith_protocol.suite import SealKey
from tests.client.relations.people import Person, World

WHO = st.sampled_from(("anna", "bob"))
ANY = st.integers(0, 10_000)
LIFETIME = 90 * DAY
SEALED = slice(1, 1 + 1168)


@cache
def fresh_world() -> World:
    world = World.of("Anna Beck", "Bob Kay")
    for person in world.people.values():
        person.set_card("email", f"{person.name}@work", "work")
    world.connect("anna", "bob", ("work",))
    world["bob"].grant(world["bob"].peer_named("Anna Beck"), "work")
    world.settle()
    return world


def only_channel(person: Person) -> tuple[Channel, Established]:
    (channel,) = channels(person.contents)
    assert channel.established is not None
    return channel, channel.established


def other_of(who: str) -> str:
    return "bob" if who == "anna" else "anna"


class TwoPeopleRekey(RuleBasedStateMachine):
    world: World

    @initialize(honest=st.booleans())
    def begin(self, honest: bool) -> None:
        self.honest = honest
        self.lost = False
        self.world = copy.deepcopy(fresh_world())
        for person in self.world.people.values():
            person.server.now = person.now
        self.flying: list[tuple[Person, Outgoing]] = []
        self.seeds: dict[str, list[bytes]] = {"anna": [], "bob": []}
        self.learned: dict[str, int] = {"anna": 0, "bob": 0}
        self.gone: dict[str, set[bytes]] = {"anna": set(), "bob": set()}
        self.edits = 0

    def send(self, who: str) -> list[Outgoing]:
        """What a person seals now, each checked to be for the newest key that the person has heard of."""
        person = self.world[who]
        sent = person.to_send()
        self.note_keys()
        for out in sent:
            if out.what not in (ANSWER, FINISH):
                assert self.receiver_key(who, out) == self.learned[who], "sealed to an older key"
        return sent

    def receiver_key(self, who: str, out: Outgoing) -> int:
        """Which of the other's keys opens a parcel."""
        _, mine = only_channel(self.world[who])
        context = ParcelContext(
            mine.rs, mine.relationship, Side(mine.side).sends, out.put.mailbox, out.put.slot, out.put.sequence
        )
        for place, seed in enumerate(self.seeds[other_of(who)]):
            try:
                SealKey(seed).open(labels.PARCEL_SEAL, *context.fields, sealed=out.put.parcel[SEALED])
            except Undecryptable:
                continue
            return place
        raise AssertionError("sealed to nobody's key")

    @rule(who=WHO)
    def edit_card(self, who: str) -> None:
        self.edits += 1
        self.world[who].set_card("email", f"value {self.edits}", "work")

    @rule(who=WHO)
    def lose_a_device(self, who: str) -> None:
        person = self.world[who]
        person.commit(plan_rekeys(person.contents, person.stamp(), forced=True))

    @rule(who=WHO, late=st.booleans())
    def a_new_key_crosses_mail(self, who: str, late: bool) -> None:
        """The other's parcels lie in the old mailbox, unread, while it hears of the new one; receipts may be `late`."""
        person, other = self.world[who], self.world[other_of(who)]
        self.edit_card(other_of(who))
        receipts = [(out, self.world.server_at(out.host).put(out.put)) for out in self.send(other_of(who))]
        for out, status in receipts if not late else []:
            other.receipt(out, status)
        self.lose_a_device(who)
        for out in self.send(who):
            self.world.deliver(person, out)
        other.fetch()
        for out, status in receipts if late else []:
            other.receipt(out, status)
        for out in self.send(other_of(who)):
            self.world.deliver(other, out)

    @rule(who=WHO)
    def three_devices_are_lost_in_a_row(self, who: str) -> None:
        for _ in range(3):
            self.lose_a_device(who)
            self.sync(who)
            self.sync(other_of(who))
        other = self.world[other_of(who)]
        for stored in [stored for stored in other.server.seen if stored.mailbox in other.read_ids()]:
            other.take([stored])
            self.note_keys()

    @rule(days=st.sampled_from((0.1, 1, 8, 30, 61, 95)))
    def days_pass(self, days: float) -> None:
        for person in self.world.people.values():
            person.now += int(days * DAY)
            person.server.now = person.now
            self.lost |= person.server.expire(LIFETIME)

    @rule(who=WHO)
    def sync(self, who: str) -> None:
        person = self.world[who]
        person.fetch()
        for out in self.send(who):
            self.world.deliver(person, out)

    @rule(who=WHO)
    def hand_over(self, who: str) -> None:
        waiting = {out.key for _, out in self.flying}
        self.flying += [(self.world[who], out) for out in self.send(who) if out.key not in waiting]

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

    @precondition(lambda self: not self.honest)
    @rule(who=WHO)
    def a_server_loses_what_it_receipted(self, who: str) -> None:
        self.lost = True
        for box in self.world[who].server.boxes.values():
            box.waiting.clear()

    @rule(who=WHO, keep=st.integers(1, 3))
    def fetch_some(self, who: str, keep: int) -> None:
        person = self.world[who]
        person.serve()
        parcels = person.server.fetch(person.read_ids())
        person.rng.shuffle(parcels)
        person.take(parcels[:keep])

    @rule(who=WHO, pick=ANY, all_of_them=st.booleans())
    def a_server_gives_old_parcels_again(self, who: str, pick: int, all_of_them: bool) -> None:
        person = self.world[who]
        old = [stored for stored in person.server.seen if stored.mailbox in person.read_ids()]
        for stored in old if all_of_them else old[pick % (len(old) + 1) :][:1]:
            person.take([stored])

    @invariant()
    def keys_only_go_forward(self) -> None:
        self.note_keys()

    def note_keys(self) -> None:
        for who, person in self.world.people.items():
            self.note_own_keys(who, person)
        for who, person in self.world.people.items():
            publics = [SealKey(seed).public for seed in self.seeds[other_of(who)]]
            learned = publics.index(only_channel(person)[1].peer_seal_key)
            assert learned >= self.learned[who], "went back to an older key"
            self.learned[who] = learned

    def note_own_keys(self, who: str, person: Person) -> None:
        channel, established = only_channel(person)
        seeds = [key.seed for key in channel.mine.keys]
        assert 1 <= len(seeds) <= MAX_RECEIVER_KEYS
        assert (established.seal_seed, established.inbox) == (seeds[0], channel.mine.keys[0].inbox)
        assert not self.gone[who].intersection(seeds), "a key came back"
        assert not any(key.used for key in channel.mine.keys[:-1])
        new = [seed for seed in reversed(seeds) if seed not in self.seeds[who]]
        self.seeds[who] += new
        self.gone[who].update(set(self.seeds[who]) - set(seeds))

    def teardown(self) -> None:
        if not hasattr(self, "flying"):
            return
        for sender, out in self.flying:
            sender.receipt(out, self.world.server_at(out.host).put(out.put))
        # What servers lost after a receipt comes with the next new key; everything else at once.
        for days in [12] * 18 if self.lost else [2, 2]:
            self.days_pass(days)
            for who in ("anna", "bob"):
                self.sync(who)
        for _ in range(3):
            for who in ("anna", "bob"):
                self.sync(who)
        for who, person in self.world.people.items():
            self.check(person, self.world[other_of(who)])

    def check(self, person: Person, other: Person) -> None:
        assert person.sees_of(other) == other.shows_to(person), "something was lost for good"
        channel, mine = only_channel(person)
        _, theirs = only_channel(other)
        assert mine.outbox == theirs.inbox.address
        assert mine.peer_seal_key == SealKey(theirs.seal_seed).public
        assert not channel.mine.under_way
        assert channel.mine.acknowledged == {key: item.version for key, item in channel.items.items()}
        kinds = [box.owner.kind for box in person.server.boxes.values()]
        assert kinds.count(MailboxKind.PARCELS) == len(channel.mine.keys) == 1
        assert kinds.count(MailboxKind.RETIRED) == len(channel.mine.retired)
        assert all(each.at + RETIRED_FOR > person.now for each in channel.mine.retired)


# A failure is shown as it was found: making it shorter takes many minutes.
TwoPeopleRekey.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
test_two_people_rekey = TwoPeopleRekey.TestCase
