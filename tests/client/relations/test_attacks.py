"""What servers, strangers and dishonest peers try against a relationship."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from kith_client.book import shares
from kith_client.book.contacts import add_contact
from kith_client.relations import bodies
from kith_client.relations.invites import list_invites
from kith_client.relations.joining import shortened
from kith_client.relations.peers import TheirLayer, list_peers
from kith_client.relations.records import Channel, channels, invites, own_persona, peers, persona_of, their_items
from kith_client.stamp import of_kind
from kith_protocol.encoding import encode
from kith_protocol.errors import Alarm, KithError, Refused
from kith_protocol.handshake import make_answer, make_finish, open_answer
from kith_protocol.invite import Invite, open_greeting, parse_link
from kith_protocol.mailbox import MailboxKind, new_mailbox
from kith_protocol.parcel import (
    Bye,
    Message,
    Moved,
    ParcelBody,
    ParcelContext,
    Rekey,
    Share,
    Withdraw,
    seal_parcel,
)
from kith_protocol.relationship import Side, SlotKind, slot_of
from kith_protocol.share import CardView, SharedPhoto, SharedProperty, ShareKind, make_share
from kith_protocol.suite import SealKey
from kith_protocol.wire import StoredParcel
from tests.client.relations.people import Person, World

PAIR = ("Anna Beck", "Bob Kay")
TRIO = (*PAIR, "Cleo Ray")


def refused(code: str) -> pytest.RaisesExc[KithError]:
    return pytest.RaisesExc((Refused, Alarm), check=lambda error: error.code == code)


def acquainted(*names: str) -> World:
    """The first invited each of the others, and all are connected."""
    world = World.of(*names)
    inviter, *others = world.people
    for other in others:
        world.connect(inviter, other)
    return world


def crafted(
    sender: Person,
    receiver: Person,
    messages: Sequence[Message],
    *,
    sequence: int = 50,
    confirm: bool = True,
    versions: Sequence[tuple[bytes, int]] = (),
    name: bytes = b"crafted",
) -> StoredParcel:
    """A parcel that the real `sender` could make with a program of their own."""
    channel = channel_with(sender, receiver)
    mine = channel.established
    assert mine is not None
    side = Side(mine.side)
    slot = slot_of(mine.rs, side.sends, SlotKind.ITEM, name)
    context = ParcelContext(mine.rs, mine.relationship, side.sends, mine.outbox.mailbox, slot, sequence)
    mac = mine.confirm if confirm and side is Side.ACCEPTER else b""
    body = ParcelBody(tuple(versions), (), mac, tuple(messages))
    raw = seal_parcel(context, mine.peer_seal_key, body, secret=sender.random(32), nonce=sender.random(24))
    return StoredParcel(channel_with(receiver, sender).inbox.read_id, slot, sequence, raw)


def channel_with(person: Person, other: Person) -> Channel:
    return next(c for c in channels(person.contents) if c.established and c.established.peer == other.id)


def card_with(text: str) -> CardView:
    return CardView((SharedProperty("", "NOTE", (), text),))


def last_parcel_to(person: Person, other: Person) -> StoredParcel:
    """The newest parcel of `other` that ever lay in this person's mailbox."""
    read_id = channel_with(person, other).inbox.read_id
    return [stored for stored in person.server.seen if stored.mailbox == read_id][-1]


# The server at which a greeting lies


@pytest.mark.parametrize("damage", ["flip", "short", "empty", "other", "zero"])
def test_a_greeting_that_the_inviter_did_not_make_raises_an_alarm(damage: str) -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    link, other = anna.invite().link, anna.invite().link
    link_id, other_id = parse_link(link).link_id, parse_link(other).link_id
    real = anna.server.greetings[link_id]
    anna.server.greetings[link_id] = {
        "flip": real[:5000] + bytes([real[5000] ^ 1]) + real[5001:],
        "short": real[:-1],
        "empty": b"",
        "other": anna.server.greetings[other_id],
        "zero": real[:1] + bytes(len(real) - 1),
    }[damage]
    with refused("greeting-forged"):
        bob.accept(link, anna.server)
    assert bob.states() == []


def test_a_greeting_of_another_suite_raises_an_alarm() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    link = anna.invite().link
    link_id = parse_link(link).link_id
    anna.server.greetings[link_id] = b"\x00" + anna.server.greetings[link_id][1:]
    with pytest.raises(Alarm):
        bob.accept(link, anna.server)


@pytest.mark.parametrize("link", ["", "kith:anna.example", "kith:anna.example#1.short", "https://a b/i#1." + "A" * 64])
def test_a_damaged_link_is_refused_and_never_repeated(link: str) -> None:
    world = World.of(*PAIR)
    with pytest.raises(Refused) as caught:
        world["bob"].accept(link, world["anna"].server)
    assert not link or link not in str(caught.value)


# Answers


def forged_answer(stranger: Person, invite: Invite, link: str, greeting: bytes, now: int, name: str = "Eve") -> bytes:
    """An answer by somebody who holds what `link` opens, made out for `invite`."""
    opened = open_greeting(parse_link(link), greeting, now)
    inbox = new_mailbox(stranger.host, b"F" * 16, stranger.random(64))
    secrets = {"seal_seed": stranger.random(32), "secret": stranger.random(32), "nonce": stranger.random(24)}
    return make_answer(invite, opened, own_persona(stranger.contents), name, inbox=inbox, **secrets)[0]  # type: ignore[arg-type]


def answers_box(anna: Person, link: str) -> bytes:
    write_id = parse_link(link).mailbox.mailbox
    return anna.server.boxes[write_id].owner.read_id


def test_an_answer_by_the_server_without_the_secret_is_refused() -> None:
    world = World.of("Anna Beck", "Eve Low")
    anna, eve = world["anna"], world["eve"]
    link = anna.invite().link
    real = parse_link(link)
    # Even with the greeting's plaintext, which it cannot have, a server lacks the secret.
    guessed = Invite(real.host, eve.random(32), real.fingerprint)
    raw = forged_answer(eve, guessed, link, anna.server.greetings[real.link_id], anna.now)
    taken = anna.take([StoredParcel(answers_box(anna, link), b"s" * 16, 1, raw)])
    assert taken.edit == {}
    assert taken.handled == ()
    assert anna.states() == []


def test_an_answer_that_replays_the_greeting_of_another_invite_is_refused() -> None:
    world = World.of("Anna Beck", "Eve Low")
    anna, eve = world["anna"], world["eve"]
    one, other = anna.invite().link, anna.invite().link
    greeting = anna.server.greetings[parse_link(one).link_id]
    for invite in (parse_link(one), parse_link(other)):
        raw = forged_answer(eve, invite, one, greeting, anna.now)
        taken = anna.take([StoredParcel(answers_box(anna, other), b"s" * 16, 1, raw)])
        assert (taken.edit, taken.handled) == ({}, ())


def test_an_answer_that_was_signed_for_somebody_else_is_refused() -> None:
    world = World.of("Anna Beck", "Eve Low", "Cleo Ray")
    anna, eve, cleo = world["anna"], world["eve"], world["cleo"]
    link = anna.invite().link
    invite = parse_link(link)
    opened = open_greeting(invite, anna.server.greetings[invite.link_id], anna.now)
    misled = replace(opened, persona=persona_of(own_persona(cleo.contents).raw))
    inbox = new_mailbox(eve.host, b"F" * 16, eve.random(64))
    me = own_persona(eve.contents)
    seed, secret, nonce = eve.random(32), eve.random(32), eve.random(24)
    raw, _ = make_answer(invite, misled, me, "Eve", seal_seed=seed, inbox=inbox, secret=secret, nonce=nonce)
    taken = anna.take([StoredParcel(answers_box(anna, link), b"s" * 16, 1, raw)])
    assert len(taken.handled) == 1
    assert "in another person's name" in anna.issues[-1]
    assert peers(anna.contents) == []
    assert [row.state for row in list_invites(anna.contents, anna.now)] == ["open"]


def test_an_answer_under_keys_that_were_replaced_is_refused_and_told() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    stolen = dict(bob.contents)
    bob.renew_persona(2)
    world.connect("anna", "bob")
    anna.take([crafted(bob, anna, [Bye()])])
    thief = Person("Bob Kay", bob.server, bob.rng, stolen, now=bob.now)
    thief.accept(anna.invite().link, anna.server)
    (answer,) = thief.to_send()
    anna.server.put(answer.put)
    taken = anna.fetch()
    assert len(taken.handled) == len(taken.issues) == 1
    assert "newer" in taken.issues[0]
    assert anna.states() == ["ended"]
    assert [row.state for row in list_invites(anna.contents, anna.now)] == ["used", "open"]


def test_whoever_has_a_used_link_can_cause_a_few_issues_and_no_more() -> None:
    world = World.of("Anna Beck", "Bob Kay", "Eve Low")
    anna, bob, eve = world["anna"], world["bob"], world["eve"]
    link = anna.invite().link
    greeting = anna.server.greetings[parse_link(link).link_id]
    box = answers_box(anna, link)
    bob.accept(link, anna.server)
    world.settle()
    for number in range(7):
        raw = forged_answer(eve, parse_link(link), link, greeting, anna.now, f"Eve the {number}th")
        assert len(anna.take([StoredParcel(box, bytes([number]) * 16, 1, raw)]).handled) == 1
    assert len(of_kind(anna.contents, "issue")) == 4
    assert len(list_peers(anna.contents)) == 1


def test_an_answer_for_a_contact_that_is_another_persons_by_now_is_an_alarm() -> None:
    world = World.of(*TRIO)
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    edit, known = add_contact(anna.stamp(), "Somebody")
    anna.commit(edit)
    link = anna.invite(contact=known).link
    anna.accept(cleo.invite().link, cleo.server, contact=known)
    bob.accept(link, anna.server)
    world.settle()
    assert [row.name for row in list_peers(anna.contents)] == ["Cleo Ray"]
    (issue,) = of_kind(anna.contents, "issue").values()
    assert issue.value("kind") == "alarm"
    assert bob.states() == ["answered"]


def test_ones_own_answer_sent_back_is_refused() -> None:
    world = World.of(*PAIR)
    anna = world["anna"]
    link = anna.invite().link
    bob = world["bob"]
    bob.accept(link, anna.server)
    (answer,) = bob.to_send()
    mine = channels(bob.contents)[0].inbox.read_id
    assert bob.take([StoredParcel(mine, answer.put.slot, 1, answer.put.parcel)]).edit == {}
    assert bob.states() == ["answered"]


def test_answers_that_do_not_open_do_not_stop_the_real_one() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    link = anna.invite().link
    box = answers_box(anna, link)
    bob.accept(link, anna.server)
    (answer,) = bob.to_send()
    junk = [StoredParcel(box, bytes([n]) * 16, 1, anna.random(14848)) for n in range(2)]
    junk.append(StoredParcel(box, b"x" * 16, 1, b"short"))
    real = StoredParcel(box, answer.put.slot, 1, answer.put.parcel)
    taken = anna.take([*junk, real])
    assert len(taken.handled) == 1
    assert anna.states() == ["finished"]


def test_a_finish_in_the_inviters_name_is_refused_and_told() -> None:
    """By somebody who has all of the inviter's vault but her persona's keys, so that it opens."""
    world = World.of(*PAIR, "Eve Low")
    anna, bob, eve = world["anna"], world["bob"], world["eve"]
    bob.accept(anna.invite().link, anna.server)
    (out,) = bob.to_send()
    (invite,) = invites(anna.contents)
    answer = open_answer(invite.own, out.put.parcel, own_persona(anna.contents))
    seed, secret, nonce = eve.random(32), eve.random(32), eve.random(24)
    mailbox = new_mailbox(eve.host, b"F" * 16, eve.random(64))
    me = own_persona(eve.contents)
    raw, _ = make_finish(invite.own, answer, me, seal_seed=seed, inbox=mailbox, secret=secret, nonce=nonce)
    (channel,) = channels(bob.contents)
    bob.take([StoredParcel(channel.inbox.read_id, b"s" * 16, 1, raw)])
    assert bob.states() == ["answered"]
    assert "take the place of a person who invited you" in bob.issues[-1]
    world.settle()
    assert bob.states() == ["connected"]


def test_a_finish_by_a_stranger_is_refused() -> None:
    world = World.of(*TRIO)
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    bob.accept(anna.invite().link, anna.server)
    cleo.accept(anna.invite().link, anna.server)
    world.sync(bob)
    world.sync(cleo)
    anna.fetch()
    finishes = [out for out in anna.to_send() if out.what == "finish"]
    box = channels(bob.contents)[0].inbox.read_id
    for out in finishes:
        if out.host != bob.host:
            assert bob.take([StoredParcel(box, out.put.slot, 1, out.put.parcel)]).edit == {}
    assert bob.take([StoredParcel(box, b"s" * 16, 1, bob.random(14848))]).edit == {}
    assert bob.states() == ["answered"]


def test_the_inviter_reads_nothing_before_the_accepter_confirmed() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    bob.accept(anna.invite().link, anna.server)
    for person in (bob, anna, bob):
        world.sync(person)
    assert anna.states() == ["finished"]
    unconfirmed = crafted(bob, anna, [make_share(b"i" * 16, 50, card_with("too early"))], confirm=False)
    assert anna.take([unconfirmed]).edit == {}
    assert anna.states() == ["finished"]
    taken = anna.take([unconfirmed, *anna.server.fetch(anna.read_ids())])
    assert len(taken.handled) == 2, "once confirmed, what waited is read as well"
    assert anna.states() == ["connected"]


# Parcels


def test_a_replayed_older_share_is_ignored() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    old = last_parcel_to(bob, anna)
    anna.set_card("fn", "Anna Beck-Low")
    world.settle()
    before = bob.sees_of_contact()
    taken = bob.take([old])
    assert taken.edit == {}
    assert len(taken.handled) == 1
    assert bob.sees_of_contact() == before == ["Anna Beck-Low"]


def test_what_was_withdrawn_does_not_come_back_by_an_old_parcel() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    edit, dora = add_contact(anna.stamp(), "Dora Quist")
    anna.commit(edit)
    peer = anna.peer_named("Bob Kay")
    anna.commit(shares.share(anna.contents, anna.stamp(), dora, peer))
    world.settle()
    old = last_parcel_to(bob, anna)
    assert [card.label for card in TheirLayer(bob.contents).cards()] == ["Dora Quist"]
    anna.commit(shares.unshare(anna.contents, anna.stamp(), dora, peer))
    world.settle()
    assert TheirLayer(bob.contents).cards() == []
    assert bob.take([old]).edit == {}
    assert TheirLayer(bob.contents).cards() == []


def test_a_parcel_from_another_relationship_does_not_open() -> None:
    world = acquainted(*TRIO)
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    box = channel_with(anna, bob).inbox.read_id
    cleos = last_parcel_to(anna, cleo)
    taken = anna.take([StoredParcel(box, cleos.slot, cleos.sequence, cleos.parcel)])
    assert (taken.edit, taken.handled, taken.issues) == ({}, (), ())


def test_a_parcel_moved_to_another_slot_or_sequence_does_not_open() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    real = last_parcel_to(anna, bob)
    for slot, sequence in ((b"s" * 16, real.sequence), (real.slot, real.sequence + 1)):
        taken = anna.take([StoredParcel(real.mailbox, slot, sequence, real.parcel)])
        assert (taken.edit, taken.handled) == ({}, ())


def test_a_parcel_turned_back_on_its_sender_does_not_open() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    sent = last_parcel_to(bob, anna)
    box = channel_with(anna, bob).inbox.read_id
    assert anna.take([StoredParcel(box, sent.slot, sent.sequence, sent.parcel)]).handled == ()


def test_garbage_in_a_mailbox_does_not_stop_the_others() -> None:
    world = acquainted(*TRIO)
    anna, bob, cleo = world["anna"], world["bob"], world["cleo"]
    box = channel_with(anna, bob).inbox.read_id
    sizes = (0, 1, 2560, 14848, 64000, 260608)
    junk = [StoredParcel(box, bytes([n]) * 16, n, anna.random(size)) for n, size in enumerate(sizes, 1)]
    junk.append(StoredParcel(b"?" * 16, b"s" * 16, 1, anna.random(2560)))
    junk.append(StoredParcel(box, b"s" * 16, 1, b"\x02" + anna.random(2559)))
    real = crafted(cleo, anna, [make_share(b"i" * 16, 50, card_with("real"))])
    taken = anna.take([*junk, real])
    assert len(taken.handled) == 1
    assert any(item.version == 50 for item in their_items(anna.contents))


def test_an_equal_version_with_other_content_is_refused() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    item = b"i" * 16
    anna.take([crafted(bob, anna, [make_share(item, 3, card_with("one"))], sequence=3)])
    before = dict(anna.contents)
    for other in (make_share(item, 3, card_with("two")), Withdraw(item, 3)):
        taken = anna.take([crafted(bob, anna, [other], sequence=4)])
        assert len(taken.handled) == 1
        assert not [record for record in taken.edit if taken.edit[record] and before.get(record)]
    (issue,) = of_kind(anna.contents, "issue").values()
    assert issue.value("kind") == "alarm"
    assert "two different things" in str(issue.value("text"))


def test_a_refused_message_does_not_stop_the_others_of_its_parcel() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    broken = Share(b"b" * 16, 1, int(ShareKind.NOTE), b"\xc1")
    good = make_share(b"g" * 16, 1, card_with("good"))
    taken = anna.take([crafted(bob, anna, [broken, good])])
    assert [item.item for item in their_items(anna.contents) if item.version == 1 and item.item == b"g" * 16]
    assert not [item for item in their_items(anna.contents) if item.item == b"b" * 16]
    assert len(taken.issues) == 1


def test_a_peer_cannot_cause_more_than_a_few_issues() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    for number in range(1, 9):
        kinds = (Share(b"b" * 16, number, int(ShareKind.NOTE), b"\xc1"), Share(b"b" * 16, 1, 1, b"\xc1"))
        anna.take([crafted(bob, anna, kinds, sequence=number)])
    assert len(of_kind(anna.contents, "issue")) <= 4


def test_a_peer_cannot_fill_the_vault_with_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_KEPT_ITEMS", 5)
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    many: list[Message] = [Withdraw(bytes([n]) * 16, 1) for n in range(20)]
    announced = [(bytes([n]) * 16, 9) for n in range(100, 120)]
    taken = anna.take([crafted(bob, anna, many, versions=announced)])
    assert len(taken.handled) == 1
    assert len(their_items(anna.contents)) == 5
    assert list_peers(anna.contents)[0].missing == 5


def test_a_peer_cannot_fill_the_vault_with_large_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_KEPT_BYTES", 10_000)
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    large: list[Message] = [make_share(bytes([n]) * 16, 1, card_with("x" * 4000)) for n in range(6)]
    taken = anna.take([crafted(bob, anna, large)])
    assert len(taken.issues) == 1
    assert sum(len(item.payload or b"") for item in their_items(anna.contents)) < 10_000


def test_properties_that_are_none_are_not_shown() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    names = ("BEGIN", "A B", "X\r\nEND:VCARD", "")
    bad = [SharedProperty("", name, (), "x") for name in names if name]
    bad += [SharedProperty("", "FN", (), "Eve\r\nEND:VCARD"), SharedProperty("a.b", "FN", (), "x")]
    bad += [SharedProperty("", "FN", (("a b", ("c",)),), "x"), SharedProperty("", "TITLE", (), "fine")]
    item = channel_with(bob, anna).items
    place = next(key for key, mine in item.items() if mine.ref == "card")
    anna.take([crafted(bob, anna, [make_share(place, 50, CardView(tuple(bad)))])])
    assert anna.sees_of_contact() == ["fine"]


@pytest.mark.parametrize(
    ("said", "data"),
    [("image/svg+xml", b"<svg onload='x()'/>"), ("image/png", b"<svg onload='x()'/>"), ("image/png", b"\xff\xd8\xff")],
)
def test_a_photo_that_is_no_picture_is_not_shown(said: str, data: bytes) -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    anna.take([crafted(bob, anna, [make_share(b"p" * 16, 1, SharedPhoto(b"c" * 16, said, data))])])
    assert TheirLayer(anna.contents).photo(hashlib.sha256(data).digest()) is None


def test_a_share_of_an_unknown_kind_is_kept_and_not_shown() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    taken = anna.take([crafted(bob, anna, [Share(b"n" * 16, 1, 99, b"whatever")])])
    assert taken.issues == ()
    (item,) = [item for item in their_items(anna.contents) if item.item == b"n" * 16]
    assert (item.kind, item.payload) == (99, b"whatever")
    assert TheirLayer(anna.contents).notes() == []


def test_a_withheld_item_shows_because_later_parcels_name_its_version() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    edit, dora = add_contact(anna.stamp(), "Dora Quist")
    anna.commit(edit)
    anna.commit(shares.share(anna.contents, anna.stamp(), dora, anna.peer_named("Bob Kay")))
    withheld, *_ = anna.to_send()
    anna.set_card("fn", "Anna B.")
    (card,) = [out for out in anna.to_send() if out.what != withheld.what]
    world.deliver(anna, card)
    bob.fetch()
    assert list_peers(bob.contents)[0].missing == 1
    world.deliver(anna, withheld)
    bob.fetch()
    assert list_peers(bob.contents)[0].missing == 0


def test_a_farewell_ends_the_relationship_and_later_parcels_change_nothing() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    late = crafted(bob, anna, [make_share(b"i" * 16, 60, card_with("late"))], sequence=60)
    assert len(anna.take([crafted(bob, anna, [Bye()])]).handled) == 1
    assert anna.states() == ["ended"]
    assert list_peers(anna.contents) == []
    assert anna.take([late]).edit == {}
    anna.set_card("title", "gone", "work")
    assert anna.to_send() == []
    left = [box.owner.kind for box in anna.server.boxes.values()]
    assert sorted(left) == [MailboxKind.ANSWERS, MailboxKind.RETIRED], "no parcel is taken, only what a root says"
    anna.now += 181 * 24 * 3600 * 1000
    anna.serve()
    assert anna.server.boxes == {}


def test_a_new_key_and_mailbox_are_used_and_an_older_announcement_is_ignored() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    first, second, third = (new_mailbox(f"bob{n}.example", b"G" * 16, bob.random(64)).address for n in range(3))
    key = SealKey(bob.random(32)).public
    rekeyed = crafted(bob, anna, [Rekey(key, second)], sequence=7, name=b"rekey")
    anna.take([rekeyed])
    anna.take([crafted(bob, anna, [Moved(first)], sequence=6, name=b"moved")])
    kept = channel_with(anna, bob).established
    assert kept is not None
    assert (kept.outbox, kept.peer_seal_key) == (second, key)
    assert list_peers(anna.contents)[0].host == "bob1.example"
    anna.take([crafted(bob, anna, [Moved(third)], sequence=8, name=b"moved"), rekeyed])
    kept = channel_with(anna, bob).established
    assert kept is not None
    assert (kept.outbox, kept.peer_seal_key) == (third, key)


def test_an_unusable_new_key_is_refused() -> None:
    world = acquainted(*PAIR)
    anna, bob = world["anna"], world["bob"]
    address = new_mailbox("bob.example", b"G" * 16, bob.random(64)).address
    taken = anna.take([crafted(bob, anna, [Rekey(bytes(1216), address)])])
    assert (taken.edit, taken.handled) == ({}, ())


# What must not leak


def test_nothing_printed_by_accident_shows_a_secret() -> None:
    world = World.of(*PAIR)
    anna, bob = world["anna"], world["bob"]
    new = anna.invite()
    token = new.link.partition("#")[2]
    accepted = bob.accept(new.link, anna.server)
    (answer,) = bob.to_send()
    from kith_client.relations.records import invites

    shown = repr((new, list_invites(anna.contents, anna.now), invites(anna.contents), answer))
    shown += repr(channels(bob.contents)) + accepted.event
    assert token not in shown
    secret = parse_link(new.link).secret
    assert repr(secret) not in shown
    assert repr(secret)[2:-1] not in shown


def test_names_are_cut_between_characters() -> None:
    assert shortened("short", 64) == "short"
    for size in range(4, 40):
        cut = shortened("aé漢🙂" * 20, size)
        assert len(cut.encode()) <= size
        assert cut.endswith("…")


def test_a_payload_is_the_same_bytes_on_two_devices() -> None:
    world = acquainted(*PAIR)
    anna = world["anna"]
    anna.set_card("email", "a@b.example", "work")
    anna.set_card("tel", "1", "work")
    from kith_client.relations.payloads import wanted
    from kith_client.relations.records import peers

    (peer,) = peers(anna.contents)
    again = dict(reversed(list(anna.contents.items())))
    one, two = wanted(anna.contents, peer).payloads, wanted(again, peer).payloads
    assert [encode(p) for p in one.values() if isinstance(p, CardView)] == [
        encode(p) for p in two.values() if isinstance(p, CardView)
    ]
