"""Anna, who knows Bob and Carla, who do not know each other; and what shows how they stand."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache

from kith_client.relations.introductions.records import Introduction, introducings, introductions
from kith_client.relations.peers import PeerRow, list_peers
from kith_client.relations.records import Channel, channels
from kith_protocol.introduction import IntroduceAnswer, IntroduceInvite, makes_invite
from kith_protocol.parcel import Message, ParcelBody, ParcelContext, seal_parcel
from kith_protocol.relationship import Side, SlotKind, slot_of
from kith_protocol.wire import StoredParcel
from tests.client.relations.people import Person, World

ANNA, BOB, CARLA, DORA = "Anna Beck", "Bob Kay", "Carla Ruiz", "Dora Falk"
DAY = 24 * 3600 * 1000


@cache
def _acquaintances(*introducers: str) -> World:
    world = World.of(ANNA, BOB, CARLA, DORA)
    for who in introducers:
        world.connect(who, "bob")
        world.connect(who, "carla")
    return world


def acquaintances(*introducers: str) -> World:
    """A world of its own in which each of these (Anna, unless others are named) knows Bob and Carla."""
    return copy.deepcopy(_acquaintances(*(introducers or ("anna",))))


def introduced(world: World, text: str = "You both fence.") -> World:
    """Anna introduced Bob and Carla, and both have read it."""
    world["anna"].introduce(BOB, CARLA, text)
    world.settle()
    return world


def maker_and_other(world: World) -> tuple[Person, Person]:
    """Who of Bob and Carla makes the invite, and who accepts it."""
    bob, carla = world["bob"], world["carla"]
    return (bob, carla) if makes_invite(bob.id, carla.id) else (carla, bob)


def row_of(person: Person, other: Person) -> PeerRow | None:
    """How `other` stands in the list of peers; None where they are not in it."""
    return next((row for row in list_peers(person.contents) if row.id == other.id.hex()), None)


def are_connected(one: Person, other: Person) -> bool:
    """Whether both are peers of each other, with one shared secret."""
    secrets = {c.established.rs for c in (*_standing(one, other), *_standing(other, one)) if c.established}
    return len(_standing(one, other)) == len(_standing(other, one)) == len(secrets) == 1


def know_nothing_of_each_other(one: Person, other: Person) -> bool:
    """Whether no handshake between the two was ever begun, on either side."""
    return not _with(one, other) and not _with(other, one)


def the_introduction(person: Person) -> Introduction:
    """The only one that was made to this person."""
    (each,) = introductions(person.contents)
    return each


def introduction_id(introducer: Person) -> bytes:
    """The id of the only introduction that this person made."""
    (each,) = introducings(introducer.contents)
    return each.introduction


def said_by(sender: Person, receiver: Person, message: Message, sequence: int = 9) -> StoredParcel:
    """A parcel that `sender`, with a program of their own, puts into the slot of an introduction."""
    channel = next(c for c in _standing(sender, receiver))
    mine = channel.established
    assert mine is not None
    name = getattr(message, "introduction", b"")
    slot = slot_of(mine.rs, Side(mine.side).sends, SlotKind.INTRODUCE, name)
    context = ParcelContext(mine.rs, mine.relationship, Side(mine.side).sends, mine.outbox.mailbox, slot, sequence)
    confirm = mine.confirm if Side(mine.side) is Side.ACCEPTER else b""
    body = ParcelBody(confirm=confirm, messages=(message,))
    raw = seal_parcel(context, mine.peer_seal_key, body, secret=sender.random(32), nonce=sender.random(24))
    inbox = next(c for c in _standing(receiver, sender)).inbox
    return StoredParcel(inbox.read_id, slot, sequence, raw)


def tell(sender: Person, receiver: Person, messages: Sequence[Message]) -> list[str]:
    """Lets the receiver take such parcels in; the issues that come of it."""
    before = len(receiver.issues)
    for message in messages:
        receiver.take([said_by(sender, receiver, message)])
    return receiver.issues[before:]


def agreed(introduction: bytes) -> IntroduceAnswer:
    return IntroduceAnswer(introduction, True)


def link_of(maker: Person) -> IntroduceInvite:
    """The invite that this person made for the only introduction."""
    each = the_introduction(maker)
    assert each.invite is not None
    own = next(i for i in _invites(maker) if i.id == each.invite).own
    return IntroduceInvite(each.introduction, own.host, own.secret, own.fingerprint)


def _invites(person: Person):  # type: ignore[no-untyped-def]
    from kith_client.relations.records import invites

    return invites(person.contents)


def _with(one: Person, other: Person) -> list[Channel]:
    mine = {peer.record for peer in list_peers(one.contents) if peer.id == other.id.hex()}
    records = [r for r, c in one.contents.items() if c.kind == "peer" and c.value("person") == other.id]
    return [c for c in channels(one.contents) if c.peer in {*mine, *records}]


def _standing(one: Person, other: Person) -> list[Channel]:
    return [c for c in _with(one, other) if c.established is not None and not c.ended]
