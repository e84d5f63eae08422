"""A home server that acknowledges and forgets, hides answers, stalls, floods, or lies about a whole vault."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from kith_client import transport
from kith_client.errors import ServerRefused, ServerUnreachable
from kith_client.store.mirror import PENDING
from kith_client.sync.pull import pull
from kith_protocol import wire
from kith_protocol.encoding import decode, encode
from kith_protocol.errors import Alarm, AlarmCode, DecodingError, KithError
from kith_protocol.recordheader import read_header
from kith_protocol.suite import digest
from tests.adversary.scene import ALL, UNSENT, Frames, Scene, commits_in, followed_by, records_in, with_records
from tests.adversary.world import Device, begin

PUSH_PATH = "/commits"


# Pushing


async def test_a_push_that_is_acknowledged_and_not_stored_is_noticed_and_the_edit_is_kept(scene: Scene) -> None:
    laptop, proxy = scene.laptop, scene.site.proxy

    async def acknowledge(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith(PUSH_PATH):
            return None
        push = decode(await request.read(), wire.Push)
        number = laptop.vault.chain.number + 1
        return web.Response(body=encode(wire.Head(number, digest(push.commit))), content_type=wire.CONTENT_TYPE)

    proxy.instead = acknowledge
    await laptop.sync()
    assert UNSENT in laptop.names
    proxy.be_honest()
    before = laptop.state()
    with pytest.raises(Alarm) as raised:
        await laptop.sync()
    assert raised.value.alarm is AlarmCode.ROLLBACK
    assert laptop.state() == before
    assert laptop.names == ALL
    await scene.phone.sync()
    assert UNSENT not in scene.phone.names


async def test_a_push_whose_answer_never_comes_is_one_commit(scene: Scene) -> None:
    laptop, site = scene.laptop, scene.site
    site.proxy.drop_answers = lambda method, path: method == "POST" and path.endswith(PUSH_PATH)
    for _ in range(3):
        with pytest.raises(ServerUnreachable):
            await laptop.sync()
    assert UNSENT in laptop.names
    numbers = _commits(scene)
    site.proxy.be_honest()
    await laptop.sync()
    assert _commits(scene) == numbers, "the retry made another commit"
    await scene.phone.sync()
    assert laptop.names == scene.phone.names == ALL
    assert len(scene.phone.names) == len(set(scene.phone.names))


async def test_a_push_whose_answer_is_lost_survives_a_crash_and_another_device_that_writes_on(scene: Scene) -> None:
    laptop, site = scene.laptop, scene.site
    site.proxy.drop_answers = lambda method, path: method == "POST" and path.endswith(PUSH_PATH)
    with pytest.raises(ServerUnreachable):
        await laptop.sync()
    await laptop.close()
    site.proxy.be_honest()
    await scene.phone.sync()
    await scene.phone.add("Ida Kurz")
    await scene.phone.sync()
    numbers = _commits(scene)
    async with await Device.open(laptop.home) as again:
        await again.sync()
        assert _commits(scene) == numbers
        assert again.names == scene.phone.names == sorted([*ALL, "Ida Kurz"])


async def test_a_push_whose_answer_is_lost_and_that_a_pull_brought_first_is_no_fork(scene: Scene) -> None:
    laptop, site = scene.laptop, scene.site
    site.proxy.drop_answers = lambda method, path: method == "POST" and path.endswith(PUSH_PATH)
    with pytest.raises(ServerUnreachable):
        await laptop.sync()
    site.proxy.be_honest()
    await pull(laptop.vault, laptop.server)
    head = laptop.vault.chain.number
    for _ in range(2):
        await laptop.sync()
    assert laptop.vault.chain.number == head, "it is not sent again"
    assert laptop.names == ALL
    assert await laptop.vault.mirror.state(PENDING) is None
    assert await laptop.vault.mirror.drafts() == {}
    await scene.phone.sync()
    assert scene.phone.names == ALL


async def test_every_answer_of_a_sync_may_be_lost_once_and_nothing_is_lost_or_doubled(scene: Scene) -> None:
    """Whatever the server did, and however far it got, the device cannot know; the next sync has to find out."""
    laptop, proxy = scene.laptop, scene.site.proxy
    lost: set[tuple[str, str]] = set()

    def once(method: str, path: str) -> bool:
        place = (method, path)
        if place in lost:
            return False
        lost.add(place)
        return True

    proxy.drop_answers = once
    for _ in range(20):
        try:
            await laptop.sync()
        except ServerUnreachable:
            continue
        break
    else:
        pytest.fail("it never got through")
    assert any(path.endswith(PUSH_PATH) for _, path in lost)
    await scene.phone.sync()
    assert laptop.names == scene.phone.names == ALL


async def test_a_server_that_says_the_head_moved_although_it_stored_the_push_makes_no_double(scene: Scene) -> None:
    laptop, proxy = scene.laptop, scene.site.proxy
    failure = encode(wire.Failure("head-moved", "Another device wrote first."))

    def say_moved(method: str, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        return (409, failure) if method == "POST" and path.endswith(PUSH_PATH) else (status, body)

    proxy.answer = say_moved
    numbers = _commits(scene) + 1
    await laptop.sync()
    assert _commits(scene) == numbers
    proxy.be_honest()
    await laptop.sync()
    await scene.phone.sync()
    assert laptop.names == scene.phone.names == ALL


# Streams without an end


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of seconds, which are minutes for a person."""
    monkeypatch.setattr(transport, "IDLE_DEADLINE", 0.5)
    monkeypatch.setattr(transport, "REQUEST_DEADLINE", 1.0)
    monkeypatch.setattr(transport, "FEED_GRACE", 1.0)


async def _nothing(_stream: web.StreamResponse) -> None:
    await asyncio.sleep(60)


async def _half_a_frame(stream: web.StreamResponse) -> None:
    await stream.write(wire.encode_frame(wire.FeedEnd(1))[:3])
    await asyncio.sleep(60)


async def _trickle(stream: web.StreamResponse) -> None:
    await stream.write((wire.MAX_FRAME_BYTES).to_bytes(4, "big"))
    while True:
        await stream.write(b"\x00")
        await asyncio.sleep(0.1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stall", [_nothing, _half_a_frame, _trickle], ids=lambda stall: stall.__name__.strip("_"))
async def test_a_feed_that_stalls_or_trickles_is_given_up(
    scene: Scene, stall: Callable[[web.StreamResponse], Awaitable[None]]
) -> None:
    scene.site.proxy.instead = _streaming(stall)
    laptop = await _reopened(scene)
    before = laptop.state()
    async with asyncio.timeout(10):
        with pytest.raises(ServerUnreachable):
            await laptop.sync()
    assert laptop.state() == before
    await _recovers(scene, laptop)


@pytest.mark.usefixtures("impatient")
async def test_an_answer_that_never_ends_is_given_up(scene: Scene) -> None:
    async def drip(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith("/parcels"):
            return None
        stream = await _begin(request)
        while True:
            await stream.write(b"\x90")
            await asyncio.sleep(0.1)

    scene.site.proxy.instead = drip
    laptop = await _reopened(scene)
    async with asyncio.timeout(10):
        with pytest.raises(ServerUnreachable):
            await laptop.sync()
    await _recovers(scene, laptop)


async def test_an_answer_without_bounds_is_refused(scene: Scene) -> None:
    sent = 0

    async def flood(request: web.Request) -> web.StreamResponse | None:
        nonlocal sent
        if not request.path.endswith("/parcels"):
            return None
        stream = await _begin(request)
        while True:
            await stream.write(bytes(1 << 20))
            sent += 1 << 20

    scene.site.proxy.instead = flood
    with pytest.raises(DecodingError):
        await scene.laptop.sync()
    assert sent < 64 * transport.MAX_ANSWER_BYTES
    await _recovers(scene, scene.laptop)


@pytest.mark.parametrize("length", [wire.MAX_FRAME_BYTES + 1, 2**32 - 1])
async def test_a_length_that_no_frame_may_have_is_refused_at_once(scene: Scene, length: int) -> None:
    async def boast(stream: web.StreamResponse) -> None:
        await stream.write(length.to_bytes(4, "big"))
        await asyncio.sleep(60)

    scene.site.proxy.instead = _streaming(boast)
    before = scene.laptop.state()
    async with asyncio.timeout(5):
        with pytest.raises(DecodingError):
            await scene.laptop.sync()
    assert scene.laptop.state() == before
    await _recovers(scene, scene.laptop)


async def test_frames_of_rubbish_are_refused(scene: Scene) -> None:
    async def rubbish(stream: web.StreamResponse) -> None:
        await stream.write((1000).to_bytes(4, "big") + secrets.token_bytes(1000))

    scene.site.proxy.instead = _streaming(rubbish)
    before = scene.laptop.state()
    with pytest.raises(KithError) as raised:
        await scene.laptop.sync()
    assert not isinstance(raised.value, ServerRefused)
    assert scene.laptop.state() == before
    await _recovers(scene, scene.laptop)


@pytest.mark.parametrize("behind_horizon", [False, True])
async def test_a_feed_that_grows_without_an_end_ends_with_an_alarm_and_leaves_nothing(
    scene: Scene, behind_horizon: bool
) -> None:
    """Only signed commits get in, each once, with as many records as a commit may have; the flood ends the pull."""
    laptop, vault, parts = scene.laptop, scene.laptop.vault, 0
    after = -1 if behind_horizon else vault.chain.number
    page = _whole([frame async for frame in laptop.server.feed(vault.id, after)], "is true")[:-1]
    if not behind_horizon:
        page = scene.site.proxy.feeds[-1][:-1]
    blob = records_in(page)[-1][1]

    async def grow(stream: web.StreamResponse) -> None:
        nonlocal parts
        for frame in page:
            await stream.write(wire.encode_frame(frame))
        while True:
            parts += 1
            fresh = wire.FeedRecords(tuple((secrets.token_bytes(16), blob) for _ in range(100)))
            await stream.write(wire.encode_frame(fresh))

    scene.site.proxy.instead = _streaming(grow, whole=behind_horizon)
    before = laptop.state()
    async with asyncio.timeout(20):
        with pytest.raises(Alarm) as raised:
            await laptop.sync()
    assert raised.value.alarm is AlarmCode.RECORD_SWAPPED
    assert laptop.state() == before, "what was staged is cleared as well"
    assert parts < 1000
    await _recovers(scene, laptop)


# A whole vault, older than the server's horizon


@pytest.mark.parametrize("what", ["drops", "resurrects", "exchanges", "renames"])
async def test_lies_behind_the_horizon_do_not_add_up_to_the_tree(scene: Scene, what: str) -> None:
    """Where no list of changes speaks for the records any more, the tree of the last commit does."""
    laptop = scene.laptop
    scene.site.proxy.instead = _horizon
    scene.site.proxy.feed = lambda frames: _whole(frames, what)
    before = laptop.state()
    with pytest.raises(Alarm) as raised:
        await laptop.sync()
    assert raised.value.alarm is AlarmCode.RECORD_MISSING
    assert laptop.state() == before
    scene.site.proxy.feed = lambda frames: _whole(frames, "is true")
    await laptop.sync()
    scene.site.proxy.be_honest()
    await scene.phone.sync()
    assert laptop.names == scene.phone.names == ALL


async def test_a_whole_vault_that_leads_to_another_history_is_a_fork(scene: Scene) -> None:
    """The whole chain has to lead through the last commit that this device verified."""
    laptop = scene.laptop
    scene.site.proxy.instead = _horizon

    def other_past(frames: Frames) -> Frames:
        mark = laptop.vault.chain.number
        commits = commits_in(frames)
        cut = frames.index(commits[mark])
        push = scene.forged(scene.phone.vault.member, {})
        return followed_by([*frames[:cut], frames[-1]], push)

    scene.site.proxy.feed = other_past
    before = laptop.state()
    with pytest.raises(Alarm) as raised:
        await laptop.sync()
    assert raised.value.alarm is AlarmCode.FORK
    assert laptop.state() == before


async def test_another_persons_vault_is_not_taken_for_mine(scene: Scene, tmp_path: Path) -> None:
    async with await begin(scene.site, tmp_path / "mallory", "Mallory") as mallory:
        await pull(mallory.vault, mallory.server, whole=True)
        theirs = scene.site.proxy.feeds[-1]
    scene.site.proxy.instead = _horizon
    number = scene.laptop.vault.chain.number
    scene.site.proxy.feed = lambda _: [wire.FeedHead(number + 1, secrets.token_bytes(32), 0), *theirs[1:]]
    before = scene.laptop.state()
    with pytest.raises(Alarm) as raised:
        await scene.laptop.sync()
    assert raised.value.alarm is AlarmCode.FORK
    assert scene.laptop.state() == before


def _whole(frames: Frames, what: str) -> Frames:
    """A whole vault whose lists of changes are gone, with one lie about its records."""
    bare: Frames = [
        wire.FeedCommit(frame.commit, frame.keys, b"") if isinstance(frame, wire.FeedCommit) else frame
        for frame in frames
    ]
    records = records_in(bare)
    (a, blob_a), (b, blob_b) = records[-2:]
    assert read_header(blob_a) == read_header(blob_b)
    match what:
        case "drops":
            last = max(place for place, frame in enumerate(bare) if isinstance(frame, wire.FeedRecords))
            return [*bare[:last], wire.FeedRecords((records[-2],)), *bare[last + 1 :]]
        case "resurrects":
            old = wire.FeedRecords(((secrets.token_bytes(16), blob_a),))
            return [*bare[:-1], old, bare[-1]]
        case "exchanges":
            return with_records(bare, [*records[:-2], (a, blob_b), (b, blob_a)])
        case "renames":
            return with_records(bare, [*records[:-1], (secrets.token_bytes(16), blob_b)])
        case _:
            return bare


async def _horizon(request: web.Request) -> web.StreamResponse | None:
    if not request.path.endswith("/changes") or request.query["after"] == "-1":
        return None
    body = encode(wire.Failure("horizon", "Too long ago."))
    return web.Response(status=410, body=body, content_type=wire.CONTENT_TYPE)


def _commits(scene: Scene) -> int:
    ((count,),) = scene.site.rows("SELECT count(*) FROM commits")
    return int(count)


async def _begin(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": wire.CONTENT_TYPE})
    await stream.prepare(request)
    return stream


def _streaming(
    work: Callable[[web.StreamResponse], Awaitable[None]], *, whole: bool = False
) -> Callable[[web.Request], Awaitable[web.StreamResponse | None]]:
    async def instead(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith("/changes"):
            return None
        if whole and (refused := await _horizon(request)) is not None:
            return refused
        stream = await _begin(request)
        await work(stream)
        return stream

    return instead


async def _reopened(scene: Scene) -> Device:
    """The laptop with a connection that knows the deadlines of the test."""
    await scene.laptop.close()
    scene.laptop = await Device.open(scene.laptop.home)
    return scene.laptop


async def _recovers(scene: Scene, laptop: Device) -> None:
    scene.site.proxy.be_honest()
    await laptop.sync()
    await scene.phone.sync()
    assert laptop.names == scene.phone.names == ALL
