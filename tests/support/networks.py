"""Two machines on one network of their own, as Linux network namespaces joined by a cable. Needs root and iproute2."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.running import Kith

ADDRESSES = ("10.213.7.1", "10.213.7.2")


@dataclass(frozen=True)
class Machine:
    """One end of the cable."""

    name: str
    address: str

    @property
    def prefix(self) -> list[str]:
        """What to put before a command so that it runs there."""
        return ["ip", "netns", "exec", self.name]


@dataclass(frozen=True)
class KithThere(Kith):
    """`kith` on one of these machines."""

    machine: Machine

    def command(self, *words: str) -> list[str]:
        return [*self.machine.prefix, *super().command(*words)]


def why_not() -> str:
    """Why no such machines can be made here; empty where they can."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "two network namespaces need root and the program ip (Debian: iproute2)"
    name = f"kith-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"network namespaces are not allowed here: {tried.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=False)
    return ""


@contextlib.contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Two machines that see each other and nothing else."""
    left, right = (Machine(f"kith-{os.getpid()}-{n}", ADDRESSES[n]) for n in (0, 1))
    cables = {machine: f"kv{os.getpid()}{n}" for n, machine in enumerate((left, right))}
    try:
        for machine in cables:
            _ip("netns", "add", machine.name)
        _ip("link", "add", cables[left], "netns", left.name, "type", "veth", "peer", cables[right], "netns", right.name)
        for machine, cable in cables.items():
            _ip("-n", machine.name, "addr", "add", f"{machine.address}/24", "dev", cable)
            _ip("-n", machine.name, "link", "set", cable, "up")
        yield left, right
    finally:
        for machine in cables:
            subprocess.run(["ip", "netns", "del", machine.name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
