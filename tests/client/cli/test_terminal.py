"""`kith` at a real terminal, with a real server: prompts, the recovery phrase, tables, exit codes."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kith_client.cli import output
from tests.support.running import BIN, Kith, Server

PATIENCE = 60.0
"""Seconds without output after which a command counts as stuck."""

Person = Callable[[str], str | None]
"""Given everything on the screen so far, what to type now."""

CTRL_C = "\x03"


def at_terminal(
    kith: Kith, *args: str, person: Person = lambda _: None, passphrase: str | None = None
) -> tuple[int, str]:
    """Runs a command at a pseudo terminal; (exit code, everything on the screen)."""
    given = {} if passphrase is None else {"KITH_PASSPHRASE": passphrase}
    environment = {**kith.environment(), **given, "TERM": "xterm", "COLUMNS": "200"}
    terminal, inner = os.openpty()
    # The terminal is its controlling one, as a person's is, and Ctrl-C becomes a signal.
    child = subprocess.Popen([BIN / "kith", *args], env=environment, preexec_fn=lambda: os.login_tty(inner))
    os.close(inner)
    screen = b""
    while select.select([terminal], [], [], PATIENCE)[0]:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # Linux says so when the other side has closed
            break
        screen += chunk
        typed = person(screen.decode(errors="replace"))
        if typed is not None:
            os.write(terminal, (typed if typed == CTRL_C else f"{typed}\n").encode())
    os.close(terminal)
    return child.wait(timeout=PATIENCE), screen.decode(errors="replace")


def saying(word: str) -> Person:
    """Somebody who answers one question."""
    answers = iter([word])
    return lambda screen: next(answers, None) if screen.endswith("[y/N]: ") else None


def stopping(before: str) -> Person:
    """Somebody who presses Ctrl-C once, when the screen ends so."""
    presses = iter([CTRL_C])

    def person(screen: str) -> str | None:
        if not screen.endswith(before):
            return None
        time.sleep(0.5)  # a person sees the question first; between a prompt and its read a signal waits for a line
        return next(presses, None)

    return person


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server") / "data").init().start()
    yield running
    running.stop()


def new_person(wrong_word: bool = False) -> Person:
    """Somebody who chooses a passphrase and types the words that are asked for."""
    done: set[str] = set()

    def person(screen: str) -> str | None:
        prompt = screen.rpartition("\n")[2]
        if not prompt.endswith(": ") or prompt + str(screen.count(prompt)) in done:
            return None
        done.add(prompt + str(screen.count(prompt)))
        asked = re.search(r"type word (\d+): $", prompt)
        if asked is None:
            return "open sesame"
        words = dict(re.findall(r"(\d+)\. ([a-z]+)", screen))
        return "wrong" if wrong_word else words[asked[1]]

    return person


def init(server: Server, kith: Kith, person: Person) -> tuple[int, str]:
    return at_terminal(kith, "init", "--server", server.url, "--name", "Anna Beck", person=person)


@pytest.fixture(scope="module")
def anna(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Kith:
    kith = Kith(tmp_path_factory.mktemp("anna") / "home")
    code, screen = init(server, kith, new_person())
    assert code == 0, screen
    assert len(re.findall(r"\d+\. [a-z]+", screen)) == 24
    assert screen.count("type word") == 3
    assert "Write it down" in screen
    assert "open sesame" not in screen
    return kith


def test_who_does_not_know_the_words_is_sent_back_to_the_list(server: Server, tmp_path: Path) -> None:
    code, screen = init(server, Kith(tmp_path / "home"), new_person(wrong_word=True))
    assert code == 0
    assert screen.count("type word") == 3
    assert "write it down" in screen.splitlines()[-1]


def test_the_passphrase_is_asked_for_and_not_shown(anna: Kith) -> None:
    code, screen = at_terminal(anna, "me", person=new_person())
    assert code == 0
    assert "Anna Beck" in screen
    assert "open sesame" not in screen


def test_a_wrong_passphrase_exits_1(anna: Kith) -> None:
    code, screen = at_terminal(anna, "me", passphrase="open barley")
    assert code == 1
    assert "passphrase is not right" in screen


def test_where_nobody_can_be_asked_the_command_says_what_to_set(anna: Kith, server: Server, tmp_path: Path) -> None:
    result = anna.run("list")
    assert (result.status, result.document["error"]) == (1, "wrong-passphrase")
    assert "KITH_PASSPHRASE" in result.document["message"]
    fresh = Kith(tmp_path / "home").run("init", "--server", server.url, "--name", "X")
    assert (fresh.status, fresh.document["error"]) == (2, "usage")


def test_tables_progress_and_questions_at_a_terminal(anna: Kith, tmp_path: Path) -> None:
    path = tmp_path / "a.vcf"
    path.write_text("BEGIN:VCARD\nFN:Eve \x1b[31mred\nEND:VCARD\n" * 2)
    secret = "open sesame"
    code, screen = at_terminal(anna, "import", str(path), passphrase=secret)
    assert code == 0
    assert "Importing" in screen
    assert "1 imported, 0 updated, 1 unchanged." in screen
    code, screen = at_terminal(anna, "list", passphrase=secret)
    assert "Eve" in screen
    assert "\x1b[31m" not in screen
    code, screen = at_terminal(anna, "rm", "eve", passphrase=secret, person=saying("n"))
    assert (code, "Stopped." in screen) == (1, True)
    code, screen = at_terminal(anna, "rm", "eve", passphrase=secret, person=saying("y"))
    assert (code, "Removed Eve" in screen) == (0, True)


@pytest.mark.parametrize(
    ("command", "question", "passphrase"),
    [
        (("rm", "Gone"), "[y/N]: ", "open sesame"),
        (("me",), "Passphrase: ", None),
        (("move", "http://127.0.0.1:9"), "[y/N]: ", "open sesame"),
        (("recover", "--server", "http://127.0.0.1:9", "--vault", "ab" * 32), "24 words): ", "open sesame"),
        (("recover", "--guardians"), "or a file): ", "open sesame"),
        (("recover", "--guardians"), "this device: ", None),
    ],
)
def test_one_ctrl_c_at_a_question_ends_the_command_and_nothing_is_done(
    anna: Kith, command: tuple[str, ...], question: str, passphrase: str | None
) -> None:
    if command[0] == "rm":
        at_terminal(anna, "add", "Gone", passphrase="open sesame")
    code, screen = at_terminal(anna, *command, passphrase=passphrase, person=stopping(question))
    assert code == 1, screen
    assert screen.splitlines()[-1] == "Stopped. Nothing more was done."
    if command[0] == "rm":
        _, screen = at_terminal(anna, "list", passphrase="open sesame")
        assert "Gone" in screen


def test_one_ctrl_c_ends_a_question_during_which_another_device_waits(server: Server, tmp_path: Path) -> None:
    old, new = Kith(tmp_path / "old"), Kith(tmp_path / "new")
    old.do("init", "--server", server.url, "--name", "Anna Beck", "--no-passphrase")
    joining: list[subprocess.Popen[str]] = []
    stop = stopping("[y/N]: ")

    def person(screen: str) -> str | None:
        shown = re.search(r"^(\d+-\S+)\r?$", screen, re.MULTILINE)
        if shown is not None and not joining:
            joining.append(new.start("device", "join", shown[1], "--server", server.url, "--no-passphrase"))
        return stop(screen)

    code, screen = at_terminal(old, "device", "add", person=person)
    assert (code, screen.splitlines()[-1]) == (1, "Stopped. Nothing more was done."), screen
    joining[0].communicate(timeout=PATIENCE)
    assert joining[0].returncode == 1
    assert len(old.do("device")["devices"]) == 1


def test_json_at_a_terminal_is_one_document_too(anna: Kith) -> None:
    code, screen = at_terminal(anna, "me", "--json", passphrase="open sesame")
    assert code == 0
    assert json.loads(screen)["ok"] is True


def test_an_invite_is_shown_as_a_link_and_written_as_a_picture(anna: Kith, tmp_path: Path) -> None:
    path = tmp_path / "qr.png"
    code, screen = at_terminal(anna, "invite", "--expires", "2d", "--qr", str(path), passphrase="open sesame")
    assert code == 0
    assert re.search(r"^kith:127\.0\.0\.1:\d+#1\.\S+", screen)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_is_there_is_left_and_nothing_is_made(anna: Kith, tmp_path: Path) -> None:
    path = tmp_path / "card.png"
    path.write_text("mine")
    _, before = at_terminal(anna, "invites", "--json", passphrase="open sesame")
    for words in (("invite",), ("invite", "--reusable"), ("device", "add")):
        code, screen = at_terminal(anna, *words, "--qr", str(path), passphrase="open sesame")
        assert (code, f"{path} is there already" in screen) == (1, True), screen
    assert path.read_text() == "mine"
    assert at_terminal(anna, "invites", "--json", passphrase="open sesame")[1] == before


def test_everything_local_works_without_the_server_and_sync_exits_3(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").init().start()
    kith = Kith(tmp_path / "home")
    try:
        kith.do("init", "--server", server.url, "--name", "Anna", "--no-passphrase")
    finally:
        server.stop()
    kith.do("add", "Bob")
    kith.do("me", "set", "tel", "1", "--facet", "private")
    kith.do("note", "add", "bob", "text")
    assert [contact["name"] for contact in kith.do("list")["contacts"]] == ["Bob"]
    result = kith.run("sync")
    assert (result.status, result.document["error"]) == (3, "unreachable")
    assert kith.run("invite").status == 3
    server.start()
    try:
        assert kith.do("sync")["pushed"] >= 3
    finally:
        server.stop()


def test_every_question_is_asked_where_ctrl_c_ends_it() -> None:
    sources = {path.name: path.read_text() for path in Path(output.__file__).parent.glob("*.py")}
    asking = {name for name, text in sources.items() if re.search(r"click\.(prompt|confirm)\(|getpass|\binput\(", text)}
    assert asking == {"asking.py"}
