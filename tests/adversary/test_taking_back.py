"""What was withdrawn, unshared or ended is gone from the other's program, and a server that kept the old parcels cannot
bring it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from kith_client.book import grants, shares
from kith_client.relations import records
from kith_client.relations.ending import block_peer, end_relationship
from kith_client.relations.peers import list_peers
from kith_protocol.encoding import decode, encode, encode_map
from kith_protocol.wire import ParcelPage, StoredParcel
from tests.adversary.friends import MAIL, Friends, notes_told, set_mail, share_note, told
from tests.adversary.world import Device

NOTE = "met at PyCon"


@dataclass
class Keeper:
    """Bob's server keeps every parcel that it ever gave, and gives those up to a moment again when told to."""

    replays: int = 0
    """How many of them; without those that came after, which would put everything right."""
    kept: list[StoredParcel] = field(default_factory=list)

    def answer(self, method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if method != "GET" or not path.endswith("/parcels"):
            return status, body
        page = decode(body, ParcelPage)
        self.kept += [parcel for parcel in page.parcels if parcel not in self.kept]
        again = tuple(self.kept[: self.replays]) if self.replays and not page.parcels else page.parcels
        return status, encode(ParcelPage(again, page.cursor))


@pytest.fixture
def keeper(friends: Friends) -> Keeper:
    keeper = Keeper()
    friends.bob_site.proxy.answer = keeper.answer
    return keeper


def holds(device: Device, text: str) -> bool:
    """Whether any record of the vault has the text in it, shown or not."""
    return any(text.encode() in encode_map(content.to_map()) for content in device.vault.contents.values())


def the_peer(device: Device) -> bytes:
    (peer,) = records.peers(device.vault.contents)
    return peer.id


async def withdraw_the_facet(anna: Device) -> None:
    target = grants.Target("peer", (the_peer(anna),), "Bob")
    await anna.apply(grants.withdraw(anna.vault.contents, anna.vault.stamp(), target, "work"))


async def unshare_the_note(anna: Device) -> None:
    (note,) = records.peers(anna.vault.contents)[0].shares
    await anna.apply(shares.unshare(anna.vault.contents, anna.vault.stamp(), note, the_peer(anna)))


async def delete_the_note(anna: Device) -> None:
    (note,) = records.peers(anna.vault.contents)[0].shares
    await anna.apply({note: None})


async def say_farewell(anna: Device) -> None:
    await anna.apply(end_relationship(anna.vault.contents, anna.vault.stamp(), the_peer(anna)))


Act = Callable[[Device], Awaitable[None]]


@pytest.mark.parametrize(
    ("act", "gone"),
    [
        (withdraw_the_facet, [MAIL]),
        (unshare_the_note, [NOTE]),
        (delete_the_note, [NOTE]),
        (say_farewell, [MAIL, NOTE]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_was_taken_back_vanishes_from_the_peers_vault_and_no_old_parcel_brings_it_back(
    friends: Friends, keeper: Keeper, act: Act, gone: list[str]
) -> None:
    anna, bob = friends.anna, friends.bob
    await set_mail(anna, MAIL)
    await share_note(anna, NOTE)
    await anna.sync()
    await bob.sync()
    assert (told(bob), notes_told(bob)) == ([MAIL], [NOTE])
    assert all(holds(bob, text) for text in gone)
    old = len(keeper.kept)
    await act(anna)
    await anna.sync()
    await bob.sync()
    assert not [text for text in gone if holds(bob, text)]
    keeper.replays = old
    for _ in range(2):
        await bob.sync()
    assert len(keeper.kept) > old > 0
    assert not [text for text in gone if holds(bob, text)]
    kept = {MAIL, NOTE} - set(gone)
    assert {*told(bob), *notes_told(bob)} == kept


async def test_nothing_of_whoever_is_blocked_is_shown_or_taken_in_any_more(friends: Friends, keeper: Keeper) -> None:
    anna, bob = friends.anna, friends.bob
    await share_note(anna, NOTE)
    await anna.sync()
    await bob.sync()
    assert (told(bob), notes_told(bob)) == ([MAIL], [NOTE])
    await bob.apply(block_peer(bob.vault.contents, bob.vault.stamp(), the_peer(bob)))
    assert (told(bob), notes_told(bob)) == ([], []), "at once, before any sync"
    await set_mail(anna, "new@work.example")
    await anna.sync()
    await bob.sync()
    keeper.replays = len(keeper.kept)
    await bob.sync()
    assert (told(bob), notes_told(bob), list_peers(bob.vault.contents)) == ([], [], [])
    assert not [text for text in (MAIL, NOTE, "new@work.example") if holds(bob, text)]


async def test_whoever_forgets_a_peer_has_nothing_of_it_left(friends: Friends, keeper: Keeper) -> None:
    anna, bob = friends.anna, friends.bob
    await share_note(anna, NOTE)
    await anna.sync()
    await bob.sync()
    assert holds(bob, MAIL)
    assert holds(bob, NOTE)
    await say_farewell(bob)
    assert told(bob) == []
    await bob.sync()
    keeper.replays = len(keeper.kept)
    assert keeper.replays
    await bob.sync()
    assert (told(bob), notes_told(bob), list_peers(bob.vault.contents)) == ([], [], [])
    assert not holds(bob, MAIL)
    assert not holds(bob, NOTE)
