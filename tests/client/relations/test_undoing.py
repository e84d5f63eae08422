"""What a thief wrote about relationships is undone, and what others changed meanwhile is not."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as with_fields

from kith_client.lifecycle.versions import Version
from kith_client.relations import records
from kith_client.relations.ending import block_peer, unblock_peer
from kith_client.relations.homes import Place, moved
from kith_client.relations.records import PeerRecord, channels, peers, read_channel
from kith_client.relations.rekeying import DAY
from kith_client.relations.theft.changes import after_theft
from kith_client.relations.theft.undoing import FAREWELLS, undo, worth_keeping
from kith_client.stamp import Stamp
from kith_client.vault import UNREADABLE
from kith_protocol.content import Content
from kith_protocol.encoding import Value, encode
from kith_protocol.mailbox import new_mailbox
from kith_protocol.persona import OwnPersona
from kith_protocol.relationship import RelationshipState
from kith_protocol.suite import SealKey
from tests.client.relations.people import Person, World

HERE = Place("https://anna.example", b"F" * 16)
STAMP = Stamp(1_800_000_000_000, b"paperkey", random.Random(1).randbytes)
RECORD = bytes(16)


def circle(**values: Value) -> Content:
    return STAMP.content("circle", {"name": "friends", **values})


def undone(*versions: tuple[Content | None, bool], stands: Content | None = None) -> Content | None:
    """What a record is afterwards, whose versions are given with who wrote them: True is the thief."""
    history = [Version(number, content, suspect) for number, (content, suspect) in enumerate(versions)]
    last = versions[-1][0]
    contents = {} if last is None else {RECORD: last}
    edit = undo(contents, {RECORD: history}, STAMP).edit
    return edit.get(RECORD, last)


Changes = st.lists(
    st.tuples(
        st.booleans(),
        st.sampled_from(["name", "facet/work", "facet/home", "member/00", "member/01"]),
        st.integers(0, 9) | st.none(),
    )
)


@given(Changes)
def test_a_record_is_as_if_the_thief_had_changed_nothing(changes: list[tuple[bool, str, int | None]]) -> None:
    now, wanted = circle(), circle()
    versions: list[tuple[Content | None, bool]] = [(now, False)]
    for at, (is_thief, name, value) in enumerate(changes):
        before, now = now, changed(now, name, value, at)
        versions.append((now, is_thief))
        if not is_thief and now != before:  # who takes away what is not there has changed nothing
            wanted = changed(wanted, name, value, at)
    assert undone(*versions) == wanted


def changed(content: Content, name: str, value: Value, at: int) -> Content:
    units = {key: unit for key, unit in content.units.items() if key != name}
    if value is not None:
        units[name] = replace(STAMP, now=at).unit(value)
    return Content(content.kind, units, content.extra)


def test_what_a_thief_deleted_comes_back_and_what_others_deleted_stays_away() -> None:
    assert undone((circle(), False), (None, True)) == circle()
    assert undone((circle(), False), (None, False)) is None
    assert undone((circle(), False), (None, True), (circle(name="hers"), True)) == circle()


def test_what_others_deleted_does_not_come_back_because_a_thief_had_changed_it() -> None:
    assert undone((circle(), False), (circle(name="hers"), True), (None, False)) is None


def test_what_a_thief_wrote_so_that_nobody_can_read_it_is_as_before() -> None:
    assert undone((circle(), False), (UNREADABLE, True)) == circle()


def test_a_circle_that_a_thief_made_grants_nothing() -> None:
    made = circle(**{"facet/secret": True, "member/00": True})
    assert undone((made, True)) == circle(**{"member/00": True})


def test_a_thiefs_word_about_where_the_vault_lives_does_not_count() -> None:
    (home,) = moved({}, STAMP, Place("https://evil.example", HERE.fingerprint), None).values()
    assert undone((home, True)) is None


def test_a_server_that_a_thief_named_as_left_is_not_read_and_the_one_that_was_left_is() -> None:
    place, old = Place("https://anna.example", HERE.fingerprint), Place("https://old.example", bytes(16))
    (mine,) = moved({}, STAMP, place, old).values()
    (hers,) = moved({}, STAMP, place, Place("https://evil.example", bytes(16))).values()
    assert undone((mine, False), (hers, True)) == mine


def handle(**values: Value) -> Content:
    return STAMP.content("handle", {"name": "anna", "host": "anna.example", "state": "public", "facets": [], **values})


def test_a_handle_that_a_thief_chose_or_widened_lets_nobody_see_more() -> None:
    assert undone((handle(), False), (handle(facets=["secret"]), True)) == handle()
    assert undone((handle(state="private"), False), (handle(), True)) == handle(state="private")
    assert undone((handle(facets=["secret"]), True)) == handle(state="private")
    assert undone((handle(), False), (handle(state="removed"), True), (None, True)) == handle()


def test_the_key_of_a_server_that_a_thief_remembered_is_forgotten_and_mine_is_kept() -> None:
    mine, hers = (STAMP.content("server", {"host": "x.example", "fingerprint": key * 16}) for key in (b"M", b"H"))
    assert undone((hers, True)) is None
    assert undone((mine, False), (hers, True)) == mine


def test_a_split_is_as_it_was_and_one_that_the_person_made_on_a_removed_device_stays() -> None:
    """What the root did not sign counts for nothing anyway."""
    mine, hers = (STAMP.content("split", {"made": 1, "guardian/00": has}) for has in (True, False))
    assert undone((mine, False), (hers, True)) == mine
    assert undone((mine, True), (hers, True), (None, True)) == mine


def test_a_share_that_a_thief_handed_out_and_erased_is_here_and_is_known_to_be_out() -> None:
    mine = STAMP.content("guarding", {"person": bytes(32), "words": "kept"})
    given = {**mine.units, "given/00": STAMP.unit(7)}
    hers = Content("guarding", {name: unit for name, unit in given.items() if name != "words"})
    assert undone((mine, False), (Content("guarding", given), True), (hers, True)) == Content("guarding", given)
    assert undone((mine, True), (Content("guarding", given), True), (hers, True)) == Content("guarding", given)


@dataclass
class Theft:
    """Anna, Bob, and every version of Anna's records."""

    anna: Person
    bob: Person
    world: World
    histories: dict[bytes, list[Version]]

    @property
    def peer(self) -> PeerRecord:
        (peer,) = peers(self.anna.contents)
        return peer

    def wrote(self, record: bytes, content: Content | None, *, suspect: bool) -> None:
        """A version, as the mirror and the home server would have it."""
        if content is None:
            self.anna.contents.pop(record)
        else:
            self.anna.contents[record] = content
        kept = None if content is None else worth_keeping(content)
        self.histories.setdefault(record, []).append(Version(len(self.histories[record]), kept, suspect))

    def change(self, record: bytes, *, suspect: bool, **values: Value) -> None:
        content = self.anna.contents[record]
        units = {**content.units, **{name: self.anna.stamp().unit(value) for name, value in values.items()}}
        self.wrote(record, Content(content.kind, units, content.extra), suspect=suspect)

    def take_back(self) -> str:
        after = after_theft(self.anna.contents, self.histories, self.anna.stamp(), self.anna.root, HERE)
        self.anna.commit({**after.edit, **after.persona})
        return after.text

    def see_each_other(self) -> None:
        self.world.settle()
        assert self.anna.sees_of(self.bob) == self.bob.shows_to(self.anna)
        assert self.bob.sees_of(self.anna) == self.anna.shows_to(self.bob)


@pytest.fixture
def theft() -> Theft:
    world = World.of("Anna Beck", "Bob Kay")
    anna, bob = world["anna"], world["bob"]
    anna.set_card("email", "anna@work", "work")
    world.connect("anna", "bob", ("work",))
    made = Theft(anna, bob, world, {})
    for record, content in list(anna.contents.items()):
        kept = worth_keeping(content)
        if kept is not None:
            made.histories[record] = [Version(0, kept, False)]
    return made


def test_what_an_honest_device_wrote_on_top_of_the_thiefs_mailbox_does_not_make_it_hers(theft: Theft) -> None:
    """The laptop takes the whole record over and changes a unit: the newest version is honest, and full of her."""
    (channel,) = channels(theft.anna.contents)
    established = channel.established
    assert established is not None
    evil = new_mailbox("bob.example", b"E" * 16, bytes(64)).address
    theft.change(channel.id, suspect=True, established=encode(with_fields(established, outbox=evil)))
    theft.change(channel.id, suspect=False, rekey_at=1)
    theft.take_back()
    content = theft.anna.contents[channel.id]
    after = read_channel(channel.id, content)
    assert after.established is not None
    assert {evil, established.outbox} == {after.established.outbox, *after.former}, "all that are known"
    theft.see_each_other()


@pytest.mark.parametrize("suspect", [True, False])
def test_a_flood_of_mailboxes_in_the_versions_of_a_channel_leaves_the_peers(theft: Theft, suspect: bool) -> None:
    (channel,) = channels(theft.anna.contents)
    assert channel.established is not None
    for number in range(3):
        evil = [new_mailbox("bob.example", b"E" * 16, bytes([number, each]) * 32).address for each in range(17)]
        false = {"established": encode(with_fields(channel.established, outbox=evil[0]))}
        theft.change(channel.id, suspect=suspect, **false, former=[encode(each) for each in evil[1:]])
    theft.take_back()
    theft.see_each_other()


def test_a_person_in_place_of_the_peer_is_not_the_peer(theft: Theft) -> None:
    mallory = Person.begin("Mallory", theft.bob.server, seed=4)
    (channel,) = channels(theft.anna.contents)
    assert channel.established is not None
    theirs = own(mallory)
    mallory.renew_persona(9)
    half = with_fields(channel.established, peer_persona=own(mallory).raw)
    theft.change(channel.id, suspect=True, established=encode(half))
    false = with_fields(channel.established, peer=theirs.person, peer_persona=theirs.raw)
    theft.change(channel.id, suspect=True, established=encode(false))
    theft.change(theft.peer.id, suspect=True, person=theirs.person, trust="met")
    theft.change(channel.id, suspect=False, rekey_at=1)
    theft.change(theft.peer.id, suspect=False, host="moved.example")
    text = theft.take_back()
    assert "Put back as it was before: what you decided about Bob Kay" in text
    assert (theft.peer.person, theft.peer.trust) == (theft.bob.id, "unverified")
    after = read_channel(channel.id, theft.anna.contents[channel.id]).established
    assert after is not None
    assert (after.peer, after.peer_persona) == (theft.bob.id, own(theft.bob).raw)
    theft.see_each_other()


def own(person: Person) -> OwnPersona:
    return records.own_persona(person.contents)


@pytest.mark.parametrize(("days", "back"), [(1, True), (40, False)])
def test_a_young_farewell_may_be_the_thiefs_and_an_old_one_counts(theft: Theft, days: int, back: bool) -> None:
    """She can seal a farewell to Anna in Bob's name, and the laptop takes it in."""
    (channel,) = channels(theft.anna.contents)
    parted = theft.anna.now - days * DAY
    assert FAREWELLS == 30 * DAY
    theft.change(channel.id, suspect=False, state="ended", parted=parted)
    theft.take_back()
    theft.anna.to_send()
    assert any(not each.ended for each in channels(theft.anna.contents)) is back
    if back:
        theft.see_each_other()


def test_whom_the_person_ended_or_blocked_is_not_taken_back(theft: Theft) -> None:
    (channel,) = channels(theft.anna.contents)
    theft.change(theft.peer.id, suspect=False, **{f"ended/{channel.id.hex()}": True})
    theft.change(channel.id, suspect=False, state="ended")
    theft.take_back()
    assert [each.what for each in theft.anna.to_send()] == []
    assert theft.anna.states() == ["ended"]


def test_whom_the_person_blocked_and_unblocked_is_not_taken_back(theft: Theft) -> None:
    """The block ended what there was; to let somebody begin anew does not bring it back."""
    anna, peer = theft.anna, theft.peer
    for decide in (block_peer, unblock_peer):
        (content,) = decide(anna.contents, anna.stamp(), peer.id).values()
        assert content is not None
        theft.wrote(peer.id, content, suspect=False)
        theft.world.sync(anna)
    theft.take_back()
    assert anna.states() == [RelationshipState.ENDED.value]


def test_whom_a_removed_device_blocked_is_named_when_that_is_undone(theft: Theft) -> None:
    theft.change(theft.peer.id, suspect=True, blocked=True)
    text = theft.take_back()
    assert "Blocked on a removed device, and not any more: Bob Kay." in text
    assert not theft.peer.blocked


def test_a_second_record_for_a_peer_goes_and_so_does_her_channel(theft: Theft) -> None:
    (channel,) = channels(theft.anna.contents)
    twin, second = b"\x00" * 16, b"\x01" * 16
    theft.histories[twin] = theft.histories[second] = []
    theft.histories[second] = []
    theft.wrote(second, theft.anna.contents[channel.id], suspect=True)
    content = theft.anna.contents[theft.peer.id]
    units = {**content.units, "trust": theft.anna.stamp().unit("met")}
    theft.wrote(twin, Content("peer", units), suspect=True)
    theft.take_back()
    assert twin not in theft.anna.contents
    assert theft.anna.contents[second].value("state") == RelationshipState.ENDED.value
    theft.see_each_other()


def test_the_new_persona_is_above_every_one_that_the_root_signed_and_the_former_keys_stay(theft: Theft) -> None:
    theft.anna.renew_persona(theft.anna.now + 10 * DAY)
    (persona,) = (record for record, content in theft.anna.contents.items() if content.kind == "persona")
    seals = records.persona_seals(theft.anna.contents)
    theft.wrote(persona, theft.anna.contents[persona], suspect=False)
    highest = records.persona_of(own(theft.anna).raw).number
    theft.wrote(persona, Content("persona", theft.histories[persona][0].content.units), suspect=True)  # type: ignore[union-attr]
    theft.take_back()
    assert records.persona_of(own(theft.anna).raw).number == highest + 1
    assert [key.seed for key in records.persona_seals(theft.anna.contents)][1:] == [key.seed for key in seals]


def test_a_thief_who_hides_the_highest_persona_does_not_make_the_new_one_lower(theft: Theft) -> None:
    """She put an old statement of the root's back, and made the server forget what she replaced."""
    theft.anna.renew_persona(7)
    theft.world.settle()
    (persona,) = (record for record, content in theft.anna.contents.items() if content.kind == "persona")
    theft.histories.update(
        {r: [Version(0, kept, False)] for r, c in theft.anna.contents.items() if (kept := worth_keeping(c))}
    )
    old = Person.begin("Anna Beck", theft.anna.server)
    theft.histories[persona] = []
    theft.wrote(persona, next(c for c in old.contents.values() if c.kind == "persona"), suspect=True)
    assert records.persona_of(own(theft.anna).raw).number == 1
    theft.take_back()
    theft.see_each_other()


def test_a_seed_that_the_root_never_named_is_not_kept(theft: Theft) -> None:
    (persona,) = (record for record, content in theft.anna.contents.items() if content.kind == "persona")
    theft.change(persona, suspect=True, seal_seed=bytes(32))
    theft.take_back()
    assert SealKey(bytes(32)).seed not in {key.seed for key in records.persona_seals(theft.anna.contents)}
    theft.see_each_other()


@pytest.mark.parametrize("kind", ["request", "introduction", "introducing"])
def test_what_a_thief_wrote_of_requests_and_introductions_is_gone(theft: Theft, kind: str) -> None:
    mine, hers, touched = b"\x01" * 16, b"\x02" * 16, b"\x03" * 16
    content = STAMP.content(kind, {"decision": True})
    theft.histories |= {record: [] for record in (mine, hers, touched)}
    for record, suspect in ((mine, False), (hers, True), (touched, False), (touched, True), (touched, False)):
        theft.wrote(record, content, suspect=suspect)
    edit = undo(theft.anna.contents, theft.histories, STAMP).edit
    assert {record for record in edit if record in (mine, hers, touched)} == {hers, touched}
    assert edit[hers] is edit[touched] is None


def test_an_introduction_by_a_thief_does_not_go_out_once_everything_is_taken_back() -> None:
    world = World.of("Anna Beck", "Bob Kay", "Mallory Moe")
    world.connect("anna", "bob")
    world.connect("anna", "mallory")
    anna = world["anna"]
    theft = Theft(
        anna, world["bob"], world, {r: [Version(0, worth_keeping(c), False)] for r, c in anna.contents.items()}
    )
    theft.histories = {r: v for r, v in theft.histories.items() if v[0].content is not None}
    record = anna.introduce("Bob Kay", "Mallory Moe", "This is my bank, trust her.")
    theft.histories[record] = []
    theft.wrote(record, anna.contents[record], suspect=True)
    assert "make yours anew" in theft.take_back()
    world.settle()
    assert world["bob"].requests() == []


def test_a_relationship_that_only_a_thief_vouches_for_ends(theft: Theft) -> None:
    """Her channel names Bob, her peer somebody else, and the number is above every persona that there will be."""
    (channel,) = channels(theft.anna.contents)
    stranger, second = b"\x00" * 16, b"\x01" * 16
    peer, content = theft.anna.contents[theft.peer.id], theft.anna.contents[channel.id]
    theft.histories |= {stranger: [], second: []}
    hers = {"person": STAMP.unit(b"Z" * 32), "channel": STAMP.unit(second)}
    theft.wrote(stranger, Content("peer", {**peer.units, **hers}), suspect=True)
    hers = {"peer": STAMP.unit(stranger), "persona": STAMP.unit(2**50)}
    theft.wrote(second, Content("channel", {**content.units, **hers}), suspect=True)
    theft.take_back()
    theft.world.settle()
    assert [each.id for each in channels(theft.anna.contents) if not each.ended and each.peer == stranger] == []
    assert theft.anna.contents[second].value("state") == RelationshipState.ENDED.value


def test_a_record_stays_of_its_kind_whatever_a_thief_made_of_it() -> None:
    hers = Content("peer", circle().units)
    edited = Content("peer", {**circle().units, "member/00": STAMP.unit(True)})
    assert undone((circle(), False), (hers, True), (edited, False)) == circle(**{"member/00": True})


def test_the_person_is_told_of_handles(theft: Theft) -> None:
    mine = b"\x01" * 16
    theft.histories[mine] = []
    theft.wrote(mine, handle(), suspect=True)
    assert "private where a removed device chose them: anna." in theft.take_back()
