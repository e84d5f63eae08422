"""Codes as people give them to a command and as a command shows them: text, standard input, pictures, the terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from kith_client.cli.output import Output
from kith_client.cli.session import one_line
from kith_client.qr import NotWritten, draw, is_picture, read_qr, write_png
from kith_protocol.codes import CodeKind, check_kind
from kith_protocol.errors import Refused


async def given_code(text: str, wanted: CodeKind) -> str:
    """The code that `text` is, or that the picture of this name shows; `-` reads one line of standard input.

    Raises `Refused` (`wrong-code`) for a code of another kind, and what `read_qr` raises.
    """
    text = one_line(text)
    if is_picture(text):
        text = await asyncio.to_thread(read_qr, Path(text))
    check_kind(text, wanted)
    return text


async def write_picture(code: str, path: str) -> None:
    """Writes a code as a picture. Raises `NotWritten`."""
    await asyncio.to_thread(write_png, code, Path(path))


def check_picture_place(path: str) -> None:
    """Before something is made that only the picture shows. Raises `NotWritten` where it could not be written, and
    `Refused` (`file-exists`) where a file is already: it may be another code that somebody counts on."""
    whole = os.path.expanduser(path)
    folder = os.path.dirname(whole) or "."
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK) or os.path.isdir(whole):
        raise NotWritten(f"{path} cannot be written. Name a file in a folder that is yours.")
    if os.path.lexists(whole):
        raise Refused("file-exists", f"{path} is there already and is left as it is; choose another name.")


def draw_on_terminal(code: str, out: Output) -> None:
    """Draws a code where a person looks at a terminal."""
    if sys.stdout.isatty() and not out.json:
        draw(code, sys.stdout)
