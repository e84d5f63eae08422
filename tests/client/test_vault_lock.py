"""One program at a time works on a vault, and none waits for another longer than it has to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kith_client.errors import Busy
from kith_client.store.home import SAY_AFTER, Home


async def test_a_second_program_waits_and_then_says_that_another_is_at_work(tmp_path: Path) -> None:
    home = Home(tmp_path)
    async with home.locked():
        with pytest.raises(Busy):
            async with home.locked(deadline=0.1):
                pytest.fail("two at once")


async def test_a_second_program_goes_on_when_the_first_is_done(tmp_path: Path) -> None:
    home = Home(tmp_path)
    order: list[str] = []

    async def second() -> None:
        async with home.locked():
            order.append("second")

    async with home.locked():
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.1)
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_a_program_that_waits_can_be_stopped_at_once(tmp_path: Path) -> None:
    home = Home(tmp_path)

    async def second() -> None:
        async with home.locked():
            pytest.fail("two at once")

    async with home.locked():
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.1)
        waiting.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await waiting


async def test_whoever_has_to_wait_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    async with Home(tmp_path).locked():
        with pytest.raises(Busy):
            async with Home(tmp_path, lambda: told.append("waiting")).locked(deadline=SAY_AFTER + 0.2):
                pytest.fail("two at once")
    assert told == ["waiting"]
