"""Asking for guardians' shares one after the other, until they give a phrase."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from kith_client.cli.asking import prompt
from kith_client.cli.output import Output
from kith_protocol.errors import KithError

if TYPE_CHECKING:
    from kith_client.lifecycle.gathering import Gathering
    from kith_protocol.splitting import Candidate

_CHARACTERS = 64 * 1024
_LINES = 64


async def gather(out: Output, needed: int | None, *, placed: bool) -> tuple[Gathering, list[Candidate]]:
    """The shares, and what enough of them give. Raises `Refused` that names what is missing or wrong.

    With `placed`, the person said where the address book is: then it tells which split is the right one. Otherwise no
    split of several is taken because it was complete first.
    """
    from kith_client.lifecycle.gathering import Gathering

    gathering = Gathering(needed=needed)
    if sys.stdin.isatty():
        return gathering, await _asked(out, gathering, placed=placed)
    for line in sys.stdin.read(_CHARACTERS).splitlines()[:_LINES]:
        if line.strip():
            await _take(out, gathering, line)
    found = await asyncio.to_thread(gathering.candidates)
    if not found:
        raise gathering.verdict()
    return gathering, found


async def _asked(out: Output, gathering: Gathering, *, placed: bool) -> list[Candidate]:
    out.message("Type each guardian's share as it is read out to you, or name a picture of its QR code.")
    found: list[Candidate] = []
    while True:
        number = len(gathering.given) + 1
        typed: str = prompt(f"Share {number} (33 words, or a file)", default="", show_default=False)
        if not typed.strip():
            if found:
                return found
            raise gathering.verdict()
        if not await _take(out, gathering, typed):
            continue
        found = await asyncio.to_thread(gathering.candidates)
        if found and (placed or gathering.is_of_one_split):
            return found
        if found:
            out.warn(f"{gathering.differing()} Type more shares; an empty line ends it.")
        elif gathering.strays or not gathering.missing:
            out.warn(f"{gathering.verdict()} An empty line ends it.")
        else:
            out.message(f"In order. At least {gathering.missing} more.")


async def _take(out: Output, gathering: Gathering, text: str) -> bool:
    """Whether the share is one; a bad one is named and the others count."""
    from kith_client.lifecycle.gathering import read_given

    try:
        gathering.add(await asyncio.to_thread(read_given, text))
    except KithError as error:
        out.warn(f"Share {len(gathering.given) + 1}: {error}")
        return False
    return True
