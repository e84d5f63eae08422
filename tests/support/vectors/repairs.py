"""Scenarios of the format `repair`: what a device verified, what a restored server shows in its place."""

from __future__ import annotations

from collections.abc import Iterator

from tests.protocol.vaults import Sealer, Step, Story, keys_of, paper_of
from tests.support.vectors.vector import Vector, keys_in, step_of

PHONE, TABLET, SPY, NEW_PAPER = keys_of("phone"), keys_of("tablet"), keys_of("spy"), paper_of("anna-new")


class _Restored:
    """A server was put back: `lost` stands on the common history, and a test tells `shown` on it."""

    def __init__(self, seal: Sealer, *, remove: bool = True) -> None:
        self.lost = Story(seal=seal)
        self.lost.add(PHONE)
        self.lost.add(TABLET)
        self.common = len(self.lost.steps)
        self.shown = self.lost.fork()
        if remove:
            self.lost.remove(TABLET)
        self.lost.put(carla="met at PyCon")

    @property
    def lost_steps(self) -> list[Step]:
        return self.lost.steps[self.common :]

    def vector(self, name: str, says: str, fails: str | None = None) -> Vector:
        inputs = {
            "common": [step_of(step) for step in self.lost.steps[: self.common]],
            "lost": [step_of(step) for step in self.lost_steps],
            "shown": [step_of(step) for step in self.shown.steps[self.common :]],
        }
        keys = keys_in(self.lost, phone=PHONE, tablet=TABLET, spy=SPY)
        return Vector("repair", name, says, inputs, fails, keys)


def repairs(seal: Sealer) -> Iterator[Vector]:
    yield from _followed(seal)
    yield from _by_whom(seal)
    yield from _what(seal)


def _followed(seal: Sealer) -> Iterator[Vector]:
    told = _Restored(seal)
    told.shown.repair(told.lost_steps, TABLET)
    told.shown.put(carla="met at PyCon")
    yield told.vector("repaired", "The first device repeats the removal and gives the lost commits up.")
    told = _Restored(seal)
    told.shown.write({}, PHONE)
    told.shown.repair(told.lost_steps, TABLET, author=PHONE)
    yield told.vector("repaired-after-others-wrote", "Another member repairs what it wrote upon itself.")
    told = _Restored(seal)
    told.shown.repair(told.lost_steps, TABLET, author=told.shown.paper)
    yield told.vector("repaired-by-paper-key", "The paper key is a member as others are.")
    told = _Restored(seal)
    told.shown.repair(told.lost_steps[:1], TABLET, author=PHONE)
    told.shown.repair(told.lost_steps)
    yield told.vector("repaired-twice", "The first had not seen the last commit; the second names everything.")


def _by_whom(seal: Sealer) -> Iterator[Vector]:
    told = _Restored(seal)
    told.shown.repair(told.lost_steps, author=TABLET)
    yield told.vector("by-the-removed", "The removed tablet gives up its own removal.", "not-repaired")
    told = _Restored(seal)
    told.shown.repair(told.lost_steps, PHONE, author=TABLET)
    yield told.vector("by-the-removed-who-removes", "It also removes somebody.", "not-repaired")
    told = _Restored(seal)
    told.shown.add(SPY, TABLET)
    told.shown.repair(told.lost_steps, TABLET, author=SPY)
    yield told.vector("by-an-accomplice", "The removed tablet let the spy in.", "not-repaired")
    told = _Restored(seal)
    paper = told.lost.paper
    told.lost.take(told.lost.make_removing(paper, author=paper, added=(NEW_PAPER,)))
    told.shown.repair(told.lost_steps, TABLET, author=paper)
    yield told.vector("by-a-replaced-paper-key", "The phrase was changed.", "not-repaired")


def _what(seal: Sealer) -> Iterator[Vector]:
    told = _Restored(seal)
    yield told.vector("nothing-shown", "The server has the old head.", "not-repaired")
    told = _Restored(seal)
    told.shown.write({}, PHONE)
    yield told.vector("written-on", "Somebody wrote on the old head.", "not-repaired")
    told = _Restored(seal)
    told.shown.repair(told.lost_steps[:-1], TABLET)
    yield told.vector("mark-not-named", "The last commit is not among them.", "not-repaired")
    told = _Restored(seal)
    told.shown.repair(told.lost_steps[1:], TABLET)
    yield told.vector("first-not-named", "The first lost commit is not among them.", "not-repaired")
    told = _Restored(seal)
    told.shown.repair(told.lost_steps)
    yield told.vector("removal-not-repeated", "The tablet would be back.", "not-repaired")
    told = _Restored(seal)
    told.shown.repair(told.lost_steps)
    told.shown.remove(TABLET)
    yield told.vector("removal-repeated-too-late", "The tablet could read what comes between.", "not-repaired")
    told = _Restored(seal)
    told.shown.repair(told.lost_steps, TABLET, epoch=2)
    yield told.vector("epoch-used-before", "Two keys would go by one number.", "not-repaired")
    told = _Restored(seal, remove=False)
    told.shown.repair(told.shown.steps[:1])
    yield told.vector("gives-up-something-else", "The lost commits are not named.", "not-repaired")
