"""A server that lies about what lies in a mailbox: parcels replayed, reordered, withheld, moved or altered."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import pytest

from kith_client.book import grants
from kith_client.relations import records
from kith_client.sync import inboxes, run
from kith_client.sync.befriend import accept_invite
from kith_protocol.content import Unit
from kith_protocol.encoding import decode, encode
from kith_protocol.gateway import Put, PutStatus, make_request, open_put_answer, request_hash, seal_request
from kith_protocol.mailbox import sign_put
from kith_protocol.padding import INNER_CLASSES
from kith_protocol.server_statement import verify_server_statement
from kith_protocol.wire import ParcelPage, StoredParcel
from tests.adversary.friends import MAIL, Friends, notes_told, set_mail, share_note, told
from tests.adversary.world import Device

Parcels = list[StoredParcel]


@dataclass
class Liar:
    """Stands between Bob and his mailboxes; may keep parcels that Bob has deleted."""

    lie: Callable[[Parcels], Parcels] = lambda parcels: parcels
    kept: Parcels = field(default_factory=list)
    """Every parcel that ever passed, in order of arrival."""

    def answer(self, method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if method != "GET" or not path.endswith("/parcels"):
            return status, body
        page = decode(body, ParcelPage)
        self.kept += [parcel for parcel in page.parcels if parcel not in self.kept]
        return status, encode(ParcelPage(tuple(self.lie(list(page.parcels))), page.cursor))


def _instead(replayed: Parcels, _true: Parcels) -> Parcels:
    return replayed


@pytest.fixture
def liar(friends: Friends) -> Liar:
    """Honest until its `lie` is set."""
    liar = Liar()
    friends.bob_site.proxy.answer = liar.answer
    return liar


async def test_an_old_version_that_comes_again_changes_nothing(friends: Friends, liar: Liar) -> None:
    anna, bob = friends.anna, friends.bob
    for address in ("one@work.example", "two@work.example"):
        await set_mail(anna, address)
        await anna.sync()
        await bob.sync()
    assert len(liar.kept) == 2
    before = without_told(bob)
    for replayed in (liar.kept[:1], liar.kept, liar.kept[::-1], liar.kept * 3):
        liar.lie = partial(_instead, list(replayed))
        await bob.sync()
        assert told(bob) == ["two@work.example"]
        assert without_told(bob) == before
        assert bob.channel.mine.told.sequence <= 1  # who repeats itself is answered, at most once a day


def without_told(device: Device) -> dict[bytes, dict[str, Unit]]:
    """Everything but what the device remembers of its own answers."""
    contents = device.vault.contents
    return {record: {k: u for k, u in content.units.items() if k != "told"} for record, content in contents.items()}


async def test_parcels_in_any_order_come_to_the_same(friends: Friends, liar: Liar) -> None:
    anna, bob = friends.anna, friends.bob
    await set_mail(anna, "one@work.example")
    await share_note(anna, "met at PyCon")
    await share_note(anna, "wants to try fencing")
    await anna.sync()
    liar.lie = lambda parcels: parcels[::-1]
    assert (await bob.sync()).parcels_in == 3
    assert told(bob) == ["one@work.example"]
    assert notes_told(bob) == ["met at PyCon", "wants to try fencing"]


async def test_a_withheld_parcel_is_noticed_and_everything_else_comes(friends: Friends, liar: Liar) -> None:
    """Each parcel says which versions are current; the one that is missing shows."""
    anna, bob = friends.anna, friends.bob
    note = await share_note(anna, "met at PyCon")
    await anna.sync()
    liar.lie = lambda _parcels: []
    await bob.sync()
    (withheld,) = liar.kept
    liar.lie = lambda parcels: [parcel for parcel in parcels if parcel != withheld]
    await set_mail(anna, "new@work.example")
    await anna.sync()
    await bob.sync()
    assert told(bob) == ["new@work.example"]
    assert notes_told(bob) == []
    assert list(bob.channel.announced.values()) == [1]
    assert note.hex() not in str(bob.channel.announced), "what a peer is told must not name the sender's records"
    liar.lie = lambda parcels: parcels
    await bob.sync()
    assert notes_told(bob) == ["met at PyCon"]
    assert bob.channel.announced == {}


async def test_a_withdrawal_that_is_withheld_is_noticed(friends: Friends, liar: Liar) -> None:
    anna, bob = friends.anna, friends.bob
    (peer,) = records.peers(anna.vault.contents)
    target = grants.Target("peer", (peer.id,), "Bob")
    await anna.apply(grants.withdraw(anna.vault.contents, anna.vault.stamp(), target, "work"))
    await anna.sync()
    liar.lie = lambda _parcels: []
    await bob.sync()
    assert told(bob) == [MAIL], "nothing came"
    await share_note(anna, "met at PyCon")
    await anna.sync()
    (withheld,) = liar.kept
    liar.lie = lambda parcels: [parcel for parcel in parcels if parcel != withheld]
    await bob.sync()
    assert notes_told(bob) == ["met at PyCon"]
    assert len(bob.channel.announced) == 1
    liar.lie = lambda parcels: parcels
    await bob.sync()
    assert told(bob) == []


Alter = Callable[[StoredParcel], StoredParcel]


def _bits(parcel: StoredParcel) -> StoredParcel:
    raw = parcel.parcel
    return StoredParcel(parcel.mailbox, parcel.slot, parcel.sequence, raw[:-1] + bytes([raw[-1] ^ 1]))


def _suite_0(parcel: StoredParcel) -> StoredParcel:
    return StoredParcel(parcel.mailbox, parcel.slot, parcel.sequence, b"\x00" + parcel.parcel[1:])


def _random(parcel: StoredParcel) -> StoredParcel:
    return StoredParcel(parcel.mailbox, parcel.slot, parcel.sequence, secrets.token_bytes(len(parcel.parcel)))


def _empty(parcel: StoredParcel) -> StoredParcel:
    return StoredParcel(parcel.mailbox, parcel.slot, parcel.sequence, b"")


def _slot(parcel: StoredParcel) -> StoredParcel:
    return StoredParcel(parcel.mailbox, secrets.token_bytes(16), parcel.sequence, parcel.parcel)


def _sequence(parcel: StoredParcel) -> StoredParcel:
    return StoredParcel(parcel.mailbox, parcel.slot, parcel.sequence + 1, parcel.parcel)


def _mailbox(parcel: StoredParcel) -> StoredParcel:
    return StoredParcel(secrets.token_bytes(16), parcel.slot, parcel.sequence, parcel.parcel)


@pytest.mark.parametrize(
    "alter", [_bits, _suite_0, _random, _empty, _slot, _sequence, _mailbox], ids=lambda alter: alter.__name__.strip("_")
)
async def test_an_altered_parcel_is_left_where_it_is_and_stops_no_other(
    friends: Friends, liar: Liar, alter: Alter
) -> None:
    anna, bob = friends.anna, friends.bob
    await share_note(anna, "met at PyCon")
    await anna.sync()
    liar.lie = lambda _parcels: []
    await bob.sync()
    (true,) = liar.kept
    await set_mail(anna, "new@work.example")
    await anna.sync()
    liar.lie = lambda parcels: [alter(parcel) if parcel == true else parcel for parcel in parcels]
    assert (await bob.sync()).parcels_in == 1
    assert (told(bob), notes_told(bob)) == (["new@work.example"], [])
    liar.lie = lambda parcels: parcels
    assert (await bob.sync()).parcels_in == 1
    assert notes_told(bob) == ["met at PyCon"]


async def test_a_parcel_for_one_mailbox_does_not_open_in_another(friends: Friends, liar: Liar) -> None:
    """Carl's and Bob's parcels from Anna lie at the same server, which exchanges them."""
    anna, bob, carl = friends.anna, friends.bob, friends.carl
    await accept_invite(carl.vault, carl.server, friends.link)
    for device in (anna, carl, anna):
        await device.sync()
    await carl.sync()
    liar.kept.clear()
    await set_mail(anna, "new@work.example")
    await anna.sync()
    before = told(bob), told(carl)
    liar.lie = lambda _parcels: []
    await bob.sync()
    await carl.sync()
    for_bob, for_carl = liar.kept
    swapped = {
        for_bob.mailbox: StoredParcel(for_bob.mailbox, for_carl.slot, for_carl.sequence, for_carl.parcel),
        for_carl.mailbox: StoredParcel(for_carl.mailbox, for_bob.slot, for_bob.sequence, for_bob.parcel),
    }
    liar.lie = lambda parcels: [swapped.get(parcel.mailbox, parcel) for parcel in parcels]
    assert ((await bob.sync()).parcels_in, (await carl.sync()).parcels_in) == (0, 0)
    assert (told(bob), told(carl)) == before
    liar.lie = lambda parcels: parcels
    await bob.sync()
    await carl.sync()
    assert told(bob) == told(carl) == ["new@work.example"]


async def test_a_flood_of_parcels_is_taken_in_pieces(friends: Friends, liar: Liar) -> None:
    """A server that offers parcels without an end is read up to a bound, and the sync goes on."""
    asked = 0

    def endless(_parcels: Parcels) -> Parcels:
        nonlocal asked
        asked += 1
        return [StoredParcel(secrets.token_bytes(16), secrets.token_bytes(16), 1, secrets.token_bytes(260_000))] * 6

    def answer(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        status, body = liar.answer(method, path, status, body)
        if method != "GET" or not path.endswith("/parcels"):
            return status, body
        page = decode(body, ParcelPage)
        return status, encode(ParcelPage(page.parcels, asked))

    liar.lie = endless
    friends.bob_site.proxy.answer = answer
    await set_mail(friends.anna, "new@work.example")
    await friends.anna.sync()
    assert (await friends.bob.sync()).parcels_in == 0
    assert asked <= run.ROUNDS * (1 + inboxes.MAX_PARCEL_BYTES // (6 * 260_000))
    friends.bob_site.proxy.be_honest()
    await friends.bob.sync()
    assert told(friends.bob) == ["new@work.example"]


async def test_a_peer_that_fills_its_mailbox_with_rubbish_hides_nothing_that_comes_after(
    friends: Friends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not open stays until it expires; a device that stopped at a bound goes on behind it the next time."""
    monkeypatch.setattr(inboxes, "MAX_PARCELS", 1)
    monkeypatch.setattr(run, "ROUNDS", 1)
    await _deposit_rubbish(friends, 12)
    await set_mail(friends.anna, "new@work.example")
    await friends.anna.sync()
    for _ in range(4):
        await friends.bob.sync()
    assert told(friends.bob) == ["new@work.example"]
    ((left,),) = friends.bob_site.rows("SELECT count(*) FROM parcels")
    assert left == 12


async def _deposit_rubbish(friends: Friends, count: int) -> None:
    """Anna puts random bytes where her parcels to Bob go; the capability allows it."""
    channel = friends.anna.channel.established
    assert channel is not None
    address, now = channel.outbox, friends.anna.vault.clock()
    statement = verify_server_statement(friends.bob_site.statement, address.fingerprint, address.host, now)
    async with aiohttp.ClientSession() as http:
        for _ in range(count):
            slot, parcel = secrets.token_bytes(16), secrets.token_bytes(INNER_CLASSES[-1])
            signature = sign_put(address.deposit, address.mailbox, slot, 1, parcel)
            put = Put(address.mailbox, slot, 1, parcel, signature)
            key = secrets.token_bytes(32)
            raw = seal_request(statement, make_request(put, key, now + 60_000))
            async with http.post(friends.bob_site.url + "/v1/gateway", data=raw) as answer:
                sealed = await answer.read()
            assert open_put_answer(key, request_hash(raw), sealed).status is PutStatus.STORED
