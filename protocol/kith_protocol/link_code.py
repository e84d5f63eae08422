"""The codes that start a linking: three words to say, or a QR code to read (spec: linking.md, Codes)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final

from kith_protocol.codes import CodeKind, check_kind
from kith_protocol.errors import Refused
from kith_protocol.host import parse_host
from kith_protocol.phrase import word_numbers
from kith_protocol.wire import NAMEPLATE

NEARBY_HOST: Final = "nearby.local"
"""Stands for the host in the identities where two meet on the local network without a server."""
CODE_WORDS: Final = 3
CODE_BITS: Final = 11 * CODE_WORDS
CODE_RANDOM_BYTES: Final = 5
"""Random bytes for a spoken code, of which 33 bits are used."""
QR_RANDOM_BYTES: Final = 16

_MEET_QR: Final = re.compile(r"kith-meet:([^#]*)#(.*)", re.ASCII | re.IGNORECASE)
_QR: Final = re.compile(r"kith-link:([^#]*)#([0-9]+)\.([A-Za-z0-9_-]{22})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LinkCode:
    """A code: where to meet (`nameplate`, at the rendezvous of `host`) and the shared secret."""

    nameplate: str
    secret: bytes
    host: str = ""
    """Empty where the code does not say it."""

    def __repr__(self) -> str:
        return "LinkCode(...)"

    @property
    def text(self) -> str:
        """What to show: `NAMEPLATE-word-word-word`, or the text inside a QR code."""
        if not self.host:
            return self._spoken
        secret = base64.urlsafe_b64encode(self.secret).rstrip(b"=").decode("ascii")
        return f"kith-link:{self.host}#{self.nameplate}.{secret}"

    @property
    def meeting(self) -> str:
        """What to show to somebody who is met: `NAMEPLATE-word-word-word@HOST`, without `@HOST` where there is none."""
        return f"{self._spoken}@{self.host}" if self.host else self._spoken

    @property
    def meeting_qr(self) -> str:
        """The same inside a QR code."""
        return f"kith-meet:{self.host}#{self._spoken}"

    @property
    def _spoken(self) -> str:
        return f"{self.nameplate}-{self.secret.decode('ascii')}"


def spoken_code(nameplate: str, randomness: bytes) -> LinkCode:
    """A code of three words; `randomness` is 5 random bytes."""
    _check_nameplate(nameplate)
    if len(randomness) != CODE_RANDOM_BYTES:
        raise Refused("randomness", f"A spoken code takes {CODE_RANDOM_BYTES} random bytes.")
    number = int.from_bytes(randomness, "big") % 2**CODE_BITS
    words = list(word_numbers())
    chosen = [words[number >> shift & 0x7FF] for shift in range(CODE_BITS - 11, -1, -11)]
    return LinkCode(nameplate, "-".join(chosen).encode("ascii"))


def qr_code(host: str, nameplate: str, randomness: bytes) -> LinkCode:
    """A code of 128 bits that also names the server; `randomness` is 16 random bytes."""
    _check_nameplate(nameplate)
    if len(randomness) != QR_RANDOM_BYTES:
        raise Refused("randomness", f"A QR code takes {QR_RANDOM_BYTES} random bytes.")
    return LinkCode(nameplate, randomness, parse_host(host))


def parse_code(text: str) -> LinkCode:
    """Reads a code as a person typed it or a camera read it; case, spaces and hyphens are forgiven.

    Raises `Refused` with `link-code`, which never repeats the code, `wrong-code` or `bad-host`.
    """
    stripped = text.strip()
    found = _QR.fullmatch(stripped)
    if found is not None:
        _check_nameplate(found[2])
        return LinkCode(found[2], _qr_secret(found[3]), parse_host(found[1]))
    check_kind(f"{CodeKind.MEETING}{text}" if "@" in text else text, CodeKind.DEVICE)
    return _spoken(stripped)


def parse_meeting_code(text: str) -> LinkCode:
    """Reads a code for meeting: as a person typed it, with or without `@HOST`, or as a camera read it.

    Raises `Refused` with `link-code`, which never repeats the code, `wrong-code` or `bad-host`.
    """
    check_kind(text, CodeKind.MEETING)
    stripped = text.strip()
    found = _MEET_QR.fullmatch(stripped)
    words, named, host = (found[2], found[1], found[1]) if found else stripped.partition("@")
    code = _spoken(words)
    return LinkCode(code.nameplate, code.secret, parse_host(host.strip()) if named else "")


def _spoken(text: str) -> LinkCode:
    nameplate, *words = re.split(r"[\s-]+", text.strip().lower())
    _check_nameplate(nameplate)
    if len(words) != CODE_WORDS:
        raise Refused("link-code", "A code is a number and three words, such as 7-maple-otter-cloud.")
    for position, word in enumerate(words, start=1):
        if word not in word_numbers():
            raise Refused("link-code", f"Word {position} of the code is not in the word list; check it.")
    return LinkCode(nameplate, "-".join(words).encode("ascii"))


def _qr_secret(text: str) -> bytes:
    # 22 characters of the alphabet always decode; several may stand for the same bytes, and one is right.
    secret = base64.urlsafe_b64decode(text + "==")
    if base64.urlsafe_b64encode(secret).rstrip(b"=") != text.encode("ascii"):
        raise Refused("link-code", "The QR code is damaged; read it again.")
    return secret


def _check_nameplate(nameplate: str) -> None:
    if NAMEPLATE.fullmatch(nameplate) is None:
        raise Refused("link-code", "A code begins with a number of at most six digits.")
