"""Real servers and real `kith` commands in processes of their own, for system tests and the demo."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
START_DEADLINE = 20.0
COMMAND_DEADLINE = 180.0


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Server:
    """A `kith-server` on loopback, with its data in `data`."""

    data: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.data.with_suffix(".log")

    def init(self, *extra: str) -> Server:
        """Writes data folder and settings; federation among servers of this machine is allowed."""
        command = [str(BIN / "kith-server"), "init", "--data", str(self.data), "--url", self.url, *extra]
        subprocess.run(command, check=True, capture_output=True, timeout=COMMAND_DEADLINE)
        config = self.data / "config.toml"
        text = config.read_text()
        text = text.replace("also_allow = []", 'also_allow = ["127.0.0.0/8"]', 1)
        text = text.replace("plain_http_hosts = []", 'plain_http_hosts = ["127.0.0.1"]', 1)
        config.write_text(text)
        return self

    def start(self) -> Server:
        """Runs it, and returns when it answers."""
        with self.log.open("ab") as log:
            command = [str(BIN / "kith-server"), "run", "--data", str(self.data), "--listen", self.host]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        give_up = time.monotonic() + START_DEADLINE
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"The server did not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        return self

    def answers(self) -> bool:
        """Whether somebody listens on its port."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=0.5):
                return True
        except OSError:
            return False

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Ends it, by default cleanly; the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(how)
        status = self.process.wait(timeout=20)
        self.process = None
        return status


@dataclass(frozen=True)
class Result:
    """What a command printed, and how it ended."""

    status: int
    document: dict[str, Any]
    err: str


@dataclass(frozen=True)
class Measured:
    """What a command printed last, and what it cost."""

    document: dict[str, Any]
    seconds: float
    peak: int
    """Bytes of memory that it held at most."""


def peak_memory(pid: int) -> int:
    """Bytes that a process held at most until now; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


@dataclass(frozen=True)
class Kith:
    """One device: `kith` with a home folder of its own."""

    home: Path

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("KITH_")}
        return {**kept, "KITH_HOME": str(self.home)}

    def command(self, *words: str) -> list[str]:
        return [str(BIN / "kith"), "--json", "--yes", *words]

    def run(self, *words: str, given: str = "") -> Result:
        """Runs a command with `given` on standard input."""
        done = subprocess.run(
            self.command(*words),
            input=given,
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=COMMAND_DEADLINE,
        )
        try:
            document = json.loads(done.stdout)
        except json.JSONDecodeError:
            raise AssertionError(f"kith {words[0]} did not print one document: {done.stdout!r} {done.stderr}") from None
        return Result(done.returncode, document, done.stderr)

    def do(self, *words: str, given: str = "") -> dict[str, Any]:
        """Runs a command that has to succeed; what it printed."""
        result = self.run(*words, given=given)
        if result.status != 0:
            raise AssertionError(f"kith {' '.join(words)} ended with {result.status}: {result.document} {result.err}")
        return result.document

    def measured(self, *words: str) -> Measured:
        """Runs a command that has to succeed, and measures it."""
        begin, peak = time.monotonic(), 0
        with tempfile.TemporaryFile("w+") as out:
            process = subprocess.Popen(
                self.command(*words), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment()
            )
            while process.poll() is None:
                peak = max(peak, peak_memory(process.pid))
                time.sleep(0.02)
            seconds = time.monotonic() - begin
            out.seek(0)
            printed = out.read()
        if process.returncode != 0:
            raise AssertionError(f"kith {' '.join(words)} ended with {process.returncode}: {printed[-2000:]}")
        return Measured(json.loads(printed.splitlines()[-1]), seconds, peak)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Starts a command that waits, such as `device add`."""
        return subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        )


def link_device(old: Kith, new: Kith, url: str, name: str) -> None:
    """Adds `new` to the vault of `old`, as a person does it: code shown there, typed here."""
    adding = old.start("device", "add")
    if adding.stdout is None:
        raise AssertionError("no output")
    code = json.loads(adding.stdout.readline())["code"]
    try:
        new.do("device", "join", "-", "--server", url, "--name", name, "--no-passphrase", given=code + "\n")
    finally:
        _, err = adding.communicate(timeout=60)
    if adding.returncode != 0:
        raise AssertionError(f"device add ended with {adding.returncode}: {err}")


def names(contacts: Sequence[dict[str, Any]]) -> list[str]:
    """The names in an answer of `kith list`."""
    return sorted(contact["name"] for contact in contacts)
