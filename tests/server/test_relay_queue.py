"""The relay's schedule, in simulated time: who is tried when, and who never has to wait for whom."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kith_server.relay.destination import (
    BREAKER_FAILURES,
    FIRST_DELAY,
    FORCE_INTERVAL,
    MAX_DELAY,
    MAX_PER_DESTINATION,
    retry_delay,
)
from kith_server.relay.queue import (
    GIVE_UP_AFTER,
    MAX_IN_FLIGHT,
    MAX_PER_VAULT,
    SWEEP_INTERVAL,
    GiveUp,
    Outcome,
    RelayQueue,
    Retry,
    Try,
)

HOUR = 3600 * 1000


def name(number: int) -> bytes:
    return number.to_bytes(32, "big")


def queue_of(*requests: tuple[int, int, str], now: int = 0) -> RelayQueue:
    """A queue with `(vault, request, host)`, all due at `now`."""
    queue = RelayQueue()
    for vault, request, host in requests:
        queue.add(name(vault), name(request), host, now, due=now)
    return queue


def tries(queue: RelayQueue, now: int) -> list[Try]:
    return [action for action in queue.actions(now) if isinstance(action, Try)]


def fail_once(queue: RelayQueue, now: int, jitter: float = 0.5) -> Retry | None:
    (attempt,) = tries(queue, now)
    return queue.finished(attempt.vault, attempt.request, Outcome.FAILED, now, jitter)


def test_the_first_three_retries_come_after_thirty_seconds_and_later_ones_spread_up_to_six_hours() -> None:
    assert [retry_delay(n, 0.999) for n in (1, 2, 3)] == [FIRST_DELAY] * 3
    assert retry_delay(4, 0.5) == FIRST_DELAY
    assert retry_delay(5, 0.5) == 2 * FIRST_DELAY
    assert retry_delay(1000, 0.999999) <= MAX_DELAY
    assert retry_delay(1000, 0.5) == MAX_DELAY // 2
    assert retry_delay(1000, 0.0) == FORCE_INTERVAL


def test_a_new_request_is_tried_at_once_and_only_once() -> None:
    queue = queue_of((1, 1, "bob.example"))
    assert tries(queue, 0) == [Try(name(1), name(1), "bob.example")]
    assert queue.actions(0) == []
    assert queue.finished(name(1), name(1), Outcome.ANSWERED, 5, 0.5) is None
    assert len(queue) == 0
    assert queue.wake_at() is None


def test_a_failed_request_is_tried_again_when_its_time_has_come() -> None:
    queue = queue_of((1, 1, "bob.example"))
    assert fail_once(queue, 0) == Retry(1, FIRST_DELAY)
    assert tries(queue, FIRST_DELAY - 1) == []
    assert len(tries(queue, FIRST_DELAY)) == 1


def test_a_destination_that_is_down_is_probed_by_one_request_at_a_time() -> None:
    queue = queue_of(*((vault, vault, "down.example") for vault in range(20)))
    now = 0
    for attempt in tries(queue, now):
        queue.finished(attempt.vault, attempt.request, Outcome.FAILED, now, 0.5)
    for _ in range(BREAKER_FAILURES):
        now += 1
        for attempt in tries(queue, now):
            queue.finished(attempt.vault, attempt.request, Outcome.FAILED, now, 0.5)
    assert tries(queue, now) == [], "the breaker is open"
    assert len(tries(queue, now + 10 * HOUR)) == 1


def test_when_a_destination_is_back_everything_for_it_goes_at_once() -> None:
    queue = queue_of(*((vault, vault, "down.example") for vault in range(3)))
    now = 0
    for _ in range(12):
        now += 10 * HOUR
        for attempt in tries(queue, now):
            queue.finished(attempt.vault, attempt.request, Outcome.FAILED, now, 0.9)
    wake = queue.wake_at()
    while not (probes := tries(queue, wake or 0)):
        wake = queue.wake_at()
    assert wake is not None
    assert len(probes) == 1
    queue.finished(probes[0].vault, probes[0].request, Outcome.ANSWERED, wake, 0.5)
    assert len(tries(queue, wake)) == 2


def test_handing_a_request_over_again_tries_it_at_once_but_not_more_often_than_every_five_seconds() -> None:
    queue = queue_of((1, 1, "down.example"))
    now = 0
    for _ in range(6):
        fail_once(queue, now)
        now += 10 * HOUR
    fail_once(queue, now)
    times = []
    for moment in range(now, now + 4 * FORCE_INTERVAL, 100):
        queue.hand_over(name(1), name(1), moment)
        for attempt in tries(queue, moment):
            times.append(moment)
            queue.finished(attempt.vault, attempt.request, Outcome.FAILED, moment, 0.99)
    assert times == [now + n * FORCE_INTERVAL for n in range(4)]


def test_a_client_that_asks_all_the_time_does_not_put_off_the_others() -> None:
    queue = queue_of((1, 1, "down.example"), (2, 2, "down.example"))
    now = 0
    others = 0
    while now < 3 * HOUR:
        queue.hand_over(name(1), name(1), now)
        for attempt in tries(queue, now):
            others += attempt.vault == name(2)
            queue.finished(attempt.vault, attempt.request, Outcome.FAILED, now, 0.5)
        now += FORCE_INTERVAL
    assert others >= 5


def test_a_new_request_for_a_destination_that_is_down_probes_it() -> None:
    queue = queue_of((1, 1, "down.example"))
    now = 0
    for _ in range(5):
        fail_once(queue, now, 0.99)
        now += 10 * HOUR
    fail_once(queue, now, 0.99)
    queue.add(name(2), name(2), "down.example", now, due=now)
    assert tries(queue, now) == []
    queue.hand_over(name(2), name(2), now)
    assert tries(queue, now) == [Try(name(2), name(2), "down.example")]


def test_one_slow_destination_does_not_hold_up_others() -> None:
    queue = queue_of(*((vault, vault, "slow.example") for vault in range(500)))
    assert len(tries(queue, 0)) == MAX_PER_DESTINATION
    queue.add(name(1), name(1000), "fast.example", 1, due=1)
    assert tries(queue, 1) == [Try(name(1), name(1000), "fast.example")]


def test_a_person_with_many_slow_destinations_leaves_places_for_others() -> None:
    queue = queue_of(*((1, n, f"slow{n}.example") for n in range(200)))
    assert len(tries(queue, 0)) == MAX_PER_VAULT
    queue.add(name(2), name(1000), "fast.example", 1, due=1)
    assert tries(queue, 1) == [Try(name(2), name(1000), "fast.example")]
    queue.finished(name(1), name(0), Outcome.FAILED, 2, 0.5)
    assert len(tries(queue, 2)) == 1, "the place that became free is taken by a destination that was passed over"


def test_no_vault_starves_behind_one_that_sends_a_thousand() -> None:
    queue = queue_of(*((1, n, "bob.example") for n in range(1000)), (2, 5000, "bob.example"), (3, 5001, "bob.example"))
    first = tries(queue, 0)
    assert {attempt.vault for attempt in first} == {name(1), name(2), name(3)}


def test_a_request_is_given_up_after_fourteen_days() -> None:
    queue = queue_of((1, 1, "down.example"))
    now = 0
    gone: list[GiveUp] = []
    while not gone:
        wake = queue.wake_at()
        assert wake is not None
        now = max(now + 1, wake)
        for action in queue.actions(now):
            if isinstance(action, GiveUp):
                gone.append(action)
            else:
                queue.finished(action.vault, action.request, Outcome.FAILED, now, 0.9)
    assert gone == [GiveUp(name(1), name(1))]
    assert GIVE_UP_AFTER <= now <= GIVE_UP_AFTER + SWEEP_INTERVAL
    assert len(queue) == 0


def test_a_request_that_was_removed_while_on_its_way_can_be_handed_over_again() -> None:
    queue = queue_of((1, 1, "bob.example"))
    tries(queue, 0)
    queue.remove(name(1), name(1))
    queue.add(name(1), name(1), "bob.example", 1, due=1)
    assert queue.finished(name(1), name(1), Outcome.FAILED, 2, 0.5) == Retry(1, 2 + FIRST_DELAY)
    queue.remove(name(1), name(1))
    assert len(queue) == 0
    assert queue.finished(name(1), name(1), Outcome.FAILED, 3, 0.5) is None


def test_a_refusal_says_nothing_about_the_destination() -> None:
    queue = queue_of((1, 1, "bob.example"), (1, 2, "bob.example"))
    for attempt in tries(queue, 0):
        assert queue.finished(attempt.vault, attempt.request, Outcome.REFUSED, 1, 0.5) is None
    queue.add(name(1), name(3), "bob.example", 2, due=2)
    assert len(tries(queue, 2)) == 1


@dataclass
class World:
    """Destinations that are up, down or slow by plan, and a clock that jumps to the next event."""

    queue: RelayQueue
    up_from: dict[str, int]
    slowness: dict[str, int]
    now: int = 0
    flying: dict[tuple[bytes, bytes], tuple[int, Try]] = field(default_factory=dict)
    answered: set[tuple[bytes, bytes]] = field(default_factory=set)
    given_up: dict[tuple[bytes, bytes], int] = field(default_factory=dict)

    def step(self, jitter: float) -> None:
        self.land(jitter)
        for action in self.queue.actions(self.now):
            key = (action.vault, action.request)
            if isinstance(action, GiveUp):
                assert key not in self.given_up
                self.given_up[key] = self.now
                continue
            assert key not in self.flying, "never twice at the same time"
            assert key not in self.answered | set(self.given_up), "never again once it is done"
            self.flying[key] = (self.now + self.slowness[action.host], action)
        self.check_bounds()

    def land(self, jitter: float) -> None:
        for key, (lands, attempt) in list(self.flying.items()):
            if lands <= self.now:
                del self.flying[key]
                is_up = self.now >= self.up_from[attempt.host]
                outcome = Outcome.ANSWERED if is_up else Outcome.FAILED
                retry = self.queue.finished(attempt.vault, attempt.request, outcome, self.now, jitter)
                assert (retry is None) is is_up
                if is_up:
                    self.answered.add(key)

    def check_bounds(self) -> None:
        tries = [attempt for _, attempt in self.flying.values()]
        assert len(tries) <= MAX_IN_FLIGHT
        assert max(Counter(t.host for t in tries).values(), default=0) <= MAX_PER_DESTINATION
        assert max(Counter(t.vault for t in tries).values(), default=0) <= MAX_PER_VAULT

    def advance(self, until: int | None = None) -> None:
        times = [lands for lands, _ in self.flying.values()]
        times += [at for at in (self.queue.wake_at(), until) if at is not None]
        assert times, "something waits, and nothing will ever wake it"
        self.now = max(self.now + 1, min(times))


HOSTS = [f"host{n}.example" for n in range(6)]
arrivals = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(HOSTS), st.integers(0, 2 * HOUR)), min_size=1, max_size=60
)


@settings(max_examples=120, deadline=None)
@given(
    arrivals,
    st.lists(st.sampled_from([0, 0, 40_000, 3 * HOUR, 2 * GIVE_UP_AFTER]), min_size=6, max_size=6),
    st.lists(st.sampled_from([1, 50, 10_000]), min_size=6, max_size=6),
    st.randoms(use_true_random=False),
)
def test_every_request_is_tried_until_it_is_answered_or_given_up(
    arrivals: list[tuple[int, str, int]], up_from: list[int], slowness: list[int], chance: random.Random
) -> None:
    world = World(RelayQueue(), dict(zip(HOSTS, up_from, strict=True)), dict(zip(HOSTS, slowness, strict=True)))
    pending = sorted(((at, name(v), name(n), host) for n, (v, host, at) in enumerate(arrivals)), reverse=True)
    created = {(vault, request): (at, host) for at, vault, request, host in pending}
    while pending or len(world.queue):
        while pending and pending[-1][0] <= world.now:
            at, vault, request, host = pending.pop()
            world.queue.add(vault, request, host, at, due=at)
            world.queue.hand_over(vault, request, world.now)
        world.step(chance.random())
        if pending or len(world.queue):
            world.advance(pending[-1][0] if pending else None)
    for key, (at, host) in created.items():
        if up_from[HOSTS.index(host)] < GIVE_UP_AFTER:
            assert key in world.answered
        else:
            assert at + GIVE_UP_AFTER <= world.given_up[key] <= at + GIVE_UP_AFTER + SWEEP_INTERVAL + max(slowness)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=2, max_size=12), st.integers(0, 2**32))
def test_a_vault_waits_for_at_most_one_request_of_each_other_vault(counts: list[int], seed: int) -> None:
    queue = RelayQueue()
    for vault, waiting in enumerate(counts):
        for n in range(waiting):
            queue.add(name(vault), name(1000 * vault + n), "bob.example", 0, due=0)
    late = name(999)
    queue.add(late, name(seed + 10**6), "bob.example", 0, due=0)
    order: list[bytes] = []
    while late not in order:
        for attempt in tries(queue, 1):
            order.append(attempt.vault)
            queue.finished(attempt.vault, attempt.request, Outcome.ANSWERED, 1, 0.5)
    before = Counter(order[: order.index(late)])
    assert all(times == 1 for times in before.values())


@pytest.mark.parametrize("again", [True, False])
def test_a_restored_request_keeps_its_turn_and_its_count(again: bool) -> None:
    queue = RelayQueue()
    queue.add(name(1), name(1), "bob.example", 0, due=500, attempts=7)
    if again:
        queue.add(name(1), name(1), "bob.example", 300, due=300)
    assert tries(queue, 499) == []
    (attempt,) = tries(queue, 500)
    retry = queue.finished(attempt.vault, attempt.request, Outcome.FAILED, 500, 0.5)
    assert retry is not None
    assert retry.attempts == 8
