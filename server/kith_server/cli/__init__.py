"""`kith-server`: the commands of the operator. Each module holds some of them; `main` is the entry point."""

from __future__ import annotations

from kith_server.cli.main import main as main
