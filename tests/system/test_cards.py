"""Printed cards, and codes read from pictures, with real servers and real commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from kith_client.cli.main import run
from kith_client.cli.options import Settings
from kith_client.qr import read_qr, write_png
from kith_protocol.link_code import qr_code
from tests.support.photos import photographed
from tests.support.running import Kith, Server


@dataclass
class Place:
    """Two servers and a folder; whoever is asked for begins an address book."""

    folder: Path
    servers: tuple[Server, Server]

    def begin(self, name: str, server: int = 1) -> Kith:
        person = Kith(self.folder / name.lower().replace(" ", "-"))
        person.do("init", "--server", self.servers[server].url, "--name", name, "--no-passphrase")
        return person

    def photo(self, of: Path, seed: int = 1) -> str:
        """The name of a photograph of a picture."""
        path = self.folder / f"photo-{seed}-{of.stem}.jpg"
        photographed(Image.open(of).convert("L"), seed).save(path, quality=70)
        return str(path)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    folder = tmp_path_factory.mktemp("servers")
    both = Server(folder / "one").init().start(), Server(folder / "two").init().start()
    yield both
    for server in both:
        server.stop()


@pytest.fixture
def place(tmp_path: Path, servers: tuple[Server, Server]) -> Iterator[Place]:
    yield Place(tmp_path, servers)
    for server in servers:
        if server.process is None:
            server.start()


def test_a_printed_card_is_photographed_answered_and_decided(place: Place) -> None:
    anna, bob, carl = place.begin("Anna Beck", 0), place.begin("Bob"), place.begin("Carl")
    card = place.folder / "card.png"
    anna.do("me", "set", "email", "anna@work.example", "--facet", "work")
    made = anna.do("invite", "--reusable", "--facet", "work", "--qr", str(card))
    assert read_qr(card).startswith(f"https://{place.servers[0].host}/i#1."), "a camera without a client opens a page"
    assert made["reusable"]
    for seed, asker in enumerate((bob, carl)):
        accepted = asker.do("accept", place.photo(card, seed))
        assert (accepted["name"], accepted["state"]) == ("Anna Beck", "waiting")
    assert anna.do("sync")["requests"] == 2
    waiting = sorted(anna.do("requests")["requests"], key=lambda each: str(each["name"]))
    assert [(each["kind"], each["name"], each["host"]) for each in waiting] == [
        ("invite", "Bob", place.servers[1].host),
        ("invite", "Carl", place.servers[1].host),
    ]
    assert anna.do("peers")["peers"] == []
    let_in = anna.do("requests", "accept", waiting[0]["id"][:8])
    assert (let_in["name"], let_in["peer"]) == ("Bob", waiting[0]["person"])
    anna.do("requests", "decline", waiting[1]["id"])
    for asker in (bob, carl, anna):
        asker.do("sync")
    assert [peer["state"] for peer in bob.do("peers")["peers"]] == ["connected"]
    assert [peer["state"] for peer in carl.do("peers")["peers"]] == ["waiting"]
    seen = {prop["value"] for prop in bob.do("show", "Anna")["properties"]}
    assert "anna@work.example" in seen
    assert anna.do("requests")["requests"] == []
    anna.do("invites", "revoke", made["id"])
    anna.do("sync")
    carl.do("forget", "Anna")
    assert carl.run("accept", str(card)).document["error"] == "invite-gone"


def test_a_decision_is_kept_while_the_server_is_down(place: Place) -> None:
    anna, bob = place.begin("Anna Beck", 0), place.begin("Bob")
    bob.do("accept", "-", given=anna.do("invite", "--reusable")["link"] + "\n")
    anna.do("sync")
    (request,) = anna.do("requests")["requests"]
    place.servers[0].stop()
    refused = anna.run("requests", "accept", request["id"])
    assert (refused.status, refused.document["error"]) == (3, "unreachable")
    place.servers[0].start()
    anna.do("sync")
    bob.do("sync")
    assert [peer["state"] for peer in bob.do("peers")["peers"]] == ["connected"]


def test_a_device_is_added_with_a_photograph_of_the_code(place: Place) -> None:
    phone, code = Kith(place.folder / "phone"), place.folder / "code.png"
    adding = place.begin("Anna Beck", 0).start("device", "add", "--qr", str(code))
    assert adding.stdout is not None
    assert json.loads(adding.stdout.readline())["code"] == read_qr(code)
    joined = phone.do("device", "join", place.photo(code), "--name", "phone", "--no-passphrase")
    assert {each["name"] for each in joined["devices"]} >= {"phone"}
    adding.communicate(timeout=60)
    assert adding.returncode == 0
    assert Kith(place.folder / "late").run("device", "join", str(code), "--no-passphrase").status == 1, "used up"


COMMANDS: dict[str, Callable[[str, bool], list[str]]] = {
    "kith accept": lambda code, _: ["accept", code],
    "kith device join": lambda code, _: ["device", "join", code, "--no-passphrase"],
    "kith meet": lambda code, _: ["meet", code],
    "kith verify PEER --photo": lambda code, photo: ["verify", "Anna", "--photo" if photo else "--number", code],
}
"""What takes a code → its words, given the code or the picture of it."""


async def test_a_code_at_the_wrong_command_is_named_and_nothing_is_sent(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every pair, as text and as a picture. The servers are down: whoever tried to reach one would end with 3."""
    anna, bob = place.begin("Anna Beck", 0), place.begin("Bob")
    bob.do("accept", "-", given=anna.do("invite")["link"] + "\n")
    codes = {
        "kith accept": anna.do("invite")["link"],
        "kith device join": qr_code(place.servers[0].host, "7", bytes(range(16))).text,
        "kith meet": f"kith-meet:{place.servers[0].host}#7-museum-better-van",
        "kith verify PEER --photo": "kith-verify:" + "1" * 60 + "." + "A" * 43,
        "kith recover --guardians": "kith-share:" + "academic-acid-" * 16 + "academic",
    }
    pictures = {takes: place.folder / f"{number}.png" for number, takes in enumerate(codes)}
    for takes, picture in pictures.items():
        write_png(codes[takes], picture)
    for server in place.servers:
        server.stop()

    async def refused(home: Path, *words: str) -> dict[str, str]:
        status = await asyncio.to_thread(run, words, Settings(home=str(home), json=True, yes=True))
        document: dict[str, str] = json.loads(capsys.readouterr().out)
        assert status == 1, (words, document)
        return document

    new = place.folder / "new"
    for takes, words in COMMANDS.items():
        home = new if takes == "kith device join" else bob.home
        for right, code in codes.items():
            for given in (code, str(pictures[right])) if right != takes else ():
                document = await refused(home, *words(given, given != code))
                assert document["error"] == "wrong-code", (takes, right)
                assert f"'{right}'" in document["message"]
                assert code[-20:] not in document["message"]
    for spoken in ("7-museum-better-van", "7-museum-better-van@anna.example"):
        assert (await refused(bob.home, "accept", spoken))["error"] == "wrong-code"
    join = ("device", "join", "--no-passphrase")
    assert (await refused(new, *join, "7-museum-better-van"))["error"] == "link-server"
    nowhere = str(place.folder / "missing" / "card.png")
    for made in (("invite", "--reusable"), ("device", "add")):
        answer = await refused(bob.home, *made, "--qr", nowhere)
        assert (answer["error"], nowhere in answer["message"]) == ("unwritable-file", True), "nothing was made"
    other = await refused(new, *join, codes["kith device join"], "--server", "https://bob.example")
    assert other["error"] == "link-mismatch"
