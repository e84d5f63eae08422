"""QR codes: drawn as a PNG or on a terminal, and read from a picture.

A picture comes from anywhere, so its size is bounded before it is decoded. What the code says is left to whoever reads
it. Decoding takes up to a second: call `read_qr` in a thread.
"""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from kith_protocol.codes import code_kind
from kith_protocol.errors import KithError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_FILE_BYTES: Final = 32 * 1024 * 1024
"""Of a picture: the largest that telephones make have about 25 MB."""
MAX_PIXELS: Final = 64_000_000
"""Of a JPEG, as telephones make them, known before it is decoded. It is decoded to grey values at once, a byte each."""
MAX_OTHER_PIXELS: Final = 16_000_000
"""Of the other formats: their decoders hold all colours, several times over, and a few bytes can name any size."""
FORMATS: Final = ("PNG", "JPEG", "WEBP")
PICTURE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")

MODULE_PIXELS: Final = 12
"""Width of one module: a printed invite is about 5 cm wide at 300 dots to the inch."""
QUIET_MODULES: Final = 4
"""White border, as the standard asks for."""
PRINT_DPI: Final = 300


class NoPicture(KithError):
    """A file is no picture that can be read."""

    code = "no-picture"


class NoCode(KithError):
    """There is no QR code in a picture, or none of Kithbook."""

    code = "no-code"


class SeveralCodes(KithError):
    """There are several QR codes of Kithbook in a picture."""

    code = "several-codes"


class NotWritten(KithError):
    """A picture could not be written."""

    code = "unwritable-file"


def png(text: str) -> bytes:
    """A PNG of the QR code of `text`, good for print: quiet zone, size and resolution are set."""
    buffer = io.BytesIO()
    _drawn(text).save(buffer, kind="png", scale=MODULE_PIXELS, border=QUIET_MODULES, dpi=PRINT_DPI)
    return buffer.getvalue()


def write_png(text: str, path: Path) -> None:
    """Writes it to a file that only its owner can read, whole or not at all: an invite is a secret.

    Raises `NotWritten`.
    """
    path = path.expanduser()
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    except OSError as error:
        raise NotWritten(f"{_shown(path)} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(png(text))
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise NotWritten(f"{_shown(path)} cannot be written: {error.strerror}.") from None


def draw(text: str, to: TextIO) -> None:
    """Draws the QR code of `text` on a terminal."""
    _drawn(text).terminal(to, compact=True)


def is_picture(text: str) -> bool:
    """Whether what a person gave in place of a code is the name of a picture file."""
    if code_kind(text) is not None or not text:
        return False
    return text.lower().endswith(PICTURE_SUFFIXES) or os.path.isfile(os.path.expanduser(text))


def read_qr(path: Path) -> str:
    """The text of the one QR code of Kithbook in a picture; other codes beside it do not count.

    Raises `NoPicture`, `NoCode`, `SeveralCodes`.
    """
    import zxingcpp

    image = _grey(_bytes(path), _shown(path))
    found = zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    texts = {code.text for code in found if code.valid}
    ours = [text for text in texts if code_kind(text) is not None]
    if len(ours) > 1:
        raise SeveralCodes(f"{_shown(path)} shows several codes. Cut the picture so that it shows the one you mean.")
    if not ours and texts:
        raise NoCode(f"The code in {_shown(path)} is not one of Kithbook.")
    if not ours:
        raise NoCode(
            f"No code was found in {_shown(path)}. Take the picture again: all of the code, sharp, and with its white "
            "border."
        )
    return ours[0]


def _drawn(text: str) -> Any:
    import segno

    return segno.make(text, micro=False, error="m", boost_error=True)


def _bytes(path: Path) -> bytes:
    try:
        with path.expanduser().open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise NoPicture(f"{_shown(path)} cannot be read: {error.strerror}.") from None
    if len(raw) > MAX_FILE_BYTES:
        raise NoPicture(f"{_shown(path)} has more than {MAX_FILE_BYTES // 1024**2} MiB. Make the picture smaller.")
    return raw


def _grey(raw: bytes, name: str) -> Image:
    """The picture as grey values. Only its header is read before its size is known to be bearable."""
    from PIL import Image

    most = MAX_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own, looser bound warns before it refuses
            image = Image.open(io.BytesIO(raw), formats=FORMATS)
        width, height = image.size
        most = MAX_PIXELS if image.format == "JPEG" else MAX_OTHER_PIXELS
        if width * height <= most:
            image.draft("L", image.size)
            return _on_white(image)
    except Image.DecompressionBombError:
        pass
    except Exception:  # noqa: BLE001  # decoders raise whatever they like over a damaged file
        raise NoPicture(f"{name} is no picture in PNG, JPEG or WebP, or it is damaged.") from None
    raise NoPicture(f"{name} has more than {most // 10**6} million pixels. Make the picture smaller.")


def _on_white(image: Image) -> Image:
    """A code on a transparent ground is meant to be seen on white."""
    from PIL import Image

    if not image.has_transparency_data:
        return image.convert("L")
    both = image.convert("LA") if image.mode != "P" else image.convert("RGBA").convert("LA")
    white = Image.new("L", both.size, 255)
    white.paste(both.getchannel("L"), mask=both.getchannel("A"))
    return white


def _shown(path: Path) -> str:
    return str(path).encode("utf-8", "replace").decode()
