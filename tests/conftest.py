"""What all tests share: where the corpus lies, and how Hypothesis runs on slow machines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent

# No deadline for one example: a busy machine is not a failure. The same examples on every CI run, new ones elsewhere.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the shared corpus (`KITH_SHARED`, else beside the repository); skips the test without it."""
    folder = Path(os.environ.get("KITH_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"the shared corpus is not at {folder}: set KITH_SHARED to where it is")
    return folder
