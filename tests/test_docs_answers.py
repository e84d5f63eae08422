"""The reference of commands names the keys of the JSON answers as they are: none is missing, none is invented."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.cli.kith import Kith
from tests.client.relations.people import World
from tests.support.memory_book import MemoryBook

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "commands.md"
CARD = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Dora\r\nTHIS IS DAMAGED\r\nEND:VCARD\r\n"
LOCAL = [
    ["import", "FILE"],
    ["issues"],
    ["issues", "show", "ISSUE"],
    ["issues", "resolve", "ISSUE"],
    ["add", "Carla", "--email", "carla@example.org"],
    ["set", "Carla", "email", "carla@new.example"],
    ["show", "Carla"],
    ["unset", "Carla", "email"],
    ["note", "add", "Carla", "hello", "--remind", "tomorrow"],
    ["note", "list"],
    ["due"],
    ["note", "done", "NOTE"],
    ["share", "note", "NOTE", "--with", "Bob"],
    ["share", "card", "Carla", "--with", "Bob"],
    ["preview", "Bob"],
    ["unshare", "note", "NOTE", "--with", "Bob"],
    ["note", "rm", "NOTE"],
    ["me", "set", "title", "Captain", "--facet", "work"],
    ["me"],
    ["me", "unset", "title"],
    ["circle", "add", "Friends", "Carla"],
    ["circle"],
    ["circle", "remove", "Friends"],
    ["list"],
    ["export", "Carla", "--format", "csv"],
    ["export", "--output", "OUTPUT"],
    ["invites"],
    ["peers"],
    ["verify", "Bob"],
    ["grant", "Bob", "private"],
    ["withdraw", "Bob", "private"],
    ["introduce", "Bob", "Cleo", "--message", "You two!"],
    ["introductions"],
    ["introductions", "take-back", "INTRODUCTION"],
    ["log"],
    ["rm", "Carla"],
]

ELSEWHERE = {"versions", "which", "value", "at", "by", "jscontact", "archive", "trust"}
"""Keys of answers that this book does not give rise to (conflicts, a number that was compared); names of formats."""


def answers_on(page: str) -> dict[str, str]:
    """What the page says of each command's JSON answer."""
    parts = re.findall(r"^### (.+?)$(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE)
    return {path: found[1] for path, text in parts if (found := re.search(r"^JSON: (.+)$", text, re.MULTILINE))}


def named(text: str) -> set[str]:
    """The words of a text that can be keys."""
    return set(re.findall(r"`([a-z_0-9]+)`", text))


def keys_of(value: Any) -> Iterator[str]:
    """Every key in a document; a person id as a key is none."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "params" and len(key) < 64:
                yield key
            if key != "params":
                yield from keys_of(inner)
            else:
                yield key
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


@pytest.fixture
def answers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, set[str]]:
    """The keys that each command without network really answers with."""
    world = World.of("Anna Beck", "Bob Klein", "Cleo Ray")
    world["anna"].set_card("tel", "1111", "private")
    world.connect("anna", "bob", ("work",))
    world.connect("anna", "cleo")
    world.settle()
    kith = Kith(capsys, monkeypatch)
    kith.book = MemoryBook(records=dict(world["anna"].contents), now=world["anna"].now + 1000)
    file = tmp_path / "card.vcf"
    file.write_bytes(CARD.encode())
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    known = {"FILE": str(file), "OUTPUT": str(tmp_path / "out.vcf")}
    found: dict[str, set[str]] = {}
    for words in LOCAL:
        document = kith.do(*(known.get(word, word) for word in words))
        if words == ["issues"]:
            known["ISSUE"] = document["issues"][0]["id"]
        if words[0] == "introduce":
            known["INTRODUCTION"] = document["id"]
        if words[:2] == ["note", "add"]:
            known["NOTE"] = document["id"]
        two = words[0] in {"note", "me", "circle", "issues", "introductions"} and len(words) > 1
        found.setdefault(" ".join(["kith", *words[: 1 + two]]), set()).update(keys_of(document))
    return found


def test_the_answers_are_as_documented(answers: dict[str, set[str]]) -> None:
    said = answers_on(PAGE.read_text(encoding="utf-8"))
    missing, invented = {}, {}
    for path, real in answers.items():
        near = [text for other, text in said.items() if other.split()[1] == path.split()[1]]
        near += [said[other] for other in re.findall(r"`(kith [a-z ]+)`", said[path])]
        missing[path] = real - set().union(*map(named, near))
        invented[path] = named(said[path]) - real - ELSEWHERE
    assert {path: keys for path, keys in missing.items() if keys} == {}
    assert {path: keys for path, keys in invented.items() if keys} == {}
