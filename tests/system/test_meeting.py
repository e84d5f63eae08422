"""Meeting in person with real commands: across two servers, and on a local network without any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from kith_client.qr import write_png
from tests.support.networks import KithThere, two_machines, why_not
from tests.support.running import Kith, Result, Server, link_device

CANNOT = why_not()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    folder = tmp_path_factory.mktemp("servers")
    anna, bob = Server(folder / "anna").init().start(), Server(folder / "bob").init().start()
    yield anna, bob
    anna.stop()
    bob.stop()


@pytest.fixture
def people(servers: tuple[Server, Server], tmp_path: Path) -> tuple[Kith, Kith]:
    """Anna and Bob, each at a server of their own."""
    anna, bob = Kith(tmp_path / "anna"), Kith(tmp_path / "bob")
    for kith, server, name in ((anna, servers[0], "Anna Beck"), (bob, servers[1], "Bob Lund")):
        kith.do("init", "--server", server.url, "--name", name, "--no-passphrase")
    anna.do("me", "set", "email", "anna@work.example", "--facet", "work")
    bob.do("me", "set", "tel", "1234", "--facet", "private")
    return anna, bob


@contextmanager
def showing(kith: Kith, *words: str) -> Iterator[tuple[dict[str, Any], Popen[str]]]:
    """`kith meet`, as far as its code."""
    process = kith.start("meet", *words)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.kill()
        process.communicate()


def meet(shows: Kith, types: Kith, *words: str, facet: str = "work") -> dict[str, Any]:
    """Both sides, until both commands ended; what the one who typed the code got."""
    with showing(shows, "--facet", facet) as (shown, process):
        met = types.do("meet", "-", *words, given=shown["code"] + "\n")
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    return met


def settle(*people: Kith) -> None:
    for _ in range(2):
        for kith in people:
            kith.do("sync")


def trusts(kith: Kith) -> list[tuple[str, str, str]]:
    return [(peer["name"], peer["state"], peer["trust"]) for peer in kith.do("peers")["peers"]]


def test_two_people_at_two_servers_meet_by_a_spoken_code(
    people: tuple[Kith, Kith], servers: tuple[Server, Server]
) -> None:
    anna, bob = people
    with showing(anna, "--facet", "work") as (shown, process):
        number, at, host = shown["code"].rpartition("@")
        assert (at, host) == ("@", servers[0].host)
        assert shown["qr"] == f"kith-meet:{host}#{number}"
        met = bob.do("meet", shown["code"].upper().replace("-", " "), "--facet", "private")
        assert (met["name"], met["trust"], met["state"], met["synced"]) == ("Anna Beck", "met", "connected", True)
        process.communicate(timeout=60)
        assert process.returncode == 0
    settle(anna, bob)
    assert trusts(anna) == [("Bob Lund", "connected", "met")]
    assert trusts(bob) == [("Anna Beck", "connected", "met")]
    assert anna.do("list")["contacts"][0]["phones"] == ["1234"]
    assert bob.do("list")["contacts"][0]["emails"] == ["anna@work.example"]


def test_a_code_is_read_from_a_picture_and_attaches_to_a_contact(people: tuple[Kith, Kith], tmp_path: Path) -> None:
    anna, bob = people
    contact = bob.do("add", "Anna from the choir")["id"]
    with showing(anna) as (shown, process):
        picture = tmp_path / "seen.png"
        write_png(shown["qr"], picture)
        met = bob.do("meet", str(picture), "--contact", "choir")
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert met["contact"] == contact


def test_a_wrong_word_burns_the_code_and_both_commands_say_so(people: tuple[Kith, Kith]) -> None:
    anna, bob = people
    with showing(anna) as (shown, process):
        number, words, host = shown["code"].partition("-")[0], shown["code"], shown["code"].rpartition("@")[2]
        wrong = next(word for word in ("zoo", "abandon") if f"-{word}-" not in words)
        guessed = bob.run("meet", f"{number}-{wrong}-{wrong}-{wrong}@{host}")
        _, err = process.communicate(timeout=60)
        assert (guessed.status, guessed.document["error"]) == (1, "link-burned")
        assert process.returncode == 1
        assert "used up" in err
        again = bob.run("meet", shown["code"])
        assert (again.status, again.document["error"]) == (1, "link-burned")
    assert anna.do("peers")["peers"] == bob.do("peers")["peers"] == []
    assert anna.do("list")["contacts"] == bob.do("list")["contacts"] == []


def test_a_code_at_the_wrong_command_is_refused_and_stays_good(
    people: tuple[Kith, Kith], servers: tuple[Server, Server], tmp_path: Path
) -> None:
    anna, bob = people
    with showing(anna) as (shown, process):
        words = shown["code"].partition("@")[0]
        for code, error in ((shown["code"], "wrong-code"), (shown["qr"], "wrong-code"), (words, "other-purpose")):
            refused = Kith(tmp_path / "new").run("device", "join", code, "--server", servers[0].url, "--no-passphrase")
            assert (refused.status, refused.document["error"]) == (1, error)
            assert "kith meet" in refused.document["message"]
        assert bob.do("meet", shown["code"])["trust"] == "met"
        process.communicate(timeout=60)
    adding = anna.start("device", "add")
    assert adding.stdout is not None
    device = json.loads(adding.stdout.readline())["code"]
    refused = meeting_with(anna, device)
    assert (refused.status, refused.document["error"]) == (1, "other-purpose")
    assert "kith device join" in refused.document["message"]
    assert (
        Kith(tmp_path / "phone").run("device", "join", device, "--server", servers[0].url, "--no-passphrase").status
        == 0
    )
    adding.communicate(timeout=60)


def meeting_with(kith: Kith, code: str) -> Result:
    """`kith meet` on another device's home would be right; the address book is free while `device add` waits."""
    return kith.run("meet", code)


@pytest.mark.skipif(bool(CANNOT), reason=CANNOT)
def test_two_people_meet_on_a_local_network_without_any_server(people: tuple[Kith, Kith]) -> None:
    """Nothing but the two machines is there. What they share goes out with the next syncs."""
    anna, bob = people
    with two_machines() as (left, right):
        anna_there, bob_there = KithThere(anna.home, left), KithThere(bob.home, right)
        met = meet(anna_there, bob_there, "--facet", "private")
        assert (met["name"], met["trust"], met["state"], met["synced"]) == ("Anna Beck", "met", "connected", False)
        assert trusts(anna_there) == [("Bob Lund", "connected", "met")]
        assert anna_there.run("sync").status == 3
    settle(anna, bob)
    assert trusts(anna) == [("Bob Lund", "connected", "met")]
    assert anna.do("list")["contacts"][0]["phones"] == ["1234"]
    assert bob.do("list")["contacts"][0]["emails"] == ["anna@work.example"]


@pytest.mark.skipif(bool(CANNOT), reason=CANNOT)
def test_two_devices_compare_their_heads_without_any_server(
    people: tuple[Kith, Kith], servers: tuple[Server, Server], tmp_path: Path
) -> None:
    laptop, phone = people[0], Kith(tmp_path / "phone")
    link_device(laptop, phone, servers[0].url, "phone")
    laptop.do("add", "Carla")
    laptop.do("sync")
    with two_machines() as (left, right):
        process = KithThere(laptop.home, left).start("device", "compare")
        there = KithThere(phone.home, right).do("device", "compare")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    here = json.loads(out)
    assert (here["name"], here["verdict"], there["verdict"]) == ("phone", "ahead", "behind")
    checks = {check["name"]: check["text"] for check in laptop.do("doctor")["checks"]}
    assert there["head"] in checks["history"], "the words are those that the other device shows"
