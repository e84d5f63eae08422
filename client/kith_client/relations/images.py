"""Which bytes are a picture that may be sent to a peer, or shown when a peer sent it: by their beginning alone.

What a sender says of the type is not relied upon. SVG is not among them, because it can carry a program.
"""

from __future__ import annotations


def media_type(data: bytes) -> str | None:
    """`image/jpeg`, `image/png`, `image/gif` or `image/webp`; None for everything else."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return None
