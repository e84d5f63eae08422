"""`kith recover --guardians` at a terminal: shares one after the other, each bad one named, nothing typed twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kith_protocol.guardian import ShareLink, format_share_link
from kith_protocol.phrase import entropy_of
from kith_protocol.splitting import read_share
from tests.client.cli.test_terminal import Person, at_terminal
from tests.protocol.people import fixed
from tests.support.running import Kith, Server
from tests.support.splits import fixed_split, forged


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server") / "data").init("--registration", "open").start()
    yield running
    running.stop()


def typing(*answers: str) -> Person:
    """Somebody who answers one question after the other."""
    left, asked = iter(answers), [""]

    def person(screen: str) -> str | None:
        prompt = screen.rpartition("\n")[2]
        if not re.search(r"\): $|: $", prompt) or screen == asked[0]:
            return None
        asked[0] = screen
        return next(left, None)

    return person


def test_shares_are_asked_for_until_they_give_a_phrase_that_opens_the_vault(server: Server, tmp_path: Path) -> None:
    kit = Kith(tmp_path / "lost").do("init", "--server", server.url, "--name", "Anna Beck", "--no-passphrase")
    shares = fixed_split(entropy_of(kit["recovery_phrase"]), 2, 3)
    misspelt = shares[0].replace(shares[0].split()[6], "sesame", 1)
    person = typing(
        misspelt,
        shares[0],
        shares[0],
        forged(shares[1], fixed("forged")),
        shares[2],
        server.url,
        "ab" * 32,
        server.url,
        "12",
        kit["vault"],
        "y",
        "y",
    )
    code, screen = at_terminal(
        Kith(tmp_path / "new"), "recover", "--guardians", "--name", "laptop", "--no-passphrase", person=person
    )
    assert code == 0, screen
    said = " ".join(screen.split())
    assert "Word 7 is not in the list" in said
    assert "In order. At least 1 more." in said
    assert "This is share 1 once more" in said
    assert "one of them is not what was split" in said
    assert "opens no address book with this id on this server" in said
    assert "has 64 digits" in said
    assert "Share 2 does not fit the others" in said
    words = dict(re.findall(r"(\d+)\. ([a-z]+)", screen))
    assert " ".join(words[str(number)] for number in range(1, 25)) == kit["recovery_phrase"]


def links(server: Server, kit: dict[str, str], needed: int, count: int) -> list[str]:
    """What guardians hand out."""
    host, vault = server.url.partition("://")[2], bytes.fromhex(kit["vault"])
    split = fixed_split(entropy_of(kit["recovery_phrase"]), needed, count, kit["vault"])
    return [format_share_link(ShareLink(host, vault, read_share(words))) for words in split]


def test_guardians_who_forge_together_are_not_believed_because_their_split_is_complete_first(
    server: Server, tmp_path: Path
) -> None:
    own = Kith(tmp_path / "lost").do("init", "--server", server.url, "--name", "Anna Beck", "--no-passphrase")
    lie = Kith(tmp_path / "lie").do("init", "--server", server.url, "--name", "Anna Beck", "--no-passphrase")
    mine, theirs = links(server, own, 3, 4), links(server, lie, 2, 2)
    new = Kith(tmp_path / "new")

    def recovering(*answers: str, needed: tuple[str, ...] = ()) -> tuple[int, str]:
        words = ("--yes", "recover", "--guardians", *needed, "--no-passphrase")
        code, screen = at_terminal(new, *words, person=typing(*answers))
        return code, " ".join(screen.split())

    code, said = recovering(*theirs, "n")
    assert code == 1, said
    assert f"Owner Anna Beck Server {server.url} Vault {lie['vault']} Needed 2 guardians" in said
    assert not list(tmp_path.glob("new/*.key")), "nothing is kept of what was not agreed to"

    code, said = recovering(mine[0], *theirs, *mine[1:3], "", server.url, own["vault"], "n")
    assert code == 1, said
    assert "1 of one of which 3 are needed; 2 and 3 of one of which 2 are needed" in said
    assert f"Vault {own['vault']} Needed 3" in said

    code, said = recovering(*theirs, *mine[:3], "y", needed=("--needed", "3"))
    assert code == 0, said
    assert "of which 2 are needed, not 3: it does not count" in said
    assert f"Vault {own['vault']} Needed 3" in said


def test_an_empty_line_ends_it_and_says_how_many_are_missing(tmp_path: Path) -> None:
    (share, *_) = fixed_split(fixed("entropy"), 3, 4)
    new = Kith(tmp_path / "new")
    code, screen = at_terminal(new, "recover", "--guardians", "--no-passphrase", person=typing(share, ""))
    assert code == 1
    assert "2 more shares of the same split are needed." in screen
    assert not new.home.exists() or not any(new.home.glob("*.key"))
