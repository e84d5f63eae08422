"""Settings: what is read, what is refused and how that is said, and the file that `init` writes."""

from __future__ import annotations

import stat
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from kith_server.config import (
    Config,
    ConfigExists,
    Federation,
    Listen,
    Quotas,
    Registration,
    load_config,
    parse_config,
    parse_listen,
    parse_url,
    render_config,
    write_default_config,
)
from kith_server.settings_table import ConfigError, parse_size

REPOSITORY = Path(__file__).resolve().parents[2]

FULL = """
url = "https://Kith.Example:8443"
listen = "[::1]:0"
registration = "closed"
handles = false
log_level = "debug"
[quotas]
vaults = 3
vault_bytes = "500 MiB"
mailboxes = 4
parcels = 5
mailbox_bytes = 6
waiting_requests = 7
waiting_bytes = "8 kib"
[federation]
also_allow = ["127.0.0.0/8", "::1/128"]
plain_http_hosts = ["127.0.0.1:8402", "LAB.example"]
"""


def test_every_setting_is_read() -> None:
    assert parse_config(FULL) == Config(
        url="https://kith.example:8443",
        listen=Listen("::1", 0),
        registration=Registration.CLOSED,
        handles=False,
        log_level="debug",
        quotas=Quotas(3, 500 << 20, 4, 5, 6, 7, 8192),
        federation=Federation(
            also_allow=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
            plain_http_hosts=("127.0.0.1:8402", "lab.example"),
        ),
    )


def test_what_is_not_said_has_the_default() -> None:
    config = parse_config('url = "https://kith.example/"')
    assert config == Config(url="https://kith.example")
    assert config.quotas.vault_bytes == 2 * 1024**3
    assert config.federation == Federation((), ())


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://kith.example", "kith.example"),
        ("https://KITH.example:443/", "kith.example"),
        ("HTTPS://kith.example:8443", "kith.example:8443"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://[::1]:8400", "[::1]:8400"),
        ("http://localhost:8400", "localhost:8400"),
    ],
)
def test_the_host_is_that_of_the_public_url(url: str, host: str) -> None:
    assert Config(url=parse_url(url)).host == host


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["url", "is missing"]),
        ("url = 3", ["url", "double quotes"]),
        ('url = "kith.example"', ["url", "https://kith.example"]),
        ('url = "https://kith.example/path"', ["url", "nothing after the host"]),
        ('url = "https://anna@kith.example"', ["url", "letters, digits and hyphens"]),
        ('url = "http://kith.example"', ["url", "https"]),
        ('url = "https://a.example"\nregistraton = "open"', ["registraton", 'did you mean "registration"']),
        ('url = "https://a.example"\nzzz = 1', ["zzz", "known here"]),
        ('url = "https://a.example"\nregistration = "yes"', ["registration", "open, token, closed"]),
        ('url = "https://a.example"\nhandles = "no"', ["handles", "true or false"]),
        ('url = "https://a.example"\nlog_level = "loud"', ["log_level", "debug, info"]),
        ('url = "https://a.example"\nlisten = "8400"', ["listen", "127.0.0.1:8400"]),
        ('url = "https://a.example"\nquotas = 3', ["quotas", "[quotas]"]),
        ('url = "https://a.example"\n[quotas]\nvaults = 0', ["quotas.vaults", "from 1 on"]),
        ('url = "https://a.example"\n[quotas]\nvaults = true', ["quotas.vaults", "whole number"]),
        ('url = "https://a.example"\n[quotas]\nvault_bytes = "2 GB"', ["quotas.vault_bytes", "2 GiB"]),
        ('url = "https://a.example"\n[quotas]\nvault_bytes = "0"', ["quotas.vault_bytes", "2 GiB"]),
        ('url = "https://a.example"\n[quotas]\nvault_bytes = 1.5', ["quotas.vault_bytes", "2 GiB"]),
        ('url = "https://a.example"\n[quotas]\nvalt_bytes = 1', ["quotas.valt_bytes", "vault_bytes"]),
        ('url = "https://a.example"\n[federation]\nalso_allow = "all"', ["federation.also_allow", "list of texts"]),
        ('url = "https://a.example"\n[federation]\nalso_allow = [1]', ["federation.also_allow", "list of texts"]),
        ('url = "https://a.example"\n[federation]\nalso_allow = ["10.0.0.1/8"]', ["federation.also_allow", "10.0.0.1"]),
        ('url = "https://a.example"\n[federation]\nplain_http_hosts = ["a b"]', ["federation.plain_http_hosts", "a b"]),
        ("url = [\n!", ["TOML", "line 2"]),
        ("a = " + "[" * 5000, ["TOML"]),
    ],
)
def test_an_error_names_the_key_and_says_what_to_write(text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value).strip()


def test_plain_http_is_for_loopback_and_for_hosts_that_settings_name() -> None:
    named = Federation(plain_http_hosts=("kith.home.arpa",))
    assert parse_url("http://kith.home.arpa:8400", named) == "http://kith.home.arpa:8400"
    with pytest.raises(ConfigError, match="https"):
        parse_url("http://other.home.arpa:8400", named)


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("127.0.0.1:8402", True),
        ("127.0.0.1:8403", False),
        ("127.0.0.1", False),
        ("lab.example", True),
        ("lab.example:1", True),
        ("sub.lab.example", False),
        ("[::1]:1", True),
        ("[::1]", True),
        ("[::2]", False),
    ],
)
def test_a_plain_host_is_exact_or_means_all_its_ports(host: str, plain: bool) -> None:
    settings = Federation(plain_http_hosts=("127.0.0.1:8402", "lab.example", "[::1]"))
    assert settings.plain_http(host) is plain


def test_also_allow_is_about_networks() -> None:
    settings = Federation(also_allow=(ip_network("127.0.0.0/8"),))
    assert settings.allows(ip_address("127.9.9.9"))
    assert not settings.allows(ip_address("10.0.0.1"))
    assert not settings.allows(ip_address("::ffff:127.0.0.1"))


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("127.0.0.1:0", Listen("127.0.0.1", 0)),
        ("0.0.0.0:65535", Listen("0.0.0.0", 65535)),
        ("[::]:8400", Listen("::", 8400)),
        ("localhost:8400", Listen("localhost", 8400)),
    ],
)
def test_where_to_listen(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen


@pytest.mark.parametrize(
    "text", ["", ":", ":80", "a", "a:", "a:-1", "a:65536", "a:٣", "::1:80", "[::1:80", "a b:80", "[:80"]
)
def test_a_place_to_listen_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="listen"):
        parse_listen(text)


@pytest.mark.parametrize(("text", "size"), [("7", 7), ("1KiB", 1024), (" 2 mib ", 2 << 20), ("3 GiB", 3 << 30)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1.5 GiB", "2 GB", "1e9", "٣"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_size(text)


def test_the_written_file_holds_the_defaults(tmp_path: Path) -> None:
    path = write_default_config(tmp_path / "new" / "data", "https://Kith.example:443", Registration.CLOSED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_config(path.parent) == Config(url="https://kith.example", registration=Registration.CLOSED)


def test_the_commented_values_in_the_file_are_the_defaults() -> None:
    text = render_config("https://kith.example", Registration.OPEN)
    lines = (
        line[1:] if line.startswith("#") and line[1:2].isalpha() and " = " in line else line
        for line in text.split("\n")
    )
    uncommented = "\n".join(lines)
    assert uncommented.count("\n#") < text.count("\n#")
    assert parse_config(uncommented) == Config(url="https://kith.example")
    assert all(
        f"\n{key} = " in uncommented for key in (*Quotas.__slots__, *Federation.__slots__, "listen", "log_level")
    )


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("mine")
    with pytest.raises(ConfigExists, match="left as it is"):
        write_default_config(tmp_path, "https://kith.example")
    assert (tmp_path / "config.toml").read_text() == "mine"


def test_a_wrong_url_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="url"):
        write_default_config(tmp_path / "data", 'https://kith.example"\nregistration = "open')
    assert not (tmp_path / "data").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="cannot be written"):
            write_default_config(directory, "https://kith.example")


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="kith-server init"):
        load_config(tmp_path)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
    path.rmdir()
    path.write_bytes(b"url = \xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path)
    path.write_bytes(b"#" * 300_000)
    with pytest.raises(ConfigError, match="larger than 256 KiB"):
        load_config(tmp_path)
    path.write_text("zzz = 1")
    with pytest.raises(ConfigError, match=r"config\.toml: The setting zzz"):
        load_config(tmp_path)


def test_the_example_in_deploy_is_what_init_writes() -> None:
    example = (REPOSITORY / "deploy" / "config.example.toml").read_text(encoding="utf-8")
    assert example == render_config("https://kith.example", Registration.TOKEN)
