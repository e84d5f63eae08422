"""Reads typed values out of one table of a settings file, with errors that name the key and what to write instead.

What keys there are, and what they mean, stands in `config`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Final

from kith_protocol.errors import KithError

_UNITS: Final = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_SIZE: Final = re.compile(r"([0-9]{1,15})\s*([A-Za-z]*)", re.ASCII)


class ConfigError(KithError):
    """The settings file is missing, cannot be read, or says something that the server cannot follow."""

    code = "bad-config"


def parse_size(text: str) -> int:
    """Bytes meant by `text`: a whole number, with KiB, MiB, GiB or TiB after it if wanted. Raises `ConfigError`."""
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None:
        raise ConfigError('A size is a number of bytes or a text such as "500 MiB" or "2 GiB".')
    return int(found[1]) * unit


class SettingsTable:
    """One table of the file; `prefix` is how its keys are named in errors, such as `quotas.`."""

    def __init__(self, values: Mapping[str, object], prefix: str = "") -> None:
        self._values = values
        self._prefix = prefix

    def only(self, known: Collection[str]) -> None:
        """Raises `ConfigError` if there is a key that is not `known`: a misspelt setting must not pass unseen."""
        for key in self._values:
            if key not in known:
                near = difflib.get_close_matches(key, list(known), n=1)
                hint = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(sorted(known))}."
                raise self.wrong(key, f"is not a setting; {hint}")

    def table(self, key: str) -> SettingsTable:
        """The table `key` inside this one, empty where it is missing."""
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, f"is a table: write [{self._prefix}{key}] on a line of its own.")
        return SettingsTable(value, f"{self._prefix}{key}.")

    def text(self, key: str, default: str | None = None) -> str:
        """A text; without `default` it must be there."""
        value = self._values.get(key, default)
        if value is None:
            raise self.wrong(key, f'is missing: add a line {key} = "...".')
        if not isinstance(value, str):
            raise self.wrong(key, "is a text: put it in double quotes.")
        return value

    def choice(self, key: str, allowed: Collection[str], default: str) -> str:
        """One of `allowed`."""
        value = self.text(key, default)
        if value not in allowed:
            raise self.wrong(key, f"is one of: {', '.join(allowed)}.")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Yes or no."""
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "is true or false, without quotes.")
        return value

    def count(self, key: str, default: int) -> int:
        """A whole number from 1 on."""
        value = self._values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 53:
            raise self.wrong(key, f"is a whole number from 1 on, such as {default}.")
        return value

    def size(self, key: str, default: int) -> int:
        """A number of bytes, as a number or as a text with a unit."""
        value = self._values.get(key, default)
        try:
            return self.count(key, default) if not isinstance(value, str) else self._positive(key, parse_size(value))
        except ConfigError:
            raise self.wrong(key, 'is a size: a number of bytes or a text such as "2 GiB".') from None

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty where it is missing."""
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, 'is a list of texts, such as ["one", "two"].')
        return tuple(value)

    def wrong(self, key: str, why: str) -> ConfigError:
        """The error that names `key`."""
        return ConfigError(f"The setting {self._prefix}{key} {why}")

    def _positive(self, key: str, size: int) -> int:
        if size == 0:
            raise self.wrong(key, "is a size from 1 on.")
        return size
