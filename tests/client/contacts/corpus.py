"""The collection of real and hostile vCards that stands beside the repository, and how tests get at it."""

from __future__ import annotations

import codecs
import csv
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from kith_client.contacts.model import Card, SetAside
from kith_client.contacts.vcard_read import read_cards

_BESIDE = Path(__file__).resolve().parents[4] / "shared"
CORPUS = Path(os.environ.get("KITH_SHARED", _BESIDE)) / "corpus"

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the vCard corpus is not there: set KITH_SHARED")


@dataclass(frozen=True)
class Sample:
    """One file of the corpus; `cards` is 0 where the manifest gives no number."""

    path: str
    cards: int

    def data(self) -> bytes:
        return (CORPUS / self.path).read_bytes()


def samples() -> list[Sample]:
    """The vCard files that the manifest names."""
    manifest = CORPUS / "MANIFEST.tsv"
    if not manifest.is_file():
        return []
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Sample(row["file"], int(row["cards"] or 0)) for row in rows if row["file"].startswith("vcards/")]


def read(data: bytes | str) -> list[Card | SetAside]:
    """Everything that reading gives."""
    return list(read_cards([data.encode("utf-8") if isinstance(data, str) else data]))


def cards(data: bytes | str) -> list[Card]:
    """The cards among it."""
    return [item for item in read(data) if isinstance(item, Card)]


def one(data: bytes | str) -> Card:
    """The only card in it; nothing may be set aside."""
    items = read(data)
    assert len(items) == 1
    assert isinstance(items[0], Card)
    return items[0]


def card_text(*lines: str, version: str = "3.0") -> str:
    """A card of these lines."""
    return "".join(f"{line}\r\n" for line in ("BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD"))


def hostile(name: str) -> bytes:
    """A file of the hostile part of the corpus."""
    return (CORPUS / "vcards" / "synthetic_hostile" / f"a_{name}.vcf").read_bytes()


def dense(data: bytes) -> bytes:
    """What is left of `data` without line ends, blanks and byte order marks: all that must never be lost."""
    for mark in (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        data = data.replace(mark, b"")
    return data.translate(None, b" \t\r\n\x00")
