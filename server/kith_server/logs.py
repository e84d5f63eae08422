"""Logs: one JSON document a line on standard error, without paths, addresses, tokens or anything that people store."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Final

import structlog

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
FRAMES: Final = 8


def configure_logs(level: str) -> None:
    """Sets the form and the level (`debug`, `info`, `warning`, `error`) of all logs of this process."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(logging.WARNING)


def describe(error: BaseException) -> dict[str, object]:
    """The kind of an error and where it came from; never its text, which may hold what somebody sent."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return {"error": type(error).__name__, "where": [f"{frame.name}:{frame.lineno}" for frame in frames]}


class _LibraryHandler(logging.Handler):
    """What libraries log may quote requests: only who spoke and the kind of error is kept."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = describe(record.exc_info[1]) if record.exc_info and record.exc_info[1] else {}
        structlog.get_logger().log(record.levelno, "library", logger=record.name, **fields)
