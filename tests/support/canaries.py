"""Canary words: unlikely strings that are planted where people write, and looked for where nobody may read."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from urllib.parse import quote

MIN_BYTES = 10
"""A shorter canary could be found by chance."""


def word() -> str:
    """A canary that may stand in a name."""
    return "Zq" + secrets.token_hex(6)


def forms(canary: bytes) -> Iterator[tuple[str, bytes]]:
    """The ways in which a canary might show, with a name for each; compare without regard to case."""
    if len(canary) < MIN_BYTES:
        raise ValueError("a canary this short is found by chance")
    yield "plain", canary
    yield "reversed", canary[::-1]
    yield "hex", canary.hex().encode()
    yield "percent", quote(canary, safe="").encode()
    for shift in range(3):
        # Base64 of a text that has the canary inside: the letters that no neighbour can change.
        encoded = base64.b64encode(bytes(shift) + canary)
        first, last = (0, 2, 3)[shift], len(encoded) - 4
        yield f"base64+{shift}", encoded[first:last]
        yield f"base64url+{shift}", base64.urlsafe_b64encode(bytes(shift) + canary)[first:last]
    try:
        text = canary.decode()
    except UnicodeDecodeError:
        text = ""
    if text:
        yield "utf-16-le", text.encode("utf-16-le")
        yield "utf-16-be", text.encode("utf-16-be")
        yield "utf-32", text.encode("utf-32-le")


def hashes(canary: bytes) -> Iterator[tuple[str, bytes]]:
    """Hashes without a key: of a name they are as good as the name to whoever guesses it."""
    for name in ("sha256", "sha1", "md5", "blake2b"):
        for variant in sorted({canary, canary.lower()}):
            yield name, hashlib.new(name, variant).digest()
            yield f"{name} in hex", hashlib.new(name, variant).hexdigest().encode()


def found(
    canaries: Iterable[tuple[str, bytes]], haystacks: Iterable[tuple[str, bytes]], *, hashed: bool = True
) -> list[str]:
    """Where canaries show: one line for each place and form, naming the canary by what it is, not by its value.

    `hashed` False leaves hashes out, for what may be kept as one.
    """
    needles = [(what, form, needle.lower()) for what, canary in canaries for form, needle in forms(canary)]
    if hashed:
        needles += [(what, form, needle.lower()) for what, canary in canaries for form, needle in hashes(canary)]
    lines = []
    for where, hay in haystacks:
        lowered = hay.lower()
        lines += [f"{what} ({form}) in {where}" for what, form, needle in needles if needle in lowered]
    return lines
