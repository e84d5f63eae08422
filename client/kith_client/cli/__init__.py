"""The `kith` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of `kith`."""
    from kith_client.cli.main import run

    sys.exit(run(sys.argv[1:]))
