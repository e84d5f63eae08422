"""Random histories: whatever members, removed members and strangers try, the invariants hold (spec: vault.md)."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, invariant, multiple, rule

from kith_protocol.chain import freeze_chain, thaw_chain
from kith_protocol.commit import MAX_MEMBERS
from kith_protocol.errors import Refused
from kith_protocol.member import MemberKeys, MemberKind
from tests.protocol.vaults import Step, Story, chain_of, keys_of, paper_of, without_sealing

DEVICES = [keys_of(f"pool-{number}") for number in range(6)]
PAPERS = [paper_of(f"pool-{number}") for number in range(3)]


class Histories(RuleBasedStateMachine):
    people: Bundle[MemberKeys] = Bundle("people")

    @initialize(target=people)
    def begin(self) -> MultipleResults[MemberKeys]:
        self.story = Story(seal=without_sealing)
        self.ever = {self.story.device.id, self.story.paper.id}
        self.gone: set[bytes] = set()
        self.taken = 0
        return multiple(self.story.device, self.story.paper, *DEVICES, *PAPERS)

    def attempt(self, step: Step) -> None:
        before = self.story.chain
        try:
            self.story.take(step)
        except Refused:
            assert self.story.chain is before
            return
        self.taken += 1
        body, after = step.commit.body, self.story.chain
        assert body.author in before.members, "somebody wrote who was no member before"
        assert body.author not in self.gone
        assert after.number == before.number + 1
        assert after.epoch >= before.epoch
        assert (after.epoch > before.epoch) or not body.removed
        if before.members[body.author].member.kind is MemberKind.DEVICE:
            assert after.paper == before.paper, "a device replaced the paper key"
            assert body.author in after.members
        fresh = after.members.keys() - before.members.keys()
        assert not fresh & self.ever, "a member came back"
        self.ever |= fresh
        self.gone |= before.members.keys() - after.members.keys()

    @rule(author=people)
    def write(self, author: MemberKeys) -> None:
        self.attempt(self.story.make(author))

    @rule(author=people, member=people)
    def add(self, author: MemberKeys, member: MemberKeys) -> None:
        self.attempt(self.story.make_adding(member, author))

    @rule(author=people, member=people, others=st.lists(people, max_size=2), new=st.lists(people, max_size=2))
    def remove(self, author: MemberKeys, member: MemberKeys, others: list[MemberKeys], new: list[MemberKeys]) -> None:
        added = tuple({keys.id: keys for keys in new}.values())
        self.attempt(self.story.make_removing(member, *others, author=author, added=added))

    @rule(new=st.sampled_from(PAPERS), author=people)
    def replace_paper(self, new: MemberKeys, author: MemberKeys) -> None:
        papers = [self.story.paper, *PAPERS]
        old = next(keys for keys in papers if keys.id == self.story.chain.paper)
        self.attempt(self.story.make_removing(old, author=author, added=(new,)))
        self.attempt(self.story.make_removing(old, author=old, added=(new,)))

    @invariant()
    def the_chain_is_sound(self) -> None:
        if not hasattr(self, "story"):
            return
        chain = self.story.chain
        kinds = [standing.member.kind for standing in chain.members.values()]
        assert len(kinds) <= MAX_MEMBERS
        assert kinds.count(MemberKind.PAPER) == 1
        assert chain.removed == self.gone
        assert not chain.removed & chain.members.keys()
        assert max(chain.commitments) == chain.epoch
        assert all(id_ == standing.member.id for id_, standing in chain.members.items())
        assert thaw_chain(freeze_chain(chain)) == chain

    def teardown(self) -> None:
        if hasattr(self, "story"):
            assert chain_of(self.story.steps) == self.story.chain
            assert len(self.story.steps) == self.taken + 1


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
