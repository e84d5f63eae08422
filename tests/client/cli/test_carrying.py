"""`kith import` and `kith export`."""

from __future__ import annotations

import stat
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from tests.client.cli.kith import Kith
from tests.support.address_book import address_book

CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{0}\r\nTEL:{1}\r\nEND:VCARD\r\n"


def test_import_counts_and_the_second_time_changes_nothing(kith: Kith, tmp_path: Path) -> None:
    path = tmp_path / "contacts.vcf"
    path.write_bytes(address_book(300) + b"rubbish\r\n")
    first = kith.do("import", str(path))
    assert (first["imported"], first["updated"], first["unchanged"]) == (300, 0, 0)
    (aside,) = first["set_aside"]
    assert aside["source"].startswith("contacts.vcf:")
    assert aside["reason"]
    said = kith("import", str(path))
    assert said.out == "0 imported, 0 updated, 300 unchanged, 1 set aside.\n"
    assert "kith issues" in said.err
    assert len(kith.do("list")["contacts"]) == 300
    assert len(kith.do("issues")["issues"]) == 1


def test_a_folder_is_imported_with_its_folders_and_other_files_are_passed_over(kith: Kith, tmp_path: Path) -> None:
    (tmp_path / "Friends").mkdir()
    (tmp_path / "a.vcf").write_text(CARD.format("Anna", 1))
    (tmp_path / "Friends" / "b.vcf").write_text(CARD.format("Bob", 2))
    (tmp_path / "Friends" / "b.jpg").write_bytes(b"\xff\xd8\xff")
    assert kith.do("import", str(tmp_path))["imported"] == 2


def test_what_is_no_address_book_is_refused_before_anything_is_taken_in(kith: Kith, tmp_path: Path) -> None:
    good, bad, empty = tmp_path / "a.vcf", tmp_path / "b.bin", tmp_path / "empty"
    good.write_text(CARD.format("Anna", 1))
    bad.write_bytes(b"\x00\x01\x02")
    empty.mkdir()
    for path in (bad, empty, tmp_path / "missing.vcf"):
        code, text = kith.fail("import", str(good), str(path))
        assert code in ("unreadable-file", "file")
        assert path.name in text
    assert kith.do("list") == {"contacts": []}


def test_a_dry_run_says_what_would_be(kith: Kith, tmp_path: Path) -> None:
    path = tmp_path / "a.vcf"
    path.write_text(CARD.format("Anna", 1))
    assert kith("import", str(path), "--dry-run").out == "Would be: 1 imported, 0 updated, 0 unchanged.\n"
    assert kith.do("list") == {"contacts": []}
    assert kith.book.edits == 0


def test_import_reads_standard_input(kith: Kith, monkeypatch: pytest.MonkeyPatch) -> None:
    from kith_client.cli import files

    stream = TextIOWrapper(BytesIO(CARD.format("Anna", 1).encode()))
    monkeypatch.setattr(files, "sys", type("Sys", (), {"stdin": stream}))
    assert kith.do("import", "-")["imported"] == 1


def test_a_thousand_contacts_are_imported_in_batches(kith: Kith, tmp_path: Path) -> None:
    path = tmp_path / "a.vcf"
    path.write_bytes(address_book(1000, photo_every=0))
    assert kith.do("import", str(path))["imported"] == 1000
    assert 4 <= kith.book.edits <= 10
    assert [event["what"] for event in kith.do("log")["events"]] == [
        "imported a.vcf: 1000 imported, 0 updated, 0 unchanged"
    ]


def test_export_prints_cards_or_writes_a_file_that_only_the_owner_can_read(kith: Kith, tmp_path: Path) -> None:
    kith.do("add", "Anna Beck", "--tel", "1")
    kith.do("add", "Carla", "--tel", "2")
    (card,) = kith.do("export", "carla")["contacts"]
    assert card.startswith("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Carla\r\n")
    (old,) = kith.do("export", "carla", "--format", "vcard3")["contacts"]
    assert "VERSION:3.0\r\n" in old
    assert kith("export").out.count("BEGIN:VCARD") == 2
    path = tmp_path / "out.vcf"
    path.write_text("before")
    assert kith.do("export", "--output", str(path)) == {"written": 2, "file": str(path)}
    assert path.read_bytes().count(b"END:VCARD\r\n") == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["out.vcf"]


def test_export_to_where_nothing_can_be_written_says_so(kith: Kith, tmp_path: Path) -> None:
    kith.add("Anna")
    code, text = kith.fail("export", "--output", str(tmp_path / "none" / "out.vcf"))
    assert code == "unwritable-file"
    assert text.endswith("out.vcf cannot be written: No such file or directory.")


def test_export_as_a_table(kith: Kith) -> None:
    kith.do("add", "=cmd()", "--tel", "+49 40 1")
    printed = kith("export", "--format", "csv").out
    assert "'=cmd()" in printed
    answer = kith.do("export", "--format", "csv")
    assert answer["header"].startswith("Name,")
    assert len(answer["contacts"]) == 1


@pytest.mark.parametrize("form", ["jscontact", "archive"])
def test_formats_that_are_not_built_yet_are_said_to_be_so(kith: Kith, form: str, tmp_path: Path) -> None:
    code, text = kith.fail("export", "--format", form, "--output", str(tmp_path / "x"))
    assert code == "not-built"
    assert "vcard4" in text


def test_an_export_imported_again_changes_nothing(kith: Kith, tmp_path: Path) -> None:
    source, path = tmp_path / "in.vcf", tmp_path / "out.vcf"
    source.write_bytes(address_book(50))
    kith.do("import", str(source))
    before = kith.do("list")
    kith.do("export", "--output", str(path))
    again = kith.do("import", str(path))
    assert (again["imported"], again["updated"]) == (0, 0)
    assert kith.do("list") == before
