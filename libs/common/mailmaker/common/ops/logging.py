"""common.ops.logging: one JSON line an event on standard error; never an address, never a secret."""

from __future__ import annotations

import logging
import sys

import structlog

_FORBIDDEN = {
    "email",
    "address",
    "mobile",
    "rcpt",
    "recipient",
    "secret",
    "token",
    "password",
    "authorization",
}


def setup(house: str, level: str = "info") -> None:
    """Sets structlog and the standard library's loggers to JSON lines, with the house's name on each."""
    number = getattr(logging, level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without_persons,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(house=house)
    logging.basicConfig(
        level=max(number, logging.WARNING), format=f'{{"house":"{house}","event":"%(name)s: %(message)s"}}'
    )


def _without_persons(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    # A second fence: call sites log ids, and what slips through is blotted here.
    for key in _FORBIDDEN & event.keys():
        event[key] = "[kept out of logs]"
    return event


def logger(room: str) -> structlog.stdlib.BoundLogger:
    """A logger that names its room."""
    bound: structlog.stdlib.BoundLogger = structlog.get_logger(room=room)
    return bound
