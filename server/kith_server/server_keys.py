"""The server's own keys: the key that others pin, and the gateway keys that take turns (spec: mail.md, Server keys).

Which gateway key exists when is decided here, purely; `storage.keys` keeps them, and the app calls `rotate` in time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kith_protocol.errors import BadKey, KithError
from kith_protocol.gateway import gateway_key_id
from kith_protocol.moving import SignedForgotten, sign_forgotten
from kith_protocol.server_statement import KEY_RETENTION, MAX_VALIDITY, server_fingerprint, sign_server_statement
from kith_protocol.suite import SEED_BYTES, SealKey, SignKey

KEY_NAME: Final = "server.key"
ROTATION_INTERVAL: Final = 3 * 24 * 3600 * 1000
"""Milliseconds after which a new gateway key is published; a statement fetched before that is good for four days."""

_HEADER: Final = "kith-server-key-1"


class ServerKeyError(KithError):
    """The file with the server key is missing, damaged, or already there."""

    code = "server-key"


def create_server_key(data_dir: Path) -> SignKey:
    """Makes the server key and writes it to `data_dir/server.key`, readable by the owner only.

    Raises `ServerKeyError` where there is one: it is never overwritten, since every invite names it.
    """
    key = SignKey(os.urandom(SEED_BYTES))
    path = data_dir / KEY_NAME
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{_HEADER} {key.seed.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise ServerKeyError(f"{path} exists already and is left as it is.") from None
    except OSError as error:
        raise ServerKeyError(f"{path} cannot be written: {error.strerror}.") from None
    return key


def load_server_key(data_dir: Path) -> SignKey:
    """Reads `data_dir/server.key`. Raises `ServerKeyError`; the text never shows what the file holds."""
    path = data_dir / KEY_NAME
    try:
        header, seed = path.read_text(encoding="ascii").split()
        if header == _HEADER:
            return SignKey(bytes.fromhex(seed))
    except FileNotFoundError:
        raise ServerKeyError(f"There is no {path}. Restore it from a backup; a new server begins with init.") from None
    except OSError as error:
        raise ServerKeyError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, BadKey):
        pass
    raise ServerKeyError(f"{path} does not hold a server key. Restore it from a backup.")


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """One gateway key and the time during which it is offered, in milliseconds since 1970."""

    key: SealKey
    valid_from: int
    valid_until: int

    @property
    def id(self) -> bytes:
        """8 bytes, in front of what is sealed to it."""
        return gateway_key_id(self.key.public)

    @property
    def kept_until(self) -> int:
        """Until then it opens what was sealed to it."""
        return self.valid_until + KEY_RETENTION


def new_gateway_key(seed: bytes, now: int) -> GatewayKey:
    """A gateway key that is valid from `now` on; `seed` is 32 fresh random bytes."""
    return GatewayKey(SealKey(seed), now, now + MAX_VALIDITY)


def offered(keys: Iterable[GatewayKey], now: int) -> GatewayKey | None:
    """The key to publish at `now`: the newest that has begun; `None` where it is time to make another.

    A key from the future (the clock was set back) opens requests, but is not offered.
    """
    begun = [key for key in keys if key.valid_from <= now]
    newest = max(begun, key=lambda key: key.valid_from, default=None)
    return newest if newest is not None and now < newest.valid_from + ROTATION_INTERVAL else None


class ServerKeys:
    """The keys in force: the statement to publish and the keys that open requests, all from memory."""

    def __init__(self, server_key: SignKey, host: str) -> None:
        self._server_key = server_key
        self._host = host
        self.fingerprint: Final = server_fingerprint(server_key.public)
        """What invites and addresses pin, 16 bytes."""
        self.statement = b""
        """The signed statement with the newest gateway key."""
        self.opening: Mapping[bytes, SealKey] = {}
        """Key id to private key: all that are still kept."""
        self._rotate_at = 0

    def forgotten(self, vault: bytes, now: int) -> SignedForgotten:
        """This server's word that it keeps nothing of `vault` at `now` (ms)."""
        return sign_forgotten(self._server_key, self._host, vault, now)

    def is_due(self, now: int) -> bool:
        """Whether a new gateway key has to be made at `now`."""
        return now >= self._rotate_at

    def take(self, keys: Iterable[GatewayKey], now: int) -> None:
        """Takes over the keys that are stored, and signs the statement anew.

        Raises `ServerKeyError` where none of them may be offered at `now`.
        """
        kept = [key for key in keys if now < key.kept_until]
        current = offered(kept, now)
        if current is None:
            raise ServerKeyError("There is no gateway key to offer; make one first.")
        self.opening = {key.id: key.key for key in kept}
        self.statement = sign_server_statement(
            self._server_key, self._host, current.key.public, current.valid_from, current.valid_until
        )
        self._rotate_at = current.valid_from + ROTATION_INTERVAL
