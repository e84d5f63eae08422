"""Every error code that a person can meet stands on the page for it, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kith_protocol.errors import AlarmCode

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "how-to" / "when-something-is-wrong.md"
SOURCES = ("client/kith_client", "protocol/kith_protocol", "server/kith_server")
RAISERS = {"Refused", "HttpRefusal", "ServerRefused", "failed", "failure", "_refuse", "__init__"}
"""What is called with a code among its first two arguments."""
CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

NOT_MET: Final = {
    "error": "the base of all errors, never raised itself",
    "book": "the base of those about contents, never raised itself",
    "randomness": "a caller inside Kithbook gave too few random bytes",
    "relationship-state": "the client asks for no step that the state does not allow; a peer's is dropped",
    "bad-request": "Kithbook's own client sends no such request",
    "compressed": "Kithbook's own client sends no such request",
    "length-required": "Kithbook's own client sends no such request",
    "request-size": "Kithbook's own client sends no such request",
    "mailbox-ids": "Kithbook's own client sends no such request",
    "parcel-hashes": "Kithbook's own client sends no such request",
    "relay-host": "Kithbook's own client sends no such request",
    "greeting-expiry": "the client checks the expiry before (`invite-expiry`)",
    "greeting-taken": "ids of greetings are random",
    "mailbox-taken": "ids of mailboxes are random",
    "taken": "a client leaves each message of a linking once",
    "wrong-vault": "Kithbook's own client pushes to its own vault",
    "fill-origin": "the client fills only where it began",
    "paper-key-only": "the client asks for this with the paper key only",
}
"""Codes that no person can meet, and why."""


def codes_in(tree: ast.Module) -> Iterator[str]:
    """The codes that a module raises: `Refused("code", ...)`, and classes with `code = "..."`."""
    constants = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from _of_class(node)
        if isinstance(node, ast.Call) and _name(node.func) in RAISERS:
            for argument in node.args[:2]:
                for part in (argument.body, argument.orelse) if isinstance(argument, ast.IfExp) else (argument,):
                    value = constants.get(part.id) if isinstance(part, ast.Name) else getattr(part, "value", None)
                    if isinstance(value, str) and CODE.fullmatch(value):
                        yield value


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    for each in node.body:
        if isinstance(each, ast.Assign) and [_name(target) for target in each.targets] == ["code"]:
            value = getattr(each.value, "value", None)
            if isinstance(value, str):
                yield value


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def raised() -> set[str]:
    """All codes of the three packages, alarms included."""
    files = [path for source in SOURCES for path in (REPOSITORY / source).rglob("*.py")]
    return {code for path in files for code in codes_in(ast.parse(path.read_text(encoding="utf-8")))} | set(AlarmCode)


def explained() -> list[str]:
    """The codes in the first column of the page's tables, or before the colon with which a paragraph begins."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^(?:\| )?(`[^`]+`(?:, `[^`]+`)*)(?: \||: )", text, re.MULTILINE)
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def test_the_codes_are_found_wherever_they_are_raised() -> None:
    source = """
LATE = "too-late"
class Slow(KithError):
    code = "slow"
class Odd(Refused):
    def __init__(self):
        super().__init__("odd", "Odd.")
def step():
    raise Refused("one" if a else "two", "X.")
    raise errors.Refused(LATE, f"y {z}")
    raise HttpRefusal(404, "not-here", "A sentence.")
    other("no-code", "z")
"""
    assert set(codes_in(ast.parse(source))) == {"slow", "odd", "one", "two", "too-late", "not-here"}


def test_every_code_that_a_person_can_meet_is_explained() -> None:
    assert sorted(raised() - set(explained()) - NOT_MET.keys()) == []


def test_no_code_is_explained_that_does_not_exist_or_twice() -> None:
    page = explained()
    assert sorted(set(page) - raised()) == []
    assert sorted(code for code in set(page) if page.count(code) > 1) == []
    assert sorted(NOT_MET.keys() - raised()) == []
    assert sorted(NOT_MET.keys() & set(page)) == []
