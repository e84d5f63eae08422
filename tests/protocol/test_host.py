"""Host names have one normal form."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kith_protocol.errors import DecodingError, Refused
from kith_protocol.host import MAX_HOST_BYTES, check_host, host_of_url, parse_host


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("anna.example", "anna.example"),
        ("Anna.EXAMPLE:8400", "anna.example:8400"),
        ("localhost:1", "localhost:1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("1und1.de", "1und1.de"),
        ("127.0.0.1:65535", "127.0.0.1:65535"),
        ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ("[::1]:8400", "[::1]:8400"),
        ("a:443", "a:443"),
    ],
)
def test_a_host_is_brought_into_its_normal_form(text: str, normal: str) -> None:
    assert parse_host(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        "a.",
        ".a",
        "-a.example",
        "a-.example",
        "a_b.example",
        "x" * 64 + ".example",
        "a." * 126 + "ab",
        "user@a.example",
        "a.example/path",
        "a.example#x",
        "a.example?x",
        "a b.example",
        " a.example",
        "a.example\n",
        "a\x00.example",
        "bücher.example",
        "a.example:",
        "a.example:0",
        "a.example:080",
        "a.example:65536",
        "a.example:+80",
        "a.example:80:80",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0x7f000001",
        "127.0.0.01",
        "1.2.3.256",
        "[::1",
        "[::1]x",
        "[::1]]",
        "[fe80::1%eth0]",
        "[1.2.3.4]",
        "[]",
        "::1",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_host(text)
    assert caught.value.code == "bad-host"


@given(st.text(alphabet="aZ0-.:[]x1%@/", max_size=20))
def test_a_normal_form_is_its_own_normal_form(text: str) -> None:
    with contextlib.suppress(Refused):
        normal = parse_host(text)
        assert parse_host(normal) == normal
        check_host(normal)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Anna.example", "anna.example"),
        ("HTTPS://anna.example:443/", "anna.example"),
        ("https://anna.example:8443/", "anna.example:8443"),
        ("http://127.0.0.1:8401", "127.0.0.1:8401"),
        ("http://a:80", "a"),
        ("https://a:80", "a:80"),
        ("http://a:443", "a:443"),
        ("https://[::1]:443", "[::1]"),
    ],
)
def test_the_default_port_of_a_url_is_left_out(url: str, host: str) -> None:
    assert host_of_url(url) == host


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("anna.example", "bad-url"),
        ("ftp://anna.example", "bad-url"),
        ("https://anna.example/kith", "bad-url"),
        ("https://anna.example//", "bad-url"),
        ("https://anna.example?x", "bad-url"),
        ("https://anna.example/#x", "bad-url"),
        (" https://anna.example", "bad-url"),
        ("https://anna.example\n", "bad-host"),
        ("https://", "bad-host"),
        ("https://user:secret@anna.example", "bad-host"),
    ],
)
def test_what_is_no_server_url_is_refused_without_repeating_it(url: str, code: str) -> None:
    with pytest.raises(Refused) as caught:
        host_of_url(url)
    assert caught.value.code == code
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["", "A.example", "a.example:080", "a/b", "x" * (MAX_HOST_BYTES + 1)])
def test_a_host_in_a_statement_that_is_not_normal_is_refused(host: str) -> None:
    with pytest.raises(DecodingError):
        check_host(host)
