"""Being found under an address, by real commands through two servers in processes of their own."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running import BIN, Kith, Server


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    both = Server(tmp_path / "anna-server").init(), Server(tmp_path / "bob-server").init()
    for server in both:
        server.start()
    yield both
    for server in both:
        server.stop()


def finger(server: Server, handle: str) -> tuple[int, dict[str, object]]:
    url = f"{server.url}/.well-known/webfinger?resource=acct:{handle}@{server.host}"
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, {}


def test_somebody_is_found_by_an_address_asks_and_is_let_in(tmp_path: Path, servers: tuple[Server, Server]) -> None:
    there, here = servers
    anna, bob, eve = Kith(tmp_path / "anna"), Kith(tmp_path / "bob"), Kith(tmp_path / "eve")
    anna.do("init", "--server", there.url, "--name", "Anna Beck", "--no-passphrase")
    bob.do("init", "--server", here.url, "--name", "Bob Klein", "--no-passphrase")
    eve.do("init", "--server", there.url, "--name", "Anna Beck", "--no-passphrase")
    anna.do("me", "set", "email", "anna@work.example", "--facet", "work")
    address = f"anna@{there.host}"
    assert bob.run("accept", address).document["error"] == "nobody-found"

    chosen = anna.do("handle", "Anna", "--facet", "work")
    assert (chosen["address"], chosen["state"], chosen["facets"]) == (address, "public", ["work"])
    assert anna.do("handle")["handles"] == [{key: chosen[key] for key in chosen if key != "ok"}]
    assert eve.run("handle", "anna").document["error"] == "handle-taken"
    assert eve.do("handle")["handles"] == []
    assert eve.run("handle", "root").document["error"] == "handle-reserved"
    assert eve.run("handle", "ännä").document["error"] == "bad-handle"
    status, found = finger(there, "anna")
    assert (status, found["subject"]) == (200, f"acct:{address}")
    assert finger(there, "nobody")[0] == 404

    asked = bob.do("accept", f"kith:{address}")
    assert (asked["name"], asked["trust"], asked["via"], asked["state"]) == (
        "Anna Beck",
        "unverified",
        "directory",
        "waiting",
    )
    anna.do("sync")
    (request,) = anna.do("requests")["requests"]
    assert (request["name"], request["via"]) == ("Bob Klein", "directory")
    anna.do("requests", "accept", request["id"])
    bob.do("sync")
    anna.do("sync")
    bob.do("sync")
    (peer,) = bob.do("peers")["peers"]
    assert (peer["state"], peer["trust"], peer["via"]) == ("connected", "unverified", "directory")
    (theirs,) = anna.do("peers")["peers"]
    assert (theirs["trust"], theirs["via"]) == ("unverified", "directory")
    assert [prop["value"] for prop in bob.do("show", "Anna")["properties"] if prop["name"] == "EMAIL"] == [
        "anna@work.example"
    ]
    anna.do("verify", "Bob", "--number", "-", given=bob.do("verify", "Anna")["safety_number"] + "\n")
    assert anna.do("peers")["peers"][0]["trust"] == "verified"

    assert anna.do("handle", "--private")["state"] == "private"
    assert finger(there, "anna")[0] == 404
    assert eve.run("accept", address).document["error"] == "nobody-found"
    assert eve.run("handle", "anna").document["error"] == "handle-taken"
    assert anna.do("handle", "--remove")["state"] == "removed"
    assert anna.do("handle")["handles"] == []
    assert eve.do("handle", "anna")["state"] == "public"
    assert anna.do("peers")["peers"][0]["state"] == "connected"
    assert anna.run("handle", "--remove").document["error"] == "no-such-handle"


def test_what_becomes_known_is_said_before_a_handle_is_chosen_and_giving_it_up_asks(
    tmp_path: Path, servers: tuple[Server, Server]
) -> None:
    there, _ = servers
    anna = Kith(tmp_path / "anna")
    anna.do("init", "--server", there.url, "--name", "Anna Beck", "--no-passphrase")

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "kith"), *words]
        return subprocess.run(command, input="", capture_output=True, text=True, env=anna.environment(), timeout=60)

    chosen = typed("handle", "anna")
    before, after = chosen.stderr.splitlines()
    assert (chosen.returncode, chosen.stdout) == (0, "")
    assert before.startswith(f"If somebody is anna@{there.host} already, that is said and nothing changes.")
    assert f"Whoever knows or guesses anna@{there.host}" in before
    assert "nobody who comes this way is verified before you compare numbers" in before
    assert after == f"Others reach you with: kith accept anna@{there.host}"
    kept = typed("handle", "--remove")
    assert kept.returncode == 1
    assert "Anybody at" in kept.stderr
    assert anna.do("handle")["handles"][0]["state"] == "public"


def test_a_handle_moves_with_the_vault_and_the_old_address_works_until_the_old_server_forgets(
    tmp_path: Path, servers: tuple[Server, Server]
) -> None:
    old, new = servers
    anna, bob, carla = Kith(tmp_path / "anna"), Kith(tmp_path / "bob"), Kith(tmp_path / "carla")
    anna.do("init", "--server", old.url, "--name", "Anna Beck", "--no-passphrase")
    bob.do("init", "--server", new.url, "--name", "Bob Klein", "--no-passphrase")
    carla.do("init", "--server", new.url, "--name", "Carla Ruiz", "--no-passphrase")
    anna.do("handle", "anna")
    anna.do("move", new.url)
    anna.do("sync")
    (handle,) = anna.do("handle")["handles"]
    assert (handle["address"], handle["state"]) == (f"anna@{new.host}", "public")
    for person, address in ((bob, f"anna@{new.host}"), (carla, f"anna@{old.host}")):
        assert person.do("accept", address)["name"] == "Anna Beck"
    anna.do("sync")
    asked = anna.do("requests")["requests"]
    assert {each["name"] for each in asked} == {"Bob Klein", "Carla Ruiz"}
    for each in asked:
        anna.do("requests", "accept", each["id"])
    for person in (bob, carla, anna, bob, carla):
        person.do("sync")
    assert {each["state"] for each in anna.do("peers")["peers"]} == {"connected"}
