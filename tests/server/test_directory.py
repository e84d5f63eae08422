"""The directory as the world outside meets it: sealed look-ups, WebFinger, and what must not be told apart."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from kith_protocol.gateway import LookUp, LookUpResult, LookUpStatus, open_look_up_answer
from kith_protocol.handle import RESERVED, handle_id
from kith_protocol.padding import CLASSES
from kith_server.directory import Directory
from kith_server.keys import DATABASE
from kith_server.limits import Buckets
from kith_server.routes.webfinger import REL_ADDRESS, REL_PAGE
from kith_server.storage.database import DATABASE_NAME
from kith_server.storage.handles import FIND, SqliteHandles
from kith_server.storage.sqlite import connect
from tests.support.mail_world import Answer, Person, Site, sealed, sites

if TYPE_CHECKING:
    from sqlite3 import Connection

SECRET = bytes(range(32))
OUTSIDE = "203.0.113.7"
NOBODY = {"unknown": "carla", "private": "dora", "given up": "emil", "malformed": "no such name"}
"""How those who must not be told apart are asked for."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with sites(tmp_path, "anna") as (running,):
        yield running


@pytest.fixture
async def anna(site: Site) -> Person:
    """Anna is found as `anna`, has parked `dora`, and gave `emil` up."""
    person = await site.join()
    for name, secret in (("anna", SECRET), ("dora", b""), ("emil", SECRET)):
        assert (await person.take_handle(name, secret)).status == 204
    assert (await person.ask("DELETE", f"/handles/{handle_id('emil').hex()}")).status == 204
    return person


async def look_up(site: Site, name: str, network: str = OUTSIDE) -> LookUpResult:
    """What a sealed look-up gives; its answer has the one size."""
    request = await sealed(site, LookUp(handle_id(name)))
    answer = await site.ask("POST", "/v1/gateway", body=request.raw, **{"X-Forwarded-For": network})
    assert (answer.status, len(answer.body)) == (200, CLASSES[0])
    return open_look_up_answer(request.response_key, request.hash, answer.body)


async def finger(site: Site, query: str, network: str = OUTSIDE) -> Answer:
    return await site.ask("GET", f"/.well-known/webfinger{query}", None, **{"X-Forwarded-For": network})


async def finger_handle(site: Site, name: str) -> Answer:
    return await finger(site, f"?resource=acct:{name.replace(' ', '%20')}@{site.host}")


# Who is found


async def test_whoever_took_a_handle_is_found_and_nobody_else(site: Site, anna: Person) -> None:
    assert await look_up(site, "anna") == LookUpResult(LookUpStatus.FOUND, SECRET)
    for name in NOBODY.values():
        assert await look_up(site, name) == LookUpResult(LookUpStatus.NOT_FOUND)


async def test_a_handle_of_another_vault_cannot_be_taken_changed_or_removed(site: Site, anna: Person) -> None:
    eve = await site.join()
    for name, secret in (("anna", bytes(32)), ("anna", b""), ("dora", bytes(32)), ("dora", b"")):
        refused = await eve.take_handle(name, secret)
        assert (refused.status, refused.code) == (409, "handle-taken")
    for name in ("anna", "dora"):
        assert (await eve.ask("DELETE", f"/handles/{handle_id(name).hex()}")).status == 204
    assert (await look_up(site, "anna")).secret == SECRET
    assert (await eve.take_handle("dora", bytes(32))).code == "handle-taken"


async def test_a_vault_cannot_hoard_handles(site: Site) -> None:
    eve = await site.join()
    answers = [await eve.take_handle(f"name{number}") for number in range(5)]
    assert [answer.status for answer in answers] == [204, 204, 204, 413, 413]


async def test_nobody_gets_a_handle_that_would_be_taken_for_the_server(site: Site) -> None:
    eve = await site.join()
    for name in sorted(RESERVED):
        assert (await eve.take_handle(name, SECRET)).code == "handle-reserved"
    assert (await eve.take_handle("admin2", SECRET)).status == 204


async def test_handles_are_for_members_of_the_vault_only(site: Site, anna: Person) -> None:
    eve = Person(site, anna.vault, f"Bearer {bytes(32).hex()}")
    assert (await eve.take_handle("eve", SECRET)).status == 401
    assert (await eve.ask("DELETE", f"/handles/{handle_id('anna').hex()}")).status == 401
    assert (await look_up(site, "anna")).secret == SECRET


async def test_where_handles_are_off_nobody_is_found_and_nothing_is_lost(site: Site, anna: Person) -> None:
    await site.stop()
    site.handles = False
    await site.start()
    assert (await look_up(site, "anna")).status is LookUpStatus.NOT_FOUND
    assert (await finger_handle(site, "anna")).status == 404
    await anna.sign_in()
    assert (await anna.take_handle("anna", SECRET)).code == "handles-off"
    await site.stop()
    site.handles = True
    await site.start()
    assert (await look_up(site, "anna")).secret == SECRET


async def test_a_server_never_learns_the_name_that_was_chosen(site: Site, tmp_path: Path) -> None:
    person = await site.join()
    with capture_logs() as logs:
        await person.take_handle("zacharias.quill", SECRET)
        await look_up(site, "zacharias.quill")
    await site.stop()
    stored = b"".join(path.read_bytes() for path in site.data.iterdir() if path.is_file())
    assert b"zacharias" not in stored
    assert handle_id("zacharias.quill") in stored
    assert handle_id("zacharias.quill").hex() not in str(logs)
    await site.start()


# What must not be told apart


async def test_unknown_private_and_malformed_handles_get_the_same_bytes_from_webfinger_and_leave_the_same_traces(
    site: Site, anna: Person
) -> None:
    answers, traces = {}, {}
    for kind, name in NOBODY.items():
        with capture_logs() as logs:
            answer = await finger_handle(site, name)
        headers = {key: value for key, value in answer.headers.items() if key != "Date"}
        answers[kind] = (answer.status, answer.body, tuple(sorted(headers.items())))
        traces[kind] = [{key: value for key, value in line.items() if key != "ms"} for line in logs]
    assert len(set(answers.values())) == 1, answers
    assert answers["unknown"][0] == 404
    assert all(trace == traces["unknown"] for trace in traces.values()), traces


class Counted:
    """Runs what a store reads on a connection that counts the steps of SQLite's machine and notes its statements."""

    def __init__(self, path: Path) -> None:
        self.connection = connect(path, read_only=True)
        self.steps = 0
        self.statements: list[str] = []

    async def read(self, work: Callable[[Connection], Any]) -> Any:
        def step() -> int:
            self.steps += 1
            return 0

        work(self.connection)  # so that a statement is prepared for each of them, or for none
        self.steps, self.statements = 0, []
        self.connection.set_progress_handler(step, 1)
        self.connection.set_trace_callback(self.statements.append)
        try:
            return work(self.connection)
        finally:
            self.connection.set_progress_handler(None, 0)
            self.connection.set_trace_callback(None)


class Leaking(SqliteHandles):
    """How it must not be done: finds the row first, and looks then whether it may be shown."""

    async def find(self, handle: bytes) -> bytes | None:
        def work(connection: Connection) -> bytes | None:
            row = connection.execute("SELECT secret FROM handles WHERE handle = ?", (handle,)).fetchone()
            return None if row is None or row[0] is None else bytes(row[0])

        found: bytes | None = await self._database.read(work)
        return found


async def work_of(site: Site, store: type[SqliteHandles]) -> dict[str, tuple[int, int]]:
    """Steps and statements in the database for each kind of handle."""
    # Above all others, so that every search in an index ends at some row: whether it ends at the index's end depends
    # on the highest public handle alone, and would make these numbers differ by one from run to run.
    await SqliteHandles(site.app[DATABASE]).put((await site.join()).vault, b"\xff" * 32, SECRET)
    counted = Counted(site.data / DATABASE_NAME)
    handles, found = store(counted), {}  # type: ignore[arg-type]  # it reads only
    for kind, name in {"public": "anna", **NOBODY}.items():
        secret = await handles.find(handle_id(name))
        assert secret == (SECRET if kind == "public" else None)
        found[kind] = (counted.steps, len(counted.statements))
    counted.connection.close()
    return found


async def test_a_private_handle_costs_the_database_what_an_unknown_one_costs(site: Site, anna: Person) -> None:
    work = await work_of(site, SqliteHandles)
    public = work.pop("public")
    assert len(set(work.values())) == 1, work
    assert public[0] > work["unknown"][0] > 0


async def test_the_count_of_work_shows_a_store_that_looks_at_private_handles(site: Site, anna: Person) -> None:
    """The test above can fail: this store gives the same answers and is found out."""
    work = await work_of(site, Leaking)
    assert work["private"] != work["unknown"], work


async def test_look_ups_read_an_index_in_which_private_handles_are_not(site: Site, anna: Person) -> None:
    connection = connect(site.data / DATABASE_NAME, read_only=True)
    (plan,) = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {FIND}", (bytes(32),))]
    connection.close()
    assert plan.startswith("SEARCH handles USING COVERING INDEX handles_to_find (handle=?")


async def test_unknown_and_private_handles_run_through_the_same_lines(site: Site, anna: Person) -> None:
    directory = Directory(SqliteHandles(Counted(site.data / DATABASE_NAME)), Buckets(1, 100), is_open=True)  # type: ignore[arg-type]
    paths = {}
    for kind, name in {"public": "anna", **NOBODY}.items():
        lines: list[tuple[str, int]] = []
        before = sys.gettrace()
        sys.settrace(_recorder(lines))
        try:
            await directory.look_up(handle_id(name), OUTSIDE)
        finally:
            sys.settrace(before)
        paths[kind] = tuple(lines)
    public = paths.pop("public")
    assert len(set(paths.values())) == 1
    assert len(public) > 5


def _recorder(lines: list[tuple[str, int]]) -> Callable[[FrameType, str, object], Any]:
    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        if "kith_" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines.append((frame.f_code.co_filename, frame.f_lineno))
        return trace

    return trace


# Nobody lists who is here


async def test_a_network_that_tries_names_is_told_later_inside_the_seal_and_others_are_not(
    site: Site, anna: Person
) -> None:
    found = [await look_up(site, "anna") for _ in range(100)]
    assert {result.status for result in found} == {LookUpStatus.FOUND}
    for name in ("anna", "carla", "dora"):
        assert await look_up(site, name, "203.0.113.99") == LookUpResult(LookUpStatus.LATER)
    assert (await look_up(site, "anna", "198.51.100.7")).secret == SECRET


async def test_whoever_tries_names_by_webfinger_has_used_up_the_same_share(site: Site, anna: Person) -> None:
    statuses = [(await finger_handle(site, f"name{number}")).status for number in range(100)]
    refused = await finger_handle(site, "anna")
    assert (set(statuses), refused.status) == ({404}, 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert (await look_up(site, "anna")).status is LookUpStatus.LATER


async def test_whoever_tries_names_by_asking_for_them_has_used_up_the_same_share(site: Site, anna: Person) -> None:
    eve = await site.join()
    for _ in range(100):
        assert (await eve.take_handle("anna", network=OUTSIDE)).code == "handle-taken"
    assert (await eve.take_handle("anna", network=OUTSIDE)).code == "too-many-requests"
    assert (await eve.take_handle("carla", network=OUTSIDE)).code == "too-many-requests"


# WebFinger


async def test_webfinger_gives_other_software_the_address_and_never_the_invite(site: Site, anna: Person) -> None:
    answer = await finger_handle(site, "Anna")
    assert answer.status == 200
    assert answer.headers["Content-Type"].partition(";")[0] == "application/jrd+json"
    page = f"http://{site.host}/@anna"
    assert json.loads(answer.body) == {
        "subject": f"acct:anna@{site.host}",
        "aliases": [f"kith:anna@{site.host}", page],
        "links": [
            {"rel": REL_ADDRESS, "href": f"kith:anna@{site.host}"},
            {"rel": REL_PAGE, "type": "text/html", "href": page},
        ],
    }
    assert SECRET.hex() not in answer.body.decode()
    assert b"#" not in answer.body


@pytest.mark.parametrize("form", ["acct:anna@{}", "kith:anna@{}", "https://{}/@anna", "acct%3Aanna%40{}"])
async def test_webfinger_knows_every_form_of_an_address(site: Site, anna: Person, form: str) -> None:
    answer = await finger(site, f"?resource={form.format(site.host)}")
    assert json.loads(answer.body)["subject"] == f"acct:anna@{site.host}"


@pytest.mark.parametrize(
    ("rels", "left"),
    [
        ([REL_ADDRESS], [REL_ADDRESS]),
        ([REL_PAGE, "x"], [REL_PAGE]),
        (["x"], []),
        ([REL_PAGE, REL_ADDRESS], [REL_ADDRESS, REL_PAGE]),
    ],
)
async def test_webfinger_leaves_out_links_that_were_not_asked_for(
    site: Site, anna: Person, rels: list[str], left: list[str]
) -> None:
    query = "".join(f"&rel={rel}" for rel in rels)
    found = json.loads((await finger(site, f"?resource=acct:anna@{site.host}{query}")).body)
    assert [link["rel"] for link in found["links"]] == left
    assert found["subject"] == f"acct:anna@{site.host}"


@pytest.mark.parametrize(
    "query", ["", "?resource=", "?resource=anna", "?rel=x", "?resource=acct:a@b&resource=acct:c@d"]
)
async def test_webfinger_without_one_resource_is_a_bad_request(site: Site, query: str) -> None:
    assert (await finger(site, query)).status == 400


@pytest.mark.parametrize(
    "resource", ["acct:anna@other.example", "mailto:anna@{}", "https://{}/anna", "ftp:anna@{}", "acct:anna", "acct:@{}"]
)
async def test_webfinger_does_not_know_what_is_no_address_of_this_server(
    site: Site, anna: Person, resource: str
) -> None:
    answer = await finger(site, f"?resource={resource.format(site.host)}")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert answer.body.decode().endswith(".\n")


async def test_webfinger_finds_nobody_under_a_name_that_no_one_can_have_even_if_its_hash_was_taken(site: Site) -> None:
    """The server sees hashes only, so a vault may hold one of a name that is none."""
    eve = await site.join()
    for name in ("", "no such name"):
        assert (await eve.take_handle(name, SECRET)).status == 204
        assert (await finger_handle(site, name)).status == 404


async def test_pages_of_others_may_read_webfinger_and_nothing_else_of_this_server(site: Site, anna: Person) -> None:
    asked = [f"?resource=acct:anna@{site.host}", f"?resource=acct:bob@{site.host}", ""]
    answers = [await finger(site, query) for query in asked]
    assert [answer.status for answer in answers] == [200, 404, 400]
    assert {answer.headers.get("Access-Control-Allow-Origin") for answer in answers} == {"*"}
    head = await anna.ask("GET", "/head")
    others = [await site.ask("GET", path) for path in ("/.well-known/kith", "/i", "/@anna", "/healthz", "/nothing")]
    others += [await site.ask("POST", "/v1/gateway", secrets.token_bytes(CLASSES[0])), head]
    assert not [answer for answer in others if "Access-Control-Allow-Origin" in answer.headers]
