"""What a thief of a device, a server and a guardian can try with shares of a recovery phrase, and does not get."""

from __future__ import annotations

import copy

import pytest

from kith_client.relations import bodies, records
from kith_client.relations.draft import Draft
from kith_client.relations.ending import end_relationship
from kith_client.relations.guardians import guarding, splits
from kith_client.relations.guardians.guarding import KEPT_FOR
from kith_client.relations.guardians.lines import Word, read_word
from kith_client.relations.guardians.splits import list_guardians
from kith_client.relations.inbox import Inbox
from kith_client.relations.outgoing import outgoing
from kith_client.relations.rekeying import DAY
from kith_client.relations.soundness import is_sound
from kith_client.relations.upkeep import plan
from kith_client.stamp import of_kind
from kith_client.vault import UNREADABLE
from kith_protocol import labels
from kith_protocol.encoding import Value, encode
from kith_protocol.errors import Refused, Undecryptable
from kith_protocol.guardian import (
    MAX_GIVEN,
    MAX_TIME,
    Guard,
    GuardAnswer,
    GuardianShare,
    GuardState,
    Release,
    SignedShare,
    seal_share,
    sign_release,
)
from kith_protocol.parcel import Bye
from kith_protocol.phrase import paper_keys, phrase_of, root_key
from kith_protocol.suite import HYBRID_SIGNATURE_BYTES, HybridSignKey, seal
from tests.client.relations.guardians import (
    ENTROPY,
    FRIENDS,
    NAMES,
    VAULT,
    acquainted,
    anna_says,
    arrived,
    give,
    kept,
    opened,
    plain,
    split,
    states,
    words_of,
)
from tests.client.relations.people import World
from tests.protocol.people import fixed


@pytest.fixture
def world() -> World:
    return copy.deepcopy(acquainted())


def test_the_vault_does_not_keep_the_shares(world: World) -> None:
    """Neither in clear nor so that any key in it opens them, before they arrive and after."""
    anna, cleo = world["anna"], world["cleo"]
    split(world)
    anna.to_send()
    before = plain(anna)
    world.settle()
    sealed = [bytes(s) for each in splits.splits(anna.contents) for s in each.sealed.values()]
    assert sealed == [], "after the guardians answered nothing is left"
    for friend in FRIENDS:
        assert words_of(world[friend]).encode() not in before + plain(anna)
    assert ENTROPY not in before + plain(anna)
    assert words_of(cleo).encode() in plain(cleo)


def test_no_key_of_the_vault_opens_a_share_that_waits(world: World) -> None:
    anna = world["anna"]
    split(world)
    (waiting,) = splits.splits(anna.contents)
    own = {c.id: c for c in records.channels(anna.contents)}
    keys = [key for channel in own.values() for key in channel.mine.seal_keys]
    keys += [records.own_seal_key(anna.contents)]
    for friend, name in zip(FRIENDS, NAMES, strict=True):
        sealed = waiting.sealed[anna.peer_named(name)]
        context = b"\x01", anna.id, world[friend].id
        for key in keys:
            with pytest.raises(Undecryptable):
                key.open(labels.GUARDIAN_SEAL, *context, sealed=sealed)
        assert records.own_seal_key(world[friend].contents).open(labels.GUARDIAN_SEAL, *context, sealed=sealed)


def test_a_removed_guardian_keeps_the_share_for_180_days_and_no_longer(world: World) -> None:
    arrived(world)
    anna, dora = world["anna"], world["dora"]
    anna.commit(splits.remove_guardian(anna.contents, anna.stamp(), ENTROPY, anna.peer_named("Dora Falk")))
    world.settle()
    assert states(anna)["dora"] == "released"
    assert give(dora)
    dora.now += KEPT_FOR
    dora.to_send()
    assert words_of(dora) == ""
    with pytest.raises(Refused) as refused:
        give(dora)
    assert refused.value.code == "no-share"
    with pytest.raises(Refused) as refused:
        splits.remove_guardian(anna.contents, anna.stamp(), ENTROPY, anna.peer_named("Dora Falk"))
    assert refused.value.code == "no-guardian"


def test_a_guardian_who_gives_his_share_out_is_reported_to_the_person(world: World) -> None:
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    assert give(bob) == words_of(bob)
    assert [out.what for out in bob.to_send()] == ["guard-answer"]
    world.settle()
    (issue,) = anna.issues
    assert "Bob Kay handed out the share of your recovery phrase" in issue
    assert "call Bob Kay and your other guardians now" in issue
    (row,) = (row for row in list_guardians(anna.contents) if row.given)
    assert (row.state, row.given, row.given_at > 0) == ("kept", 1, True)
    give(bob)
    world.settle()
    assert "once more (2 times by now)" in anna.issues[-1]
    split(world)
    world.settle()
    assert len(anna.issues) == 2, "a new split repeats no alarm"


def test_a_share_that_was_given_on_two_devices_at_once_counts_twice(world: World) -> None:
    arrived(world)
    bob = world["bob"]
    record = kept(bob)
    assert record is not None
    peer = bob.peer_named("Anna Beck")
    edits = [guarding.give(bob.contents, bob.stamp(), peer)[0] for _ in range(2)]
    for edit in edits:
        content = edit[record.id]
        assert content is not None
        draft = Draft(bob.contents, bob.stamp())
        draft.change(record.id, {key: unit.value for key, unit in content.units.items()})
        bob.commit(draft.edit)
    found = kept(bob)
    assert found is not None
    assert found.answer.given == 2


def test_a_thief_with_an_unlocked_device_cannot_exchange_a_share(world: World) -> None:
    """She has every key of the vault, but not the root."""
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    right = words_of(bob)
    body = encode(GuardianShare(1, bob.id, VAULT, anna.now + 1, words_of(world["dora"])))
    thief = HybridSignKey(fixed("thief"), fixed("thief too"))
    signed = encode(SignedShare(body, thief.sign(labels.GUARDIAN_SHARE, body)))
    public = records.own_seal_key(bob.contents).public
    sealed = seal(public, labels.GUARDIAN_SEAL, b"\x01", anna.id, bob.id, plaintext=signed)
    anna_says(world, "bob", Guard(anna.now + 1, sealed))
    assert words_of(bob) == right
    assert any("was not made with that phrase" in issue for issue in bob.issues)
    world.settle()
    split(world)
    world.settle()
    assert opened(world, "bob", "cleo") == [ENTROPY], "her next split is not held up by it"


def test_a_thief_with_an_unlocked_device_cannot_take_the_way_back_away(world: World) -> None:
    """Only the root ends an office. With the relationship it rests; the share stays for 180 days."""
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    anna_says(world, "bob", Release(2**53, bytes(HYBRID_SIGNATURE_BYTES)))
    assert any("was not made with their phrase" in issue for issue in bob.issues)
    found = kept(bob)
    assert found is not None
    assert not found.released
    assert give(bob)
    split(world)
    world.settle()
    found = kept(bob)
    assert found is not None
    assert not found.released
    anna.commit(end_relationship(anna.contents, anna.stamp(), anna.peer_named("Bob Kay")))
    world.settle()
    assert bob.states() == ["ended"]
    assert give(bob)
    bob.now += KEPT_FOR + DAY
    bob.to_send()
    assert words_of(bob) == ""


def test_an_earlier_release_that_a_server_plays_again_ends_nothing(world: World) -> None:
    arrived(world)
    anna = world["anna"]
    made = splits.splits(anna.contents)[0].made
    anna_says(world, "bob", sign_release(root_key(ENTROPY), world["bob"].id, made - 1))
    found = kept(world["bob"])
    assert found is not None
    assert not found.released


def test_a_share_of_an_earlier_split_that_is_played_again_is_passed_over(world: World) -> None:
    """It is signed by the root; who kept it from the vault could otherwise make the shares unlike each other."""
    anna, bob = world["anna"], world["bob"]
    split(world)
    (old,) = splits.splits(anna.contents)
    early = Guard(old.made, old.sealed[anna.peer_named("Bob Kay")])
    arrived(world)
    newest = words_of(bob)
    anna_says(world, "bob", early)
    assert words_of(bob) == newest


def test_nothing_leaves_that_is_not_what_was_committed(world: World) -> None:
    anna = world["anna"]
    split(world)
    anna.commit(plan(anna.contents, anna.stamp()).edit)
    before = {out.key for out in outgoing(anna.contents, anna.stamp()) if out.what == "guard"}
    anna.commit(splits.remove_guardian(anna.contents, anna.stamp(), ENTROPY, anna.peer_named("Dora Falk")))
    after = {out.key for out in outgoing(anna.contents, anna.stamp()) if out.what == "guard"}
    assert len(before) == 3
    assert len(before & after) == len(after) == 2


def test_an_answer_that_comes_late_changes_nothing(world: World) -> None:
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    late = list(anna.server.seen)
    bob.commit(guarding.resign(bob.contents, bob.stamp(), bob.peer_named("Anna Beck")))
    world.settle()
    assert states(anna)["bob"] == "resigned"
    anna.take(late)
    assert states(anna)["bob"] == "resigned"


def test_another_phrase_is_refused_before_anything_is_split(world: World) -> None:
    anna = world["anna"]
    paper = paper_keys(ENTROPY).id
    assert splits.check_phrase(anna.contents, paper, phrase_of(ENTROPY).upper()) == ENTROPY
    with pytest.raises(Refused) as refused:
        splits.check_phrase(anna.contents, paper, phrase_of(fixed("another")))
    assert refused.value.code == "wrong-phrase"
    with pytest.raises(Refused) as refused:
        splits.check_phrase(anna.contents, fixed("another paper"), phrase_of(ENTROPY))
    assert refused.value.code == "wrong-phrase"


def test_who_keeps_no_share_gives_and_returns_none(world: World) -> None:
    bob = world["bob"]
    for step in (guarding.give, guarding.resign):
        with pytest.raises(Refused) as refused:
            step(bob.contents, bob.stamp(), bob.peer_named("Anna Beck"))
        assert refused.value.code == "no-share"


DAMAGED = [
    ("split", {"made": "yesterday", "needed": 2, "signature": b""}),
    ("split", {"made": 1, "needed": 2}),
    ("split", {"made": 0, "needed": 2, "signature": b""}),
    ("split", {"made": 2**53 + 1, "needed": 2, "signature": b""}),
    ("split", {"made": 1, "needed": 17, "signature": b""}),
    ("split", {"made": 1, "needed": True, "signature": b""}),
    ("split", {"made": 1, "needed": 2, "signature": b"", "guardian/xyz": True}),
    ("split", {"made": 1, "needed": 2, "signature": b"", "answer/" + "00" * 16: [9, []]}),
    ("split", {"made": 1, "needed": 2, "signature": b"", "answer/" + "00" * 16: [2, [[1, 2**53 + 1]]]}),
    ("split", {"made": 1, "needed": 2, "signature": b"", "answer/" + "00" * 16: [2, [7]]}),
    ("guarding", {"person": 7}),
    ("guarding", {"person": b"p", "words": b"no text"}),
    ("guarding", {"person": b"p", "given/00": "never"}),
]


@pytest.mark.parametrize(("kind", "values"), DAMAGED)
def test_a_damaged_record_of_another_device_is_set_aside_and_stops_nothing(
    world: World, kind: str, values: dict[str, Value]
) -> None:
    content = world["anna"].stamp().content(kind, values)
    assert not is_sound(bytes(16), content)


def test_a_damaged_line_of_a_channel_is_noticed(world: World) -> None:
    anna = world["anna"]
    channel = records.channels(anna.contents)[0]
    draft = Draft(anna.contents, anna.stamp())
    draft.change(channel.id, {"line/guard": [1, b""]})
    assert not is_sound(channel.id, draft.contents[channel.id])


def test_a_thief_cannot_silence_the_alarm_about_shares_that_are_handed_out(world: World) -> None:
    """Neither by what she writes in the vault, nor by what she says once as a guardian."""
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    (made,) = splits.splits(anna.contents)
    draft = Draft(anna.contents, anna.stamp())
    lies: list[Value] = [[MAX_GIVEN, MAX_TIME - n] for n in range(splits.MAX_HEARD)]
    draft.change(made.id, {splits.ANSWER + anna.peer_named("Bob Kay").hex(): [2, lies]})
    anna.commit(draft.edit)
    give(bob)
    world.settle()
    assert any("handed out" in issue for issue in anna.issues)
    anna.issues.clear()
    split(world)
    world.settle()
    give(bob)
    world.settle()
    assert any("handed out" in issue for issue in anna.issues)


def test_every_handing_out_is_an_alarm_however_many_were_told_before(world: World) -> None:
    """One issue of the guardian and the split, that is brought up to date."""
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    for _ in range(6):
        give(bob)
        world.settle()
    assert len(anna.issues) == 6
    assert "6 times" in anna.issues[-1]
    told = [c.value("text") for c in of_kind(anna.contents, "issue").values() if "handed out" in str(c.value("text"))]
    assert told == anna.issues[-1:]


def test_an_answer_that_a_server_plays_again_is_no_alarm_once_more(world: World) -> None:
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    give(bob)
    world.settle()
    late = list(anna.server.seen)
    give(bob)
    world.settle()
    anna.issues.clear()
    anna.take(late)
    assert anna.issues == []


def test_a_guardian_who_was_released_in_silence_is_an_alarm(world: World) -> None:
    arrived(world)
    anna = world["anna"]
    anna_says(world, "bob", sign_release(root_key(ENTROPY), world["bob"].id, 2**53))
    world.settle()
    assert states(anna)["bob"] == "released"
    (issue,) = anna.issues
    assert "Bob Kay heard in your name that they are your guardian no more" in issue
    assert "'kith guardians add' makes new shares" in issue


@pytest.mark.parametrize("which", ["peer", "channel"])
def test_a_record_that_cannot_be_read_ends_no_office(world: World, which: str) -> None:
    arrived(world)
    bob = world["bob"]
    record = bob.peer_named("Anna Beck") if which == "peer" else records.channels(bob.contents)[0].id
    for there in (UNREADABLE, None):
        before = bob.contents.pop(record)
        if there is not None:
            bob.contents[record] = there
        bob.commit(plan(bob.contents, bob.stamp()).edit)
        bob.contents[record] = before
        found = kept(bob)
        assert found is not None
        assert not found.released


def test_an_office_that_a_thief_ended_with_the_relationship_stands_again_with_it(world: World) -> None:
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    anna_says(world, "bob", Bye())
    bob.to_send()
    found = kept(bob)
    assert found is not None
    assert found.released
    anna.renew_persona(anna.now)
    world.settle()
    bob.now += KEPT_FOR + DAY
    world.settle()
    assert words_of(bob)
    assert states(anna)["bob"] == "kept"


def test_a_release_of_another_guardian_ends_nothing(world: World) -> None:
    arrived(world)
    anna_says(world, "bob", sign_release(root_key(ENTROPY), world["cleo"].id, 2**53))
    found = kept(world["bob"])
    assert found is not None
    assert not found.released


def test_a_split_that_a_thief_made_up_counts_for_nothing(world: World) -> None:
    """Neither to end who are guardians, nor to stand above every later split; also with the signature of a real one."""
    arrived(world)
    anna = world["anna"]
    (real,) = splits.splits(anna.contents)
    for made in (real.made, real.made + 1, MAX_TIME):
        values: dict[str, Value] = {"made": made, "needed": 2, "signature": real.signature}
        anna.commit({bytes([made % 251]) * 16: anna.stamp().content("split", values)})
    world.settle()
    assert set(states(anna).values()) == {"kept"}
    assert not any(found.released for friend in FRIENDS if (found := kept(world[friend])))
    split(world)
    world.settle()
    assert set(states(anna).values()) == {"kept"}
    assert opened(world, "bob", "cleo") == [ENTROPY]


def test_without_the_persona_no_split_is_believed(world: World) -> None:
    arrived(world)
    anna = world["anna"]
    del anna.contents[next(iter(of_kind(anna.contents, "persona")))]
    assert splits.splits(anna.contents) == []


def test_of_two_shares_of_one_split_the_first_stays(world: World) -> None:
    """Two devices of hers may split in the same millisecond; exchanged on one side only, shares would not fit."""
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    right, made = words_of(bob), splits.splits(anna.contents)[0].made
    persona = records.persona_of(records.own_persona(bob.contents).raw)
    other = seal_share(root_key(ENTROPY), persona, VAULT, made, words_of(world["dora"]))
    anna_says(world, "bob", Guard(made, other))
    assert words_of(bob) == right


def test_a_phrase_of_another_root_than_the_personas_is_refused(world: World) -> None:
    with pytest.raises(Refused) as refused:
        splits.check_phrase(world["bob"].contents, paper_keys(ENTROPY).id, phrase_of(ENTROPY))
    assert refused.value.code == "wrong-phrase"


def test_who_is_no_guardian_has_no_answer_in_a_split(world: World) -> None:
    anna = world["anna"]
    split(world, "Bob Kay", "Cleo Ray")
    world.settle()
    (made,) = splits.splits(anna.contents)
    peer = anna.peer_named("Dora Falk")
    channel = next(each for each in records.channels(anna.contents) if each.peer == peer)
    inbox = Inbox(Draft(anna.contents, anna.stamp()))
    splits.take_answer(inbox, channel, GuardAnswer(made.made, GuardState.KEPT, 0, 0))
    assert inbox.outcome.edit == {}


def test_of_very_many_words_in_one_parcel_only_the_newest_is_taken_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived(world)
    anna, bob = world["anna"], world["bob"]
    taken: list[int] = []

    def counting(inbox: Inbox, channel: records.Channel, word: Word) -> None:
        taken.append(word.made)
        read_word(inbox, channel, word)

    monkeypatch.setattr(bodies, "read_word", counting)
    anna_says(world, "bob", *(Guard(anna.now + n, b"") for n in range(256)))
    assert taken == [anna.now + 255]
    assert words_of(bob)
