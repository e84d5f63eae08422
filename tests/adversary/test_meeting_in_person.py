"""Somebody in the middle, a decline, a break, while two people meet through their servers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kith_client.errors import ServerUnreachable
from kith_client.line import Line
from kith_client.nearby.discovery import Network
from kith_client.relations import meeting as decisions
from kith_client.relations import records
from kith_client.relations.draft import Draft
from kith_client.relations.ending import FINISH_GRACE, block_peer
from kith_client.relations.homes import Place
from kith_client.relations.trust import introduced_by
from kith_client.relations.upkeep import plan
from kith_client.stamp import Contents, Stamp
from kith_client.sync import meet
from kith_client.sync.befriend import accept_invite, make_invite
from kith_protocol.errors import KithError, Refused
from kith_protocol.invite import NEW_INVITE_RANDOM_BYTES, OwnInvite, new_invite
from kith_protocol.link_code import CODE_RANDOM_BYTES, LinkCode, spoken_code
from kith_protocol.linking import LinkMachine, LinkRole, MeetReady
from kith_protocol.relationship import RelationshipState
from kith_protocol.server_statement import sign_server_statement
from kith_protocol.suite import SealKey, SignKey
from tests.adversary.meetings import Meeting, codes, no, peers
from tests.adversary.world import Device, Site, begin, lying_site

_NOWHERE = Network(("192.0.2.1",))
"""An interface that is not there: no local network."""
KINDS = ("contact", "peer", "channel", "invite")


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[tuple[Site, Site]]:
    async with lying_site(tmp_path / "a-server") as anna, lying_site(tmp_path / "b-server") as bob:
        yield anna, bob


@pytest.fixture
async def people(sites: tuple[Site, Site], tmp_path: Path) -> AsyncIterator[tuple[Device, Device]]:
    async with (
        await begin(sites[0], tmp_path / "anna", "Anna Beck") as anna,
        await begin(sites[1], tmp_path / "bob", "Bob Lund") as bob,
    ):
        yield anna, bob


async def settle(*devices: Device) -> None:
    for _ in range(2):
        for device in devices:
            await device.sync()


def kept(*devices: Device) -> list[str]:
    """Kinds of the records that a meeting may leave."""
    return [each.kind for device in devices for each in device.vault.contents.values() if each.kind in KINDS]


async def test_two_people_at_two_servers_are_met_at_once_and_share_from_then_on(people: tuple[Device, Device]) -> None:
    anna, bob = people
    assert codes(await Meeting(anna, bob).run()) == ["ok", "ok"]
    assert peers(anna) == [("Bob Lund", "connected", "met")]
    assert peers(bob) == [("Anna Beck", "connected", "met")]
    await settle(anna, bob)
    assert (anna.channel.state, bob.channel.state) == (RelationshipState.CONNECTED,) * 2
    assert (anna.names, bob.names) == (["Bob Lund"], ["Anna Beck"])
    assert anna.channel.step == bob.channel.step == b""


async def test_a_wrong_guess_burns_the_code_for_both_and_leaves_nothing(people: tuple[Device, Device]) -> None:
    anna, bob = people

    async def guess(code: LinkCode) -> LinkCode:
        return LinkCode(code.nameplate, spoken_code("1", secrets.token_bytes(CODE_RANDOM_BYTES)).secret, code.host)

    assert codes(await Meeting(anna, bob).run(guess)) == ["link-burned", "link-burned"]
    assert kept(anna, bob) == []


async def test_the_right_code_is_worth_nothing_after_a_wrong_guess(people: tuple[Device, Device]) -> None:
    """One guess, not one for each who tries."""
    anna, bob = people
    seen: list[LinkCode] = []

    async def guess(code: LinkCode) -> LinkCode:
        seen.append(code)
        return LinkCode(code.nameplate, spoken_code("1", secrets.token_bytes(CODE_RANDOM_BYTES)).secret, code.host)

    await Meeting(anna, bob).run(guess)
    with pytest.raises(Refused) as raised:
        await meet.type_code(bob.vault, bob.server, seen[0], _yes, decisions.Wishes(), network=_NOWHERE)
    assert raised.value.code == "link-burned"


@pytest.mark.parametrize("declines", ["shows", "types"])
async def test_whoever_declines_leaves_nothing_on_either_side(people: tuple[Device, Device], declines: str) -> None:
    anna, bob = people
    pair = Meeting(anna, bob)
    setattr(pair, f"confirm_{declines}", no)
    assert codes(await pair.run()) == ["link-declined", "link-declined"]
    assert kept(anna, bob) == []


@pytest.mark.parametrize("blocks", [0, 1])
async def test_a_blocked_person_is_not_met_and_does_not_learn_why(people: tuple[Device, Device], blocks: int) -> None:
    anna, bob = people
    await Meeting(anna, bob).run()
    await settle(anna, bob)
    me, other = people[blocks], people[1 - blocks]
    (peer,) = records.peers(me.vault.contents)
    await me.apply(block_peer(me.vault.contents, me.vault.stamp(), peer.id))
    await me.sync()
    ended = Draft(other.vault.contents, other.vault.stamp())
    ended.change(other.channel.id, {"state": "ended"})
    await other.apply(ended.edit)
    expected = ["blocked", "link-declined"] if blocks == 0 else ["link-declined", "blocked"]
    assert codes(await Meeting(anna, bob).run()) == expected


async def test_a_connected_person_is_not_met_a_second_time(people: tuple[Device, Device]) -> None:
    anna, bob = people
    await Meeting(anna, bob).run()
    await settle(anna, bob)
    before = anna.vault.contents.copy(), bob.vault.contents.copy()  # type: ignore[attr-defined]
    assert "already-connected" in codes(await Meeting(anna, bob).run())
    assert (anna.vault.contents, bob.vault.contents) == before


ALTERED: dict[str, Callable[[bytes], bytes]] = {
    "bit": lambda body: body[:-1] + bytes([body[-1] ^ 1]),
    "cut": lambda body: body[:-1],
    "zeros": lambda body: bytes(len(body)),
    "short": lambda body: bytes(2560),
    "long": lambda body: bytes(14_848),
}


@pytest.mark.parametrize(
    ("side", "phase", "how"),
    [(side, n, "bit") for side, most in (("a", 6), ("b", 4)) for n in range(most)]
    + [(side, n, how) for side, n in (("a", 2), ("a", 5), ("b", 2), ("b", 3)) for how in ALTERED if how != "bit"],
)
async def test_a_server_that_alters_a_message_of_a_meeting_gets_nothing_but_its_end(
    people: tuple[Device, Device], sites: tuple[Site, Site], side: str, phase: int, how: str
) -> None:
    """Whoever shows the code reads at her own server, and it is there that Bob's messages are left."""

    def alter(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if method == "GET" and path.endswith(f"/{side}/{phase}") and status == 200:
            return status, ALTERED[how](body)
        return status, body

    anna, _ = people
    # Both at one server, so that it carries the messages of both in the clear of its own sight.
    async with await begin(sites[0], anna.home.path.parent / "carla", "Carla Ruiz") as carla:
        sites[0].proxy.answer = alter
        results = codes(await Meeting(anna, carla).run())
        sites[0].proxy.be_honest()
        assert results != ["ok", "ok"]
        assert set(results) <= {"link-burned", "greeting-forged", "link-declined", "meeting-broken-off", "ok"}
        if phase < 3:
            assert kept(anna, carla) == []
        await settle(anna, carla)
        assert len(peers(anna)) == len(peers(carla)), "both have the relationship, or neither"
        if (side, phase) == ("a", 5):
            await settle(anna, carla)
            states = [state for device in (anna, carla) for _, state, _ in peers(device)]
            assert states == ["connected", "connected"], "the finish came by mail"


async def test_a_moment_in_which_the_server_answers_nothing_ends_no_meeting(
    people: tuple[Device, Device], sites: tuple[Site, Site]
) -> None:
    anna, bob = people
    failed: set[str] = set()

    def busy_once(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if "/rendezvous/meet/" in path and method in ("GET", "PUT") and (place := f"{method} {path}") not in failed:
            failed.add(place)
            return 503, b""
        return status, body

    sites[0].proxy.answer = busy_once
    pair = Meeting(anna, bob, network=_NOWHERE)
    assert codes(await pair.run()) == ["ok", "ok"]
    assert len(failed) > 4


async def test_what_breaks_off_after_both_agreed_comes_to_its_end_by_mail(
    people: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finish is lost on its way from hand to hand: the next syncs bring it."""
    anna, bob = people
    write = Line.write

    async def lose_the_finish(line: Line, message: bytes) -> None:
        if line.machine._role == "shows" and len(message) > 14_000 and line._written == 5:
            raise ServerUnreachable("The power went.")
        await write(line, message)

    monkeypatch.setattr(Line, "write", lose_the_finish)
    assert codes(await Meeting(anna, bob).run()) == ["ok", "meeting-broken-off"]
    assert peers(bob) == [("Anna Beck", "waiting", "met")]
    await settle(bob, anna, bob)
    assert peers(bob) == [("Anna Beck", "connected", "met")]
    assert (anna.channel.state, bob.channel.state) == (RelationshipState.CONNECTED,) * 2


async def test_a_relationship_whose_finish_never_comes_waits_for_28_days_only(
    people: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, bob = people

    async def crash(*_: object) -> None:
        raise KithError("The power went before anything was kept.")

    monkeypatch.setattr(meet, "_finish", crash)
    assert codes(await Meeting(anna, bob).run())[1] == "meeting-broken-off"
    assert kept(anna) == []
    await bob.sync()
    assert peers(bob) == [("Anna Beck", "waiting", "met")]
    after = bob.vault.clock() + decisions.GREETING_LIFETIME + FINISH_GRACE + 60_000
    edit = plan(bob.vault.contents, Stamp(after, b"12345678", secrets.token_bytes)).edit
    (channel,) = records.channels({**bob.vault.contents, **{k: v for k, v in edit.items() if v is not None}})
    assert channel.ended
    assert any(each is not None and each.kind == "issue" for each in edit.values())


async def test_whoever_answers_as_somebody_else_than_they_said_is_not_kept(
    people: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anna agreed to a name and a person; the answer has to show these."""
    anna, bob = people
    honest = decisions.myself

    def lie(contents: Contents, machine: LinkMachine) -> MeetReady:
        if contents is not bob.vault.contents:
            return honest(contents, machine)
        me = records.own_persona(contents)
        return MeetReady(me.raw, "Your mother", machine.prove(me, "Your mother"))

    monkeypatch.setattr(decisions, "myself", lie)
    assert codes(await Meeting(anna, bob).run()) == ["link-burned", "link-declined"]
    assert kept(anna) == []


async def test_whoever_shows_the_persona_of_another_is_not_met_and_changes_no_peer(
    people: tuple[Device, Device], sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every peer has a person's persona statement: it proves nothing about who shows it."""
    anna, bob = people
    async with await begin(sites[0], tmp_path / "carla", "Carla Ruiz") as carla:
        made = await make_invite(carla.vault, carla.server)
        await accept_invite(bob.vault, bob.server, made.link)
        before = bob.vault.contents.copy()  # type: ignore[attr-defined]
        stolen = records.own_persona(carla.vault.contents).raw

        def offer(contents: Contents, stamp: Stamp, place: Place) -> OwnInvite:
            randomness = stamp.random(NEW_INVITE_RANDOM_BYTES)
            expires = stamp.now + decisions.GREETING_LIFETIME
            values = place.host, place.fingerprint, stolen, "Anna Beck", expires
            return new_invite(*values, reusable=False, randomness=randomness)

        monkeypatch.setattr(decisions, "new_offer", offer)
        asked: list[str] = []

        async def ask(question: str) -> bool:
            asked.append(question)
            return True

        assert codes(await Meeting(anna, bob, confirm_types=ask).run())[1] == "link-burned"
        assert asked == [], "nobody is asked about somebody who could not show who they are"
        assert bob.vault.contents == before


async def test_whoever_types_the_persona_of_another_is_not_even_asked_about(
    people: tuple[Device, Device], sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    anna, bob = people
    async with await begin(sites[0], tmp_path / "carla", "Carla Ruiz") as carla:
        stolen = records.own_persona(carla.vault.contents).raw
    honest = decisions.myself

    def lie(contents: Contents, machine: LinkMachine) -> MeetReady:
        mine = honest(contents, machine)
        return MeetReady(stolen, mine.name, mine.proof) if machine.role is LinkRole.TYPES else mine

    monkeypatch.setattr(decisions, "myself", lie)
    asked: list[str] = []

    async def ask(question: str) -> bool:
        asked.append(question)
        return True

    assert codes(await Meeting(anna, bob, confirm_shows=ask).run())[0] == "link-burned"
    assert (asked, kept(anna, bob)) == ([], [])


async def test_a_home_server_that_shows_another_key_for_the_other_server_reads_no_more_than_a_rendezvous(
    people: tuple[Device, Device], sites: tuple[Site, Site]
) -> None:
    """Bob's server makes up a statement of Anna's: it could open what he asks there, which is public anyway. Here it
    passes the requests on unopened, and Anna's server cannot read them: no meeting, and nothing is kept."""
    anna, bob = people

    def another(_method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if "/servers/" not in path:
            return status, body
        now, key = bob.vault.clock(), SignKey(secrets.token_bytes(32))
        gateway = SealKey(secrets.token_bytes(32)).public
        return 200, sign_server_statement(key, anna.server.host, gateway, now, now + 60_000)

    sites[1].proxy.answer = another
    shown: asyncio.Queue[LinkCode] = asyncio.Queue()
    showing = asyncio.create_task(
        meet.show_code(anna.vault, anna.server, shown.put_nowait, _yes, decisions.Wishes(), network=_NOWHERE)
    )
    with pytest.raises(ServerUnreachable):
        await meet.type_code(bob.vault, bob.server, await shown.get(), _yes, decisions.Wishes(), network=_NOWHERE)
    showing.cancel()
    await asyncio.gather(showing, return_exceptions=True)
    assert kept(bob) == []


async def test_what_passes_servers_holds_neither_code_nor_names_nor_persons(
    people: tuple[Device, Device], sites: tuple[Site, Site]
) -> None:
    anna, bob = people
    persons = [records.own_persona(each.vault.contents).person for each in people]
    codes_shown: list[LinkCode] = []

    async def remember(code: LinkCode) -> LinkCode:
        codes_shown.append(code)
        return code

    for site in sites:
        site.proxy.seen.clear()
    assert codes(await Meeting(anna, bob).run(remember)) == ["ok", "ok"]
    await settle(anna, bob)
    seen = b"".join(part for site in sites for part in site.proxy.seen)
    for secret in (b"Anna Beck", b"Bob Lund", *persons, *codes_shown[0].secret.split(b"-")):
        assert secret not in seen


async def _yes(_name: str) -> bool:
    return True


async def test_whoever_is_known_under_another_name_is_asked_about_under_that_one_and_a_no_raises_doubts(
    people: tuple[Device, Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody was introduced under a friend's name; their accomplice is met under their own."""
    fake, bob = people
    made = await make_invite(fake.vault, fake.server)
    await accept_invite(bob.vault, bob.server, made.link)
    (peer,) = records.peers(bob.vault.contents)
    draft = Draft(bob.vault.contents, bob.vault.stamp())
    draft.change(peer.id, {"trust": introduced_by(secrets.token_bytes(32))})
    await bob.apply(draft.edit)
    monkeypatch.setattr(decisions, "display_name_of_mine", lambda _: "Carl Moor")
    asked: list[str] = []

    async def ask(question: str) -> bool:
        asked.append(question)
        return False

    assert codes(await Meeting(fake, bob, confirm_types=ask).run())[1] == "person-changed"
    assert "'Carl Moor'" in asked[0]
    assert "know this person as 'Anna Beck', introduced by" in asked[0]
    assert [each.trust for each in records.peers(bob.vault.contents)] == ["unverified"]
    assert any(each.kind == "issue" for each in bob.vault.contents.values())
