"""`kith-server`: init, run, the operator's commands, and what `kill -9` leaves."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kith_protocol.encoding import Value, decode, encode
from kith_protocol.handle import handle_id
from kith_protocol.wire import Head, Nameplate, PutHandle, SessionGrant
from kith_server.cli import main
from kith_server.storage.sqlite import connect
from tests.support.home_server import split_frames
from tests.support.vaults import VaultBuilder, record_id

COMMAND = [sys.executable, "-c", "from kith_server.cli import main; main()"]
DEADLINE = 60


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def kith_server(*words: str | Path) -> Done:
    """Runs a command: `run` in a process of its own, the others in this one, which is faster."""
    arguments = [str(word) for word in words]
    if arguments[:1] == ["run"]:
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=DEADLINE)
        return Done(done.returncode, done.stdout, done.stderr)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(arguments)
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def document(*words: str | Path) -> dict[str, Any]:
    done = kith_server(*words, "--json")
    assert done.stdout.count("\n") == 1, done
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["ok"] == (done.returncode == 0)
    return found


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in [name for name in os.environ if name.startswith("KITH_SERVER")]:
        monkeypatch.delenv(variable)
    folder = tmp_path / "anna"
    assert kith_server("init", "--data", folder, "--url", "http://127.0.0.1:8400").returncode == 0
    return folder


@contextmanager
def running(data: Path, log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its URL; killed at the end if it still runs."""
    with log.open("a") as errors:
        words = ["run", "--data", str(data), "--listen", "127.0.0.1:0"]
        process = subprocess.Popen([*COMMAND, *words], stderr=errors, stdout=subprocess.DEVNULL, text=True)
    try:
        yield process, _url(process, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=DEADLINE)


def _url(process: subprocess.Popen[str], log: Path) -> str:
    give_up = time.monotonic() + DEADLINE
    while time.monotonic() < give_up and process.poll() is None:
        found = re.findall(r"^listening on (http://127\.0\.0\.1:\d+)$", log.read_text(), re.MULTILINE)
        if found:
            return str(found[-1])
        time.sleep(0.05)
    raise AssertionError(log.read_text())


class Device:
    """Speaks to a server in another process."""

    def __init__(self, http: aiohttp.ClientSession, base: str, vault: VaultBuilder) -> None:
        self.http, self.base, self.vault = http, base, vault
        self.headers: dict[str, str] = {}

    async def start(self) -> Device:
        async with self.http.post(f"{self.base}/v1/vaults", data=encode(self.vault.register)) as response:
            assert response.status == 200
        return await self.sign_in()

    async def sign_in(self) -> Device:
        asked = self.vault.session("127.0.0.1:8400", time.time_ns() // 1_000_000)
        async with self.http.post(f"{self.base}/v1/sessions", data=encode(asked)) as response:
            grant = decode(await response.read(), SessionGrant)
        self.headers = {"Authorization": f"Bearer {grant.token.hex()}"}
        return self

    async def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        url = f"{self.base}/v1/vaults/{self.vault.vault.hex()}{path}"
        async with self.http.request(method, url, data=body, headers=self.headers) as response:
            assert response.status == 200, response.status
            return await response.read()

    async def take_handle(self, name: str, secret: bytes) -> None:
        url = f"{self.base}/v1/vaults/{self.vault.vault.hex()}/handles/{handle_id(name).hex()}"
        async with self.http.put(url, data=encode(PutHandle(secret)), headers=self.headers) as response:
            assert response.status == 204, response.status


def test_init_refuses_to_overwrite(data: Path) -> None:
    key = (data / "server.key").read_bytes()
    again = document("init", "--data", data, "--url", "http://127.0.0.1:8400")
    assert again["error"] == "config-exists"
    assert (data / "server.key").read_bytes() == key
    assert (data / "server.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("words", [[], ["--url", "ftp://x"], ["--url", "http://anna.example"]])
def test_init_says_what_is_wrong(tmp_path: Path, words: list[str]) -> None:
    done = kith_server("init", "--data", tmp_path / "x", *words)
    assert done.returncode == (1 if words else 2)
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


@pytest.mark.parametrize("command", ["run", "token", "vaults", "check", "doctor"])
def test_a_missing_folder_is_said_in_a_sentence(tmp_path: Path, command: str) -> None:
    done = kith_server(command, "--data", tmp_path / "nowhere")
    assert done.returncode == 1
    assert "kith-server init" in done.stderr
    assert kith_server(command).returncode == 2


def test_every_command_shows_an_example() -> None:
    for command in (
        ["init"],
        ["run"],
        ["token"],
        ["vaults"],
        ["vaults", "delete"],
        ["vaults", "quota"],
        ["backup"],
        ["check"],
        ["doctor"],
    ):
        assert "Example: kith-server " in kith_server(*command, "--help").stdout


def test_a_server_serves_stops_cleanly_and_logs_no_secret(data: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def use(base: str, process: subprocess.Popen[str]) -> float:
        async with aiohttp.ClientSession() as http:
            device = await Device(http, base, VaultBuilder.new()).start()
            await device.call("POST", "/commits", encode(device.vault.push({record_id(): {"name": "Canary"}})))
            nameplate = decode(await device.call("POST", "/rendezvous/device"), Nameplate).nameplate
            poll = asyncio.create_task(http.get(f"{base}/v1/rendezvous/device/{nameplate}/a/0?wait=25"))
            await asyncio.sleep(0.3)
            secrets.extend([device.headers["Authorization"][7:], device.vault.vault.hex(), nameplate, "Canary"])
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            (await poll).close()
            await asyncio.to_thread(process.wait, DEADLINE)
            return time.monotonic() - began

    secrets: list[str] = []
    with running(data, log) as (process, base):
        assert asyncio.run(use(base, process)) < 10
        assert process.returncode == 0
    text = log.read_text()
    assert '"route": "/v1/vaults/{vault}/commits", "status": 200' in text
    assert not [secret for secret in secrets if secret in text]
    stored = b"".join(path.read_bytes() for path in data.iterdir() if path.is_file())
    assert b"Canary" not in stored
    assert bytes.fromhex(secrets[0]) not in stored


def test_two_servers_do_not_share_a_folder(data: Path, tmp_path: Path) -> None:
    with running(data, tmp_path / "log"):
        second = kith_server("run", "--data", data, "--listen", "127.0.0.1:0")
        assert second.returncode == 1
        assert "runs already" in second.stderr


def test_a_port_that_is_taken_is_said_in_a_sentence(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "bob"
    kith_server("init", "--data", other, "--url", "http://127.0.0.1:8401")
    with running(data, tmp_path / "log") as (_, base):
        second = kith_server("run", "--data", other, "--listen", base.removeprefix("http://"))
        assert second.returncode == 1
        assert "Cannot listen" in second.stderr
        assert "Traceback" not in second.stderr


def test_the_operator_sees_numbers_and_changes_are_noticed(data: Path, tmp_path: Path) -> None:
    async def use(base: str) -> None:
        async with aiohttp.ClientSession() as http:
            device = await Device(http, base, VaultBuilder.new()).start()
            await device.call("POST", "/commits", encode(device.vault.push({record_id(): {} for _ in range(3)})))
            vault = device.vault.vault.hex()
            await device.take_handle("anna", b"a" * 32)
            (row,) = (await asyncio.to_thread(document, "vaults", "--data", data))["vaults"]
            assert (row["id"], row["members"], row["records"], row["quota"]) == (vault, 2, 3, None)
            assert row["handles"] == 1
            assert row["bytes"] > 1000
            changed = await asyncio.to_thread(document, "vaults", "quota", vault[:8], "1000", "--data", data)
            assert changed["quota"] == 1000
            copied = await asyncio.to_thread(document, "backup", tmp_path / "copy.db", "--data", data)
            assert copied["bytes"] == (tmp_path / "copy.db").stat().st_size
            await asyncio.sleep(2.5)
            url = f"{base}/v1/vaults/{vault}/commits"
            body = encode(device.vault.draft({record_id(): {}}).push())
            async with http.post(url, data=body, headers=device.headers) as response:
                assert response.status == 413
            assert (await asyncio.to_thread(document, "vaults", "delete", vault, "--yes", "--data", data))[
                "deleted"
            ] == vault
            await asyncio.sleep(2.5)
            async with http.get(f"{base}/v1/vaults/{vault}/head", headers=device.headers) as response:
                assert response.status == 401
            other = await Device(http, base, VaultBuilder.new()).start()
            await other.take_handle("anna", b"b" * 32)
            await asyncio.to_thread(document, "vaults", "delete", other.vault.vault.hex(), "--yes", "--data", data)

    with running(data, tmp_path / "log") as (_, base):
        asyncio.run(use(base))
    assert document("vaults", "--data", data)["vaults"] == []
    assert document("check", "--data", data)["findings"] == []
    copy = connect(tmp_path / "copy.db", read_only=True)
    assert copy.execute("SELECT secret FROM handles").fetchall() == [(b"a" * 32,)]
    copy.close()


def test_deleting_asks_first(data: Path) -> None:
    done = kith_server("vaults", "delete", "00", "--data", data)
    assert done.returncode == 1
    assert "0 vaults" in done.stderr


def test_tokens_are_shown_once_and_kept_as_hashes(data: Path) -> None:
    tokens = document("token", "--data", data, "--count", "3")["tokens"]
    assert len(set(tokens)) == 3
    stored = b"".join(path.read_bytes() for path in data.glob("kith.db*"))
    assert not any(token.encode() in stored or bytes.fromhex(token) in stored for token in tokens)


def test_doctor_names_holes_and_what_is_down(data: Path) -> None:
    config = data / "config.toml"
    config.write_text(
        config.read_text()
        .replace("also_allow = []", 'also_allow = ["127.0.0.0/8"]')
        .replace("plain_http_hosts = []", 'plain_http_hosts = ["127.0.0.1:8402"]')
        .replace(":8400", ":9")
        .replace("#handles = true", "handles = false")
    )
    done = kith_server("doctor", "--data", data, "--json")
    found = json.loads(done.stdout)
    checks = {check["name"]: check for check in found["checks"]}
    assert "127.0.0.0/8" in checks["also_allow"]["text"]
    assert "127.0.0.1:8402" in checks["plain_http_hosts"]["text"]
    assert not checks["reachability"]["ok"]
    assert checks["sqlite"]["ok"]
    assert checks["handles"]["text"].startswith("off")
    assert checks["clock"]["ok"]
    assert done.returncode == 1


@pytest.mark.parametrize("after", [0.3, 0.8])
def test_acknowledged_pushes_survive_kill_9(data: Path, tmp_path: Path, after: float) -> None:
    async def use(base: str, process: subprocess.Popen[str]) -> list[tuple[VaultBuilder, int]]:
        async def keep_pushing(device: Device) -> tuple[VaultBuilder, int]:
            vault, acknowledged = device.vault, 0
            try:
                while True:
                    raw = encode(vault.push({record_id(): {"n": vault.chain.number} for _ in range(5)}))
                    acknowledged = decode(await device.call("POST", "/commits", raw), Head).number
            except aiohttp.ClientError:
                return vault, acknowledged

        async with aiohttp.ClientSession() as http:
            devices = [await Device(http, base, VaultBuilder.new()).start() for _ in range(4)]
            tasks = [asyncio.create_task(keep_pushing(device)) for device in devices]
            await asyncio.sleep(after)
            process.kill()
            return await asyncio.gather(*tasks)

    async def look(base: str, kept: list[tuple[VaultBuilder, int]]) -> None:
        async with aiohttp.ClientSession() as http:
            for vault, acknowledged in kept:
                device = await Device(http, base, vault).sign_in()
                head = split_frames(await device.call("GET", "/changes?after=-1"))[-1]
                assert getattr(head, "number", -1) in (acknowledged, acknowledged + 1)

    with running(data, tmp_path / "log") as (process, base):
        kept = asyncio.run(use(base, process))
    assert all(acknowledged > 2 for _, acknowledged in kept)
    assert document("check", "--data", data)["findings"] == []
    with running(data, tmp_path / "log2") as (_, base):
        asyncio.run(look(base, kept))


SPOILERS = {
    "UPDATE blobs SET sealed = zeroblob(length(sealed)) WHERE rowid = (SELECT min(rowid) FROM blobs)": "damaged",
    "DELETE FROM blobs WHERE rowid = (SELECT min(rowid) FROM blobs)": "missing or damaged",
    "DELETE FROM records": "not those that the head names",
    "UPDATE records SET hash = zeroblob(32)": "damaged",
    "UPDATE commits SET raw = (SELECT raw FROM commits WHERE number = 1) WHERE number = 2": "chain does not hold",
    "UPDATE commits SET changes = zeroblob(9) WHERE number = 2": "chain does not hold",
    "DELETE FROM commits WHERE number = 2": "The head on record",
    "DELETE FROM commits WHERE number = 1": "chain does not hold",
    "UPDATE vaults SET bytes = bytes + 1": "figures",
    "UPDATE replaced SET sealed = zeroblob(length(sealed))": "replaced record",
    "DELETE FROM replaced": "figure of replaced bytes",
    "UPDATE handles SET secret = zeroblob(31)": "A handle is damaged",
    "INSERT INTO blobs SELECT vault, number + 9, record, sealed FROM blobs": "belong to nothing",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a database with one vault of two pushes."""
    folder = tmp_path_factory.mktemp("filled") / "anna"
    kith_server("init", "--data", folder, "--url", "http://127.0.0.1:8400")

    async def use(base: str) -> None:
        async with aiohttp.ClientSession() as http:
            device = await Device(http, base, VaultBuilder.new()).start()
            await device.take_handle("anna", bytes(32))
            for _ in range(2):
                changes: dict[bytes, dict[str, Value] | None] = {record_id(): {} for _ in range(4)}
                changes |= {record: {"n": 1} for record in list(device.vault.hashes)[:1]}
                await device.call("POST", "/commits", encode(device.vault.push(changes)))

    with running(folder, folder.parent / "log") as (_, base):
        asyncio.run(use(base))
    kith_server("backup", folder.parent / "copy.db", "--data", folder)
    return (folder.parent / "copy.db").read_bytes()


@pytest.mark.parametrize("statement", SPOILERS)
def test_check_finds_what_was_altered(data: Path, filled: bytes, statement: str) -> None:
    (data / "kith.db").write_bytes(filled)
    assert document("check", "--data", data)["findings"] == []
    connection = connect(data / "kith.db")
    connection.execute(statement)
    connection.close()
    found = document("check", "--data", data)
    assert found["error"] == "damaged"
    assert any(SPOILERS[statement] in finding["text"] for finding in found["findings"]), found
