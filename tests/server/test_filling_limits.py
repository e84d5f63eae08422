"""What strangers who fill a server can hold up: nobody for long, and no vault of others disappears by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from kith_protocol.commit import change_list
from kith_protocol.encoding import decode, encode
from kith_protocol.suite import SUITE, digest
from kith_protocol.wire import MAX_PART_BYTES, FeedRecords
from kith_server import filling_rules
from kith_server.config import Config, Registration
from kith_server.filling import FILL_LIFETIME, MAX_FILLS, RESTING
from kith_server.filling_rules import Place, check_part
from kith_server.keys import DATABASE, FILLS
from tests.server.test_filling import Filler, History, count, is_sound, made, refusal, server
from tests.support.home_server import URL, HomeServer, home_server
from tests.support.vaults import VaultBuilder, record_id

__all__ = ["made", "server"]


async def occupied(server: HomeServer, fills: int = MAX_FILLS) -> list[Filler]:
    fillers = [Filler(server, VaultBuilder.new()) for _ in range(fills)]
    for filler in fillers:
        await filler.begin()
    return fillers


async def test_a_vault_whose_filler_was_told_that_it_is_there_is_not_dropped_to_make_room(
    server: HomeServer, made: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Filler(server, made.vault)
    await mine.begin()
    await mine.add(made.frames)
    server.clock.now += RESTING + 1
    await occupied(server, MAX_FILLS - 1)
    store = server.app[FILLS]._store
    idle: Callable[[], Awaitable[Any]] = store.idle

    async def late() -> Any:
        rows = await idle()
        monkeypatch.undo()
        await mine.end(made.head)  # between the look at who rests and the dropping
        return rows

    monkeypatch.setattr(store, "idle", late)
    assert (await refusal(Filler(server, VaultBuilder.new()).begin()))[1] == "busy"
    await server.open_session(made.vault)
    assert await is_sound(server, made.vault)


async def test_parts_without_anything_and_beginning_again_hold_no_place(server: HomeServer) -> None:
    fillers = await occupied(server)
    server.clock.now += RESTING - 1
    for filler in fillers:
        await filler.add([])
        await filler.begin()
    assert (await refusal(Filler(server, VaultBuilder.new()).begin()))[1] == "busy"
    server.clock.now += 2
    await Filler(server, VaultBuilder.new()).begin()
    assert await count(server, "fills") == MAX_FILLS


async def test_a_fill_that_goes_on_for_ever_is_dropped_after_a_day(server: HomeServer, made: History) -> None:
    filler = Filler(server, made.vault)
    await filler.begin()
    for frame in made.frames[:3]:
        server.clock.now += FILL_LIFETIME // 3
        await filler.begin(anew=True)
        await filler.add([made.frames[0]])
        assert frame
        await server.app[FILLS].sweep()
    assert await count(server, "fills") == 1
    server.clock.now += 1
    await server.app[FILLS].sweep()
    assert [await count(server, table) for table in ("fills", "vaults")] == [0, 0]


@pytest.fixture
async def asking(tmp_path: Path) -> AsyncIterator[HomeServer]:
    """A server that asks for registration tokens, and knows one: `once`."""
    async with home_server(tmp_path / "asks", config=Config(URL, registration=Registration.TOKEN)) as running:
        row = (digest(b"once"),)
        await running.app[DATABASE].write(lambda c: c.execute("INSERT INTO tokens VALUES (?, 0)", row))
        yield running


async def test_a_registration_token_lets_one_vault_in(asking: HomeServer, made: History) -> None:
    first = Filler(asking, made.vault)
    await first.begin(token="once")
    assert await refusal(Filler(asking, VaultBuilder.new()).begin(token="once")) == (403, "registration-token")
    await first.begin()  # goes on without one
    await first.begin(anew=True)
    await first.add(made.frames)
    await first.end(made.head)
    assert await is_sound(asking, made.vault)
    assert await count(asking, "tokens") == 0


async def test_a_fill_that_came_to_nothing_gives_its_registration_token_back(asking: HomeServer, made: History) -> None:
    first = Filler(asking, made.vault)
    await first.begin(token="once")
    assert (await refusal(first.end(made.head)))[1] == "fork"
    await first.begin(token="once")
    asking.clock.now += FILL_LIFETIME + 1
    await asking.app[FILLS].sweep()
    paper = Filler(asking, made.vault, made.vault.paper)
    assert await refusal(paper.begin()) == (403, "registration-token")
    await paper.begin(token="once")


async def test_the_body_of_a_stranger_is_not_waited_for(server: HomeServer) -> None:
    host, port = server.base.split("://")[1].split(":")
    for end in ("parts", "end"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST /v1/fills/{bytes(32).hex()}/{end} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {'00' * 32}\r\n"
            f"Content-Length: {MAX_PART_BYTES if end == 'parts' else 100}\r\n\r\n".encode()
        )
        await writer.drain()
        async with asyncio.timeout(5):
            assert b"401" in await reader.readline()
        writer.close()


def test_the_list_of_a_commit_is_read_once_however_many_records_come(
    made: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = {record_id(): bytes([SUITE]) + (made.vault.chain.epoch).to_bytes(4, "big") + bytes(40) for _ in range(50)}
    listed = encode(change_list([(record, digest(blob)) for record, blob in sealed.items()]))
    read: list[object] = []

    def counted(raw: bytes, kind: type[Any]) -> Any:
        read.append(kind)
        return decode(raw, kind)

    monkeypatch.setattr(filling_rules, "decode", counted)
    frames = [FeedRecords(((record, blob),)) for record, blob in sorted(sealed.items())]
    part = check_part(Place(made.vault.chain, 0, listed), frames, 0)
    assert len(part.records) == 50
    assert len(read) == 1
