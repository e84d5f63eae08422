"""The page behind an invite, and the server's own statement."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kith_protocol.server_statement import verify_server_statement
from tests.support.mail_world import sites


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("path", ["/i", "/@anna", "/@%3Cscript%3E"])
async def test_the_pages_run_nothing_load_nothing_and_send_nothing(tmp_path: Path, path: str) -> None:
    async with sites(tmp_path, "anna") as (site,):
        page = await site.ask("GET", path)
    text = page.body.decode()
    found = _Tags()
    found.feed(text)
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "script" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert not found.tags & {"script", "img", "link", "iframe", "form", "a", "object", "embed", "base"}
    assert not {name for name in found.attributes if name.startswith("on") or name in ("src", "href", "action")}
    assert re.search(r"url\(|@import", text) is None
    assert "kith accept" in text


async def test_the_statement_is_signed_by_the_key_whose_fingerprint_stands_in_invites(tmp_path: Path) -> None:
    async with sites(tmp_path, "anna") as (site,):
        answer = await site.ask("GET", "/.well-known/kith")
        statement = verify_server_statement(answer.body, site.fingerprint, site.host, site.clock())
    assert answer.status == 200
    assert statement.versions == (1,)
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
