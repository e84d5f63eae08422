"""`kill -9` of clients and servers at random moments, then: is everything there that was acknowledged?

A short run is a test; a long one is `python -m tests.system.kill --rounds 500 --seed 7`.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.address_book import vcards
from tests.support.running import BIN, Kith, Server, link_device, names

LONGEST_LIFE = 2.5
"""Seconds after which a command is killed at the latest, if it is one of those."""
KILLED = 0.6
"""Share of the commands that are killed if they live long enough."""
IMPORTED = 25
"""Cards of one import."""


@dataclass
class World:
    """Two servers, Anna with two devices, Bob; and what was acknowledged to each of them."""

    folder: Path
    chance: random.Random
    anna_server: Server
    bob_server: Server
    devices: list[Kith]
    bob: Kith
    acknowledged: set[str] = field(default_factory=set)
    phone_numbers: list[str] = field(default_factory=list)
    """Anna's own, in the order in which they were acknowledged."""
    killed: int = 0
    counter: int = 0

    @classmethod
    def begin(cls, folder: Path, seed: int) -> World:
        servers = [Server(folder / name).init().start() for name in ("anna-server", "bob-server")]
        laptop, phone, bob = (Kith(folder / name) for name in ("laptop", "phone", "bob"))
        laptop.do("init", "--server", servers[0].url, "--name", "Anna Beck", "--no-passphrase")
        bob.do("init", "--server", servers[1].url, "--name", "Bob Lund", "--no-passphrase")
        link_device(laptop, phone, servers[0].url, "phone")
        link = laptop.do("invite", "--facet", "work")["link"]
        bob.do("accept", "-", given=link + "\n")
        for device in (laptop, bob, laptop, bob):
            device.do("sync")
        return cls(folder, random.Random(seed), servers[0], servers[1], [laptop, phone], bob)

    def round(self) -> None:
        """One command somewhere, and perhaps a kill -9 of it or of a server."""
        device = self.chance.choice(self.devices)
        action = self.chance.choice(
            [self.add, self.import_cards, self.sync, self.sync, self.edit_my_card, self.bob_syncs]
        )
        self.counter += 1
        action(device)

    def add(self, device: Kith) -> None:
        name = f"Person {self.counter} Added"
        if self.attempt(device, "add", name, "--email", f"p{self.counter}@example.org"):
            self.acknowledged.add(name)

    def import_cards(self, device: Kith) -> None:
        cards = list(vcards(IMPORTED, seed=self.counter, photo_every=8))
        named = [card.replace(b"FN:", f"FN:Import {self.counter}-{n} ".encode(), 1) for n, card in enumerate(cards)]
        file = self.folder / f"cards-{self.counter}.vcf"
        file.write_bytes(b"".join(named))
        if self.attempt(device, "import", str(file)):
            lines = b"".join(named).decode().split("\r\n")
            self.acknowledged |= {line.removeprefix("FN:") for line in lines if line.startswith("FN:")}

    def edit_my_card(self, device: Kith) -> None:
        number = f"+49 40 {self.counter:07}"
        if device is self.devices[0] and self.attempt(device, "me", "set", "tel", number, "--facet", "work"):
            self.phone_numbers.append(number)

    def sync(self, device: Kith) -> None:
        if self.chance.random() < 0.4:
            self.attempt(device, "sync", kill_server=self.chance.choice([self.anna_server, self.bob_server]))
        else:
            self.attempt(device, "sync")

    def bob_syncs(self, _: Kith) -> None:
        self.attempt(self.bob, "sync")

    def attempt(self, device: Kith, *words: str, kill_server: Server | None = None) -> bool:
        """Whether the command ended well. Somebody is killed at a random moment, and a killed server starts again."""
        process = device.start(*words)
        patience = self.chance.random() * LONGEST_LIFE if self.chance.random() < KILLED else 120
        try:
            out, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.killed += 1
            if kill_server is None:
                process.kill()
                process.communicate()
                return False
            kill_server.stop(signal.SIGKILL)
            kill_server.start()
            out, _ = process.communicate(timeout=120)
        return process.returncode == 0 and json.loads(out)["ok"] is True

    def check(self) -> None:
        """Everything in step, and nothing acknowledged missing."""
        for device in (*self.devices, *self.devices, self.bob, self.devices[0], self.bob):
            device.do("sync")
        lists = [names(device.do("list")["contacts"]) for device in self.devices]
        missing = self.acknowledged - set(lists[0])
        if missing:
            raise AssertionError(f"acknowledged, and gone: {sorted(missing)[:5]} of {len(missing)}")
        if lists[0] != lists[1]:
            raise AssertionError(f"the devices differ: {set(lists[0]) ^ set(lists[1])}")
        if len(set(lists[0])) != len(lists[0]):
            raise AssertionError("a contact is there twice")
        self._check_bob()
        for device in (*self.devices, self.bob):
            wrong = [check for check in device.do("doctor")["checks"] if not check["ok"]]
            if wrong:
                raise AssertionError(f"doctor: {wrong}")
        for server in (self.anna_server, self.bob_server):
            server.stop()
            subprocess.run([BIN / "kith-server", "check", "--data", server.data], check=True, capture_output=True)

    def _check_bob(self) -> None:
        annas = [contact for contact in self.bob.do("list")["contacts"] if contact["name"] == "Anna Beck"]
        if len(annas) != 1:
            raise AssertionError(f"Bob has Anna {len(annas)} times")
        shown = self.devices[0].do("me")["properties"]
        mine = [prop["value"] for prop in shown if prop["name"].upper() == "TEL"]
        if annas[0]["phones"] != mine:
            raise AssertionError(f"Bob has {annas[0]['phones']}, Anna's card says {mine}")

    def end(self) -> None:
        for server in (self.anna_server, self.bob_server):
            server.stop(signal.SIGKILL)


def run(folder: Path, rounds: int, seed: int) -> World:
    """A whole run. Raises `AssertionError` where something is lost."""
    world = World.begin(folder, seed)
    try:
        for _ in range(rounds):
            world.round()
        world.check()
    finally:
        world.end()
    return world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    chosen = parser.parse_args()
    print(f"{chosen.rounds} rounds with seed {chosen.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="kithbook-kill-") as folder:
        world = run(Path(folder), chosen.rounds, chosen.seed)
    print(f"{world.killed} kills; {len(world.acknowledged)} acknowledged contacts, all there on both devices")


if __name__ == "__main__":
    main()
