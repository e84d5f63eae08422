"""What the person sees when something goes wrong: plain words, one document, the right exit code, no secrets."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import pytest

from kith_client.cli.failure import report
from kith_client.cli.main import run
from kith_client.cli.options import Settings
from kith_client.cli.output import Output
from kith_client.errors import NoVault, ServerUnreachable
from kith_protocol.errors import Alarm, AlarmCode, LimitExceeded, Refused
from tests.client.cli.kith import Kith, Said
from tests.support.memory_book import MemoryBook


def failing(error: BaseException, capture: pytest.CaptureFixture[str], *args: str, home: Path | None = None) -> Said:
    """Runs `kith list` on a book that cannot be opened."""

    @asynccontextmanager
    async def open_it(_: Settings) -> AsyncIterator[MemoryBook]:
        raise error
        yield MemoryBook()

    code = run(["list", *args], Settings(opener=open_it, home=str(home) if home else None))
    printed = capture.readouterr()
    return Said(code, printed.out, printed.err)


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (NoVault("There is none."), 1, "no-vault"),
        (LimitExceeded("Too large."), 1, "limit-exceeded"),
        (ServerUnreachable("The server is not there."), 3, "unreachable"),
        *((Alarm(code, "Sync stopped."), 4, code.value) for code in AlarmCode),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    error: Exception, code: int, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = failing(error, capsys, "--json")
    assert said.code == code
    assert said.document == {"ok": False, "error": name, "message": str(error)}
    said = failing(error, capsys)
    assert (said.code, said.out, said.err) == (code, "", f"{error}\n")


@pytest.mark.parametrize("args", [("bogus",), ("show",), ("list", "--bogus"), ("due", "--x"), ("set", "a", "b")])
def test_wrong_usage_exits_2_also_as_json(kith: Kith, args: tuple[str, ...]) -> None:
    code, text = kith.fail(*args, code=2)
    assert code == "usage"
    assert "--help" in text


def test_json_without_a_command_is_wrong_usage_and_a_version_is_a_document(kith: Kith) -> None:
    assert kith("--json").document["error"] == "usage"
    assert kith("--json", "--version").document["ok"] is True
    assert kith("note", "--json").document["error"] == "usage"


def test_what_fails_after_the_one_document_is_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(json=True)
    Output(settings).result({"code": "1-abandon-zoo"})
    assert report(Refused("link-expired", "Ten minutes are over."), settings) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ('{"ok": true, "code": "1-abandon-zoo"}\n', "Ten minutes are over.\n")


def test_a_reader_that_had_enough_is_no_error() -> None:
    code = "import sys; from kith_client.cli.main import run; sys.exit(run(['--help']))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writer)
    assert done.returncode in (0, 1)
    assert done.stderr == b""


def test_a_word_behind_two_dashes_is_no_option(kith: Kith) -> None:
    said = kith("add", "--", "--json")
    assert (said.code, said.out) == (0, "")
    assert [row["name"] for row in kith.do("list")["contacts"]] == ["--json"]


def test_an_unexpected_error_shows_no_trace_and_no_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "device.key").write_bytes(b"")
    said = failing(ValueError("canary-secret"), capsys, home=tmp_path)
    assert (said.code, said.out) == (1, "")
    assert "Traceback" not in said.err
    assert "canary" not in said.err
    trace = tmp_path / "last-error.txt"
    assert str(trace) in said.err
    assert stat.S_IMODE(trace.stat().st_mode) == 0o600
    assert "ValueError" in trace.read_text()
    assert "in open_it" in trace.read_text()
    assert "canary-secret" not in trace.read_text()


def test_an_unexpected_error_before_there_is_a_book_makes_no_home_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home = tmp_path / "none"
    assert failing(ValueError("x"), capsys, "--json", home=home).document["error"] == "internal"
    assert not home.exists()


def test_interrupting_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (KeyboardInterrupt(), EOFError(), click.Abort()):
        said = failing(error, capsys, "--json")
        assert (said.code, said.document["error"]) == (1, "stopped")
    assert failing(KeyboardInterrupt(), capsys).err.strip() == "Stopped. Nothing more was done."


def test_a_missing_book_says_how_to_begin(kith: Kith, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["--home", str(tmp_path / "none"), "list", "--json"])
    said = Said(code, *capsys.readouterr())
    assert (said.code, said.document["error"]) == (1, "no-vault")
    assert "kith init" in said.document["message"]
    assert not (tmp_path / "none").exists()


def test_bytes_that_are_no_text_are_refused_everywhere(kith: Kith) -> None:
    kith.add("Anna")
    odd = os.fsdecode(b"\xff\xfe")
    for args in (
        ["add", odd],
        ["set", "anna", "tel", odd],
        ["me", "set", "tel", odd],
        ["me", "set", "tel", "1", "--facet", odd],
        ["note", "add", "anna", odd],
        ["circle", "add", odd, "anna"],
        ["show", odd],
        ["import", odd],
    ):
        assert kith(*args, "--json").code == 1, args
    assert [row["name"] for row in kith.do("list")["contacts"]] == ["Anna"]
