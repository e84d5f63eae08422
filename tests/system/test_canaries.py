"""The main job with canary words everywhere a person writes; then every place that a server has is searched for them.

Two real servers in processes of their own, real `kith` commands, and a recording proxy in front of each server.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pysqlite3
import pytest

from kith_protocol import wire
from kith_protocol.encoding import decode
from kith_protocol.linking import LINK_MESSAGE_BYTES
from kith_protocol.padding import CLASSES, INNER_CLASSES, RECORD_MINIMUM, padme
from kith_protocol.recordheader import HEADER_BYTES
from kith_protocol.suite import BOX_OVERHEAD
from tests.support.canaries import forms, found, hashes, word
from tests.support.lying_proxy import Exchange, LyingProxy, lying_proxy
from tests.support.running import Kith, Server, free_port

Canaries = list[tuple[str, bytes]]


@dataclass
class PublicServer(Server):
    """A server whose public address is a proxy's."""

    public: str = ""

    @property
    def url(self) -> str:
        return self.public


@dataclass
class Run:
    """What the main job left behind."""

    servers: list[PublicServer]
    proxies: list[LyingProxy]
    planted: Canaries
    """What people wrote."""
    secrets: Canaries
    """What must not even be in a log: links, phrases, codes."""
    tokens: Canaries
    """Session tokens, which servers get and must not keep."""
    processes: list[tuple[str, bytes]] = field(default_factory=list)
    """What every user of the machine sees of the servers."""
    files_while_running: list[tuple[str, bytes]] = field(default_factory=list)
    homes: list[tuple[str, bytes]] = field(default_factory=list)
    """What the devices keep on their disks."""

    @property
    def exchanges(self) -> list[Exchange]:
        return [exchange for proxy in self.proxies for exchange in proxy.exchanges]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The main job, once."""
    return asyncio.run(_main_job(tmp_path_factory.mktemp("canaries")))


def test_the_search_finds_each_canary_in_each_form() -> None:
    """Otherwise finding nothing would say nothing."""
    for canary in (word().encode(), secrets.token_bytes(32), b"+49 40 " + secrets.token_hex(5).encode()):
        for form, needle in [*forms(canary), *hashes(canary)]:
            assert f"it ({form}) in there" in found([("it", canary)], [("there", b"..." + needle.swapcase() + b"...")])
        for padding in (b"", b"x", b"xy", b"xyz"):
            encoded = base64.b64encode(padding + canary + padding)
            assert found([("it", canary)], [("there", encoded)]), "base64 in the middle of something"
    assert not found([("it", word().encode())], [("there", word().encode() * 10)])


def test_the_job_went_over_the_wire_and_into_the_databases(run: Run) -> None:
    """The places that are searched do hold what passed: ids, which servers may know, are there."""
    vaults = {row[0] for server in run.servers for row in _rows(server, "SELECT vault FROM vaults")}
    assert len(vaults) == 2
    sinks = [*_databases(run), *_wire(run)]
    for vault in vaults:
        assert any(vault in hay for where, hay in sinks if "database" in where or "kith.db" in where)
        assert any(vault.hex().encode() in hay for _, hay in sinks)
    assert sum(exchange.path == "/v1/gateway" for exchange in run.exchanges) >= 5
    assert len(run.tokens) >= 2
    assert all(_log(server) for server in run.servers)
    assert {exchange.status for exchange in run.exchanges} <= {200, 204, 404, 409}


def test_no_canary_is_in_a_database_while_the_servers_run_or_after(run: Run) -> None:
    files = [*run.files_while_running, *_databases(run)]
    assert found(run.planted + run.secrets, files) == []
    assert found(run.tokens, files, hashed=False) == [], "a server keeps the hash of a token, not the token"


def test_no_canary_is_in_a_log(run: Run) -> None:
    logs = [(f"log of {server.data.name}", _log(server)) for server in run.servers]
    assert found(run.planted + run.secrets + run.tokens, logs) == []


def test_no_canary_is_in_what_other_users_see_of_the_servers(run: Run) -> None:
    assert any(b"kith-server" in hay for _, hay in run.processes)
    assert found(run.planted + run.secrets + run.tokens, run.processes) == []


def test_no_canary_is_on_the_disk_of_a_device(run: Run) -> None:
    """Mirror, unsent edits, log and requests are sealed, so that a thief of a locked device finds ciphertext."""
    assert sum(name.endswith("mirror.sqlite") for name, _ in run.homes) == 3
    assert found(run.planted + run.secrets + run.tokens, run.homes) == []


def test_no_canary_crosses_the_wire(run: Run) -> None:
    assert found(run.planted + run.secrets, _wire(run)) == []


def test_session_tokens_go_nowhere_but_into_their_header(run: Run) -> None:
    given = [e.answer for e in run.exchanges if e.path == "/v1/sessions"]
    assert given, "nobody signed in"
    others = [(e.path, e.path.encode() + b"\n" + e.body) for e in run.exchanges]
    assert found(run.tokens, others) == []


def test_a_server_never_sees_at_which_peers_server_a_person_reads(run: Run) -> None:
    """The other server hears from a home server only, never from a client, and never with a session."""
    for exchange in run.exchanges:
        if exchange.path in ("/v1/gateway", "/.well-known/kith"):
            assert "authorization" not in {name.lower() for name, _ in exchange.headers}
            assert "cookie" not in {name.lower() for name, _ in exchange.headers}


def test_records_have_padded_sizes_only(run: Run) -> None:
    sizes = [row[0] for server in run.servers for row in _rows(server, "SELECT length(sealed) FROM blobs")]
    inner = {size - HEADER_BYTES - BOX_OVERHEAD for size in sizes}
    assert len(sizes) > 20
    assert inner
    assert all(size >= RECORD_MINIMUM and padme(size) == size for size in inner), sorted(inner)


def test_sealed_requests_and_answers_have_one_of_four_sizes(run: Run) -> None:
    gateway = [e for e in run.exchanges if e.path == "/v1/gateway"]
    assert {len(e.body) for e in gateway} | {len(e.answer) for e in gateway} <= set(CLASSES)
    handed = [decode(e.body, wire.RelayRequest) for e in run.exchanges if e.path.endswith("/relay")]
    assert len(handed) >= 5
    assert {len(each.request) for each in handed} <= set(CLASSES)
    answers = [decode(e.answer, wire.RelayAnswer) for e in run.exchanges if "/relay" in e.path and e.status == 200]
    assert {len(each.answer) for each in answers if each.answer} <= set(CLASSES)


def test_parcels_greetings_and_linking_messages_have_fixed_sizes(run: Run) -> None:
    pages = [decode(e.answer, wire.ParcelPage) for e in run.exchanges if e.method == "GET" and "/parcels" in e.path]
    parcels = [parcel.parcel for page in pages for parcel in page.parcels]
    assert len(parcels) >= 4
    assert {len(parcel) for parcel in parcels} <= set(INNER_CLASSES)
    greetings = [decode(e.body, wire.PutGreeting) for e in run.exchanges if "/greetings/" in e.path and e.body]
    assert {len(greeting.sealed) for greeting in greetings} == {INNER_CLASSES[1]}
    spoken = [e for e in run.exchanges if e.method == "PUT" and "/rendezvous/" in e.path]
    assert {len(e.body) for e in spoken if e.path.endswith("/2") and len(e.body) > 1} == {LINK_MESSAGE_BYTES}


# The main job


async def _main_job(folder: Path) -> Run:
    async with AsyncExitStack() as stack:
        servers, proxies = [], []
        for name in ("anna-server", "bob-server"):
            server, proxy = await stack.enter_async_context(_server(folder / name))
            servers.append(server)
            proxies.append(proxy)
        people = _People(folder, servers)
        await asyncio.to_thread(people.play)
        run = Run(servers, proxies, people.planted, people.secrets, _tokens(proxies))
        for server in servers:
            run.processes += _process(server)
            run.files_while_running += _files(server)
        for device in (people.laptop, people.phone, people.bob):
            run.homes += [
                (f"{device.home.name}/{p.name}", p.read_bytes()) for p in device.home.iterdir() if p.is_file()
            ]
        return run


@asynccontextmanager
async def _server(data: Path) -> AsyncIterator[tuple[PublicServer, LyingProxy]]:
    port = free_port()
    async with lying_proxy(f"http://127.0.0.1:{port}") as proxy:
        server = PublicServer(data, port, public=proxy.url)
        await asyncio.to_thread(server.init)
        await asyncio.to_thread(server.start)
        try:
            yield server, proxy
        finally:
            await asyncio.to_thread(server.stop)


class _People:
    """Anna with two devices, and Bob; whatever they write is a canary."""

    def __init__(self, folder: Path, servers: list[PublicServer]) -> None:
        self.folder = folder
        self.anna_url, self.bob_url = (server.url for server in servers)
        self.laptop, self.phone, self.bob = (Kith(folder / name) for name in ("laptop", "phone", "bob"))
        self.planted: Canaries = []
        self.secrets: Canaries = []

    def play(self) -> None:
        """Everything that the main job has, with edits, withdrawals and deletions."""
        self._begin()
        self._fill()
        self._link()
        self._connect()
        self._share()
        self._change()

    def _word(self, what: str) -> str:
        made = word()
        self.planted.append((what, made.encode()))
        return made

    def _begin(self) -> None:
        for who, device, url in (("Anna", self.laptop, self.anna_url), ("Bob", self.bob, self.bob_url)):
            name, called = f"{who} {self._word(f'name of {who}')}", self._word(f"device of {who}")
            made = device.do("init", "--server", url, "--name", name, "--device", called, "--no-passphrase")
            words = made["recovery_phrase"].split()
            for place in range(0, len(words) - 2, 3):
                self.secrets.append(("recovery phrase", " ".join(words[place : place + 3]).encode()))

    def _fill(self) -> None:
        photo = secrets.token_bytes(6000)
        self.planted += [("photo", photo[place : place + 24]) for place in range(0, len(photo) - 24, 997)]
        self.planted.append(("whole photo", photo))
        cards = [
            ["FN:Carla " + self._word("FN"), "EMAIL:" + self._word("email") + "@example.org"],
            ["FN:Dora " + self._word("FN"), "ORG:" + self._word("org"), "NOTE:" + self._word("NOTE")],
            ["FN:Emil", "X-UNKNOWN:" + self._word("unknown property"), "PHOTO;ENCODING=b:" + _b64(photo)],
        ]
        lines = [line for card in cards for line in ("BEGIN:VCARD", "VERSION:3.0", *card, "END:VCARD")]
        damaged = f"BEGIN:VCARD\r\nthis is damaged {self._word('card set aside')}\r\nEND:VCARD\r\n"
        file = self.folder / f"{self._word('file name')}.vcf"
        file.write_text("\r\n".join([*lines, damaged]), newline="")
        done = self.laptop.do("import", str(file))
        assert done["imported"] == 3
        assert done["set_aside"]
        self.laptop.do("circle", "add", self._word("circle"), "Carla")
        self.laptop.do("note", "add", "Carla", self._word("note"), "--kind", "met", "--remind", "in 3 weeks")
        self.laptop.do("sync")

    def _link(self) -> None:
        adding = self.laptop.start("device", "add")
        assert adding.stdout is not None
        code = json.loads(adding.stdout.readline())["code"]
        self.secrets.append(("linking code", code.partition("-")[2].encode()))
        name = self._word("second device")
        self.phone.do(
            *("device", "join", "-", "--server", self.anna_url, "--name", name, "--no-passphrase"), given=code + "\n"
        )
        adding.communicate(timeout=60)
        assert adding.returncode == 0

    def _connect(self) -> None:
        self.work, self.private = self._word("facet"), self._word("facet")
        self.laptop.do("me", "set", "email", self._word("my email") + "@example.org", "--facet", self.work)
        self.laptop.do("me", "set", "tel", self._phone("my phone"), "--facet", self.private)
        self.laptop.do("me", "set", "note", self._word("seen by nobody"))
        link = self.laptop.do("invite", "--facet", self.work)["link"]
        token = link.partition("#1.")[2]
        raw = base64.urlsafe_b64decode(token)
        self.secrets += [("invite link", token.encode()), ("invite secret", raw[:32])]
        self.bob.do("accept", "-", given=link + "\n")
        for device in (self.laptop, self.bob, self.laptop, self.bob):
            device.do("sync")
        assert self.bob.do("peers")["peers"][0]["state"] == "connected"

    def _share(self) -> None:
        self.laptop.do("grant", "Bob", self.private)
        note = self.laptop.do("note", "add", "Dora", self._word("shared note"))
        self.laptop.do("share", "note", note["id"], "--with", "Bob")
        self.laptop.do("share", "card", "Emil", "--with", "Bob")
        self._deliver()
        texts = [each["text"] for each in self.bob.do("note", "list")["notes"]]
        assert len(texts) == 1, "the shared note arrived"

    def _change(self) -> None:
        self.laptop.do("me", "set", "tel", self._phone("new phone"), "--facet", self.private)
        self.laptop.do("set", "Carla", "nickname", self._word("edit on the laptop"))
        self.phone.do("set", "Carla", "nickname", self._word("edit on the phone"))
        self._deliver()
        self.phone.do("sync")
        self.laptop.do("withdraw", "Bob", self.private)
        self.laptop.do("rm", "Dora")
        self._deliver()

    def _deliver(self) -> None:
        report = self.laptop.do("sync")
        assert report["waiting"] == 0, report
        self.bob.do("sync")

    def _phone(self, what: str) -> str:
        number = "+49 40 " + "".join(secrets.choice("0123456789") for _ in range(12))
        self.planted += [(what, number.encode()), (f"{what}, the digits", number.replace(" ", "").encode())]
        return number


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _tokens(proxies: list[LyingProxy]) -> Canaries:
    """Every session token that passed, as it stands in its header and as bytes."""
    said = {
        value.removeprefix("Bearer ")
        for proxy in proxies
        for exchange in proxy.exchanges
        for name, value in exchange.headers
        if name.lower() == "authorization"
    }
    return [("session token", bytes.fromhex(token)) for token in sorted(said)]


# Where servers could keep or show something


def _databases(run: Run) -> list[tuple[str, bytes]]:
    return [each for server in run.servers for each in _files(server)]


def _files(server: Server) -> list[tuple[str, bytes]]:
    """Everything in the data folder: the database with its log and its index, settings, keys; names of files too."""
    paths = [path for path in server.data.rglob("*") if path.is_file()]
    assert any(path.name == "kith.db" for path in paths)
    return [(f"{server.data.name}/{path.name}", path.name.encode() + b"\n" + path.read_bytes()) for path in paths]


def _process(server: Server) -> Iterator[tuple[str, bytes]]:
    assert server.process is not None
    for name in ("cmdline", "environ", "comm", "status", "maps"):
        path = Path(f"/proc/{server.process.pid}/{name}")
        yield f"{name} of {server.data.name}", path.read_bytes()


def _wire(run: Run) -> list[tuple[str, bytes]]:
    """Everything that passed a proxy but the headers that carry sessions."""
    return [
        (
            f"{e.method} {e.path}",
            b"\n".join(
                [e.path.encode(), e.body, e.answer, *(v.encode() for k, v in e.headers if k != "Authorization")]
            ),
        )
        for e in run.exchanges
    ]


def _log(server: Server) -> bytes:
    return server.log.read_bytes()


def _rows(server: Server, query: str) -> list[tuple[Any, ...]]:
    connection = pysqlite3.connect(f"file:{server.data / 'kith.db'}?mode=ro", uri=True)
    try:
        return [tuple(row) for row in connection.execute(query)]
    finally:
        connection.close()
