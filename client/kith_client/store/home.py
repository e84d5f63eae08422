"""Where a vault lives on this device, and the lock that lets one program at a time work on it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kith_client.errors import Busy, NoVault

LOCK_DEADLINE: Final = 20.0
"""Seconds to wait for another `kith` on the same vault."""
SAY_AFTER: Final = 1.0
"""Seconds of that after which the person is told."""


@dataclass(frozen=True, slots=True)
class Home:
    """A folder that holds one device's key file and mirror."""

    path: Path
    on_wait: Callable[[], None] | None = field(default=None, compare=False)
    """Called once when another program on the same vault takes longer than `SAY_AFTER`."""

    @classmethod
    def find(cls, given: str | None) -> Home:
        """`given`, else `KITH_HOME`, else the platform's data folder."""
        chosen = given or os.environ.get("KITH_HOME")
        if chosen:
            return cls(Path(chosen).expanduser())
        from platformdirs import user_data_path

        return cls(user_data_path("kithbook", appauthor=False))

    @property
    def key_file(self) -> Path:
        return self.path / "device.key"

    @property
    def mirror(self) -> Path:
        return self.path / "mirror.sqlite"

    @property
    def exists(self) -> bool:
        """Whether a vault was set up here."""
        return self.key_file.exists()

    def require(self) -> None:
        """Raises `NoVault`, saying how to get one."""
        if not self.exists:
            raise NoVault(
                f"There is no address book in {self.path} yet. Begin one with 'kith init --server URL --name NAME', "
                "or bring one here from another device with 'kith device join CODE --server URL'."
            )

    def create(self) -> None:
        """Makes the folder, readable by its owner alone."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)

    @asynccontextmanager
    async def locked(self, deadline: float = LOCK_DEADLINE) -> AsyncIterator[None]:
        """Holds the vault for this process. Raises `Busy` after `deadline` seconds.

        The kernel lets go of the lock when the process ends, however it ends.
        """
        self.create()
        descriptor = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            await _wait_for(descriptor, deadline, self.on_wait)
            yield
        finally:
            os.close(descriptor)


async def _wait_for(descriptor: int, deadline: float, on_wait: Callable[[], None] | None) -> None:
    began = time.monotonic()
    give_up, say = began + deadline, began + SAY_AFTER
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise Busy("Another kith is at work on this address book. Try again when it is done.") from None
            if on_wait is not None and time.monotonic() >= say:
                on_wait()
                on_wait = None
            await asyncio.sleep(0.05)  # not in a thread: whoever is asked to stop stops at once
        else:
            return
