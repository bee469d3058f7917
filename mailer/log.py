"""Structured logging: constant event names in the past tense, ids and numbers as fields, never addresses or bodies."""

import logging
import sys

import structlog


def configure_logging(*, level: str = "info", as_json: bool = True) -> None:
    """Send every log line, ours and the libraries', to stderr."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(message)s", force=True)
    write_lines(number, as_json=as_json)


def write_lines(level: int, *, as_json: bool) -> None:
    """Send our own lines from `level` on to stderr: stdout is for what a command prints."""
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # the stderr of now, not of the start
        cache_logger_on_first_use=False,
    )


def get_logger(room: str) -> structlog.stdlib.BoundLogger:
    """Return a logger whose lines carry `room`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(room=room)
    return logger
