"""Writes the test vectors: `python protocol/vectors/generate.py`, or `--check` to compare only.

The scenarios are in `tests/support/vectors`; what HPKE and ML-DSA drew when a vector was first made is in
`sealed.json`, so that every run gives the same files.
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent.parent))


def main(arguments: list[str]) -> int:
    from tests.support.vectors.writing import files, write_all

    if arguments == ["--check"]:
        stale = [name for name, text in files(FOLDER).items() if _read(FOLDER / name) != text]
        _say("\n".join(f"{name} is not what the generator writes" for name in stale) or "all vectors are up to date")
        return 1 if stale else 0
    if arguments:
        _say(__doc__ or "")
        return 2
    _say(f"{write_all(FOLDER)} vectors written")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
