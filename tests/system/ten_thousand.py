"""An address book of 10,000 contacts through the real programs: import, first sync, a second device, a move.

`python -m tests.system.ten_thousand` prints times and memory; the test checks that everything arrives and that memory
is bounded.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.address_book import vcards
from tests.support.running import Kith, Measured, Server, link_device, peak_memory

CONTACTS = 10_000


@dataclass
class Costs:
    """What each step cost, and what was there in the end."""

    steps: dict[str, Measured] = field(default_factory=dict)
    join_seconds: float = 0.0
    contacts: tuple[int, int] = (0, 0)
    """On the first and on the second device."""
    server_peak: int = 0

    @property
    def client_peak(self) -> int:
        return max(step.peak for step in self.steps.values())


def run(folder: Path, contacts: int = CONTACTS) -> Costs:
    """The whole job with servers and commands in processes of their own."""
    costs = Costs()
    server, new = Server(folder / "server").init().start(), Server(folder / "new")
    laptop, phone = Kith(folder / "laptop"), Kith(folder / "phone")
    file = folder / "book.vcf"
    with file.open("wb") as out:
        for card in vcards(contacts):
            out.write(card)
    try:
        laptop.do("init", "--server", server.url, "--name", "Anna Beck", "--no-passphrase")
        costs.steps["import"] = laptop.measured("import", str(file))
        costs.steps["first sync"] = laptop.measured("sync")
        begin = time.monotonic()
        link_device(laptop, phone, server.url, "phone")
        costs.join_seconds = time.monotonic() - begin
        costs.steps["list"] = phone.measured("list")
        costs.steps["sync, nothing new"] = laptop.measured("sync")
        costs.contacts = (
            len(laptop.do("list")["contacts"]),
            len(costs.steps["list"].document["contacts"]),
        )
        if server.process is not None:
            costs.server_peak = peak_memory(server.process.pid)
        _move(laptop, new, costs, folder / "book.backup")
    finally:
        server.stop()
        new.stop()
    return costs


def _move(laptop: Kith, new: Server, costs: Costs, backup: Path) -> None:
    costs.steps["backup"] = laptop.measured("backup", str(backup))
    new.init().start()
    costs.steps["move"] = laptop.measured("move", new.url)
    if new.process is not None:
        costs.server_peak = max(costs.server_peak, peak_memory(new.process.pid))


def main() -> None:
    contacts = int(sys.argv[1]) if len(sys.argv) > 1 else CONTACTS
    with tempfile.TemporaryDirectory(prefix="kithbook-10k-") as folder:
        costs = run(Path(folder), contacts)
    print(f"{contacts} contacts; on the devices: {costs.contacts[0]} and {costs.contacts[1]}")
    for name, step in costs.steps.items():
        print(f"{name:20} {step.seconds:6.1f} s   client at most {step.peak // 2**20} MB")
    print(f"{'second device':20} {costs.join_seconds:6.1f} s")
    print(f"server at most {costs.server_peak // 2**20} MB")


if __name__ == "__main__":
    main()
