"""A server is filled with a vault that was made elsewhere: what it takes, from whom, and what it makes visible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kith_protocol.encoding import decode
from kith_protocol.member import MemberKeys
from kith_protocol.moving import FILL_SKEW, sign_fill
from kith_protocol.wire import (
    BeginFill,
    FeedCommit,
    FeedRecords,
    FillGrant,
    Frame,
    Head,
    encode_frame,
)
from kith_server.config import Config, Quotas, Registration
from kith_server.filling import FILL_LIFETIME, MAX_FILLS, RESTING
from kith_server.keys import DATABASE, FILLS
from kith_server.storage.check import check_vault
from tests.support.home_server import ORIGIN, URL, HomeServer, Refusal, home_server
from tests.support.vaults import VaultBuilder, new_member, record_id

NOTHING = bytes(16)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HomeServer]:
    async with home_server(tmp_path / "new") as running:
        yield running


@dataclass
class History:
    """A vault with everything that a feed of it says, as its old server sent it."""

    vault: VaultBuilder
    frames: list[Frame]
    removed: MemberKeys
    """A device that was a member for a while."""

    @property
    def head(self) -> Head:
        return Head(self.vault.chain.number, self.vault.chain.head)

    def without_lists(self) -> list[Frame]:
        """As a device tells it, which keeps no change lists."""
        return [replace_list(frame, b"") for frame in self.frames]


def parts(feed: list[Frame]) -> list[Frame]:
    """What of a feed is sent to fill a server."""
    return [frame for frame in feed if isinstance(frame, FeedCommit | FeedRecords)]


def replace_list(frame: Frame, changes: bytes) -> Frame:
    return FeedCommit(frame.commit, frame.keys, changes) if isinstance(frame, FeedCommit) else frame


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Commits, a deletion, a replaced record, a removed device, two epochs."""

    async def play() -> History:
        async with home_server(tmp_path_factory.mktemp("filling") / "old") as old:
            vault, other = await old.begin(), new_member()
            one, two, three = sorted(record_id() for _ in range(3))
            await old.push(vault, vault.push({one: {"a": 1}, two: {"b": 1}}))
            await old.push(vault, vault.add_device(other.public))
            await old.push(vault, vault.push({one: {"a": 2}, three: {"c": 1}}))
            await old.push(vault, vault.push({two: None}))
            await old.push(vault, vault.remove_member(other.id))
            await old.push(vault, vault.push({record_id(): {"d": "x" * 300}}))
            return History(vault, parts(await old.feed(vault))[1:], other)

    return asyncio.run(play())


class Filler:
    """A client that fills `server` with a history."""

    def __init__(self, server: HomeServer, vault: VaultBuilder, member: MemberKeys | None = None) -> None:
        self.server = server
        self.vault = vault
        self.member = member or vault.device
        self.token = ""
        self.path = f"/v1/fills/{vault.vault.hex()}"

    def request(self, *, token: str = "", anew: bool = False, origin: str = ORIGIN, late: int = 0) -> BeginFill:
        register = self.vault.register
        signed = sign_fill(self.vault.vault, self.member, origin, self.server.clock() - late)
        return BeginFill(token, register.genesis, register.keys, self.member.public, *signed, anew)

    async def begin(self, **options: object) -> FillGrant:
        raw = await self.server.call("POST", "/v1/fills", self.request(**options))  # type: ignore[arg-type]
        grant = decode(raw, FillGrant)
        self.token = grant.token.hex()
        return grant

    async def add(self, frames: Sequence[Frame]) -> Head:
        body = b"".join(map(encode_frame, frames))
        return decode(await self.server.call("POST", f"{self.path}/parts", body, headers=self.headers), Head)

    async def end(self, head: Head) -> None:
        await self.server.call("POST", f"{self.path}/end", head, headers=self.headers)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def fill(self, frames: list[Frame], head: Head) -> None:
        await self.begin()
        await self.add(frames)
        await self.end(head)


async def refusal(work: object) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        await work  # type: ignore[misc]
    return caught.value.status, caught.value.code


async def is_sound(server: HomeServer, vault: VaultBuilder) -> bool:
    found = await server.app[DATABASE].read(lambda connection: list(check_vault(connection, vault.vault)))
    return not found


async def is_unknown(server: HomeServer, vault: VaultBuilder) -> bool:
    return await refusal(server.open_session(vault)) == (401, "session-refused")


async def count(server: HomeServer, table: str) -> int:
    query = f"SELECT count(*) FROM {table}"
    return int(await server.app[DATABASE].read(lambda connection: connection.execute(query).fetchone()[0]))


@pytest.mark.parametrize("lists", [True, False])
async def test_a_filled_vault_is_the_one_that_it_was(server: HomeServer, made: History, lists: bool) -> None:
    frames = made.frames if lists else made.without_lists()
    await Filler(server, made.vault).fill(frames, made.head)
    assert await is_sound(server, made.vault)
    assert parts(await server.feed(made.vault))[1:] == frames
    if not lists:
        assert await refusal(server.feed(made.vault, made.head.number - 1)) == (410, "horizon")
    vault = replace(made.vault)
    await server.push(vault, vault.push({record_id(): {"e": 1}}))
    assert await is_sound(server, vault)


async def test_a_part_at_a_time_gives_the_same(server: HomeServer, made: History) -> None:
    filler = Filler(server, made.vault)
    for frame in made.frames:
        if isinstance(frame, FeedRecords):
            for record in frame.records:
                await filler.begin()  # the connection broke; a new token, and the place where it stopped
                await filler.add([FeedRecords((record,))])
        else:
            await filler.begin()
            await filler.add([frame])
    grant = await filler.begin()
    last = made.frames[-1]
    assert isinstance(last, FeedRecords)
    assert (grant.number, grant.record) == (made.head.number, last.records[-1][0])
    await filler.end(made.head)
    assert await is_sound(server, made.vault)


async def test_what_a_later_commit_replaced_since_the_first_part_is_replaced_here_too(tmp_path: Path) -> None:
    async with home_server(tmp_path / "old") as old, home_server(tmp_path / "new") as new:
        vault, one, two = await old.begin(), record_id(), record_id()
        filler = Filler(new, vault)
        await old.push(vault, vault.push({one: {"a": 1}, two: {"b": 1}}))
        before = parts(await old.feed(vault))
        await filler.begin()
        await filler.add(before[1:])
        await old.push(vault, vault.push({one: {"a": 2}, two: None}))
        await filler.add(parts(await old.feed(vault, 1)))
        await filler.end(Head(vault.chain.number, vault.chain.head))
        assert await is_sound(new, vault)
        assert await new.feed(vault) == await old.feed(vault)


async def test_a_half_filled_vault_is_seen_by_nobody_and_swept_up(server: HomeServer, made: History) -> None:
    filler = Filler(server, made.vault)
    await filler.begin()
    await filler.add(made.frames[:4])
    assert await is_unknown(server, made.vault)
    assert await refusal(server.call("POST", "/v1/vaults", made.vault.register)) == (404, "not-found")
    await server.app[FILLS].sweep()
    assert await count(server, "fills") == 1
    server.clock.now += FILL_LIFETIME + 1
    await server.app[FILLS].sweep()
    assert [await count(server, table) for table in ("fills", "vaults", "commits", "records", "blobs")] == [0] * 5


async def test_nobody_can_go_on_with_somebody_elses_fill(server: HomeServer, made: History) -> None:
    filler, stranger = Filler(server, made.vault), Filler(server, made.vault)
    await filler.begin()
    stranger.token = "ab" * 32
    assert await refusal(stranger.add(made.frames)) == (401, "session")
    assert await refusal(stranger.end(made.head)) == (401, "session")
    await filler.begin()
    assert await refusal(stranger.end(made.head)) == (401, "session")


async def test_a_stranger_cannot_fill_a_server_with_a_vault_of_others(server: HomeServer, made: History) -> None:
    stranger = Filler(server, made.vault, new_member())
    await stranger.begin()
    await stranger.add(made.frames)
    assert await refusal(stranger.end(made.head)) == (422, "unknown-member")
    assert await is_unknown(server, made.vault)
    assert await count(server, "vaults") == 0


async def test_a_removed_device_cannot_fill_a_server_with_what_stands_since(server: HomeServer, made: History) -> None:
    removed = Filler(server, made.vault, made.removed)
    await removed.begin()
    await removed.add(made.frames)
    assert await refusal(removed.end(made.head)) == (422, "unknown-member")


async def squat(server: HomeServer, made: History) -> None:
    """A removed device brings the state in which it was a member."""
    removed = Filler(server, made.vault, made.removed)
    await removed.begin()
    # The state after commit 2, rebuilt from a history in which commit 1's records both stood.
    commits = [frame for frame in made.frames if isinstance(frame, FeedCommit)][:2]
    await removed.add([*commits])
    old = made.vault
    assert await refusal(removed.end(Head(2, old.chain.head))) == (422, "fork")


async def test_a_removed_device_cannot_name_another_head_than_it_brought(server: HomeServer, made: History) -> None:
    await squat(server, made)
    assert await count(server, "vaults") == 0


async def test_the_paper_key_takes_the_place_of_whoever_fills(server: HomeServer, made: History) -> None:
    removed, device = Filler(server, made.vault, made.removed), Filler(server, made.vault)
    await removed.begin()
    await removed.add(made.frames[:3])
    assert await refusal(device.begin()) == (409, "fill-busy")
    paper = Filler(server, made.vault, made.vault.paper)
    await paper.fill(made.frames, made.head)
    assert await is_sound(server, made.vault)
    assert await refusal(removed.add(made.frames[3:])) == (401, "session")


async def test_a_fill_that_rests_makes_room_for_another_device(server: HomeServer, made: History) -> None:
    removed, device = Filler(server, made.vault, made.removed), Filler(server, made.vault)
    await removed.begin()
    server.clock.now += RESTING
    await device.fill(made.frames, made.head)
    assert await is_sound(server, made.vault)


async def test_a_vault_that_is_here_is_never_filled_over(server: HomeServer, made: History) -> None:
    await Filler(server, made.vault).fill(made.frames, made.head)
    again = Filler(server, made.vault, made.vault.paper)
    assert await refusal(again.begin()) == (409, "vault-exists")
    assert await is_sound(server, made.vault)


def cut(frames: list[Frame], n: int) -> list[Frame]:
    return [*frames[:n], *frames[n + 1 :]]


def no_records(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if not isinstance(frame, FeedRecords)]


def other_bytes(frames: list[Frame]) -> list[Frame]:
    *rest, last = frames
    assert isinstance(last, FeedRecords)
    (record, sealed) = last.records[0]
    return [*rest, FeedRecords(((record, sealed[:-1] + bytes([sealed[-1] ^ 1])),))]


def twice(frames: list[Frame]) -> list[Frame]:
    return [*frames, frames[-1]]


def wrong_list(frames: list[Frame]) -> list[Frame]:
    return [replace_list(frames[0], b"\x91\x90\x90"), *frames[1:]]


def gap_in_lists(frames: list[Frame]) -> list[Frame]:
    (last,) = [n for n, frame in enumerate(frames) if isinstance(frame, FeedCommit)][-1:]
    return [*frames[:last], replace_list(frames[last], b""), *frames[last + 1 :]]


def old_epoch(frames: list[Frame]) -> list[Frame]:
    first = next(frame for frame in frames if isinstance(frame, FeedRecords))
    lists = [replace_list(frame, b"") for frame in frames if frame is not first]
    return [*lists[:-1], first, lists[-1]]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda frames: cut(frames, 0), "fork"),
        (other_bytes, "wrong-records"),
        (twice, "wrong-records"),
        (wrong_list, "wrong-changes"),
        (gap_in_lists, "wrong-changes"),
        (old_epoch, "wrong-epoch"),
    ],
)
async def test_a_part_that_breaks_a_rule_is_refused_and_changes_nothing(
    server: HomeServer, made: History, spoil: Callable[[list[Frame]], list[Frame]], code: str
) -> None:
    filler = Filler(server, made.vault)
    await filler.begin()
    assert (await refusal(filler.add(spoil(made.frames))))[1] == code
    assert (await filler.begin()).number == 0
    await filler.fill(made.frames, made.head)
    assert await is_sound(server, made.vault)


async def test_a_vault_from_which_records_are_missing_is_dropped(server: HomeServer, made: History) -> None:
    filler = Filler(server, made.vault)
    for frames in (no_records(made.frames), [replace_list(f, b"") for f in no_records(made.frames)]):
        assert await refusal(filler.fill(frames, made.head)) == (422, "wrong-tree")
        assert await is_unknown(server, made.vault)
        assert await count(server, "commits") == 0


async def test_a_forged_record_behind_the_horizon_is_found_by_the_tree(server: HomeServer, made: History) -> None:
    frames = [replace_list(frame, b"") for frame in other_bytes(made.frames)]
    assert await refusal(Filler(server, made.vault).fill(frames, made.head)) == (422, "wrong-tree")


async def test_a_part_that_is_cut_off_or_no_part_is_refused(server: HomeServer, made: History) -> None:
    filler = Filler(server, made.vault)
    await filler.begin()
    for body in (encode_frame(made.frames[0])[:-1], b"\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc0"):
        call = server.call("POST", f"{filler.path}/parts", body, headers=filler.headers)
        assert (await refusal(call))[0] in (413, 422)


async def test_a_vault_beyond_the_quota_is_refused(tmp_path: Path, made: History) -> None:
    config = Config(URL, quotas=Quotas(vault_bytes=6000))
    async with home_server(tmp_path / "small", config=config) as server:
        filler = Filler(server, made.vault)
        await filler.begin()
        assert await refusal(filler.add(made.frames)) == (413, "quota-exceeded")
        assert (await filler.begin()).number == 0


async def test_registration_rules_hold_for_vaults_from_elsewhere(tmp_path: Path, made: History) -> None:
    async with home_server(tmp_path / "closed", config=Config(URL, registration=Registration.CLOSED)) as server:
        assert await refusal(Filler(server, made.vault).begin()) == (403, "registration-closed")
    async with home_server(tmp_path / "asks", config=Config(URL, registration=Registration.TOKEN)) as server:
        assert await refusal(Filler(server, made.vault).begin()) == (403, "registration-token")
        assert await refusal(Filler(server, made.vault).begin(token="wrong")) == (403, "registration-token")
    async with home_server(tmp_path / "full", config=Config(URL, quotas=Quotas(vaults=1))) as server:
        await server.begin()
        assert await refusal(Filler(server, made.vault).begin()) == (403, "registration-full")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"origin": "other.example"}, "fill-origin"),
        ({"late": FILL_SKEW + 1}, "fill-time"),
        ({"late": -FILL_SKEW - 1}, "fill-time"),
    ],
)
async def test_a_statement_for_another_server_or_time_begins_nothing(
    server: HomeServer, made: History, options: dict[str, object], code: str
) -> None:
    assert (await refusal(Filler(server, made.vault).begin(**options)))[1] == code


async def test_nobody_begins_in_the_name_of_a_member(server: HomeServer, made: History) -> None:
    good = Filler(server, made.vault).request()
    forged = Filler(server, made.vault, new_member()).request()
    stolen = BeginFill("", good.genesis, good.keys, good.member, good.statement, forged.signature, False)
    other = BeginFill("", good.genesis, good.keys, good.member, forged.statement, forged.signature, False)
    for request in (stolen, other):
        assert (await refusal(server.call("POST", "/v1/fills", request)))[1] == "fill-refused"


async def test_only_so_many_are_filled_at_a_time_and_the_one_that_rests_makes_room(server: HomeServer) -> None:
    vaults = [VaultBuilder.new() for _ in range(MAX_FILLS + 1)]
    for vault in vaults[:-1]:
        await Filler(server, vault).begin()
    assert (await refusal(Filler(server, vaults[-1]).begin()))[1] == "busy"
    server.clock.now += RESTING + 1
    await Filler(server, vaults[-1]).begin()
    assert await count(server, "fills") == MAX_FILLS
