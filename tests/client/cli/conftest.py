"""Fixtures of the command tests."""

from __future__ import annotations

import pytest

from tests.client.cli.kith import Kith


@pytest.fixture
def kith(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Kith:
    """`kith` on a fresh book."""
    return Kith(capsys, monkeypatch)
