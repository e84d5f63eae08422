"""The one place that asks the system what time it is; everything else is given a clock."""

from __future__ import annotations

import time


def system_clock() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000
