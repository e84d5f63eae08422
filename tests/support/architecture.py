"""Reads the source with `ast`, without importing it, and says where it breaks the rules of the architecture.

Each rule is a function from a tree of modules to a list of violations, so that it can be run on a made-up tree too.
What the rules are for stands in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGES: Final = {"kith_protocol": "protocol", "kith_client": "client", "kith_server": "server"}

PURE: Final = frozenset(
    {
        *("__future__", "abc", "base64", "binascii", "bisect", "collections", "contextlib", "copy", "dataclasses"),
        *("datetime", "enum", "functools", "hashlib", "heapq", "hmac", "ipaddress", "itertools", "math", "operator"),
        *("re", "string", "struct", "types", "typing", "unicodedata"),
        *("msgspec", "nacl", "cryptography", "spake2", "mnemonic", "shamir_mnemonic", "kith_protocol"),
    }
)
"""What `kith_protocol` may import: nothing that reads files, sockets, clocks, environment or randomness, or logs."""

IMPURE_BUILTINS: Final = frozenset({"open", "print", "input", "__import__", "exec", "eval", "breakpoint"})

IMPURE_ATTRIBUTES: Final = frozenset(
    {"now", "utcnow", "today", "random", "randombytes", "urandom", "token_bytes", "SystemRandom", "generate"}
)
"""What reads a clock or draws randomness although the module that it belongs to is allowed."""

OPENERS: Final = frozenset(
    f"kith_protocol.{name}"
    for name in (
        *("record", "parcel", "handshake", "invite", "phrase"),
        *("epoch", "content", "merge", "persona", "linking", "guardian", "splitting"),
    )
)
"""What opens or makes what a server only stores; it may come to the server by no path."""

WIRING: Final = frozenset({"kith_client.app", "kith_server.app", "kith_server.mail"})
"""Besides `cli`. `mail` is the half of the server's `app` for keys, mailboxes, gateway and relay."""

MAX_FILE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 60


@dataclass(frozen=True)
class Import:
    """One imported module or name, in full; `typing_only` where it stands under `if TYPE_CHECKING`."""

    name: str
    line: int
    typing_only: bool


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    path: Path
    tree: ast.Module
    lines: int
    imports: tuple[Import, ...]

    @property
    def package(self) -> str:
        """The distribution's package that it belongs to."""
        return self.name.partition(".")[0]


Tree = Mapping[str, Module]
Rule = Callable[[Tree], list[str]]


def read_tree(root: Path) -> dict[str, Module]:
    """All modules of the three packages below `root`, by name."""
    found = (
        _read(path, root / folder)
        for package, folder in PACKAGES.items()
        for path in sorted((root / folder / package).rglob("*.py"))
    )
    return {module.name: module for module in found}


def sides_are_apart(tree: Tree) -> list[str]:
    """`client → protocol ← server`: the sides do not know each other, and the protocol knows neither."""
    banned = {
        "kith_client": {"kith_server"},
        "kith_server": {"kith_client"},
        "kith_protocol": {"kith_client", "kith_server"},
    }
    return [
        f"{module.name}:{item.line} imports {item.name}"
        for module in tree.values()
        for item in module.imports
        if item.name.partition(".")[0] in banned[module.package]
    ]


def protocol_is_pure(tree: Tree) -> list[str]:
    """`kith_protocol` is synchronous and reaches nothing outside: no I/O, clock, logging, environment, randomness."""
    return [line for module in tree.values() if module.package == "kith_protocol" for line in _impure(module)]


def no_cycles(tree: Tree) -> list[str]:
    """No module imports itself by any path; imports for typing and inside functions count too."""
    edges = {name: sorted(_targets(module, tree)) for name, module in tree.items()}
    cycles: list[str] = []
    done: set[str] = set()
    for start in edges:
        _walk(start, edges, [], done, cycles)
    return cycles


def server_opens_nothing(tree: Tree) -> list[str]:
    """No path of imports leads from the server to a module that opens records or parcels."""
    found = []
    for name in [name for name in tree if name.startswith("kith_server")]:
        for opener, path in _reachable(name, tree).items():
            # Modules in between are reported by themselves, so one line stands for one wrong import.
            if opener in OPENERS and not any(step.startswith("kith_server") for step in path[1:]):
                found.append(" → ".join(path))
    return found


def only_app_and_cli_wire(tree: Tree) -> list[str]:
    """`app` and `cli` put the parts together: nothing else imports them, or picks one implementation of the storage."""
    return [
        f"{module.name} imports {target}"
        for module in tree.values()
        if not _wires(module.name)
        for target in sorted(_targets(module, tree))
        if (_wires(target) and not module.name.endswith(".__main__"))
        or (_is_store(target) and not module.name.startswith("kith_server.storage"))
    ]


def no_stdlib_sqlite(tree: Tree) -> list[str]:
    """The standard library's sqlite3 may link a SQLite with the WAL-reset bug; it serves for types at most."""
    return [
        f"{module.name}:{item.line} imports sqlite3"
        for module in tree.values()
        for item in module.imports
        if item.name.partition(".")[0] == "sqlite3" and not item.typing_only
    ]


def nothing_is_too_long(tree: Tree) -> list[str]:
    """A longer file or function is two things."""
    files = [
        f"{module.name} has {module.lines} lines, more than {MAX_FILE_LINES}"
        for module in tree.values()
        if module.lines > MAX_FILE_LINES
    ]
    functions = [
        f"{module.name}.{node.name} has {length} lines, more than {MAX_FUNCTION_LINES}"
        for module in tree.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    return files + functions


RULES: Final[tuple[Rule, ...]] = (
    sides_are_apart,
    protocol_is_pure,
    no_cycles,
    server_opens_nothing,
    only_app_and_cli_wire,
    no_stdlib_sqlite,
    nothing_is_too_long,
)


def _read(path: Path, base: Path) -> Module:
    parts = path.relative_to(base).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, str(path))
    imports = tuple(_imports(tree, name if is_package else name.rpartition(".")[0]))
    return Module(name, path, tree, len(text.splitlines()), imports)


def _imports(tree: ast.Module, package: str) -> Iterator[Import]:
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{_base(node, package)}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield Import(name, node.lineno, id(node) in typing_only)


def _base(node: ast.ImportFrom, package: str) -> str:
    if node.level == 0:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, node.module] if node.module else above)


def _targets(module: Module, tree: Tree) -> set[str]:
    """The modules of the tree that `module` imports by name."""
    found = (_known(item.name, tree) for item in module.imports)
    return {name for name in found if name is not None}


def _known(name: str, tree: Tree) -> str | None:
    while name not in tree:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return name


def _impure(module: Module) -> Iterator[str]:
    for item in module.imports:
        top, name = item.name.partition(".")[0], item.name.rpartition(".")[2]
        if top not in PURE or (name in IMPURE_ATTRIBUTES and top != "kith_protocol"):
            yield f"{module.name}:{item.line} imports {item.name}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield f"{module.name}:{node.lineno} is asynchronous"
        elif isinstance(node, ast.Name) and node.id in IMPURE_BUILTINS:
            yield f"{module.name}:{node.lineno} uses {node.id}"
        elif isinstance(node, ast.Attribute) and node.attr in IMPURE_ATTRIBUTES:
            yield f"{module.name}:{node.lineno} uses .{node.attr}"


def _walk(name: str, edges: Mapping[str, list[str]], path: list[str], done: set[str], cycles: list[str]) -> None:
    if name in path:
        cycles.append(" → ".join([*path[path.index(name) :], name]))
    elif name not in done:
        for target in edges[name]:
            _walk(target, edges, [*path, name], done, cycles)
        done.add(name)


def _reachable(start: str, tree: Tree) -> dict[str, list[str]]:
    """Every module that importing `start` brings in, with the shortest path to it; packages load on the way."""
    paths = {start: [start]}
    queue = [start]
    for name in queue:
        targets = {whole for target in _targets(tree[name], tree) for whole in _with_packages(target, tree)}
        for target in sorted(targets - paths.keys()):
            paths[target] = [*paths[name], target]
            queue.append(target)
    return paths


def _with_packages(name: str, tree: Tree) -> Iterator[str]:
    while name:
        if name in tree:
            yield name
        name = name.rpartition(".")[0]


def _wires(name: str) -> bool:
    return name in WIRING or name.split(".")[1:2] == ["cli"]


def _is_store(name: str) -> bool:
    """Whether this is one implementation of the storage; others know its interface, and the file as a whole."""
    folder, _, last = name.rpartition(".")
    return folder == "kith_server.storage" and last != "database" and not last.endswith("interface")
