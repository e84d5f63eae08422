"""The server key's file, and gateway keys that take turns."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.server_statement import KEY_RETENTION, MAX_VALIDITY, verify_server_statement
from kith_protocol.suite import SignKey
from kith_server.mail import rotate
from kith_server.server_keys import (
    KEY_NAME,
    ROTATION_INTERVAL,
    GatewayKey,
    ServerKeyError,
    ServerKeys,
    create_server_key,
    load_server_key,
    new_gateway_key,
    offered,
)
from kith_server.storage.database import Database
from kith_server.storage.keys import SqliteGatewayKeys

NOW = 1_800_000_000_000
HOST = "anna.example"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteGatewayKeys]:
    database = await Database.open(tmp_path / "kith.db")
    yield SqliteGatewayKeys(database)
    await database.close()


def test_the_server_key_is_for_its_owner_only_and_comes_back(tmp_path: Path) -> None:
    key = create_server_key(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY_NAME).stat().st_mode) == 0o600
    assert load_server_key(tmp_path) == key
    assert key.seed.hex() not in repr(key)


def test_a_server_key_is_never_overwritten(tmp_path: Path) -> None:
    key = create_server_key(tmp_path)
    with pytest.raises(ServerKeyError, match="exists already"):
        create_server_key(tmp_path)
    assert load_server_key(tmp_path) == key


@pytest.mark.parametrize("text", ["", "kith-server-key-1", "kith-server-key-1 abcd", "kith-server-key-2 " + 64 * "a"])
def test_a_damaged_key_file_is_refused_without_showing_what_it_holds(tmp_path: Path, text: str) -> None:
    (tmp_path / KEY_NAME).write_text(text)
    with pytest.raises(ServerKeyError, match="does not hold a server key") as caught:
        load_server_key(tmp_path)
    assert "abcd" not in str(caught.value)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServerKeyError, match=r"There is no .*server\.key"):
        load_server_key(tmp_path)
    with pytest.raises(ServerKeyError, match="cannot be written"):
        create_server_key(tmp_path / "nowhere")
    (tmp_path / KEY_NAME).mkdir()
    with pytest.raises(ServerKeyError, match="cannot be read"):
        load_server_key(tmp_path)


async def test_keys_change_every_three_days_and_are_kept_for_four_weeks(store: SqliteGatewayKeys) -> None:
    keys = ServerKeys(SignKey(bytes(32)), HOST)
    counts = []
    for day in range(60):
        now = NOW + day * 24 * 3600 * 1000
        await rotate(keys, store, now)
        statement = verify_server_statement(keys.statement, keys.fingerprint, HOST, now)
        assert statement.valid_until - now >= MAX_VALIDITY - ROTATION_INTERVAL
        counts.append(len(keys.opening))
    assert counts[:7] == [1, 1, 1, 2, 2, 2, 3]
    assert max(counts) <= (MAX_VALIDITY + KEY_RETENTION) // ROTATION_INTERVAL + 1
    assert counts[-1] == counts[-4]


async def test_what_was_published_before_a_restart_still_opens(store: SqliteGatewayKeys) -> None:
    before, after = ServerKeys(SignKey(bytes(32)), HOST), ServerKeys(SignKey(bytes(32)), HOST)
    await rotate(before, store, NOW)
    await rotate(after, store, NOW + 1)
    assert after.opening == before.opening
    assert after.statement == before.statement


async def test_keys_whose_time_is_over_are_erased(store: SqliteGatewayKeys) -> None:
    first = await store.current(os.urandom(32), NOW)
    later = await store.current(os.urandom(32), NOW + MAX_VALIDITY + KEY_RETENTION)
    assert len(later) == 1
    assert later != first


async def test_a_key_from_the_future_is_not_offered_when_the_clock_was_set_back(store: SqliteGatewayKeys) -> None:
    keys = ServerKeys(SignKey(bytes(32)), HOST)
    await rotate(keys, store, NOW + 10 * MAX_VALIDITY)
    again = ServerKeys(SignKey(bytes(32)), HOST)
    await rotate(again, store, NOW)
    assert verify_server_statement(again.statement, again.fingerprint, HOST, NOW).valid_from == NOW
    assert len(again.opening) == 2


def test_without_a_key_to_offer_nothing_is_published() -> None:
    with pytest.raises(ServerKeyError, match="no gateway key"):
        ServerKeys(SignKey(bytes(32)), HOST).take([], NOW)


@given(st.lists(st.integers(0, 10**10), max_size=6, unique=True), st.integers(0, 10**10))
def test_the_offered_key_is_the_newest_that_has_begun_and_is_young_enough(starts: list[int], now: int) -> None:
    keys: list[GatewayKey] = [new_gateway_key(start.to_bytes(32, "big"), start) for start in starts]
    young = [start for start in starts if start <= now < start + ROTATION_INTERVAL]
    found = offered(keys, now)
    assert (found.valid_from if found else None) == max(young, default=None)
