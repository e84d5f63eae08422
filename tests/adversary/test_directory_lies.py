"""Servers that lie about whom an address leads to, and people who want the handle of another."""

from __future__ import annotations

import secrets
from pathlib import Path

import pysqlite3
import pytest

from kith_client.errors import ServerUnreachable
from kith_client.relations import records
from kith_client.relations.handles import HandleState, find, invite_behind
from kith_client.relations.peers import list_peers
from kith_client.relations.pins import pin, pin_of
from kith_client.relations.requests.deciding import accept_request, list_requests
from kith_client.relations.verify import NumbersDiffer, mark_verified, safety_number_of
from kith_client.stamp import of_kind
from kith_client.sync.befriend import ask_by_address
from kith_client.sync.handles import choose_handle, give_handle_up
from kith_client.sync.look_up import look_up
from kith_protocol.encoding import decode, encode
from kith_protocol.errors import Alarm, AlarmCode, Refused
from kith_protocol.gateway import (
    UNREADABLE,
    FetchGreeting,
    GreetingResult,
    GreetingStatus,
    LookUp,
    LookUpResult,
    LookUpStatus,
    arguments_of,
    gateway_key_id,
    open_request,
    request_hash,
    seal_answer,
)
from kith_protocol.handle import Address, handle_id
from kith_protocol.server_statement import ServerStatement, SignedServerStatement, sign_server_statement
from kith_protocol.suite import NONCE_BYTES, SealKey, SignKey
from kith_protocol.wire import RelayAnswer, RelayRequest, RelayState
from tests.adversary.friends import Friends
from tests.adversary.test_commands_alarm import kith
from tests.adversary.test_meeting_lies import STATEMENTS, Substitute
from tests.adversary.world import Device, Site, begin


def address_at(site: Site, handle: str = "anna") -> Address:
    return Address(handle, site.url.removeprefix("http://"))


async def chosen(device: Device, name: str = "anna", *, private: bool = False) -> None:
    await choose_handle(device.vault, device.server, name, ["work"], private=private)


async def let_in(device: Device) -> None:
    """Accepts whoever asks, and carries it out."""
    (row,) = list_requests(device.vault.contents, device.vault.clock())
    await device.apply(accept_request(device.vault.contents, device.vault.stamp(), row).edit)
    await device.sync()


def trust_of(device: Device, name: str) -> tuple[str, str | None, str]:
    (row,) = (row for row in list_peers(device.vault.contents) if row.name == name)
    return row.trust, row.via, row.state


def peer_called(device: Device, name: str) -> bytes:
    return next(row.record for row in list_peers(device.vault.contents) if row.name == name)


# The honest way


async def test_who_comes_by_an_address_is_unverified_directory_on_both_sides_until_numbers_are_compared(
    friends: Friends,
) -> None:
    anna, carl = friends.anna, friends.carl
    await chosen(anna)
    accepted, found = await ask_by_address(carl.vault, carl.server, address_at(friends.anna_site))
    assert (accepted.reusable, found.is_new_server) == (True, True)
    assert trust_of(carl, "Anna Beck") == ("unverified", "directory", "waiting")
    await anna.sync()
    await let_in(anna)
    await carl.sync()
    assert trust_of(carl, "Anna Beck") == ("unverified", "directory", "connected")
    assert trust_of(anna, "Carl Moor")[:2] == ("unverified", "directory")
    assert trust_of(anna, "Bob Lund")[:2] == ("unverified", None)
    number = safety_number_of(anna.vault.contents, peer_called(anna, "Carl Moor"))
    peer = peer_called(carl, "Anna Beck")
    await carl.apply(mark_verified(carl.vault.contents, carl.vault.stamp(), peer, number))
    assert trust_of(carl, "Anna Beck")[0] == "verified"


async def test_unknown_private_and_given_up_handles_are_answered_alike_and_nothing_is_kept(friends: Friends) -> None:
    anna, carl = friends.anna, friends.carl
    await chosen(anna, "parked", private=True)
    await chosen(anna, "gone")
    await give_handle_up(anna.vault, anna.server, "gone")
    before, said = carl.state(), set()
    for handle in ("parked", "gone", "unknown"):
        with pytest.raises(Refused) as refused:
            await ask_by_address(carl.vault, carl.server, address_at(friends.anna_site, handle))
        said.add((refused.value.code, str(refused.value).replace(handle, "")))
    assert len(said) == 1
    assert refused.value.code == "nobody-found"
    assert carl.state() == before


async def test_a_handle_whose_invite_the_server_lost_says_what_to_do_and_nothing_is_kept(friends: Friends) -> None:
    carl = friends.carl
    await chosen(friends.anna)
    _write(friends.anna_site, "DELETE FROM greetings")
    before = carl.state()
    with pytest.raises(Refused) as gone:
        await ask_by_address(carl.vault, carl.server, address_at(friends.anna_site))
    assert gone.value.code == "invite-gone"
    assert "try later" in str(gone.value)
    assert carl.state() == before


# Who learns what


async def test_a_look_up_does_not_show_the_asker_to_the_other_server_nor_the_handle_to_the_own_one(
    friends: Friends,
) -> None:
    anna, carl = friends.anna, friends.carl
    await chosen(anna)
    there, here = friends.anna_site.proxy, friends.bob_site.proxy
    there.exchanges.clear()
    here.exchanges.clear()
    here.seen.clear()
    await look_up(carl.vault, carl.server, address_at(friends.anna_site))
    assert {(each.method, each.path) for each in there.exchanges} <= {
        ("GET", "/.well-known/kith"),
        ("POST", "/v1/gateway"),
    }
    arrived = b"".join(each.body + str(each.headers).encode() for each in there.exchanges)
    for secret in (carl.vault.id, carl.vault.id.hex().encode(), b"Authorization", b"X-Forwarded", b"Carl"):
        assert secret not in arrived
    invite = invite_behind(anna.vault.contents, find(anna.vault.contents, "anna"), anna.vault.clock())
    assert invite is not None
    passed = b"".join(here.seen)
    for secret in (b"anna@", handle_id("anna"), handle_id("anna").hex().encode(), invite.own.secret):
        assert secret not in passed
    stored = b"".join(path.read_bytes() for path in friends.bob_site.data.iterdir() if path.is_file())
    assert handle_id("anna") not in stored
    assert not friends.bob_site.rows("SELECT * FROM relay_requests WHERE vault = ?", carl.vault.id), "it is cleared"


async def test_the_home_server_does_not_learn_the_name_that_was_chosen(friends: Friends) -> None:
    friends.anna_site.proxy.seen.clear()
    await chosen(friends.anna, "zacharias.quill")
    assert b"zacharias" not in b"".join(friends.anna_site.proxy.seen)
    friends.anna_site.proxy.seen.clear()
    await chosen(friends.anna, "zacharias.quill", private=True)
    assert friends.anna_site.rows("SELECT secret FROM handles") == [(None,)]


# Handles of others


async def test_a_handle_of_another_vault_cannot_be_taken_and_nothing_is_kept_of_the_try(
    friends: Friends, tmp_path: Path
) -> None:
    await chosen(friends.anna)
    before = friends.anna_site.rows("SELECT * FROM handles")
    async with await begin(friends.anna_site, tmp_path / "mallory", "Anna Beck") as mallory:
        was = mallory.state()
        for private in (False, True):
            with pytest.raises(Refused) as refused:
                await chosen(mallory, private=private)
            assert refused.value.code == "handle-taken"
        with pytest.raises(Refused) as none:
            await give_handle_up(mallory.vault, mallory.server, "anna")
        assert none.value.code == "no-such-handle"
        assert mallory.state() == was
    assert friends.anna_site.rows("SELECT * FROM handles") == before


async def test_a_handle_that_the_server_gave_to_somebody_else_is_told_and_does_not_stop_the_sync(
    friends: Friends, tmp_path: Path
) -> None:
    """Its database was restored from a day before Anna chose hers, and Mallory was faster."""
    anna, site = friends.anna, friends.anna_site
    await chosen(anna)
    async with await begin(site, tmp_path / "mallory", "Mallory") as mallory:
        _write(site, "UPDATE handles SET vault = ?", mallory.vault.id)
        handle = find(anna.vault.contents, "anna")
        invite = invite_behind(anna.vault.contents, handle, anna.vault.clock())
        assert invite is not None
        await choose_again(anna)
    assert find(anna.vault.contents, "anna").state is HandleState.LOST
    texts = [str(issue.value("text")) for issue in of_kind(anna.vault.contents, "issue").values()]
    assert any(text.startswith(f"Nobody finds you as {handle.address} any more.") for text in texts)
    report = await anna.sync()
    assert not report.alarms


async def choose_again(device: Device) -> None:
    """Other facets make another invite, so that the server is asked to hold another secret."""
    await choose_handle(device.vault, device.server, "anna", ["private"], private=False)


async def test_a_claim_that_broke_off_is_mended_by_choosing_it_again_or_giving_it_up(friends: Friends) -> None:
    """The server was asked, and the command ended before the vault knew."""
    anna, site = friends.anna, friends.anna_site
    await anna.server.put_handle(anna.vault.id, handle_id("anna"), b"")
    await anna.server.put_handle(anna.vault.id, handle_id("beck"), b"")
    await chosen(anna)
    with pytest.raises(Refused) as none:
        await give_handle_up(anna.vault, anna.server, "beck")
    assert none.value.code == "no-such-handle"
    assert site.rows("SELECT handle FROM handles") == [(handle_id("anna"),)]


# Invites that the servers swap


async def test_a_server_that_swaps_the_invite_behind_a_handle_is_found_when_numbers_are_compared(
    friends: Friends, tmp_path: Path
) -> None:
    """Anna's server gives Carl an invite of Mallory, who calls herself Anna, and asks Anna in Carl's name."""
    anna, carl, site = friends.anna, friends.carl, friends.anna_site
    await chosen(anna)
    async with (
        await begin(site, tmp_path / "mallory", "Anna Beck") as false_anna,
        await begin(site, tmp_path / "other", "Carl Moor") as false_carl,
    ):
        await ask_by_address(false_carl.vault, false_carl.server, address_at(site))
        await anna.sync()
        await let_in(anna)
        await chosen(false_anna, "mallory")
        invite = invite_behind(
            false_anna.vault.contents, find(false_anna.vault.contents, "mallory"), false_anna.vault.clock()
        )
        assert invite is not None
        _write(site, "UPDATE handles SET secret = ? WHERE vault = ?", invite.own.secret, anna.vault.id)
        accepted, _ = await ask_by_address(carl.vault, carl.server, address_at(site))
        await false_anna.sync()
        await let_in(false_anna)
        await carl.sync()
    assert accepted.person != records.own_persona(anna.vault.contents).person
    assert trust_of(carl, "Anna Beck") == ("unverified", "directory", "connected"), "it looks well, and says so"
    read_out = safety_number_of(anna.vault.contents, peer_called(anna, "Carl Moor"))
    with pytest.raises(NumbersDiffer):
        mark_verified(carl.vault.contents, carl.vault.stamp(), accepted.peer, read_out)


class FalseServer:
    """What Carl's own server does to be taken for Anna's: a statement of its own, and a gateway behind it."""

    def __init__(self, friends: Friends, secret: bytes, greeting: bytes) -> None:
        self.key, self.gateway = SignKey(secrets.token_bytes(32)), SealKey(secrets.token_bytes(32))
        self.secret, self.greeting = secret, greeting
        true = decode(decode(friends.anna_site.statement, SignedServerStatement).body, ServerStatement)
        times = true.valid_from, true.valid_until
        self.statement = sign_server_statement(self.key, true.host, self.gateway.public, *times)
        self.fingerprint = decode(decode(self.statement, SignedServerStatement).body, ServerStatement).fingerprint
        self.now = friends.carl.vault.clock()
        self.asked: list[RelayRequest] = []
        self.handles: list[bytes] = []

    def request(self, _method: str, path: str, body: bytes) -> bytes:
        if path.endswith("/relay"):
            self.asked.append(decode(body, RelayRequest))
        return body

    def answer(self, method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if "/servers/" in path:
            return 200, self.statement
        if path.endswith("/relay") and method == "POST":
            return 200, encode(RelayAnswer(RelayState.ANSWERED, self._open(self.asked[-1].request), ""))
        return status, body

    def _open(self, raw: bytes) -> bytes:
        keys = {gateway_key_id(self.gateway.public): self.gateway}
        request = open_request(keys, self.fingerprint, raw, self.now)
        match arguments_of(request):
            case LookUp(handle):
                self.handles.append(handle)
                result: LookUpResult | GreetingResult = LookUpResult(LookUpStatus.FOUND, self.secret)
            case FetchGreeting():
                result = GreetingResult(GreetingStatus.FOUND, self.greeting)
            case _:
                raise AssertionError("no other request is sealed to a false key before the first sync ends")
        return seal_answer(request, request_hash(raw), result, nonce=secrets.token_bytes(NONCE_BYTES))


async def test_a_false_key_shown_at_first_use_raises_the_alarm_as_soon_as_the_true_one_is_shown(
    friends: Friends, tmp_path: Path
) -> None:
    """The price of an address: the first look-up at a server believes it, and the own server that carries it."""
    carl, here = friends.carl, friends.bob_site.proxy
    async with await begin(friends.bob_site, tmp_path / "mallory", "Anna Beck") as mallory:
        await chosen(mallory, "mallory")
        invite = invite_behind(mallory.vault.contents, find(mallory.vault.contents, "mallory"), mallory.vault.clock())
        assert invite is not None
        ((greeting,),) = friends.bob_site.rows(
            "SELECT sealed FROM greetings WHERE link_id = ?", invite.own.invite.link_id
        )
        false = FalseServer(friends, invite.own.secret, greeting)
        here.request, here.answer = false.request, false.answer
        found = await look_up(carl.vault, carl.server, address_at(friends.anna_site))
    assert false.handles == [handle_id("anna")], "it reads whom Carl looks for"
    assert found.invite.fingerprint == false.fingerprint
    here.be_honest()
    here.answer = false.answer
    here.request = false.request

    def only_look_ups(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        """The answer of the handshake is left in the queue."""
        try:
            return false.answer(method, path, status, body)
        except AssertionError:
            return 200, encode(RelayAnswer(RelayState.QUEUED, b"", ""))

    here.answer = only_look_ups
    await ask_by_address(carl.vault, carl.server, address_at(friends.anna_site))
    assert trust_of(carl, "Anna Beck")[:2] == ("unverified", "directory")
    pinned = pin_of(carl.vault.contents, address_at(friends.anna_site).host)
    assert pinned is not None
    assert pinned.fingerprint == false.fingerprint
    here.be_honest()
    before = carl.state()
    with pytest.raises(Alarm) as raised:
        await look_up(carl.vault, carl.server, address_at(friends.anna_site))
    assert raised.value.alarm is AlarmCode.SERVER_KEY_CHANGED
    assert carl.state() == before


@pytest.mark.parametrize(("code", "made"), STATEMENTS, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_a_server_whose_key_changes_after_it_was_pinned_raises_the_alarm(
    friends: Friends, code: AlarmCode, made: Substitute
) -> None:
    anna, carl = friends.anna, friends.carl
    await chosen(anna)
    await ask_by_address(carl.vault, carl.server, address_at(friends.anna_site))
    true = decode(decode(friends.anna_site.statement, SignedServerStatement).body, ServerStatement)
    pinned = pin_of(carl.vault.contents, true.host)
    assert pinned is not None
    assert pinned.fingerprint == true.fingerprint
    friends.bob_site.proxy.answer = lambda method, path, status, body: (
        (status, made(friends, body)) if "/servers/" in path else (status, body)
    )
    before = carl.state()
    with pytest.raises(Alarm) as raised:
        await look_up(carl.vault, carl.server, address_at(friends.anna_site))
    assert raised.value.alarm is code
    assert carl.state() == before


async def test_the_own_server_is_known_by_the_key_that_the_device_was_set_up_with(friends: Friends) -> None:
    bob, carl, site = friends.bob, friends.carl, friends.bob_site
    await chosen(bob, "bob")
    address = address_at(site, "bob")
    await carl.apply(pin(carl.vault.contents, carl.vault.stamp(), address.host, b"E" * 16))
    assert not (await look_up(carl.vault, carl.server, address)).is_new_server
    true = decode(decode(site.statement, SignedServerStatement).body, ServerStatement)
    key, gateway = SignKey(secrets.token_bytes(32)), SealKey(secrets.token_bytes(32))
    false = sign_server_statement(key, true.host, gateway.public, true.valid_from, true.valid_until)
    site.proxy.answer = lambda method, path, status, body: (status, false if "/servers/" in path else body)
    with pytest.raises(Alarm) as raised:
        await look_up(carl.vault, carl.server, address)
    assert raised.value.alarm is AlarmCode.SERVER_KEY_CHANGED


async def test_a_server_at_which_a_peer_has_a_mailbox_is_not_believed_a_second_time(friends: Friends) -> None:
    """Bob is Anna's peer: he knows the key of her server, and no first use is left."""
    anna, bob = friends.anna, friends.bob
    await chosen(anna)
    found = await look_up(bob.vault, bob.server, address_at(friends.anna_site))
    assert not found.is_new_server
    false = FalseServer(friends, bytes(32), b"")
    friends.bob_site.proxy.answer = false.answer
    with pytest.raises(Alarm) as raised:
        await look_up(bob.vault, bob.server, address_at(friends.anna_site))
    assert raised.value.alarm is AlarmCode.SERVER_KEY_CHANGED


@pytest.mark.parametrize("answer", [b"", UNREADABLE, secrets.token_bytes(4096), bytes(100)])
async def test_a_relay_cannot_answer_a_look_up_itself(friends: Friends, answer: bytes) -> None:
    anna, carl = friends.anna, friends.carl
    await chosen(anna)
    made_up = encode(RelayAnswer(RelayState.ANSWERED, answer, ""))
    friends.bob_site.proxy.answer = lambda method, path, status, body: (
        (200, made_up) if path.endswith("/relay") and method == "POST" else (status, body)
    )
    before = carl.state()
    with pytest.raises(ServerUnreachable):
        await ask_by_address(carl.vault, carl.server, address_at(friends.anna_site))
    assert carl.state() == before
    friends.bob_site.proxy.be_honest()
    await ask_by_address(carl.vault, carl.server, address_at(friends.anna_site))


async def test_kith_accept_stops_with_the_alarm_for_an_address_too(friends: Friends) -> None:
    await chosen(friends.anna)
    carl = friends.carl
    address = address_at(friends.anna_site)
    await ask_by_address(carl.vault, carl.server, address)
    false = FalseServer(friends, bytes(32), b"")
    friends.bob_site.proxy.answer = false.answer
    await carl.close()
    refused = await kith(carl.home.path, "accept", str(address))
    assert (refused.status, refused.document["error"]) == (4, "server-key-changed")


def _write(site: Site, statement: str, *values: object) -> None:
    connection = pysqlite3.connect(site.database)
    with connection:
        connection.execute(statement, values)
    connection.close()
