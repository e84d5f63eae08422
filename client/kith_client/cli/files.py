"""The files of an import and an export: found, recognised, read in pieces, written whole or not at all."""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kith_client.contacts.recognise import HEAD, recognise
from kith_protocol.errors import KithError

CHUNK_BYTES: Final = 256 * 1024
MAX_FILES: Final = 10_000
"""Files in the folders of one import; more is a slip of the hand, such as importing the whole disk."""

MAX_PICTURE_BYTES: Final = 2 * 1024 * 1024

_STDIN: Final = "-"
_PICTURES: Final = ("PHOTO", "LOGO")
_MAGIC: Final = {
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}


class Unreadable(KithError):
    """A file that cannot be imported."""

    code = "unreadable-file"


class Unwritable(KithError):
    """A file that cannot be written."""

    code = "unwritable-file"


@dataclass(frozen=True, slots=True)
class Input:
    """One file to import."""

    path: Path | None
    """None is standard input."""
    name: str
    size: int
    """Bytes; 0 where it is not known."""


def find_inputs(paths: Iterable[str], form: str | None) -> list[Input]:
    """The files that these paths name, those in folders too. Raises `Unreadable`.

    A file that was named must be of a known format (or `form` says so); others in a folder are passed over.
    """
    found: list[Input] = []
    for text in paths:
        path = Path(text).expanduser()
        if text == _STDIN:
            found.append(Input(None, "standard input", 0))
        elif path.is_dir():
            found += _in_folder(path)
        elif form is not None or recognise(path.name, _head(path)) != "unknown":
            found.append(_input(path, path.name))
        else:
            raise Unreadable(
                f"{_shown(path)} is no vCard file. Other formats are not built yet: export it as vCard (.vcf) there. "
                "If it is one all the same, say --format vcard."
            )
    return found


def chunks_of(source: Input, advance: Callable[[int], None]) -> Iterator[bytes]:
    """The bytes of a file, piece by piece; `advance` is told how many."""
    with sys.stdin.buffer if source.path is None else source.path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
            advance(len(chunk))


def write_file(path: Path, texts: Iterable[str]) -> None:
    """Writes a file that only its owner can read; what stood there stays until the new one is whole.

    Raises `Unwritable`.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    except OSError as error:
        raise Unwritable(f"{_shown(path)} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.writelines(texts)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def value_of(prop: str, value: str) -> str:
    """What to store for a typed value: of a picture, the contents of the file that it names. Raises `Unreadable`."""
    if prop.upper() not in _PICTURES or ":" in value:
        return value
    path = Path(value).expanduser()
    if path.stat().st_size > MAX_PICTURE_BYTES:
        raise Unreadable(f"{_shown(path)} has more than {MAX_PICTURE_BYTES // 1024} KiB. Make the picture smaller.")
    data = path.read_bytes()
    for media, fits in _MAGIC.items():
        if fits.match(data):
            return f"data:{media};base64,{base64.b64encode(data).decode()}"
    raise Unreadable(f"{_shown(path)} is no picture in JPEG, PNG, GIF or WebP.")


def _in_folder(folder: Path) -> list[Input]:
    found = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()):
        if recognise(path.name, _head(path)) != "unknown":
            found.append(_input(path, _shown(path.relative_to(folder))))
        if len(found) > MAX_FILES:
            raise Unreadable(f"{_shown(folder)} has more than {MAX_FILES} files with contacts. Name a smaller folder.")
    if not found:
        raise Unreadable(f"There is no file with contacts in {_shown(folder)}. vCard files (.vcf) can be imported.")
    return found


def _input(path: Path, name: str) -> Input:
    return Input(path, name.encode("utf-8", "replace").decode(), path.stat().st_size)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "replace").decode()
