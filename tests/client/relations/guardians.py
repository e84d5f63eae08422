"""Anna with her phrase, her three friends, and what a thief with her unlocked device can say."""

from __future__ import annotations

from functools import cache

from kith_client.relations import records
from kith_client.relations.guardians import guarding, splits
from kith_client.relations.guardians.guarding import guardings
from kith_client.relations.guardians.splits import list_guardians
from kith_protocol.encoding import encode_map
from kith_protocol.handshake import Established
from kith_protocol.parcel import Message, ParcelBody, ParcelContext, seal_parcel
from kith_protocol.persona import FIRST_NUMBER
from kith_protocol.phrase import root_key
from kith_protocol.relationship import Side, SlotKind, slot_of
from kith_protocol.splitting import candidates, read_share
from kith_protocol.wire import StoredParcel
from tests.client.relations.people import Person, World
from tests.protocol.people import fixed

ENTROPY, VAULT = fixed("anna's phrase"), fixed("anna's vault")
NAMES = ("Bob Kay", "Cleo Ray", "Dora Falk")
FRIENDS = ("bob", "cleo", "dora")


@cache
def acquainted() -> World:
    world = World.of("Anna Beck", *NAMES)
    anna = world["anna"]
    anna.root = root_key(ENTROPY)
    anna.renew_persona(FIRST_NUMBER)
    for friend in FRIENDS:
        world.connect("anna", friend)
    return world


def split(world: World, *names: str, needed: int = 2) -> None:
    """Anna splits her phrase among those named, or all three."""
    anna = world["anna"]
    peers = [anna.peer_named(name) for name in names or NAMES]
    anna.commit(splits.make_split(anna.contents, anna.stamp(), VAULT, ENTROPY, peers, needed))


def arrived(world: World) -> World:
    split(world)
    world.settle()
    return world


def states(anna: Person) -> dict[str, str]:
    names = {peer.id: peer.name.split()[0].lower() for peer in records.peers(anna.contents)}
    return {names[row.peer]: row.state for row in list_guardians(anna.contents)}


def kept(person: Person) -> guarding.Guarding | None:
    return guardings(person.contents).get(acquainted()["anna"].id)


def words_of(person: Person) -> str:
    found = kept(person)
    return found.words if found else ""


def opened(world: World, *friends: str) -> list[bytes]:
    """What the shares of these friends give together."""
    return [each.entropy for each in candidates([read_share(words_of(world[friend])) for friend in friends])]


def give(person: Person) -> str:
    edit, link = guarding.give(person.contents, person.stamp(), person.peer_named("Anna Beck"))
    person.commit(edit)
    return link.share.words


def _parcel(established: Established, messages: tuple[Message, ...], sequence: int) -> StoredParcel:
    side, to = Side(established.side), established.outbox
    slot = slot_of(established.rs, side.sends, SlotKind.GUARDIAN, b"\x00")
    context = ParcelContext(established.rs, established.relationship, side.sends, to.mailbox, slot, sequence)
    confirm = established.confirm if side is Side.ACCEPTER else b""
    body = ParcelBody(confirm=confirm, messages=messages)
    raw = seal_parcel(context, established.peer_seal_key, body, secret=fixed("secret"), nonce=fixed("nonce", 24))
    return StoredParcel(b"", slot, sequence, raw)


def anna_says(world: World, friend: str, *messages: Message) -> None:
    """What a thief with Anna's unlocked device says to a friend."""
    anna, to = world["anna"], world[friend]
    peer = anna.peer_named(to.name)
    channel = next(each for each in records.channels(anna.contents) if each.peer == peer and not each.ended)
    assert channel.established is not None
    parcel = _parcel(channel.established, messages, 1000)
    (theirs,) = (each for each in records.channels(to.contents) if not each.ended)
    to.take([StoredParcel(theirs.inbox.read_id, parcel.slot, parcel.sequence, parcel.parcel)])


def plain(person: Person) -> bytes:
    """Everything that stands in a vault, in clear."""
    return b"".join(encode_map(content.to_map()) for content in person.contents.values())
