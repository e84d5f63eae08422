"""Servers that lie while two people meet: substituted greetings, server keys, gateway keys, and persons."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pysqlite3
import pytest

from kith_client.book import me
from kith_client.relations import records
from kith_client.relations.invites import greeting_for
from kith_client.stamp import of_kind
from kith_client.sync.befriend import accept_invite, make_invite
from kith_protocol.encoding import decode, encode
from kith_protocol.errors import Alarm, AlarmCode
from kith_protocol.invite import (
    INVITE_LIFETIME,
    NEW_INVITE_RANDOM_BYTES,
    OwnInvite,
    new_invite,
    parse_link,
    seal_greeting,
)
from kith_protocol.server_statement import (
    ServerStatement,
    SignedServerStatement,
    Succession,
    sign_server_statement,
    sign_succession,
)
from kith_protocol.suite import SealKey, SignKey
from kith_protocol.wire import Failure, PutGreeting
from tests.adversary.friends import MAIL, Friends, set_mail, told
from tests.adversary.test_commands_alarm import kith
from tests.adversary.world import Site, begin, mirror_rows

# Substituted greetings: what Anna's server gives instead of what she put there

Forge = Callable[[Friends, bytes], bytes]


def random_bytes(_friends: Friends, true: bytes) -> bytes:
    return secrets.token_bytes(len(true))


def one_bit_changed(_friends: Friends, true: bytes) -> bytes:
    return true[:-1] + bytes([true[-1] ^ 1])


def suite_byte_0(_friends: Friends, true: bytes) -> bytes:
    return b"\x00" + true[1:]


def cut_short(_friends: Friends, true: bytes) -> bytes:
    return true[:-1]


def nothing_at_all(_friends: Friends, _true: bytes) -> bytes:
    return b""


def made_without_the_secret(friends: Friends, _true: bytes) -> bytes:
    """By Mallory, who runs the server and has a true persona, but not the link."""
    persona = records.own_persona(friends.bob.vault.contents).raw
    invite = parse_link(friends.link)
    own = new_invite(
        invite.host,
        invite.fingerprint,
        persona,
        "Anna Beck",
        friends.anna.vault.clock() + INVITE_LIFETIME,
        reusable=False,
        randomness=secrets.token_bytes(NEW_INVITE_RANDOM_BYTES),
    )
    return seal_greeting(own, nonce=secrets.token_bytes(24))


def of_another_invite_of_anna(friends: Friends, true: bytes) -> bytes:
    invites = records.invites(friends.anna.vault.contents)
    sealed = [greeting_for(invite)[1] for invite in invites]
    return next(each for each in sealed if each != true)


def with_a_persona_that_the_root_did_not_sign(friends: Friends, _true: bytes) -> bytes:
    """By somebody who saw the link: the secret alone must not be enough to speak as Anna."""
    own = _anna_invite(friends)
    greeting = bytearray(own.greeting)
    persona = records.own_persona(friends.anna.vault.contents).raw
    place = bytes(greeting).index(persona)
    greeting[place + len(persona) - 1] ^= 1
    forged = OwnInvite(own.host, own.secret, own.fingerprint, own.read_id, own.seal_seed, bytes(greeting))
    return seal_greeting(forged, nonce=secrets.token_bytes(24))


GREETINGS: list[Forge] = [
    random_bytes,
    one_bit_changed,
    suite_byte_0,
    cut_short,
    nothing_at_all,
    made_without_the_secret,
    of_another_invite_of_anna,
    with_a_persona_that_the_root_did_not_sign,
]


@pytest.mark.parametrize("forge", GREETINGS, ids=lambda forge: forge.__name__)
async def test_a_substituted_greeting_is_refused_and_nothing_is_kept(friends: Friends, forge: Forge) -> None:
    link_id = parse_link(friends.link).link_id
    await make_invite(friends.anna.vault, friends.anna.server)
    ((true,),) = friends.anna_site.rows("SELECT sealed FROM greetings WHERE link_id = ?", link_id)
    before = friends.carl.state()
    _store_greeting(friends.anna_site, link_id, forge(friends, true))
    with pytest.raises(Alarm) as raised:
        await accept_invite(friends.carl.vault, friends.carl.server, friends.link)
    assert raised.value.alarm is AlarmCode.GREETING_FORGED
    assert friends.carl.state() == before
    _store_greeting(friends.anna_site, link_id, true)
    accepted = await accept_invite(friends.carl.vault, friends.carl.server, friends.link)
    assert accepted.person == _person(friends)


async def test_a_greeting_that_is_forged_while_it_is_put_is_refused_too(friends: Friends) -> None:
    """The lie happens between Anna and her server, not in its database."""

    def substitute(method: str, path: str, body: bytes) -> bytes:
        if method != "PUT" or "/greetings/" not in path:
            return body
        put = decode(body, PutGreeting)
        return encode(PutGreeting(secrets.token_bytes(len(put.sealed)), put.expires))

    friends.anna_site.proxy.request = substitute
    made = await make_invite(friends.anna.vault, friends.anna.server)
    with pytest.raises(Alarm) as raised:
        await accept_invite(friends.carl.vault, friends.carl.server, made.link)
    assert raised.value.alarm is AlarmCode.GREETING_FORGED


async def test_kith_accept_stops_with_the_alarm_greeting_forged(friends: Friends) -> None:
    link_id = parse_link(friends.link).link_id
    _store_greeting(friends.anna_site, link_id, secrets.token_bytes(14848))
    home = friends.carl.home
    await friends.carl.close()
    before = mirror_rows(home)
    refused = await kith(home.path, "accept", "-", given=friends.link + "\n")
    assert (refused.status, refused.document["ok"], refused.document["error"]) == (4, False, "greeting-forged")
    assert friends.link not in refused.err + str(refused.document)
    assert mirror_rows(home) == before


# Substituted server statements: what Carl's own server says of Anna's


Substitute = Callable[[Friends, bytes], bytes]
STATEMENTS: list[tuple[AlarmCode, Substitute]] = []


def substitute(code: AlarmCode) -> Callable[[Substitute], Substitute]:
    """Enters a substituted statement that has to raise the alarm `code`."""

    def enter(made: Substitute) -> Substitute:
        STATEMENTS.append((code, made))
        return made

    return enter


@substitute(AlarmCode.SERVER_KEY_CHANGED)
def signed_by_the_relay_itself(friends: Friends, true: bytes) -> bytes:
    """With a gateway key of its own, so that it could read and answer what is sealed."""
    return _signed(friends, true, SignKey(secrets.token_bytes(32)))


@substitute(AlarmCode.SERVER_KEY_CHANGED)
def with_a_gateway_key_of_the_relay(_friends: Friends, true: bytes) -> bytes:
    signed = decode(true, SignedServerStatement)
    body = _with_gateway_key(decode(signed.body, ServerStatement))
    return encode(SignedServerStatement(encode(body), signed.signature, signed.successions))


@substitute(AlarmCode.SERVER_KEY_CHANGED)
def in_the_name_of_the_known_key_but_signed_by_another(_friends: Friends, true: bytes) -> bytes:
    known = decode(decode(true, SignedServerStatement).body, ServerStatement)
    forger = SignKey(secrets.token_bytes(32))
    other = decode(_signed(_friends, true, forger), SignedServerStatement)
    return encode(SignedServerStatement(encode(_with_gateway_key(known)), other.signature))


@substitute(AlarmCode.SERVER_KEY_CHANGED)
def with_a_succession_that_the_known_key_did_not_sign(friends: Friends, true: bytes) -> bytes:
    known = decode(decode(true, SignedServerStatement).body, ServerStatement).server_key
    new = SignKey(secrets.token_bytes(32))
    half = sign_succession(new, new)
    forged = Succession(known, new.public, half.old_signature, half.new_signature)
    return _signed(friends, true, new, (forged,))


@substitute(AlarmCode.SERVER_KEY_CHANGED)
def of_another_true_server(friends: Friends, true: bytes) -> bytes:
    statements = [site.statement for site in (friends.anna_site, friends.bob_site)]
    return next(each for each in statements if each != true)


@substitute(AlarmCode.DOWNGRADE)
def of_suite_0(_friends: Friends, true: bytes) -> bytes:
    signed = decode(true, SignedServerStatement)
    known = decode(signed.body, ServerStatement)
    values = {name: getattr(known, name) for name in known.__struct_fields__}
    return encode(SignedServerStatement(encode(ServerStatement(**{**values, "suite": 0})), signed.signature))


@pytest.mark.parametrize(("code", "made"), STATEMENTS, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_a_substituted_server_statement_is_refused_when_accepting(
    friends: Friends, code: AlarmCode, made: Substitute
) -> None:
    _lie_about_servers(friends, friends.bob_site, made)
    before = friends.carl.state()
    with pytest.raises(Alarm) as raised:
        await accept_invite(friends.carl.vault, friends.carl.server, friends.link)
    assert raised.value.alarm is code
    assert friends.carl.state() == before
    friends.bob_site.proxy.be_honest()
    await accept_invite(friends.carl.vault, friends.carl.server, friends.link)


@pytest.mark.parametrize(("code", "made"), STATEMENTS, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_nothing_is_sealed_to_a_substituted_server_key_and_the_parcel_waits(
    friends: Friends, code: AlarmCode, made: Substitute
) -> None:
    anna, bob = friends.anna, friends.bob
    _lie_about_servers(friends, friends.anna_site, made)
    await set_mail(anna, "new@work.example")
    report = await anna.sync()
    assert [alarm.partition(":")[0] for alarm in report.alarms] == [code.value]
    assert (report.waiting, report.parcels_out) == (1, 0)
    assert not [path for path in friends.anna_site.proxy.seen if path.endswith(b"/relay")]
    await bob.sync()
    assert told(bob) == [MAIL]
    friends.anna_site.proxy.be_honest()
    assert (await anna.sync()).waiting == 0
    await bob.sync()
    assert told(bob) == ["new@work.example"]


async def test_kith_accept_stops_with_the_alarm_server_key_changed(friends: Friends) -> None:
    _lie_about_servers(friends, friends.bob_site, signed_by_the_relay_itself)
    home = friends.carl.home
    await friends.carl.close()
    refused = await kith(home.path, "accept", "-", given=friends.link + "\n")
    assert (refused.status, refused.document["error"]) == (4, "server-key-changed")


async def test_kith_sync_shows_the_alarm_server_key_changed_and_everything_else_is_done(friends: Friends) -> None:
    _lie_about_servers(friends, friends.anna_site, signed_by_the_relay_itself)
    await set_mail(friends.anna, "new@work.example")
    await friends.anna.close()
    shown = await kith(friends.anna.home.path, "sync")
    assert (shown.status, shown.document["error"]) == (4, "server-key-changed")
    assert shown.document["waiting"] == 1
    friends.anna_site.proxy.be_honest()
    assert (await kith(friends.anna.home.path, "sync")).status == 0
    await friends.bob.sync()
    assert told(friends.bob) == ["new@work.example"]


@pytest.mark.parametrize("rubbish", [b"", b"\x00", b"\x93\xc4\x00\xc4\x00\x90", secrets.token_bytes(60_000)])
async def test_a_destination_that_publishes_rubbish_does_not_stop_parcels_to_others(
    friends: Friends, rubbish: bytes
) -> None:
    """One peer's server must not decide whether other peers hear of me."""
    anna, carl = friends.anna, friends.carl
    await accept_invite(carl.vault, carl.server, friends.link)
    await set_mail(anna, "new@work.example")
    friends.anna_site.proxy.answer = lambda method, path, status, body: (
        (200, rubbish) if "/servers/" in path else (status, body)
    )
    report = await anna.sync()
    assert report.waiting == 3
    assert len(report.alarms) == 1
    friends.anna_site.proxy.be_honest()
    assert (await anna.sync()).waiting == 0


async def test_a_destination_that_is_down_is_asked_once_in_a_sync(friends: Friends) -> None:
    anna = friends.anna
    asked = 0

    def down(_method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        nonlocal asked
        if "/servers/" not in path:
            return status, body
        asked += 1
        return 502, encode(Failure("destination-unreachable", "It is down."))

    await accept_invite(friends.carl.vault, friends.carl.server, friends.link)
    friends.anna_site.proxy.answer = down
    await set_mail(anna, "new@work.example")
    report = await anna.sync()
    assert (asked, report.waiting) == (1, 3)


# Persons


async def test_a_contact_that_belongs_to_another_person_is_not_taken_over(friends: Friends) -> None:
    """Carl invites Bob in Anna's name: the contact that Bob names is Anna's, and stays hers."""
    carl, bob = friends.carl, friends.bob
    edit, _ = me.set_mine(carl.vault.contents, carl.vault.stamp(), "fn", "Anna Beck")
    await carl.apply(edit)
    made = await make_invite(carl.vault, carl.server)
    (peer,) = records.peers(bob.vault.contents)
    before = bob.state()
    with pytest.raises(Alarm) as raised:
        await accept_invite(bob.vault, bob.server, made.link, (), peer.contact)
    assert raised.value.alarm is AlarmCode.PERSON_CHANGED
    assert bob.state() == before
    await bob.close()
    refused = await kith(bob.home.path, "accept", "-", "--contact", "Anna", given=made.link + "\n")
    assert (refused.status, refused.document["error"]) == (4, "person-changed")


async def test_an_answer_by_another_person_to_an_invite_for_a_contact_connects_nobody(
    friends: Friends, tmp_path: Path
) -> None:
    """Two invites went to the same contact, and somebody else got hold of the second link."""
    anna, carl = friends.anna, friends.carl
    contact = await anna.add("Carl Moor")
    first = await make_invite(anna.vault, anna.server, ["work"], contact)
    second = await make_invite(anna.vault, anna.server, ["work"], contact)
    await accept_invite(carl.vault, carl.server, first.link)
    await anna.sync()
    peers = {peer.person for peer in records.peers(anna.vault.contents)}
    async with await begin(friends.bob_site, tmp_path / "mallory", "Carl Moor") as mallory:
        await accept_invite(mallory.vault, mallory.server, second.link)
        await anna.sync()
        await mallory.sync()
        assert not told(mallory)
    assert {peer.person for peer in records.peers(anna.vault.contents)} == peers
    issues = of_kind(anna.vault.contents, "issue").values()
    assert [issue.value("kind") for issue in issues] == ["alarm"]


def _store_greeting(site: Site, link_id: bytes, sealed: bytes) -> None:
    connection = pysqlite3.connect(site.database)
    with connection:
        connection.execute("UPDATE greetings SET sealed = ? WHERE link_id = ?", (sealed, link_id))
    connection.close()


def _lie_about_servers(friends: Friends, site: Site, made: Substitute) -> None:
    """`site` gives its own people other statements of other servers."""

    def answer(_method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        return (status, made(friends, body)) if "/servers/" in path else (status, body)

    site.proxy.answer = answer


def _anna_invite(friends: Friends) -> OwnInvite:
    link_id = parse_link(friends.link).link_id
    invites = records.invites(friends.anna.vault.contents)
    return next(invite.own for invite in invites if invite.own.invite.link_id == link_id)


def _person(friends: Friends) -> bytes:
    return records.own_persona(friends.anna.vault.contents).person


def _signed(friends: Friends, true: bytes, key: SignKey, successions: tuple[Succession, ...] = ()) -> bytes:
    known = decode(decode(true, SignedServerStatement).body, ServerStatement)
    gateway = SealKey(secrets.token_bytes(32)).public
    return sign_server_statement(key, known.host, gateway, known.valid_from, known.valid_until, successions=successions)


def _with_gateway_key(statement: ServerStatement) -> ServerStatement:
    values = {name: getattr(statement, name) for name in statement.__struct_fields__}
    return ServerStatement(**{**values, "gateway_key": SealKey(secrets.token_bytes(32)).public})
