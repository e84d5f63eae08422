"""The docs say what is true of the programs: commands exist, usage parts are current, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from kith_client.cli.main import kith
from kith_client.cli.options import Settings
from kith_protocol.errors import AlarmCode
from kith_server.cli.main import cli as kith_server

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
PROGRAMS: dict[str, click.Command] = {"kith": kith, "kith-server": kith_server}
SHELL = {"|", "||", "&", "&&", ";", ">", ">>", "<", "2>"}
SKIPPED = {"node_modules", "build", "dist"}


def pages() -> list[Path]:
    """Every Markdown page of the repository; what tools keep in hidden folders is theirs."""
    found = [path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*.md")]
    return sorted(path for path in found if not any(part.startswith(".") or part in SKIPPED for part in path.parts))


COMMAND_PAGES = [path for path in pages() if path.parts[0] in {"docs", "deploy"} or path.name == "README.md"]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "reference" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks_and_spans(text: str) -> tuple[list[str], list[str]]:
    """Whole lines inside fenced blocks, with continued lines joined; and code spans outside of them."""
    inside = "\n".join(re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"\\\n\s*", "", inside).splitlines(), re.findall(r"`([^`\n]+)`", outside)


def words_of(line: str) -> list[str]:
    """The words of a call of one of the programs; empty where the line is something else."""
    line = re.sub(r"^\s*(\$ |Example: )?", "", line)
    if "kith" not in line:
        return []
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []  # a sentence with an apostrophe
    while words and re.match(r"\(?[A-Z_]+=", words[0]):
        words.pop(0)
    full_path = next((place for place, word in enumerate(words) if re.search(r"/bin/kith(-server)?$", word)), 0)
    words = words[full_path:]
    if not words or Path(words[0]).name not in PROGRAMS:
        return []
    end = next((place for place, word in enumerate(words) if word in SHELL), len(words))
    return [Path(words[0]).name, *words[1:end]]


def parse(words: list[str]) -> None:
    """Parses a whole call as the program would. Raises `click.UsageError`."""
    command, args, parent = PROGRAMS[words[0]], words[1:], None
    name = words[0]
    while True:
        context = command.make_context(name, args, parent=parent, obj=Settings())
        rest = [*context._protected_args, *context.args] if isinstance(command, click.Group) else []
        if not isinstance(command, click.Group) or not rest:
            return
        found, below, args = command.resolve_command(context, rest)
        assert found is not None
        name, command, parent = found or name, below or command, context


def check_span(words: list[str]) -> None:
    """Checks what a code span mentions: the command, and each option. Arguments may be left out."""
    command = PROGRAMS[words[0]]
    context = click.Context(command, info_name=words[0], obj=Settings())
    options = {name for each in command.get_params(context) for name in each.opts}
    for word in words[1:]:
        if word.startswith("--"):
            if word not in options:
                raise click.NoSuchOption(word)
        elif isinstance(command, click.Group):
            below = command.get_command(context, word)
            if below is None:
                raise click.UsageError(f"No such command '{word}'.")
            command, context = below, click.Context(below, info_name=word, parent=context, obj=context.obj)
            options |= {name for each in command.get_params(context) for name in each.opts}


def wrong_calls(text: str) -> Iterator[str]:
    """What is wrong with the calls on a page."""
    lines, spans = blocks_and_spans(text)
    for source, check in [*((line, parse) for line in lines), *((span, check_span) for span in spans)]:
        words = words_of(source)
        # `a|b|c` in a span names alternatives, which are no call
        if not words or any("|" in word for word in words):
            continue
        try:
            check(words)
        except (click.UsageError, click.exceptions.Exit) as error:
            if not isinstance(error, click.exceptions.Exit):
                yield f"{source}: {error.format_message()}"


def headings(text: str) -> set[str]:
    """The anchors of a page, as they are made from its headings."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"^#+ (.+)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in found}


def broken_links(page: Path) -> Iterator[str]:
    """Links of a page to files, folders and headings of this repository that are not there."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{page.name}: {link}"
        elif anchor and target.suffix == ".md" and anchor not in headings(target.read_text(encoding="utf-8")):
            yield f"{page.name}: {link} (no such heading)"


def test_the_usage_parts_are_current() -> None:
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert generator().refreshed(page) == page, "run: python docs/reference/generate.py"


def test_a_changed_usage_part_is_noticed() -> None:
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert generator().refreshed(page.replace("--dry-run", "--drive-run")) == page


def test_every_command_is_described() -> None:
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    made = generator()
    assert made.described(page) == made.contexts().keys()
    answers = {path for path in made.contexts() if not isinstance(made.contexts()[path].command, click.Group)}
    parts = dict(re.findall(r"^### (.+?)$(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE))
    assert {path for path in answers if "\nJSON: " not in parts.get(path, "")} == set()


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=str)
def test_every_call_in_the_docs_parses(page: Path) -> None:
    assert list(wrong_calls((REPOSITORY / page).read_text(encoding="utf-8"))) == []


def test_the_docs_hold_many_calls() -> None:
    lines = [line for page in COMMAND_PAGES for line in blocks_and_spans((REPOSITORY / page).read_text())[0]]
    assert sum(bool(words_of(line)) for line in lines) > 100


@pytest.mark.parametrize(
    "text",
    [
        "```\nkith frobnicate\n```",
        "```\n$ kith list --colour\n```",
        "```\nkith device join\n```",
        "```\nKITH_PASSPHRASE=x kith --home a sync --hard > out\n```",
        "```\nrunuser -u kith-server -- /opt/kithbook/bin/kith-server \\\n    tokens --data x\n```",
        "Say `kith undo`.",
        "Say `kith device remove --burned`.",
    ],
)
def test_a_wrong_call_is_noticed(text: str) -> None:
    assert len(list(wrong_calls(text))) == 1


def test_right_calls_pass() -> None:
    text = (
        "```\n$ echo LINK | kith accept -\n$ kith --home a list anna  # and more\n```\n`kith note`, `kith share note`"
    )
    assert list(wrong_calls(text)) == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken_links(REPOSITORY / page)) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](page.md#one-thing) [b](https://example.org) [c](gone.md) [d](#two)\n")
    assert list(broken_links(page)) == ["page.md: gone.md", "page.md: #two (no such heading)"]


def test_each_alarm_and_exit_code_is_explained() -> None:
    page = (DOCS / "how-to" / "when-something-is-wrong.md").read_text(encoding="utf-8")
    assert {code for code in AlarmCode if f"`{code.value}`" not in page} == set()
    assert {code for code in range(5) if f"exit code {code}" not in page.lower()} == set()
