"""The server's settings: one frozen tree read from `DIR/config.toml`, and the commented file that `init` writes.

Keys and data lie beside that file and are not its business.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kith_protocol.errors import KithError, Refused
from kith_protocol.host import host_of_url, parse_host
from kith_server.settings_table import ConfigError, SettingsTable

CONFIG_NAME: Final = "config.toml"
MAX_CONFIG_BYTES: Final = 256 * 1024
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

_MIB: Final = 1 << 20
_TEMPLATE: Final = "config.template.toml"
_TOP_KEYS: Final = ("url", "listen", "registration", "handles", "log_level", "quotas", "federation")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConfigExists(KithError):
    """There is a settings file already; it is never overwritten."""

    code = "config-exists"


class Registration(StrEnum):
    """Who may start a vault."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105 (a word of the settings file, not a secret)
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the server accepts connections; port 0 lets the system pick one."""

    host: str = "127.0.0.1"
    port: int = 8400


@dataclass(frozen=True, slots=True)
class Quotas:
    """What may be used: `vaults` counts the whole server, everything else is for one vault or one mailbox."""

    vaults: int = 1000
    vault_bytes: int = 2048 * _MIB
    mailboxes: int = 16384
    parcels: int = 600
    """Waiting in one mailbox: twice the 256 items of a relationship, and room for announcements."""
    mailbox_bytes: int = 40 * _MIB
    waiting_requests: int = 2000
    waiting_bytes: int = 128 * _MIB


@dataclass(frozen=True, slots=True)
class Federation:
    """Holes in the rule for reaching other servers (HTTPS at public addresses); both are empty by default."""

    also_allow: tuple[Network, ...] = ()
    plain_http_hosts: tuple[str, ...] = ()
    """In normal form: `host:port`, or `host` for all its ports."""

    def allows(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Whether `address` stands in `also_allow`."""
        return any(address in network for network in self.also_allow)

    def plain_http(self, host: str) -> bool:
        """Whether `host` (normal form) may be reached without TLS."""
        name, colon, port = host.rpartition(":")
        bare = name if colon and port.isdigit() else host
        return host in self.plain_http_hosts or bare in self.plain_http_hosts


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of one server."""

    url: str
    """Public origin: `https://host[:port]`, no trailing slash."""
    listen: Listen = field(default_factory=Listen)
    registration: Registration = Registration.OPEN
    handles: bool = True
    """Whether people here can be found by a handle, if they want to."""
    log_level: str = "info"
    quotas: Quotas = field(default_factory=Quotas)
    federation: Federation = field(default_factory=Federation)

    @property
    def host(self) -> str:
        """`host[:port]` as in links and identities: lower case, without the scheme's default port."""
        return host_of_url(self.url)


def load_config(directory: Path) -> Config:
    """Reads `directory/config.toml`. Raises `ConfigError`, which names the file or the key and says what to do."""
    path = directory / CONFIG_NAME
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"There is no {path}. Write one with: kith-server init --data DIR --url URL") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_CONFIG_BYTES // 1024} KiB; is it a settings file?")
    try:
        return parse_config(raw.decode())
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text.") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse_config(text: str) -> Config:
    """Settings from the text of a settings file. Raises `ConfigError`."""
    try:
        values: Mapping[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"This is not valid TOML: {error}.") from None
    except RecursionError:
        raise ConfigError("This is not valid TOML: it is nested too deeply.") from None
    table = SettingsTable(values)
    table.only(_TOP_KEYS)
    federation = _federation(table.table("federation"))
    return Config(
        url=parse_url(table.text("url"), federation),
        listen=parse_listen(table.text("listen", "127.0.0.1:8400")),
        registration=Registration(table.choice("registration", list(Registration), Registration.OPEN)),
        handles=table.flag("handles", True),
        log_level=table.choice("log_level", LOG_LEVELS, "info"),
        quotas=_quotas(table.table("quotas")),
        federation=federation,
    )


def parse_url(url: str, federation: Federation | None = None) -> str:
    """The normal form of a public URL. Plain `http` is for loopback and `plain_http_hosts`. Raises `ConfigError`."""
    try:
        host = host_of_url(url)
    except Refused as error:
        raise ConfigError(f"The setting url is wrong: {error}") from None
    scheme = url.partition(":")[0].lower()
    plain = (federation or Federation()).plain_http(host) or _is_loopback(host)
    if scheme == "http" and not plain:
        raise ConfigError("The setting url needs https: put a reverse proxy with a certificate in front of the server.")
    return f"{scheme}://{host}"


def parse_listen(text: str) -> Listen:
    """`HOST:PORT`, IPv6 in brackets, port 0 to 65535. Raises `ConfigError`."""
    host, _, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else 65536
    if number > 65535 or not host or (":" in host) != (host[0] == "[" and host[-1] == "]"):
        raise ConfigError('The setting listen looks like "127.0.0.1:8400" or "[::1]:8400".')
    try:
        return Listen(parse_host(host).strip("[]"), number)
    except Refused as error:
        raise ConfigError(f"The setting listen is wrong: {error}") from None


def render_config(url: str, registration: Registration) -> str:
    """The commented settings file for a new server at `url`. Raises `ConfigError`."""
    template = (resources.files("kith_server") / _TEMPLATE).read_text(encoding="utf-8")
    return template.replace("@URL@", parse_url(url)).replace("@REGISTRATION@", registration)


def write_default_config(directory: Path, url: str, registration: Registration = Registration.OPEN) -> Path:
    """Writes `directory/config.toml`, readable by the owner only, and makes the directory if needed.

    Raises `ConfigExists` where there is one, `ConfigError` where it cannot be written or `url` is wrong.
    """
    text = render_config(url, registration)
    path = directory / CONFIG_NAME
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            raise ConfigExists(f"{path} exists already and is left as it is. Choose another folder, or edit it.")
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from None
    return path


def _quotas(table: SettingsTable) -> Quotas:
    default = Quotas()
    table.only(Quotas.__slots__)
    return Quotas(
        vaults=table.count("vaults", default.vaults),
        vault_bytes=table.size("vault_bytes", default.vault_bytes),
        mailboxes=table.count("mailboxes", default.mailboxes),
        parcels=table.count("parcels", default.parcels),
        mailbox_bytes=table.size("mailbox_bytes", default.mailbox_bytes),
        waiting_requests=table.count("waiting_requests", default.waiting_requests),
        waiting_bytes=table.size("waiting_bytes", default.waiting_bytes),
    )


def _federation(table: SettingsTable) -> Federation:
    table.only(Federation.__slots__)
    return Federation(
        also_allow=tuple(_network(table, text) for text in table.texts("also_allow")),
        plain_http_hosts=tuple(_plain_host(table, text) for text in table.texts("plain_http_hosts")),
    )


def _network(table: SettingsTable, text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise table.wrong("also_allow", f'has networks such as "192.168.7.0/24"; {text!r} is none.') from None


def _plain_host(table: SettingsTable, text: str) -> str:
    try:
        return parse_host(text)
    except Refused as error:
        raise table.wrong(
            "plain_http_hosts", f'has hosts such as "127.0.0.1:8402"; {text!r} is none: {error}'
        ) from None


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
