"""Getting at the key file: the system's keyring, else `KITH_PASSPHRASE`, else a prompt."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kith_client.errors import WrongPassphrase
from kith_client.store import keyfile
from kith_client.store.home import Home
from kith_client.store.keyfile import DeviceKeys

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

PromptForPassphrase = Callable[[], str]
"""Asks the person; raises `WrongPassphrase` where nobody can be asked."""

_SERVICE: Final = "kithbook"


def cannot_ask() -> str:
    """The prompt of a program that nobody sits before."""
    raise WrongPassphrase("A passphrase is needed: set KITH_PASSPHRASE, or run the command in a terminal.")


@dataclass(frozen=True, slots=True, repr=False)
class Unlocked:
    """An opened key file."""

    keys: DeviceKeys
    file_key: bytes | None
    """What opens it; None where it holds its key itself."""


async def unlock(home: Home, prompt: PromptForPassphrase = cannot_ask) -> Unlocked:
    """The device's keys. Raises `NoVault` or `WrongPassphrase`."""
    home.require()
    found = await asyncio.to_thread(_without_asking, home)
    if found is not None:
        return found
    passphrase = prompt()  # in the loop's thread, which is the one that hears of Ctrl-C
    return await asyncio.to_thread(_with_passphrase, home, passphrase)


def _without_asking(home: Home) -> Unlocked | None:
    raw = home.key_file.read_bytes()
    if not keyfile.needs_passphrase(raw):
        return Unlocked(keyfile.open_key_file(raw, None), None)
    remembered = _from_keyring(home)
    if remembered is not None:
        try:
            return Unlocked(keyfile.open_key_file(raw, remembered), remembered)
        except WrongPassphrase:
            pass  # the key file was replaced since; ask
    passphrase = os.environ.get("KITH_PASSPHRASE")
    return None if passphrase is None else _with_passphrase(home, passphrase)


def _with_passphrase(home: Home, passphrase: str) -> Unlocked:
    raw = home.key_file.read_bytes()
    key = keyfile.passphrase_key(raw, passphrase)
    keys = keyfile.open_key_file(raw, key)
    remember(home, key)
    return Unlocked(keys, key)


def remember(home: Home, key: bytes) -> None:
    """Keeps the derived key in the system's keyring, where there is one."""
    backend = _keyring()
    if backend is not None:
        backend.set_password(_SERVICE, str(home.path.resolve()), key.hex())


def _from_keyring(home: Home) -> bytes | None:
    backend = _keyring()
    kept = backend.get_password(_SERVICE, str(home.path.resolve())) if backend else None
    try:
        return bytes.fromhex(kept) if kept else None
    except ValueError:
        return None  # something else stands there; ask, as if there were nothing


def _keyring() -> KeyringBackend | None:
    """The system's keyring; None where there is none, or where it is locked and would ask in a window."""
    if not os.environ.get("DBUS_SESSION_BUS_ADDRESS") and os.uname().sysname == "Linux":
        return None
    import keyring
    from keyring.backends.fail import Keyring as NoKeyring
    from keyring.errors import KeyringError

    backend = keyring.get_keyring()
    if isinstance(backend, NoKeyring):
        return None
    try:
        backend.get_password(_SERVICE, "")
    except KeyringError:
        return None
    return backend
