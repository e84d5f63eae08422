"""Somebody in the middle while a device is added: the code burns, and nobody becomes a member."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from kith_client.lifecycle import linking
from kith_client.lifecycle.linking import add_device, join_vault
from kith_client.line import AtRendezvous, Line
from kith_client.store.home import Home
from kith_client.vault import Vault
from kith_protocol import wire
from kith_protocol.errors import Alarm, AlarmCode, KithError, Refused
from kith_protocol.link_code import CODE_RANDOM_BYTES, parse_code, spoken_code
from kith_protocol.linking import JoinRequest, LinkMachine, LinkRole, LinkState
from kith_protocol.member import MemberKind
from kith_protocol.server_statement import sign_server_statement
from kith_protocol.suite import SealKey, SignKey
from kith_protocol.wire import Purpose
from tests.adversary.scene import ALL, Frames, Scene, commits_in, headed
from tests.adversary.world import Device
from tests.support.lying_proxy import TamperAnswer
from tests.support.vaults import new_member

TamperMessage = Callable[[int, bytes], bytes]
"""(phase, message of the new device) → what the old one gets."""


@pytest.mark.parametrize(("side", "phase"), [("a", 0), ("a", 1), ("b", 0), ("b", 1), ("b", 2)])
async def test_a_server_that_alters_a_message_of_linking_burns_the_code(
    scene: Scene, tmp_path: Path, side: str, phase: int
) -> None:
    """Its own exchange instead, a forged confirmation, other keys: whatever it is, nobody is added."""

    def alter(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if method == "GET" and path.endswith(f"/{side}/{phase}") and status == 200:
            return status, body[:-1] + bytes([body[-1] ^ 1])
        return status, body

    scene.site.proxy.answer = alter
    await _nobody_is_added(scene, tmp_path)


async def test_a_server_that_speaks_spake_with_both_sides_does_not_get_between_them(
    scene: Scene, tmp_path: Path
) -> None:
    """Without the code it can only guess, and each side sees one wrong guess."""
    middle = {
        "a": LinkMachine(LinkRole.SHOWS, spoken_code("123456", secrets.token_bytes(CODE_RANDOM_BYTES)), _host(scene)),
        "b": LinkMachine(LinkRole.TYPES, spoken_code("123456", secrets.token_bytes(CODE_RANDOM_BYTES)), _host(scene)),
    }
    started = {side: machine.start(secrets.token_bytes(32)) for side, machine in middle.items()}

    def between(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if method != "GET" or "/rendezvous/" not in path or status != 200:
            return status, body
        side, phase = path.split("/")[-2:]
        if phase == "0":
            return status, started[side]
        return status, secrets.token_bytes(len(body))

    scene.site.proxy.answer = between
    await _nobody_is_added(scene, tmp_path)


async def test_an_altered_grant_is_refused_and_only_the_true_keys_were_added(scene: Scene, tmp_path: Path) -> None:
    """The old device has committed by then: a server can spoil the rest, but not choose who is a member."""
    laptop, shown = scene.laptop, asyncio.Queue[str]()
    await laptop.sync()
    before = set(laptop.vault.chain.members)

    def alter(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if method == "GET" and path.endswith("/a/2") and status == 200:
            return status, secrets.token_bytes(len(body))
        return status, body

    async def join() -> None:
        with pytest.raises(Refused) as raised:
            await join_vault(Home(tmp_path / "new"), await shown.get(), scene.site.url, "new")
        assert raised.value.code == "link-burned"

    scene.site.proxy.answer = alter
    results = await asyncio.gather(
        add_device(laptop.vault, laptop.server, shown.put, _yes), join(), return_exceptions=True
    )
    assert results[1] is None
    assert not Home(tmp_path / "new").exists
    assert len(set(laptop.vault.chain.members) - before) == 1


async def test_a_wrong_code_burns_it_and_the_right_one_is_of_no_use_any_more(scene: Scene, tmp_path: Path) -> None:
    laptop = scene.laptop
    shown: asyncio.Queue[str] = asyncio.Queue()

    async def guess() -> str:
        code = await shown.get()
        nameplate = parse_code(code).nameplate
        wrong = spoken_code(nameplate, secrets.token_bytes(CODE_RANDOM_BYTES)).text
        with pytest.raises(KithError):
            await join_vault(Home(tmp_path / "thief"), wrong, scene.site.url, "thief")
        return code

    adding = asyncio.create_task(add_device(laptop.vault, laptop.server, shown.put, _never))
    code = await guess()
    with pytest.raises(Refused) as raised:
        await adding
    assert raised.value.code == "link-burned"
    with pytest.raises(Refused) as raised:
        await join_vault(Home(tmp_path / "late"), code, scene.site.url, "late")
    assert raised.value.code == "link-burned"
    assert not Home(tmp_path / "thief").exists
    assert not Home(tmp_path / "late").exists
    await _still_the_same_members(scene)


async def test_a_device_that_the_person_declines_is_not_added(scene: Scene, tmp_path: Path) -> None:
    async def no(_name: str) -> bool:
        return False

    old, new = await _nobody_is_added(scene, tmp_path, confirm=no, code="link-declined")
    assert str(old) == "The device was not added."
    assert str(new) == "The other device said no, or was stopped. Nothing was kept."


async def test_a_device_that_was_stopped_while_the_person_was_asked_is_not_added(scene: Scene, tmp_path: Path) -> None:
    """Else a device would stand in the address book that does not exist."""
    laptop, shown, asked, stopped = scene.laptop, asyncio.Queue[str](), asyncio.Event(), asyncio.Event()

    async def slowly(_name: str) -> bool:
        asked.set()
        await stopped.wait()
        return True

    async def join() -> None:
        await join_vault(Home(tmp_path / "new"), await shown.get(), scene.site.url, "new")

    joining = asyncio.create_task(join())
    adding = asyncio.create_task(add_device(laptop.vault, laptop.server, shown.put, slowly))
    await asked.wait()
    joining.cancel()  # as Ctrl-C does
    await asyncio.gather(joining, return_exceptions=True)
    assert joining.cancelled()
    stopped.set()
    with pytest.raises(Refused, match="was stopped meanwhile") as raised:
        await adding
    assert raised.value.code == "link-declined"
    await _still_the_same_members(scene)


async def test_an_end_arrives_although_its_sender_was_stopped_while_it_wrote(scene: Scene) -> None:
    """The message before it stands at the server, and the sender does not know."""
    laptop, shown = scene.laptop, asyncio.Queue[str]()

    async def stopped() -> None:
        code = parse_code(await shown.get())
        carrier = AtRendezvous(laptop.server, Purpose.DEVICE, code.nameplate, LinkRole.TYPES)
        line = Line(carrier, LinkMachine(LinkRole.TYPES, code, _host(scene)))
        await line.agree()
        request = JoinRequest(new_member(MemberKind.DEVICE).public, "phone")
        await carrier.leave(2, line.machine.seal(request, nonce=secrets.token_bytes(24)))
        await line.end(patient=False)

    ended = asyncio.create_task(stopped())

    async def slowly(_name: str) -> bool:
        await ended
        return True

    with pytest.raises(Refused, match="was stopped meanwhile"):
        await add_device(laptop.vault, laptop.server, shown.put, slowly)
    await _still_the_same_members(scene)


@pytest.mark.parametrize("says", [b"", b"\x00", b"\x01"])
async def test_a_device_that_is_added_and_does_not_say_that_it_is_there_is_told_of(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, says: bytes
) -> None:
    """It went away after the commit: in silence, or with an end."""
    monkeypatch.setattr("kith_client.line.ARRIVAL_SECONDS", 1.0)
    laptop, shown = scene.laptop, asyncio.Queue[str]()

    async def goes_away() -> None:
        code = parse_code(await shown.get())
        line = Line(
            AtRendezvous(laptop.server, Purpose.DEVICE, code.nameplate, LinkRole.TYPES),
            LinkMachine(LinkRole.TYPES, code, _host(scene)),
        )
        await line.agree()
        await line.say(JoinRequest(new_member(MemberKind.DEVICE).public, "phone"))
        await line.read()
        if says:
            await line.write(says)

    added, _ = await asyncio.gather(add_device(laptop.vault, laptop.server, shown.put, _yes), goes_away())
    assert added == linking.Added("phone", arrived=says == b"\x00")


async def test_a_new_device_cannot_ask_to_be_the_paper_key(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A true code in the hands of a program that asks for more than a device gets."""
    laptop, shown = scene.laptop, asyncio.Queue[str]()

    monkeypatch.setattr("kith_client.line.READ_SECONDS", 0.2)  # nobody reads the end here

    async def greedy() -> None:
        code = parse_code(await shown.get())
        machine = LinkMachine(LinkRole.TYPES, code, _host(scene))
        line = Line(AtRendezvous(laptop.server, Purpose.DEVICE, code.nameplate, LinkRole.TYPES), machine)
        await line.agree()
        assert machine.state is LinkState.OPEN
        paper = new_member(MemberKind.PAPER)
        request = JoinRequest(paper.public, "phone")
        await line.write(machine.seal(request, nonce=secrets.token_bytes(24)))

    before = dict(laptop.vault.chain.members)
    with pytest.raises(Refused) as raised:
        await asyncio.gather(add_device(laptop.vault, laptop.server, shown.put, _yes), greedy())
    assert raised.value.code == "membership"
    assert laptop.vault.chain.members.keys() == before.keys()


# What a new device is shown of the vault


def rolls_back(_scene: Scene, frames: Frames) -> Frames:
    """The vault as it was before this device was added."""
    commits = commits_in(frames)
    cut = frames.index(commits[-1])
    return headed([*frames[:cut], frames[-1]], len(commits) - 2, secrets.token_bytes(32))


def hides_a_record(_scene: Scene, frames: Frames) -> Frames:
    last = max(place for place, frame in enumerate(frames) if isinstance(frame, wire.FeedRecords))
    return [*frames[:last], *frames[last + 1 :]]


def announces_another_head(_scene: Scene, frames: Frames) -> Frames:
    """Under the number that the old device named, but with another hash."""
    return headed(frames, len(commits_in(frames)) - 1, secrets.token_bytes(32))


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (rolls_back, AlarmCode.ROLLBACK),
        (hides_a_record, AlarmCode.RECORD_MISSING),
        (announces_another_head, AlarmCode.FORK),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_a_new_device_is_not_fooled_about_the_vault_that_it_joins(
    scene: Scene, tmp_path: Path, lie: Callable[[Scene, Frames], Frames], code: AlarmCode
) -> None:
    """The grant names the head from which the chain has to add it; the old device said so under the code."""
    laptop, shown = scene.laptop, asyncio.Queue[str]()
    await laptop.sync()

    async def join() -> None:
        text = await shown.get()
        with pytest.raises(Alarm) as raised:
            await join_vault(Home(tmp_path / "new"), text, scene.site.url, "new")
        assert raised.value.alarm is code

    def lie_to_newcomers(frames: Frames) -> Frames:
        first = commits_in(frames)
        return lie(scene, frames) if first and len(first) > 4 else frames

    scene.site.proxy.feed = lie_to_newcomers
    await asyncio.gather(add_device(laptop.vault, laptop.server, shown.put, _yes), join())
    assert not Home(tmp_path / "new").exists


def another_key(scene: Scene) -> TamperAnswer:
    """The server shows the statement of another server key in the place of its own."""

    def shown(_method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if path != "/.well-known/kith":
            return status, body
        now = scene.laptop.vault.clock()
        gateway = SealKey(secrets.token_bytes(32)).public
        return 200, sign_server_statement(SignKey(secrets.token_bytes(32)), _host(scene), gateway, now, now + 60_000)

    return shown


async def test_a_home_server_that_shows_another_key_than_the_pinned_one_gets_no_session(scene: Scene) -> None:
    scene.site.proxy.answer = another_key(scene)
    with pytest.raises(Alarm) as raised:
        await scene.laptop.sync()
    assert raised.value.alarm is AlarmCode.SERVER_KEY_CHANGED
    assert not any(path == b"/v1/sessions" for path in scene.site.proxy.seen)
    scene.site.proxy.be_honest()
    await scene.laptop.sync()


async def test_a_server_that_is_not_the_one_the_old_device_knows_is_refused(scene: Scene, tmp_path: Path) -> None:
    """The new device pins the fingerprint that comes under the code, not the one that the server shows."""

    await scene.laptop.sync()  # signed in, so that only the new device sees the other key
    scene.site.proxy.answer = another_key(scene)
    laptop, shown = scene.laptop, asyncio.Queue[str]()

    async def join() -> None:
        with pytest.raises(Alarm) as raised:
            await join_vault(Home(tmp_path / "new"), await shown.get(), scene.site.url, "new")
        assert raised.value.alarm is AlarmCode.SERVER_KEY_CHANGED

    await asyncio.gather(add_device(laptop.vault, laptop.server, shown.put, _yes), join())
    assert not Home(tmp_path / "new").exists


async def test_what_passes_the_rendezvous_holds_neither_code_nor_keys_nor_names(scene: Scene, tmp_path: Path) -> None:
    laptop, shown, codes = scene.laptop, asyncio.Queue[str](), list[str]()

    async def join() -> Device:
        codes.append(await shown.get())
        vault = await join_vault(Home(tmp_path / "new"), codes[0], scene.site.url, "Annas Wintertelefon")
        await vault.close()
        return await Device.open(Home(tmp_path / "new"))

    scene.site.proxy.seen.clear()
    _, new = await asyncio.gather(add_device(laptop.vault, laptop.server, shown.put, _yes), join())
    async with new:
        seen = b"".join(scene.site.proxy.seen).lower()
        for word in (*codes[0].split("-")[1:], "Wintertelefon"):
            assert word.lower().encode() not in seen
        await laptop.sync()
        await new.sync()
        assert new.names == laptop.names == ALL


async def _yes(_name: str) -> bool:
    return True


async def _never(_name: str) -> bool:
    raise AssertionError("the person is asked about a device that nobody confirmed")


def _host(scene: Scene) -> str:
    return scene.laptop.server.host


async def _nobody_is_added(
    scene: Scene,
    folder: Path,
    confirm: linking.Confirm | None = None,
    code: str = "link-burned",
) -> list[BaseException]:
    """What the old and the new device were told."""
    laptop, shown = scene.laptop, asyncio.Queue[str]()

    async def join() -> None:
        await join_vault(Home(folder / "new"), await shown.get(), scene.site.url, "new")

    joining = asyncio.create_task(join())
    results = await asyncio.wait_for(
        asyncio.gather(
            add_device(laptop.vault, laptop.server, shown.put, confirm or _never),
            joining,
            return_exceptions=True,
        ),
        60,
    )
    assert all(isinstance(result, KithError) for result in results), results
    assert code in [getattr(result, "code", "") for result in results]
    assert not Home(folder / "new").exists
    await _still_the_same_members(scene)
    return [result for result in results if isinstance(result, KithError)]


async def _still_the_same_members(scene: Scene) -> None:
    members = set(scene.phone.vault.chain.members)
    scene.site.proxy.be_honest()
    await scene.laptop.sync()
    assert set(scene.laptop.vault.chain.members) == members


async def test_what_was_entered_while_a_device_was_waited_for_is_there_afterwards(scene: Scene, tmp_path: Path) -> None:
    """`kith device add` lets other commands at the address book while it waits."""
    laptop, shown, note = scene.laptop, asyncio.Queue[str](), secrets.token_bytes(16)

    async def join_later() -> None:
        code = await shown.get()
        async with await Vault.open(laptop.vault.home) as beside:
            await beside.apply({note: beside.stamp().content("note", {"text": "typed meanwhile"})})
        async with await join_vault(Home(tmp_path / "new"), code, scene.site.url, "new"):
            pass

    await asyncio.gather(add_device(laptop.vault, laptop.server, shown.put, _yes), join_later())
    assert laptop.vault.contents[note].value("text") == "typed meanwhile"
