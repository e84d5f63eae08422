"""The rules of the architecture hold, and each rule notices when they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.architecture import (
    MAX_FILE_LINES,
    MAX_FUNCTION_LINES,
    OPENERS,
    PACKAGES,
    PURE,
    RULES,
    Rule,
    no_cycles,
    no_stdlib_sqlite,
    nothing_is_too_long,
    only_app_and_cli_wire,
    protocol_is_pure,
    read_tree,
    server_opens_nothing,
    sides_are_apart,
)

REPOSITORY = Path(__file__).resolve().parent.parent
Files = dict[str, str]


def broken(rule: Rule, root: Path, files: Files) -> list[str]:
    """What `rule` finds in a small tree with these files (`kith_server/app.py`: text)."""
    for package, folder in PACKAGES.items():
        (root / folder / package).mkdir(parents=True, exist_ok=True)
        (root / folder / package / "__init__.py").touch()
    for name, text in files.items():
        path = root / PACKAGES[name.partition("/")[0]] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return rule(read_tree(root))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    assert rule(read_tree(REPOSITORY)) == []


def test_the_rules_see_the_source() -> None:
    tree = read_tree(REPOSITORY)
    for package in PACKAGES:
        assert package in tree
        assert sum(module.package == package for module in tree.values()) > 3
    assert "kith_protocol.errors" in {item.name.rpartition(".")[0] for item in tree["kith_protocol.encoding"].imports}
    assert tree.keys() >= OPENERS, "a module that opens things was renamed: name it in OPENERS"


VIOLATIONS: list[tuple[Rule, Files, str]] = [
    (sides_are_apart, {"kith_client/a.py": "import kith_server.app"}, "kith_client.a:1 imports kith_server.app"),
    (sides_are_apart, {"kith_server/a.py": "from kith_client import b"}, "kith_server.a:1 imports kith_client.b"),
    (sides_are_apart, {"kith_protocol/a.py": "def f():\n import kith_client"}, "kith_protocol.a:2 imports kith_client"),
    (protocol_is_pure, {"kith_protocol/a.py": "import os"}, "kith_protocol.a:1 imports os"),
    (protocol_is_pure, {"kith_protocol/a.py": "from time import monotonic"}, "imports time.monotonic"),
    (protocol_is_pure, {"kith_protocol/a.py": "def f():\n    import socket"}, "kith_protocol.a:2 imports socket"),
    (protocol_is_pure, {"kith_protocol/a.py": "import logging"}, "imports logging"),
    (protocol_is_pure, {"kith_protocol/a.py": "import secrets"}, "imports secrets"),
    (protocol_is_pure, {"kith_protocol/a.py": "import aiohttp"}, "imports aiohttp"),
    (protocol_is_pure, {"kith_protocol/a.py": "from nacl.utils import random as r\nr(3)"}, "imports nacl.utils.random"),
    (protocol_is_pure, {"kith_protocol/a.py": "import nacl.utils\nnacl.utils.random(3)"}, "uses .random"),
    (protocol_is_pure, {"kith_protocol/a.py": "import nacl.bindings as s\ns.randombytes(3)"}, "uses .randombytes"),
    (protocol_is_pure, {"kith_protocol/a.py": "import datetime as d\nd.datetime.now(d.UTC)"}, "uses .now"),
    (
        protocol_is_pure,
        {"kith_protocol/a.py": "def f(k):\n    return k.generate()"},
        "kith_protocol.a:2 uses .generate",
    ),
    (protocol_is_pure, {"kith_protocol/a.py": "open('x')"}, "kith_protocol.a:1 uses open"),
    (protocol_is_pure, {"kith_protocol/a.py": "async def f(): ..."}, "kith_protocol.a:1 is asynchronous"),
    (protocol_is_pure, {"kith_protocol/sub/a.py": "print(1)"}, "kith_protocol.sub.a:1 uses print"),
    (
        no_cycles,
        {"kith_client/a.py": "import kith_client.b", "kith_client/b.py": "from kith_client import a"},
        "kith_client.a → kith_client.b → kith_client.a",
    ),
    (
        no_cycles,
        {
            "kith_client/a.py": "from .sub.b import x",
            "kith_client/sub/b.py": "def f():\n    from .. import c",
            "kith_client/c.py": "if TYPE_CHECKING:\n    from kith_client.a import y",
        },
        "kith_client.a → kith_client.sub.b → kith_client.c → kith_client.a",
    ),
    (no_cycles, {"kith_server/a.py": "from kith_server.a import x"}, "kith_server.a → kith_server.a"),
    (
        server_opens_nothing,
        {"kith_server/a.py": "from kith_protocol.record import x", "kith_protocol/record.py": ""},
        "kith_server.a → kith_protocol.record",
    ),
    (
        server_opens_nothing,
        {
            "kith_server/a.py": "def f():\n    from kith_protocol import chain",
            "kith_protocol/chain.py": "from kith_protocol.parcel import x",
            "kith_protocol/parcel.py": "",
        },
        "kith_server.a → kith_protocol.chain → kith_protocol.parcel",
    ),
    (
        server_opens_nothing,
        {
            "kith_server/a.py": "import kith_protocol.errors",
            "kith_protocol/errors.py": "",
            "kith_protocol/__init__.py": "from kith_protocol import merge",
            "kith_protocol/merge.py": "",
        },
        "kith_server.a → kith_protocol → kith_protocol.merge",
    ),
    (
        only_app_and_cli_wire,
        {"kith_server/relay.py": "import kith_server.app", "kith_server/app.py": ""},
        "kith_server.relay imports kith_server.app",
    ),
    (
        only_app_and_cli_wire,
        {"kith_client/engine.py": "from kith_client.cli.show import x", "kith_client/cli/show.py": ""},
        "kith_client.engine imports kith_client.cli.show",
    ),
    (
        only_app_and_cli_wire,
        {"kith_server/relay.py": "from .storage import sqlite", "kith_server/storage/sqlite.py": ""},
        "kith_server.relay imports kith_server.storage.sqlite",
    ),
    (
        only_app_and_cli_wire,
        {"kith_server/routes/a.py": "from kith_server.storage.vaults import X", "kith_server/storage/vaults.py": ""},
        "kith_server.routes.a imports kith_server.storage.vaults",
    ),
    (no_stdlib_sqlite, {"kith_client/a.py": "import sqlite3"}, "kith_client.a:1 imports sqlite3"),
    (no_stdlib_sqlite, {"kith_server/a.py": "def f():\n    from sqlite3 import connect"}, "kith_server.a:2 imports"),
    (
        no_stdlib_sqlite,
        {"kith_server/a.py": "if TYPE_CHECKING:\n    pass\nelse:\n    import sqlite3"},
        "kith_server.a:4",
    ),
    (nothing_is_too_long, {"kith_client/a.py": "x = 1\n" * (MAX_FILE_LINES + 1)}, "kith_client.a has 401 lines"),
    (
        nothing_is_too_long,
        {"kith_client/a.py": "class A:\n    async def f():\n" + "        x = 1\n" * MAX_FUNCTION_LINES},
        "kith_client.a.f has 61 lines",
    ),
]


@pytest.mark.parametrize(("rule", "files", "finding"), VIOLATIONS)
def test_a_violation_is_found(rule: Rule, files: Files, finding: str, tmp_path: Path) -> None:
    found = broken(rule, tmp_path, files)
    assert len(found) == 1, found
    assert finding in found[0]


ALLOWED: list[tuple[Rule, Files]] = [
    (sides_are_apart, {"kith_client/a.py": "import kith_protocol, kith_client.b", "kith_client/b.py": ""}),
    (
        protocol_is_pure,
        {"kith_protocol/a.py": "import hashlib, datetime, nacl.bindings\nfrom .b import now\nnow()\nself.key.open()"},
    ),
    (protocol_is_pure, {"kith_client/a.py": "import os, time\nasync def f(): print(open('x'))"}),
    (no_cycles, {"kith_client/a.py": "import kith_client.b, kith_client.c", "kith_client/b.py": "from . import c"}),
    (
        no_cycles,
        {
            "kith_client/sub/__init__.py": "from .a import x",
            "kith_client/sub/a.py": "from . import b",
            "kith_client/sub/b.py": "",
        },
    ),
    (
        server_opens_nothing,
        {
            "kith_server/a.py": "import kith_protocol.chain",
            "kith_protocol/chain.py": "",
            "kith_protocol/record.py": "",
            "kith_client/a.py": "import kith_protocol.record",
        },
    ),
    (
        only_app_and_cli_wire,
        {
            "kith_server/app.py": "from kith_server.storage import sqlite",
            "kith_server/cli/run.py": "from kith_server import app, storage",
            "kith_server/relay.py": "from kith_server.storage.interface import Store",
            "kith_server/storage/__init__.py": "",
            "kith_server/storage/interface.py": "",
            "kith_server/storage/sqlite.py": "from kith_server.storage import sqlite_schema",
            "kith_server/storage/sqlite_schema.py": "",
            "kith_server/__main__.py": "import kith_server.cli.run",
        },
    ),
    (no_stdlib_sqlite, {"kith_client/a.py": "import pysqlite3\nif TYPE_CHECKING:\n    import sqlite3"}),
    (
        nothing_is_too_long,
        {"kith_client/a.py": "def f():\n" + "    x = 1\n" * (MAX_FUNCTION_LINES - 1) + "x = 1\n" * 340},
    ),
]


@pytest.mark.parametrize(("rule", "files"), ALLOWED)
def test_what_is_allowed_passes(rule: Rule, files: Files, tmp_path: Path) -> None:
    assert broken(rule, tmp_path, files) == []


def test_every_rule_is_shown_to_fail() -> None:
    assert {rule for rule, _, _ in VIOLATIONS} == set(RULES) == {rule for rule, _ in ALLOWED}


def test_the_allow_list_has_nothing_that_reaches_outside() -> None:
    assert not PURE & {
        "os",
        "io",
        "sys",
        "time",
        "logging",
        "asyncio",
        "socket",
        "random",
        "secrets",
        "pathlib",
        "uuid",
    }
