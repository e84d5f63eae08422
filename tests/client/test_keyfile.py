"""The key file: opened by its passphrase only, refused where somebody weakened or altered it (spec: key-file.md)."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kith_client.errors import WrongPassphrase
from kith_client.store import keyfile
from kith_client.store.keyfile import DeviceKeys
from kith_protocol.errors import DecodingError, Refused
from tests.protocol.people import fixed
from tests.protocol.vaults import keys_of

LAPTOP = keys_of("laptop")
KEYS = DeviceKeys(
    "https://anna.example", fixed("fingerprint", 16), fixed("vault"), LAPTOP.sign.seed, LAPTOP.seal.seed
)  # fmt: skip
PASSPHRASE = "correct horse"


@pytest.fixture(scope="module")
def locked() -> bytes:
    return keyfile.seal_key_file(KEYS, PASSPHRASE)[0]


@pytest.fixture(scope="module")
def unlocked() -> bytes:
    return keyfile.seal_key_file(KEYS, None)[0]


def turned(raw: bytes, place: int, value: Any) -> bytes:
    """The file with one of its fields (suite, memory, passes, salt, box) turned."""
    fields = msgspec.msgpack.decode(raw)
    fields[place] = value
    return msgspec.msgpack.encode(fields)


def test_a_key_file_is_opened_by_its_passphrase(locked: bytes) -> None:
    assert keyfile.needs_passphrase(locked)
    key = keyfile.passphrase_key(locked, PASSPHRASE)
    assert keyfile.open_key_file(locked, key) == KEYS
    assert keyfile.open_key_file(locked, key).member == LAPTOP


def test_the_key_that_sealing_gives_opens_the_file() -> None:
    raw, key = keyfile.seal_key_file(KEYS, "")
    assert keyfile.needs_passphrase(raw)
    assert keyfile.open_key_file(raw, key) == KEYS


def test_a_key_file_without_a_passphrase_opens_by_itself(unlocked: bytes) -> None:
    assert not keyfile.needs_passphrase(unlocked)
    assert keyfile.open_key_file(unlocked, None) == KEYS


def test_the_secrets_do_not_stand_in_a_locked_file(locked: bytes) -> None:
    for secret in (KEYS.sign_seed, KEYS.seal_seed, KEYS.vault, b"anna.example"):
        assert secret not in locked


def test_two_files_of_the_same_keys_have_nothing_in_common(unlocked: bytes) -> None:
    other = keyfile.seal_key_file(KEYS, None)[0]
    assert msgspec.msgpack.decode(other)[3:] != msgspec.msgpack.decode(unlocked)[3:]


def test_a_wrong_passphrase_opens_nothing(locked: bytes) -> None:
    with pytest.raises(WrongPassphrase):
        keyfile.open_key_file(locked, keyfile.passphrase_key(locked, "wrong"))


def test_a_locked_file_does_not_open_without_a_key(locked: bytes) -> None:
    with pytest.raises(WrongPassphrase, match="under a passphrase"):
        keyfile.open_key_file(locked, None)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (1, keyfile.ARGON_MEMORY - 1),
        (1, 1),
        (1, keyfile.ARGON_MEMORY_LIMIT + 1),
        (1, -1),
        (2, keyfile.ARGON_PASSES - 1),
        (2, 0),
        (2, keyfile.ARGON_PASSES_LIMIT + 1),
        (3, bytes(15)),
        (3, bytes(32)),
    ],
)
def test_weaker_or_absurd_parameters_are_refused_before_anything_is_derived(
    locked: bytes, place: int, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def derived(*_: object) -> bytes:
        raise AssertionError("something was derived")

    monkeypatch.setattr(keyfile, "derive_key", derived)
    weak = turned(locked, place, value)
    for attempt in (keyfile.needs_passphrase, lambda raw: keyfile.passphrase_key(raw, PASSPHRASE)):
        with pytest.raises(Refused) as caught:
            attempt(weak)
        assert caught.value.code == "weak-key-file"


def test_stronger_parameters_than_the_file_was_made_with_do_not_open_it(locked: bytes) -> None:
    other = turned(locked, 2, keyfile.ARGON_PASSES + 1)
    with pytest.raises(WrongPassphrase):
        keyfile.open_key_file(other, keyfile.passphrase_key(locked, PASSPHRASE))


def test_a_locked_file_made_to_look_open_does_not_open(locked: bytes) -> None:
    looks_open = turned(turned(turned(locked, 1, 0), 2, 0), 3, bytes(32))
    with pytest.raises(WrongPassphrase):
        keyfile.open_key_file(looks_open, None)
    with pytest.raises(DecodingError):
        keyfile.open_key_file(turned(looks_open, 3, bytes(16)), None)


def test_a_file_of_another_suite_is_refused(unlocked: bytes) -> None:
    for suite in (0, 2):
        with pytest.raises(Refused) as caught:
            keyfile.open_key_file(turned(unlocked, 0, suite), None)
        assert caught.value.code == "downgrade"


def test_a_damaged_file_is_refused_with_advice(unlocked: bytes) -> None:
    for damaged in (b"", unlocked[:-1], b"\x00" + unlocked, unlocked + b"\x00"):
        with pytest.raises(DecodingError, match="Take it from a backup"):
            keyfile.needs_passphrase(damaged)
    box = bytearray(msgspec.msgpack.decode(unlocked)[4])
    box[-1] ^= 1
    with pytest.raises(WrongPassphrase):
        keyfile.open_key_file(turned(unlocked, 4, bytes(box)), None)


def test_a_key_file_is_written_for_its_owner_only_and_whole(tmp_path: Path, unlocked: bytes) -> None:
    path = tmp_path / "key"
    keyfile.write_key_file(path, unlocked)
    assert path.read_bytes() == unlocked
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_file_that_is_there_is_never_replaced(tmp_path: Path, locked: bytes, unlocked: bytes) -> None:
    path = tmp_path / "key"
    keyfile.write_key_file(path, locked)
    with pytest.raises(FileExistsError):
        keyfile.write_key_file(path, unlocked)
    assert path.read_bytes() == locked
    assert list(tmp_path.iterdir()) == [path], "a copy of the new key was left behind"


def test_a_leftover_of_a_crash_does_not_keep_its_wider_mode(tmp_path: Path, unlocked: bytes) -> None:
    leftover = tmp_path / "key.new"
    leftover.write_bytes(b"half a file")
    leftover.chmod(0o644)
    keyfile.write_key_file(tmp_path / "key", unlocked)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


@pytest.mark.parametrize("passphrase", ["correct horse", None])
def test_a_key_file_of_a_vault_that_moved_says_the_new_server_and_nothing_else_changes(
    tmp_path: Path, passphrase: str | None
) -> None:
    raw, key = keyfile.seal_key_file(KEYS, passphrase)
    opens = None if passphrase is None else key
    path = tmp_path / "device.key"
    keyfile.write_key_file(path, raw)
    keyfile.write_key_file(path, keyfile.with_other_server(raw, opens, "https://new.example", b"N" * 16), replace=True)
    assert path.stat().st_mode & 0o777 == 0o600
    moved = keyfile.open_key_file(path.read_bytes(), opens)
    assert (moved.server, moved.fingerprint) == ("https://new.example", b"N" * 16)
    assert (moved.vault, moved.sign_seed, moved.seal_seed) == (KEYS.vault, KEYS.sign_seed, KEYS.seal_seed)
    if passphrase is not None:
        assert keyfile.open_key_file(path.read_bytes(), keyfile.passphrase_key(path.read_bytes(), passphrase)) == moved
    assert [each.name for each in tmp_path.iterdir()] == ["device.key"]


def test_a_key_file_that_does_not_open_is_not_written_anew(locked: bytes) -> None:
    with pytest.raises(WrongPassphrase):
        keyfile.with_other_server(locked, b"x" * 32, "https://new.example", b"N" * 16)
