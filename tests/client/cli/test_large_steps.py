"""What `kith` says before a large step at a terminal, and what it refuses before it asks anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.cli.test_shares_at_a_terminal import typing
from tests.client.cli.test_terminal import at_terminal, saying
from tests.support.running import Kith, Server, link_device


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server") / "data").init("--registration", "open").start()
    yield running
    running.stop()


class Anna:
    """Two devices, and the phrase."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.laptop, self.phone = Kith(folder / "laptop"), Kith(folder / "phone")
        words = ("init", "--server", server.url, "--name", "Anna Beck", "--device", "laptop", "--no-passphrase")
        self.kit = self.laptop.do(*words)
        link_device(self.laptop, self.phone, server.url, "phone")


@pytest.fixture(scope="module")
def anna(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Anna:
    return Anna(server, tmp_path_factory.mktemp("anna"))


def test_what_a_removal_does_is_said_before_the_question(anna: Anna) -> None:
    code, screen = at_terminal(anna.laptop, "device", "remove", "phone", person=saying("n"))
    before, _, _ = screen.partition("Remove phone? [y/N]")
    assert (code, "Every peer gets new keys" in before) == (1, True), screen


def test_what_taking_back_does_is_said_before_the_phrase_is_asked_for(anna: Anna) -> None:
    code, screen = at_terminal(anna.laptop, "device", "remove", "phone", "--stolen", person=typing("y", "wrong"))
    before, asked, _ = screen.partition("Remove phone? [y/N]")
    assert (code, bool(asked)) == (1, True), screen
    assert "keys towards peers are replaced" in before
    assert "open invites end" in before
    assert "last 30 days is undone" in before


def test_recovering_lists_the_devices_that_go_and_asks(anna: Anna, tmp_path: Path) -> None:
    words = ("recover", "--server", anna.server.url, "--vault", anna.kit["vault"], "--name", "new", "--no-passphrase")
    new = Kith(tmp_path / "new")
    code, screen = at_terminal(new, *words, "--keep", "phone", person=typing(anna.kit["recovery_phrase"], "n"))
    assert code == 1, screen
    before, asked, _ = screen.partition("Remove laptop? [y/N]")
    assert asked, screen
    assert "what they have, they keep" in before
    assert not list(new.home.glob("*.key")), "nothing is kept of what was not agreed to"
    assert len(anna.laptop.do("device")["devices"]) == 2


def test_restoring_lists_the_devices_that_go_and_asks(anna: Anna, tmp_path: Path) -> None:
    file = tmp_path / "anna.kithbackup"
    anna.laptop.do("backup", str(file))
    other = Server(tmp_path / "other").init("--registration", "open").start()
    words = ("restore", str(file), "--server", other.url, "--name", "new", "--no-passphrase")
    new = Kith(tmp_path / "new")
    try:
        code, screen = at_terminal(new, *words, person=typing(anna.kit["recovery_phrase"], "n"))
        assert code == 1, screen
        assert "? [y/N]" in screen, screen
        assert {"laptop", "phone"} == set(screen.partition("Remove ")[2].partition("?")[0].split(", "))
        assert not list(new.home.glob("*.key"))
        done = new.do("--yes", *words, given=anna.kit["recovery_phrase"] + "\n")
        assert sorted(done["removed"]) == ["laptop", "phone"]
    finally:
        other.stop()


def test_what_a_move_does_is_said_before_the_question(anna: Anna) -> None:
    code, screen = at_terminal(anna.laptop, "move", "http://127.0.0.1:9", person=saying("n"))
    before, asked, _ = screen.partition("Move to http://127.0.0.1:9? [y/N]")
    assert (code, bool(asked)) == (1, True), screen
    assert "all peers follow" in before
    assert "180 days at most" in before


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (("device", "remove", "laptop"), 1, "A device cannot remove itself"),
        (("device", "remove", "laptop", "--stolen"), 1, "A device cannot remove itself"),
        (("handle", "nobody.here", "--remove"), 1, "no such handle"),
        (("move", "SERVER"), 2, "already"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_question(
    anna: Anna, command: tuple[str, ...], code: int, text: str
) -> None:
    words = [anna.server.url if word == "SERVER" else word for word in command]
    got, screen = at_terminal(anna.laptop, *words, person=saying("y"))
    assert got == code, screen
    assert text in screen
    assert "[y/N]" not in screen


def test_a_backup_that_cannot_be_written_is_named_as_the_person_named_it(anna: Anna, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "b"
    refused = anna.laptop.run("backup", str(path)).document
    assert refused["message"] == f"{path}: No such file or directory."


def test_the_doctor_counts_commits_one_way(anna: Anna) -> None:
    texts = {each["name"]: each["text"] for each in anna.laptop.do("doctor")["checks"]}
    number = texts["history"].partition("Up to commit ")[2].partition(",")[0]
    assert number.isdigit(), texts
    assert texts["server's history"].endswith(f"up to commit {number}.")
