"""QR codes: drawn, photographed, read; and pictures that must be refused before they cost anything."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from kith_client import qr
from kith_client.qr import NoCode, NoPicture, NotWritten, SeveralCodes, draw, is_picture, png, read_qr, write_png
from tests.support.photos import photographed, picture

LINK = "https://anna.example/i#1." + "A" * 64
OTHER = "kith-link:anna.example#7." + "A" * 22


@pytest.mark.parametrize("text", [LINK, OTHER, "kith-verify:" + "1" * 60 + "." + "A" * 43])
def test_what_was_written_is_read(tmp_path: Path, text: str) -> None:
    write_png(text, tmp_path / "code.png")
    assert read_qr(tmp_path / "code.png") == text
    assert (tmp_path / "code.png").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["code.png"]


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("seed", range(4))
def test_a_photographed_code_is_read(tmp_path: Path, form: str, seed: int) -> None:
    path = tmp_path / f"photo.{form.lower()}"
    photographed(picture(LINK), seed).save(path, form, quality=60)
    assert read_qr(path) == LINK


def test_a_code_is_good_for_print() -> None:
    code = Image.open(io.BytesIO(png(LINK)))
    assert [round(each) for each in code.info["dpi"]] == [300, 300]
    assert 4 < code.width / 300 * 2.54 < 6, "centimetres"
    grey = code.convert("L")
    border = qr.QUIET_MODULES * qr.MODULE_PIXELS
    box = Image.eval(grey, lambda value: 255 - value).getbbox()
    assert box == (border, border, code.width - border, code.height - border)


def test_colours_transparency_and_palettes_do_not_matter(tmp_path: Path) -> None:
    dark = picture(LINK)
    clear = Image.merge("LA", (dark, Image.eval(dark, lambda value: 255 - value)))
    for name, image in {
        "clear.png": clear,
        "palette.png": clear.convert("RGBA").quantize(4),
        "cmyk.jpg": dark.convert("CMYK"),
        "inverted.png": Image.eval(dark, lambda value: 255 - value),
        "one-bit.png": dark.convert("1"),
    }.items():
        image.save(tmp_path / name)
        assert read_qr(tmp_path / name) == LINK, name


def test_a_code_is_drawn_on_a_terminal() -> None:
    out = io.StringIO()
    draw(LINK, out)
    assert len(out.getvalue().splitlines()) > 20


def test_a_foreign_code_beside_it_does_not_count(tmp_path: Path) -> None:
    side_by_side("https://shop.example/", LINK).save(tmp_path / "both.png")
    assert read_qr(tmp_path / "both.png") == LINK
    side_by_side(LINK, LINK).save(tmp_path / "twice.png")
    assert read_qr(tmp_path / "twice.png") == LINK


def test_several_codes_are_refused(tmp_path: Path) -> None:
    side_by_side(OTHER, LINK).save(tmp_path / "both.png")
    with pytest.raises(SeveralCodes, match="several codes"):
        read_qr(tmp_path / "both.png")


def test_a_code_that_is_not_of_kithbook_is_refused(tmp_path: Path) -> None:
    picture("https://shop.example/i?secret").save(tmp_path / "shop.png")
    with pytest.raises(NoCode, match="not one of Kithbook") as refused:
        read_qr(tmp_path / "shop.png")
    assert "shop.example" not in str(refused.value)


def test_a_picture_without_a_code_is_refused(tmp_path: Path) -> None:
    Image.effect_noise((400, 400), 90).save(tmp_path / "noise.png")
    with pytest.raises(NoCode, match="No code was found"):
        read_qr(tmp_path / "noise.png")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"kith:anna.example#1.x",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0" + bytes(50),
        b"GIF89a" + bytes(50),
        png(LINK)[:-900],
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "picture.png").write_bytes(raw)
    with pytest.raises(NoPicture):
        read_qr(tmp_path / "picture.png")


def test_a_format_that_was_not_asked_for_is_not_even_tried(tmp_path: Path) -> None:
    for form in ("GIF", "TIFF", "BMP", "PPM"):
        picture(LINK).save(tmp_path / "picture.png", form)
        with pytest.raises(NoPicture):
            read_qr(tmp_path / "picture.png")


def bomb(side: int) -> bytes:
    """A PNG of one colour: a few kilobytes that claim side * side pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 + side // 8) * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_100, 12_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(Image.Image, "convert", decoded)
    (tmp_path / "bomb.png").write_bytes(bomb(side))
    with pytest.raises(NoPicture, match="million pixels"):
        read_qr(tmp_path / "bomb.png")


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(NoPicture, match="32 MiB"):
        read_qr(tmp_path / "huge.png")


def test_a_file_that_is_not_there_or_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoPicture, match="cannot be read"):
        read_qr(tmp_path / "missing.png")
    with pytest.raises(NoPicture, match="cannot be read"):
        read_qr(tmp_path)
    with pytest.raises(NotWritten, match="cannot be written"):
        write_png(LINK, tmp_path / "missing" / "code.png")


def test_what_a_person_gives_in_place_of_a_code_is_told_apart(tmp_path: Path) -> None:
    write_png(LINK, tmp_path / "code")
    assert is_picture(str(tmp_path / "code"))
    assert is_picture("missing.PNG")
    for text in (LINK, OTHER, "7-maple-otter-cloud", "anna@anna.example", "", "\x00", "x" * 100_000):
        assert not is_picture(text)


def side_by_side(left: str, right: str) -> Image.Image:
    one, other = picture(left), picture(right)
    both = Image.new("L", (one.width + other.width, max(one.height, other.height)), 255)
    both.paste(one, (0, 0))
    both.paste(other, (one.width, 0))
    return both
