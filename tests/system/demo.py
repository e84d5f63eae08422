"""The main job, shown to a person: `make demo`. Two servers, Anna with two devices, and Bob, all on this machine.

Every line is printed after the real commands did what it says; a step that goes wrong ends the demo with an error.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pysqlite3

from tests.support.address_book import address_book
from tests.support.running import Kith, Server, link_device

CARDS = 300
PHONE = "+49 40 1234567"
NEW_PHONE = "+49 40 7654321"
SECRET_NOTE = "met at PyCon, wants to try fencing"


def say(text: str = "") -> None:
    print(text, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Prints a title, lets the step speak, and says how long it took."""
    say(f"\n\033[1m{title}\033[0m" if sys.stdout.isatty() else f"\n{title}")
    begin = time.monotonic()
    yield
    say(f"   ({time.monotonic() - begin:.1f} s)")


def check(right: bool, what: str) -> None:
    if not right:
        raise SystemExit(f"The demo failed: {what}")


def main() -> None:
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kithbook-demo-") as folder:
        show(Path(folder))
    say(f"\nDone in {time.monotonic() - begin:.0f} s. Everything ran on this machine and is deleted now.")


def show(folder: Path) -> None:
    """The whole demo, with everything in `folder`."""
    anna_server, bob_server = Server(folder / "anna-server"), Server(folder / "bob-server")
    laptop, phone, bob = (Kith(folder / name) for name in ("anna-laptop", "anna-phone", "bob"))
    try:
        with step("1. Two servers start, one for Anna and one for Bob"):
            for server in (anna_server, bob_server):
                server.init().start()
                say(f"   {server.url} is up, with an empty database")
        fill(folder, anna_server, bob_server, laptop, bob)
        two_devices(anna_server, laptop, phone)
        contact = befriend(laptop, bob)
        share(laptop, bob, contact)
        notes(laptop, bob)
        look_inside(anna_server, bob_server)
    finally:
        for server in (anna_server, bob_server):
            server.stop()


def fill(folder: Path, anna_server: Server, bob_server: Server, laptop: Kith, bob: Kith) -> None:
    with step("2. Anna begins her address book and brings her contacts along"):
        created = laptop.do(
            "init", "--server", anna_server.url, "--name", "Anna Beck", "--device", "laptop", "--no-passphrase"
        )
        words = len(created["recovery_phrase"].split())
        say(f"   A recovery phrase of {words} words was shown to her, once.")
        file = folder / "contacts.vcf"
        file.write_bytes(address_book(CARDS) + b"BEGIN:VCARD\r\nthis card is damaged\r\nEND:VCARD\r\n")
        done = laptop.do("import", str(file))
        say(f"   {done['imported']} contacts imported, {len(done['set_aside'])} entry set aside, nothing lost:")
        say(f"     {done['set_aside'][0]['reason']}")
        again = laptop.do("import", str(file))
        say(f"   The same file again: {again['imported']} imported, {again['unchanged']} unchanged.")
        check(done["imported"] == CARDS and again["imported"] == 0, "the import")
        sent = laptop.do("sync")
        say(f"   kith sync sent {sent['pushed']} encrypted records.")
        bob.do("init", "--server", bob_server.url, "--name", "Bob Lund", "--device", "desk", "--no-passphrase")


def two_devices(server: Server, laptop: Kith, phone: Kith) -> None:
    with step("3. Anna adds her phone: a code shown on the laptop, typed on the phone"):
        link_device(laptop, phone, server.url, "phone")
        on_phone = phone.do("list")["contacts"]
        say(f"   The phone has {len(on_phone)} contacts.")
        check(len(on_phone) == CARDS, "the second device")
    with step("4. Both edit the same contact while offline, then both sync"):
        someone = on_phone[0]
        laptop.do("set", someone["id"], "note", "likes long walks")
        phone.do("set", someone["id"], "nickname", "Sunny")
        for device in (laptop, phone, laptop):
            device.do("sync")
        seen = [properties(device, someone["id"]) for device in (laptop, phone)]
        check(seen[0] == seen[1] and {"NOTE", "NICKNAME"} <= seen[0].keys(), "merging")
        say(f"   Both devices now show: note '{seen[0]['NOTE']}', nickname '{seen[0]['NICKNAME']}'. Nothing was lost.")


def befriend(laptop: Kith, bob: Kith) -> str:
    with step("5. Anna makes her card, with facets, and invites Bob, who is on the other server"):
        laptop.do("me", "set", "email", "anna@work.example", "--facet", "work")
        laptop.do("me", "set", "tel", PHONE, "--facet", "private")
        link = laptop.do("invite", "--facet", "work")["link"]
        say("   Anna sends Bob a link (or shows him a QR code): kith:HOST#1.<secret>")
        bob.do("accept", "-", "--facet", "work", given=link + "\n")
        for device in (laptop, bob, laptop, bob):
            device.do("sync")
        peer = bob.do("peers")["peers"][0]
        check(peer["state"] == "connected" and peer["name"] == "Anna Beck", "the relationship")
        numbers = [bob.do("verify", "Anna")["safety_number"], laptop.do("verify", "Bob")["safety_number"]]
        check(numbers[0] == numbers[1], "the safety numbers")
        say(f"   Connected. Both see the same safety number: {numbers[0][:23]} ...")
        say(f"   Bob's address book has Anna now, with: {told(bob, peer['contact'])}")
    return str(peer["contact"])


def share(laptop: Kith, bob: Kith, contact: str) -> None:
    with step("6. Anna grants the facet 'private', changes her number, and withdraws it again"):
        laptop.do("grant", "Bob", "private")
        view = laptop.do("preview", "Bob")["view"]
        say(f"   kith preview Bob: exactly what Bob sees: {', '.join(p['name'] + ' ' + p['value'] for p in view)}")
        deliver(laptop, bob)
        check(PHONE in told(bob, contact), "granting")
        say(f"   Bob now has: {told(bob, contact)}")
        laptop.do("me", "set", "tel", NEW_PHONE, "--facet", "private")
        deliver(laptop, bob)
        check(NEW_PHONE in told(bob, contact), "updating")
        say(f"   Anna edited her number once; Bob's address book followed: {told(bob, contact)}")
        laptop.do("withdraw", "Bob", "private")
        deliver(laptop, bob)
        check("TEL" not in told(bob, contact), "withdrawing")
        say(f"   After 'kith withdraw Bob private' Bob has: {told(bob, contact)}")


def notes(laptop: Kith, bob: Kith) -> None:
    with step("7. Anna keeps notes for herself, and shares one with Bob"):
        laptop.do("add", "Carla Ruiz", "--email", "carla@example.org")
        private = laptop.do("note", "add", "Carla", "owes me a book", "--kind", "promise")
        note = laptop.do("note", "add", "Carla", SECRET_NOTE, "--kind", "met", "--remind", "in 3 weeks")
        laptop.do("share", "note", note["id"], "--with", "Bob")
        deliver(laptop, bob)
        texts = [item["text"] for item in bob.do("note", "list")["notes"]]
        check(texts == [SECRET_NOTE], "sharing a note")
        say(f"   Bob can read the one note that was shared: '{texts[0]}'")
        say(f"   Anna's other note (id {private['id'][:8]}) stayed with her.")


def deliver(sender: Kith, receiver: Kith) -> None:
    report = sender.do("sync")
    check(report["waiting"] == 0, f"delivering: {report}")
    receiver.do("sync")


def look_inside(anna_server: Server, bob_server: Server) -> None:
    with step("8. What do the servers know?"):
        for server in (anna_server, bob_server):
            files = [path for path in server.data.rglob("*") if path.is_file()]
            stored = b"".join(path.read_bytes() for path in files) + server.log.read_bytes()
            words = ("Anna", "Beck", "Bob", "Lund", "Carla", "fencing", NEW_PHONE, "laptop", "anna@work.example")
            found = [word for word in words if word.encode() in stored]
            check(not found, f"{server.url} holds {found}")
            say(f"   {server.url}: {len(stored):,} bytes in database, settings and log.")
            say(f"     Searched for {', '.join(words)}: nothing found.")
        for table, count, size in tables(anna_server.data):
            say(f"     Anna's server, table {table}: {count} rows, {size:,} bytes of ciphertext and numbers")
        blob = sample_record(anna_server.data)
        say(f"   One record, as Anna's server has it: {len(blob)} bytes, {blob[:24].hex()}...")


def tables(data: Path) -> list[tuple[str, int, int]]:
    """Name, rows and bytes of each table that is not empty."""
    connection = _database(data)
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    found = []
    for (name,) in rows:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
        total = " + ".join(f"coalesce(sum(length({column})), 0)" for column in columns)
        count, size = connection.execute(f"SELECT count(*), {total} FROM {name}").fetchone()
        if count:
            found.append((name, count, size))
    return found


def sample_record(data: Path) -> bytes:
    """The sealed bytes of some record."""
    row = _database(data).execute("SELECT sealed FROM blobs ORDER BY length(sealed) LIMIT 1").fetchone()
    return bytes(row[0])


def _database(data: Path) -> Any:
    path = next(path for path in sorted(data.iterdir()) if path.suffix in (".sqlite", ".db", ".sqlite3"))
    return pysqlite3.connect(f"file:{path}?mode=ro", uri=True)


def properties(device: Kith, contact: str) -> dict[str, str]:
    """Property names and values of a contact, as one device shows them."""
    shown = device.do("show", contact)["properties"]
    return {prop["name"].upper(): prop["value"] for prop in shown if prop["name"].upper() not in ("REV", "UID")}


def told(device: Kith, contact: str) -> str:
    """What a peer lets a device know, as one line."""
    shown = device.do("show", contact)["properties"]
    return ", ".join(f"{prop['name'].upper()} {prop['value']}" for prop in shown if prop["from"] != "me")


if __name__ == "__main__":
    main()
